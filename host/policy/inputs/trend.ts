// The slope of a level over the last seconds: a straight line through the samples, by least squares, so that one odd
// sample does not look like a fall.

/** Samples that are older say nothing of now. */
const WINDOW_US = 4_000_000;
/** From samples closer together than this nobody can tell a trend from noise. */
const SPAN_MIN_US = 900_000;
const SAMPLES_MAX = 64;

export class Trend {
  #samples: { atUs: number; level: number }[] = [];

  add(atUs: number, level: number): void {
    this.#samples.push({ atUs, level });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  clear(): void {
    this.#samples = [];
  }

  /** Units per second; null = not known. */
  slope(nowUs: number): number | null {
    this.#samples = this.#samples.filter(({ atUs }) => nowUs - atUs <= WINDOW_US);
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atUs - first.atUs < SPAN_MIN_US) return null;
    const count = this.#samples.length;
    const x = this.#samples.map(({ atUs }) => (atUs - first.atUs) / 1e6);
    const meanX = x.reduce((sum, value) => sum + value, 0) / count;
    const meanY = this.#samples.reduce((sum, { level }) => sum + level, 0) / count;
    const above = this.#samples.reduce((sum, { level }, i) => sum + ((x[i] ?? 0) - meanX) * (level - meanY), 0);
    const below = x.reduce((sum, value) => sum + (value - meanX) ** 2, 0);
    return above / below;
  }
}
