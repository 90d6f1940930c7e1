/** What this device has written and the server has not taken: by conversation, waiting or failed. */
import type { Refusal } from "../api.js";
import type { ConversationId } from "../protocol/index.js";
import type { StoredEntry, StoredFailure } from "../storage/database.js";
import type { CommandFrame } from "../sync/effect.js";

/** An entry of the outbox, or one that failed. */
export interface Written {
  readonly tag: number;
  readonly frame: CommandFrame;
  readonly at: number;
  readonly refusal?: Refusal;
}

/** Entries in order of their tags. Lists are never changed in place. */
export class WrittenBook {
  private readonly lists = new Map<ConversationId, readonly Written[]>();

  constructor(outbox: readonly StoredEntry[] = [], failures: readonly StoredFailure[] = []) {
    for (const entry of outbox) this.put(entry);
    for (const { error, ...entry } of failures) this.put(entry, error);
  }

  /** What was written in a conversation. */
  of(conversation: ConversationId): readonly Written[] {
    return this.lists.get(conversation) ?? [];
  }

  /** Adds an entry, or changes it. */
  put({ conversation, tag, frame, at }: StoredEntry, refusal?: Refusal): void {
    const written: Written = refusal === undefined ? { tag, frame, at } : { tag, frame, at, refusal };
    const others = this.of(conversation).filter((one) => one.tag !== tag);
    const index = others.findIndex((one) => one.tag > tag);
    this.lists.set(conversation, index < 0 ? [...others, written] : others.toSpliced(index, 0, written));
  }

  /** Takes an entry out. */
  delete(conversation: ConversationId, tag: number): void {
    const rest = this.of(conversation).filter((one) => one.tag !== tag);
    if (rest.length > 0) this.lists.set(conversation, rest);
    else this.lists.delete(conversation);
  }

  /** An entry was refused. */
  refuse(conversation: ConversationId, tag: number, refusal: Refusal): void {
    const written = this.of(conversation).find((one) => one.tag === tag);
    if (written !== undefined) this.put({ conversation, tag, frame: written.frame, at: written.at }, refusal);
  }

  /** Conversations in which something was written. */
  conversations(): readonly ConversationId[] {
    return [...this.lists.keys()];
  }
}
