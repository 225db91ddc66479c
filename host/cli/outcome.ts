// How a command ends when it does not end well. main.ts turns these into exit codes.

export const EXIT = { done: 0, failed: 1, wrongUse: 2 } as const;

/** The command was understood and could not be done. An empty message: everything has been said already. */
export class Failed extends Error {}

/** The command makes no sense as it was given. */
export class WrongUse extends Error {}
