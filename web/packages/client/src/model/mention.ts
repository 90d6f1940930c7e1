/** Mentions: `@handle` in a text. Mirrors `banter_model::mention`. */
import { HANDLE_MAX_CHARACTERS, MENTIONS_PER_MESSAGE } from "../protocol/index.js";
import { normaliseHandle } from "./text.js";

/** An `@handle` in a text. Places are in UTF-16 units. */
export interface MentionCandidate {
  /** In lower case, without the `@`. */
  readonly handle: string;
  readonly start: number;
  readonly length: number;
}

const JOINED = /[\p{Alphabetic}\p{N}_@/]$/u;
const HANDLE_CHARACTERS = new RegExp(`[a-zA-Z0-9_]{0,${HANDLE_MAX_CHARACTERS + 1}}`, "y");

/** Does the character that ends at `offset` join an `@` to what stands before it? Mail addresses and links do. */
function isJoined(text: string, offset: number): boolean {
  return offset > 0 && JOINED.test(text.slice(Math.max(0, offset - 2), offset));
}

/** What may be mentions in a text, in order; at most {@link MENTIONS_PER_MESSAGE}. */
export function findMentions(text: string): readonly MentionCandidate[] {
  const found: MentionCandidate[] = [];
  for (let start = text.indexOf("@"); start >= 0 && found.length < MENTIONS_PER_MESSAGE; start = text.indexOf("@", start + 1)) {
    if (isJoined(text, start)) continue;
    HANDLE_CHARACTERS.lastIndex = start + 1;
    const written = HANDLE_CHARACTERS.exec(text)?.[0] ?? "";
    const handle = normaliseHandle(written);
    if (handle !== undefined) found.push({ handle, start, length: handle.length + 1 });
  }
  return found;
}

/** The `@pre` that ends at the caret (in UTF-16 units), for completion; `undefined` if none. */
export function mentionAt(text: string, caret: number): { readonly prefix: string; readonly start: number } | undefined {
  const before = text.slice(Math.max(0, caret - HANDLE_MAX_CHARACTERS - 1), caret);
  const match = /@([a-zA-Z0-9_]*)$/.exec(before);
  if (match === null) return undefined;
  const start = caret - match[0].length;
  return isJoined(text, start) ? undefined : { prefix: (match[1] ?? "").toLowerCase(), start };
}
