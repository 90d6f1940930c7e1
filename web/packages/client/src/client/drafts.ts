/** What the user began to write: kept a moment after the last key, and when the page is hidden. */
import type { Draft } from "../api.js";
import type { ConversationId } from "../protocol/index.js";

/** How long after the last key a draft is kept, in milliseconds. */
const AFTER_MS = 400;

/** Keeps drafts. */
export class DraftKeeper {
  private readonly waiting = new Map<ConversationId, Draft | undefined>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly keep: (conversation: ConversationId, draft: Draft | undefined) => void) {
    globalThis.document?.addEventListener("visibilitychange", this.flush);
  }

  set(conversation: ConversationId, draft: Draft | undefined): void {
    this.waiting.set(conversation, draft);
    clearTimeout(this.timer);
    this.timer = setTimeout(this.flush, AFTER_MS);
  }

  /** Keeps what waits now. */
  readonly flush = (): void => {
    clearTimeout(this.timer);
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const [conversation, draft] of waiting) this.keep(conversation, draft);
  };

  close(): void {
    this.flush();
    globalThis.document?.removeEventListener("visibilitychange", this.flush);
  }
}
