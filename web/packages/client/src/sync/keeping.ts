/**
 * How much history stays on this device. It has no counterpart in the Rust SDK, which keeps everything: a browser's storage is shared with all other
 * sites, and when it is full, nothing can be written any more. What was forgotten is a hole at the old end, and pulled again when somebody looks.
 */
import type { Engine } from "./engine.js";

/** Most places of one conversation that are kept ... */
export const KEPT_PER_CONVERSATION = 5_000;
/** ... and of all. */
export const KEPT_IN_ALL = 100_000;
/** So many of each, the latest first, are kept before any keeps more: it opens at once, and without the server. */
export const KEPT_OF_EACH = 100;
/** It is looked after as many places were stored or told, so that the bounds are exceeded by no more. */
export const LOOKED_AFTER = 500;

/** How many places each conversation keeps of those it has. `counts` are those, the conversation with the latest event first. */
export function shares(counts: readonly number[]): number[] {
  let left = KEPT_IN_ALL;
  const take = (most: number) => {
    const taken = Math.min(most, left);
    left -= taken;
    return taken;
  };
  const first = counts.map((count) => take(Math.min(count, KEPT_OF_EACH)));
  return first.map((kept, index) => kept + take(Math.min(counts[index] ?? 0, KEPT_PER_CONVERSATION) - kept));
}

/** Forgets the oldest places of what holds too much. Nothing that was not told yet, and nothing that an answer may be looked up in. */
export function forgetOld(engine: Engine): void {
  const states = [...engine.conversations.values()].filter((state) => state.known.length > 0).sort((a, b) => b.at - a.at);
  const kept = shares(states.map((state) => state.known.places));
  for (const [index, state] of states.entries()) {
    const { known, have, outbox, id } = state;
    if (have === null || outbox.length > 0) continue;
    const below = Math.min(known.newest(kept[index] ?? 0), have + 1);
    if (below <= known.lowest) continue;
    known.forgetBelow(below);
    engine.write({ type: "forget", conversation: id, below });
    engine.markChanged(id);
  }
}
