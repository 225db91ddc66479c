// Numbers from a seed. A failing property test is reported as SEED and CASE, which is all that it takes
// to run it again: SEED=… CASE=… npx vitest run test/property/….test.ts

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 random bits (mulberry32). */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** An integer from 0 to n - 1. */
  below(n: number): number {
    return Math.floor((this.bits() / 2 ** 32) * n);
  }

  /** An integer from a to b, both included. */
  between(a: number, b: number): number {
    return a + this.below(b - a + 1);
  }

  chance(probability: number): boolean {
    return this.bits() / 2 ** 32 < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/**
 * The seed of this run: SEED of the environment. Without it CI repeats the same one, so that what makes it red is a
 * change; elsewhere, and in `make soak`, each run draws a new one.
 */
function runSeed(): number {
  if (process.env.SEED !== undefined) return Number(process.env.SEED);
  return process.env.CI === "true" ? 1 : (Date.now() ^ (process.pid << 16)) >>> 0;
}

/** Runs `body` on `cases` seeded generators. */
export function forCases(cases: number, body: (random: Random) => void): void {
  const seed = runSeed();
  const only = process.env.CASE === undefined ? undefined : Number(process.env.CASE);
  for (let i = only ?? 0; i < (only === undefined ? cases : only + 1); i++) {
    try {
      body(new Random((Math.imul(seed, 0x9e3779b1) + i) >>> 0));
    } catch (error) {
      throw new Error(`SEED=${seed} CASE=${i}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}

/**
 * Random tables per test and build: PROPERTY_TABLES of the environment, else CI's share. The debug build, which checks
 * itself at every step, takes a tenth.
 */
export function tables(build: string): number {
  const count = Number(process.env.PROPERTY_TABLES ?? 50_000);
  return build === "test" ? Math.ceil(count / 10) : count;
}

/** expect(found).toBe(expected), cheap enough for a million comparisons. */
export function same(found: unknown, expected: unknown, what: string): void {
  if (!Object.is(found, expected)) throw new Error(`${what}: found ${found}, expected ${expected}`);
}

/** Origins that put a test's numbers in the middle of the spaces and across their ends. */
export const SSN_ORIGINS = [1000, 2 ** 31 - 25, 2 ** 32 - 25] as const;
export const DSN_ORIGINS = [1n << 40n, (1n << 32n) - 25n, (1n << 63n) - 25n, (1n << 64n) - 25n] as const;
