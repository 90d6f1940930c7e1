import type { Millis, Seq } from '@banter/client';

/**
 * The scrubber's arithmetic: a conversation of any length on a track of a few hundred pixels. Places are seqs, since a log without gaps needs no
 * heights; times in between known ones are guessed, since times never run backwards.
 */

/** A conversation with fewer events than this is scrolled, not scrubbed. */
export const SCRUBBED_FROM = 400;

/** The place at a part (0 to 1) of the track. */
export function seqAt(part: number, first: Seq, head: Seq): Seq {
  const clamped = Math.min(1, Math.max(0, part));
  return Math.round(first + clamped * (head - first));
}

/** The part of the track at which a place stands. */
export function partOf(seq: Seq, first: Seq, head: Seq): number {
  return head <= first ? 1 : Math.min(1, Math.max(0, (seq - first) / (head - first)));
}

/** When something was said, as far as is known: exact at the samples, a straight line between them. */
export class Times {
  /** In order of seq. */
  #samples: { seq: Seq; at: Millis }[] = [];

  learn(seq: Seq, at: Millis): void {
    const index = this.#after(seq);
    if (this.#samples[index - 1]?.seq === seq) return;
    this.#samples.splice(index, 0, { seq, at });
    // Bounded; what stands between two others is what can be spared.
    if (this.#samples.length > 512) this.#samples.splice(1 + Math.floor(Math.random() * 510), 1);
  }

  /** Is something known within `within` places? */
  knows(seq: Seq, within: number): boolean {
    const index = this.#after(seq);
    const near = (sample: { seq: Seq } | undefined) => sample !== undefined && Math.abs(sample.seq - seq) <= within;
    return near(this.#samples[index - 1]) || near(this.#samples[index]);
  }

  guess(seq: Seq): Millis | undefined {
    const index = this.#after(seq);
    const before = this.#samples[index - 1];
    const after = this.#samples[index];
    if (!before) return after?.at;
    if (!after) return before.at;
    return before.at + ((after.at - before.at) * (seq - before.seq)) / (after.seq - before.seq);
  }

  /** How many samples stand at or before `seq`. */
  #after(seq: Seq): number {
    let low = 0;
    let high = this.#samples.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#samples[middle]!.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
