// What is wrong with a configuration file, and where.

/** One thing that is wrong with a configuration file. */
export interface ConfigProblem {
  file: string;
  /** From 1. */
  line: number;
  /** Dotted path of the key, "" for the document. */
  key: string;
  message: string;
}

/** The file cannot be used. `message` has one line per problem. */
export class ConfigError extends Error {
  readonly problems: ConfigProblem[];

  constructor(problems: ConfigProblem[]) {
    super(problems.map(problemLine).join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

function problemLine(problem: ConfigProblem): string {
  const key = problem.key === "" ? "" : `${problem.key}: `;
  return `${problem.file}:${problem.line}: ${key}${problem.message}`;
}
