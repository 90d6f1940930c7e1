/** What the device has written and has no answer to yet, for one conversation. Mirrors `outbox.rs`. */

import type { Refusal } from "../api.js";
import { checkReaction, checkText } from "../model/text.js";
import { type Content, type ConversationId, type Mention, type Tag, UNANSWERED_PER_CONVERSATION } from "../protocol/index.js";
import type { Action, CommandFrame } from "./effect.js";

/** Most entries that wait in one conversation: beyond it the application is told to wait. */
export const ENTRIES_PER_CONVERSATION = 10_000;

/**
 * How far an entry has come in this session: to be sent; sent, without an answer; told "later", so to be sent again from a time on; or unknown to the
 * server, so that the history will tell.
 */
export type Progress =
  | { readonly type: "queued" }
  | { readonly type: "in_flight" }
  | { readonly type: "later"; readonly time: number }
  | { readonly type: "looked_up" };

/** A command that waits for its answer. */
export interface Entry {
  readonly tag: Tag;
  readonly frame: CommandFrame;
  progress: Progress;
  /** May it have been sent, in this run or one before? */
  sent: boolean;
}

const QUEUED: Progress = { type: "queued" };

/** The entries of one conversation, in order of their tags. */
export class Outbox {
  private entries: Entry[] = [];

  /** How many entries have no answer yet. */
  get length(): number {
    return this.entries.length;
  }

  /** Adds an entry. Its tag is above all others. */
  push(tag: Tag, frame: CommandFrame, sent: boolean): void {
    this.entries.push({ tag, frame, progress: QUEUED, sent });
  }

  /** The entry with this tag, unless it is answered. */
  get(tag: Tag): Entry | undefined {
    return this.entries.find((entry) => entry.tag === tag);
  }

  /** Takes the entry out: it is answered. */
  take(tag: Tag): Entry | undefined {
    const index = this.entries.findIndex((entry) => entry.tag === tag);
    return index < 0 ? undefined : this.entries.splice(index, 1)[0];
  }

  /** All entries, in order of their tags. */
  all(): readonly Entry[] {
    return this.entries;
  }

  /** Everything is to be sent again. What was told "later" keeps its time. */
  rewind(): void {
    for (const entry of this.entries) if (entry.progress.type === "in_flight") entry.progress = QUEUED;
  }

  /** The next entry that may be sent; a time to ask again when it is one that has to wait; or nothing. */
  next(now: number): Entry | { readonly waitUntil: number } | undefined {
    const lowest = this.entries[0]?.tag;
    if (lowest === undefined) return undefined;
    for (const entry of this.entries) {
      const { progress } = entry;
      if (progress.type === "in_flight" || progress.type === "looked_up") continue;
      if (progress.type === "later" && progress.time > now) return { waitUntil: progress.time };
      return entry.tag - lowest < UNANSWERED_PER_CONVERSATION ? entry : undefined;
    }
    return undefined;
  }
}

/** What is wrong with an action, as far as that can be told without knowing the conversation. */
export function checkAction(action: Action): Refusal | undefined {
  if (action.type === "send" || action.type === "edit") return checkText(action.text);
  if (action.type === "react") return checkReaction(action.emoji);
  return undefined;
}

/** The frame of an action. */
export function frameOf(conversation: ConversationId, tag: Tag, action: Action): CommandFrame {
  switch (action.type) {
    case "send": {
      const frame = { type: "send", tag, conversation, text: action.text } as const;
      return action.reply_to === undefined ? frame : { ...frame, reply_to: action.reply_to };
    }
    case "edit":
      return { type: "edit", tag, conversation, target: action.target, text: action.text };
    case "redact":
      return { type: "redact", tag, conversation, target: action.target };
    case "react":
      return { type: "react", tag, conversation, target: action.target, emoji: action.emoji, add: action.add };
  }
}

/** The action that a frame asks for: to write what failed again. */
export function actionOf(frame: CommandFrame): Action {
  switch (frame.type) {
    case "send":
      return frame.reply_to === undefined
        ? { type: "send", text: frame.text }
        : { type: "send", text: frame.text, reply_to: frame.reply_to };
    case "edit":
      return { type: "edit", target: frame.target, text: frame.text };
    case "redact":
      return { type: "redact", target: frame.target };
    case "react":
      return { type: "react", target: frame.target, emoji: frame.emoji, add: frame.add };
  }
}

/** The content of the event that `frame` made, as the server stored it. */
export function contentOf(frame: CommandFrame, mentions: Mention[]): Content {
  const named = mentions.length > 0 ? { mentions } : {};
  switch (frame.type) {
    case "send": {
      const reply = frame.reply_to === undefined ? {} : { reply_to: frame.reply_to };
      return { kind: "message", text: frame.text, ...reply, ...named };
    }
    case "edit":
      return { kind: "edit", target: frame.target, text: frame.text, ...named };
    case "redact":
      return { kind: "redaction", target: frame.target };
    case "react":
      return { kind: "reaction", target: frame.target, emoji: frame.emoji, added: frame.add };
  }
}
