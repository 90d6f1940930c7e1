/** What goes into the engine and what it wants done. Mirrors `crates/client/src/sync/effect.rs`; the JSON of the shared vectors has these shapes. */
import type {
  AccountPart,
  ClientFrame,
  ConversationId,
  DeviceId,
  ErrorBody,
  Event,
  EventId,
  Marker,
  Page,
  ServerFrame,
  Tag,
  UserId,
  UserPresence,
} from "../protocol/index.js";
import type { StoredConversation } from "./state.js";

/** What a device remembers between two runs: enough to go on as if nothing had happened. */
export interface Snapshot {
  readonly user: UserId;
  readonly device: DeviceId;
  /** The sync point, once there was one. */
  readonly point: string | null;
  /**
   * Does it follow every conversation from its first event? True for the device that made the account; a further device follows from where
   * the logs end when it first syncs.
   */
  readonly from_the_start: boolean;
  readonly conversations: readonly StoredConversation[];
  /** What has no answer yet, in any order. */
  readonly outbox: readonly { readonly conversation: ConversationId; readonly tag: Tag; readonly frame: CommandFrame }[];
}

/** What carries a tag. */
export type CommandFrame = Extract<ClientFrame, { type: "send" | "edit" | "redact" | "react" }>;

/** What an application wants written. */
export type Action =
  | { readonly type: "send"; readonly text: string; readonly reply_to?: number }
  | { readonly type: "edit"; readonly target: number; readonly text: string }
  | { readonly type: "redact"; readonly target: number }
  | { readonly type: "react"; readonly target: number; readonly emoji: string; readonly add: boolean };

/** A part of a log to be asked for. */
export type Window =
  | { readonly type: "newest" }
  | { readonly type: "after"; readonly seq: number }
  | { readonly type: "before"; readonly seq: number }
  | { readonly type: "around"; readonly seq: number };

/** An event's place, id and time. */
export interface Found {
  readonly seq: number;
  readonly id: EventId;
  readonly at: number;
}

/** Why a page could not be fetched: it may work later (not before `retry_after` seconds, if the server said so), or there is nothing to see for this user. */
export type FetchError = { readonly type: "later"; readonly retry_after?: number } | { readonly type: "gone" };

/** What happens to a device. */
export type Input =
  /** A frame came. The first of a session is `welcome`: from there on the device is connected. */
  | { readonly type: "frame"; readonly frame: ServerFrame }
  /** The session ended, however it did. */
  | { readonly type: "disconnected" }
  /** The answer to the effect `fetch` with this number. */
  | { readonly type: "fetched"; readonly request: number; readonly page?: Page; readonly error?: FetchError }
  /** A page that the application asked for itself. */
  | { readonly type: "page"; readonly conversation: ConversationId; readonly window: Window; readonly page: Page }
  /** The answer to the effect `look_up`: the event that this device and tag made, if it is stored. */
  | { readonly type: "looked_up"; readonly conversation: ConversationId; readonly tag: Tag; readonly found: Found | null }
  /** The user has read up to here. */
  | { readonly type: "mark_read"; readonly conversation: ConversationId; readonly marker: Marker }
  /** The user is typing. */
  | { readonly type: "typing"; readonly conversation: ConversationId }
  /** Whose presence the application wants to know from now on, instead of those before. */
  | { readonly type: "watch"; readonly users: readonly UserId[] }
  /** Time has passed: see `Engine.deadline`. */
  | { readonly type: "tick" };

/**
 * What is to be done, in this order. Everything that is to be stored must be stored (in one transaction, as far as it goes) before a frame is
 * sent or the application is told.
 */
export type Effect =
  /** Send this frame, if the session of the `welcome` taken in last still stands. */
  | { readonly type: "send"; readonly frame: ClientFrame }
  /** Ask for a page of history and answer with the input `fetched`. */
  | { readonly type: "fetch"; readonly request: number; readonly conversation: ConversationId; readonly window: Window }
  /** Look in the stored events for the one that this device and tag made, and answer with the input `looked_up`. */
  | { readonly type: "look_up"; readonly conversation: ConversationId; readonly tag: Tag }
  | { readonly type: "write"; readonly write: Write }
  | { readonly type: "notify"; readonly notification: Notification };

/** What is to be stored. */
export type Write =
  /** The state of a conversation. */
  | { readonly type: "conversation"; readonly state: StoredConversation }
  /** A new entry of the outbox. It must be on the disk before it is sent, or its tag might be used again after a crash. */
  | { readonly type: "queue"; readonly conversation: ConversationId; readonly tag: Tag; readonly frame: CommandFrame }
  /** The entry is answered: forget it. */
  | { readonly type: "answered"; readonly conversation: ConversationId; readonly tag: Tag }
  /** The next event in order. Store it, amend the message that it is about, and tell the application of both. */
  | { readonly type: "append"; readonly conversation: ConversationId; readonly event: Event }
  /**
   * Events out of order: store them, the application is not told. Messages among them are as they were when the page was read, so apply to each the
   * stored amendments up to `have` that it does not show yet.
   */
  | { readonly type: "keep"; readonly conversation: ConversationId; readonly events: readonly Event[]; readonly have: number }
  /** Stored events (after `after`, up to `to`) became contiguous with what the application was told: amend what they are about, and tell it of them in order. */
  | { readonly type: "deliver"; readonly conversation: ConversationId; readonly after: number; readonly to: number }
  /** Delete the events below `below`: they are known no more. */
  | { readonly type: "forget"; readonly conversation: ConversationId; readonly below: number }
  /** The sync point. */
  | { readonly type: "point"; readonly point: string };

/** What this device wrote is stored in its place. */
export interface Stored extends Found {
  readonly conversation: ConversationId;
  readonly tag: Tag;
}

/** What the application is told. */
export type Notification =
  /** The next event of a conversation. Each comes once per run of the client, in order of `seq`, after it is stored. */
  | { readonly type: "event"; readonly conversation: ConversationId; readonly event: Event }
  /** The client was far behind: the newest events are stored and can be shown; those between come as `event` first. */
  | { readonly type: "ahead"; readonly conversation: ConversationId; readonly from: number; readonly to: number }
  /** A message was edited, redacted or reacted to. The event that did it comes as well. */
  | { readonly type: "amended"; readonly conversation: ConversationId; readonly message: Event }
  | ({ readonly type: "stored" } & Stored)
  /** What this device wrote was refused for good and changed nothing. */
  | { readonly type: "refused"; readonly conversation: ConversationId; readonly tag: Tag; readonly error: ErrorBody }
  /** Title, members, unread count or preview of a conversation changed. */
  | { readonly type: "conversation"; readonly conversation: ConversationId }
  /** A user (perhaps this one, on another device) has read up to here. */
  | { readonly type: "read"; readonly conversation: ConversationId; readonly user: UserId; readonly seq: number }
  /** It has arrived on a device of somebody's up to here. */
  | { readonly type: "delivered"; readonly conversation: ConversationId; readonly user: UserId; readonly seq: number }
  /** Somebody began to type, or stopped. */
  | { readonly type: "typing"; readonly conversation: ConversationId; readonly user: UserId; readonly typing: boolean }
  /** Somebody came or went. */
  | { readonly type: "presence"; readonly user: UserPresence }
  /** Something of the account changed on another device. */
  | { readonly type: "account"; readonly changed: AccountPart }
  /** Everything up to the moment of connecting is stored. */
  | { readonly type: "synced" };
