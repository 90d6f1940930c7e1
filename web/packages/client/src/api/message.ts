/** What stands in a conversation, and windows on it. */
import type { ConversationId, Millis, Observable, Refusal, Role, Seq, UserId } from "./basics.js";
import type { Client } from "./client.js";

/** What stands in a timeline. Edits, redactions and reactions do not: they are seen in the message that they are about. */
export type Item = Message | Notice;

/**
 * How far a message has come. `received`: somebody else's. Own ones: `sending` (in the outbox, on its way or waiting for a connection), `failed` (refused;
 * see `refusal`), `sent` (stored at the server), `delivered` and `read` (by the other one of a direct conversation; in a group `read` means by
 * all members, where that is known).
 */
export type MessageStatus = "received" | "sending" | "failed" | "sent" | "delivered" | "read";

/** A message. */
export interface Message {
  readonly kind: "message";
  /** Stays the same from sending to stored, edited and redacted: a key for lists, unique in its timeline. */
  readonly key: string;
  /** Its place; absent until it is stored at the server. */
  readonly seq?: Seq;
  /** Messages up to it; absent until it is stored. */
  readonly ordinal?: number;
  /** The device's number for it, while `status` is `sending` or `failed`: for {@link Client.cancel}, {@link Client.tryAgain} and {@link Client.discard}. */
  readonly tag?: number;
  /** When: by the server's clock once it is stored. */
  readonly at: Millis;
  readonly sender: UserId;
  readonly own: boolean;
  /** Its text as it is now; empty when redacted. With an edit on its way, already the new one. */
  readonly text: string;
  /** The message that it answers; see {@link Client.message}. */
  readonly replyTo?: Seq;
  /** Members named in it. Places are in UTF-16 units, as of JavaScript's strings. */
  readonly mentions: readonly Mention[];
  readonly editedAt?: Millis;
  /** Deleted for everyone. */
  readonly redacted: boolean;
  /** In the order in which the emoji came. Reactions of one's own that are on their way are included. */
  readonly reactions: readonly Reaction[];
  readonly status: MessageStatus;
  /** Why it failed. */
  readonly refusal?: Refusal;
  /** Edits, redactions and reactions of one's own that are on their way or failed, the oldest first. */
  readonly changes: readonly Change[];
}

/** A member named in a text. */
export interface Mention {
  readonly user: UserId;
  /** Where the `@` is, in UTF-16 units. */
  readonly start: number;
  /** How long `@handle` is, in UTF-16 units. */
  readonly length: number;
}

/** An emoji on a message. */
export interface Reaction {
  readonly emoji: string;
  /** Who, in the order they did. */
  readonly users: readonly UserId[];
  /** Is the user among them? */
  readonly own: boolean;
}

/** A change of a message that the server has not taken. */
export interface Change {
  readonly kind: "edit" | "redaction" | "reaction";
  readonly tag: number;
  readonly status: "sending" | "failed";
  readonly refusal?: Refusal;
}

/** Something else that happened in a group. */
export interface Notice {
  readonly kind: "notice";
  readonly key: string;
  readonly seq: Seq;
  readonly at: Millis;
  /** Who did it. */
  readonly sender: UserId;
  readonly own: boolean;
  readonly what:
    | { readonly kind: "group_created"; readonly title: string; readonly members: readonly UserId[] }
    | { readonly kind: "members_added"; readonly members: readonly UserId[] }
    | { readonly kind: "member_removed"; readonly member: UserId }
    | { readonly kind: "member_left"; readonly successor?: UserId }
    | { readonly kind: "role_changed"; readonly member: UserId; readonly role: Role }
    | { readonly kind: "title_changed"; readonly title: string }
    | { readonly kind: "earlier_history_changed"; readonly earlierHistory: boolean };
}

/** Where a timeline begins. */
export type Place = { readonly at: "end" } | { readonly at: "unread" } | { readonly at: "seq"; readonly seq: Seq };

/** What a timeline shows now: a stretch of the log without a gap, bounded in length. */
export interface TimelineState {
  /** In order; own messages that wait to be sent or failed come last, when `atEnd`. */
  readonly items: readonly Item[];
  /** The places that `items` cover: every event with `from <= seq <= to` that the user may see. `to < from` when there are none. */
  readonly from: Seq;
  readonly to: Seq;
  /** The first and last event that there are for the user, for a scroll bar over all of the log. */
  readonly firstSeq: Seq;
  readonly headSeq: Seq;
  /** There is nothing before, or after. */
  readonly atStart: boolean;
  readonly atEnd: boolean;
  /** What is being loaded. */
  readonly loading: { readonly before: boolean; readonly after: boolean; readonly jump: boolean };
  /** Why the last load failed, until one works. Offline, what is stored is shown and `offline` is the code. */
  readonly error?: Refusal;
  /** Messages of others that came after what is shown, since the timeline left the end: the number on "jump to the bottom". */
  readonly below: number;
  /** The message asked for with {@link Timeline.jump}, to be scrolled to and shown as found; `serial` grows with each jump. */
  readonly target?: { readonly seq: Seq; readonly serial: number };
  /** The first unread message when the timeline was opened: the "new messages" line comes before it. Does not move while reading. */
  readonly firstUnread?: Seq;
}

/** A window on the messages of one conversation. Close it when it is no longer shown. */
export interface Timeline {
  readonly conversation: ConversationId;
  readonly state: Observable<TimelineState>;
  /** Loads earlier items, from this device where they are stored. At the other end, items beyond the bound are let go. Does nothing while it is loading, or at the start. */
  loadBefore(): Promise<void>;
  /** Loads later items. */
  loadAfter(): Promise<void>;
  /** Shows the surroundings of a place. Resolves to the place of the nearest event that there is. */
  jump(seq: Seq): Promise<Seq>;
  /** Shows the surroundings of the first event at or after a time. The log is searched with a few small questions (its times never run backwards). */
  jumpToDate(at: Millis): Promise<Seq>;
  /** Shows the end, and stays there as messages come. */
  jumpToEnd(): Promise<void>;
  /** Tries again what failed, as it does by itself when the server is back. After a jump that failed, only the error is taken away. */
  tryAgain(): Promise<void>;
  /** Ends it. */
  close(): void;
}
