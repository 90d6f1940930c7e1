/** The ceiling of the first wait, and of every wait, in milliseconds. */
const FIRST_MS = 200;
const MOST_MS = 30_000;

/**
 * Waits with full jitter: a random time up to a ceiling that doubles from 0.2 s to 30 s, so that the devices of a server that went down do not all
 * come back in the same instant.
 */
export class Backoff {
  private attempts = 0;

  constructor(private readonly random: () => number) {}

  /** The next wait, in milliseconds. */
  next(): number {
    const wait = this.random() * this.ceiling;
    this.attempts += 1;
    return wait;
  }

  /** What the next wait is at most. */
  get ceiling(): number {
    return Math.min(FIRST_MS * 2 ** Math.min(this.attempts, 20), MOST_MS);
  }

  /** It worked: the next wait is short again. */
  reset(): void {
    this.attempts = 0;
  }
}
