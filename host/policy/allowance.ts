/** So many a minute: what is beyond is not told, only counted elsewhere. */
export class Allowance {
  readonly #perMinute: number;
  #sinceUs = Number.NEGATIVE_INFINITY;
  #taken = 0;

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Takes one; false = there is none left in this minute. */
  take(nowUs: number): boolean {
    if (nowUs - this.#sinceUs >= 60_000_000) {
      this.#sinceUs = nowUs;
      this.#taken = 0;
    }
    return ++this.#taken <= this.#perMinute;
  }
}
