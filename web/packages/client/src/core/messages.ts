/** What the core, which one tab has, and the faces of all tabs say to each other. Everything here can be cloned. */
import type { Account, Connection, Draft } from "../api.js";
import type { Blocks, ConversationId, Friends, Page, Profile, Settings, UserId, UserPresence } from "../protocol/index.js";
import type { StoredEntry, StoredFailure } from "../storage/database.js";
import type { Action, Notification, Window } from "../sync/effect.js";
import type { StoredConversation } from "../sync/state.js";

/** What is cached of the account, by name. */
export interface Values {
  me?: Profile;
  settings?: Settings;
  friends?: Friends;
  blocks?: Blocks;
}

/** What happened, in order. */
export type CoreEvent =
  /** Somebody logged in or out: everything else known is of somebody else. */
  | { readonly type: "account"; readonly account: Account }
  | { readonly type: "connection"; readonly connection: Connection }
  | { readonly type: "conversation"; readonly stored: StoredConversation }
  | { readonly type: "told"; readonly notification: Notification }
  | { readonly type: "queued"; readonly entry: StoredEntry }
  /** An entry of the outbox was cancelled, or a failure was discarded. */
  | { readonly type: "forgotten"; readonly conversation: ConversationId; readonly tag: number }
  | { readonly type: "profiles"; readonly profiles: readonly Profile[] }
  | { readonly type: "values"; readonly values: Values }
  | { readonly type: "draft"; readonly conversation: ConversationId; readonly draft: Draft | undefined };

/** What happened in one step: everything told of is stored. */
export interface Batch {
  readonly serial: number;
  readonly events: readonly CoreEvent[];
}

/** How things stood after the batch `serial`. */
export interface Attached {
  readonly serial: number;
  readonly account: Account;
  readonly connection: Connection;
  readonly conversations: readonly StoredConversation[];
  readonly outbox: readonly StoredEntry[];
  readonly failures: readonly StoredFailure[];
  readonly drafts: readonly (readonly [ConversationId, Draft])[];
  readonly values: Values;
  readonly presence: readonly UserPresence[];
  readonly typing: readonly (readonly [ConversationId, UserId])[];
}

/** What a face asks of the core. Each may be asked again when the leader changed before it answered, but for those in {@link once}. */
export interface Calls {
  attach(): Attached;
  sign_up(details: { handle: string; password: string; display_name?: string; device_name?: string }): void;
  log_in(details: { handle: string; password: string; device_name?: string }): void;
  log_out(): { lost: number };
  delete_account(password: string): void;
  /** Any request to the API with the device's token. */
  request(request: { method: string; path: string; body?: unknown }): unknown;
  /** The same `key` again gives the same tag again. */
  queue(key: string, conversation: ConversationId, action: Action): number;
  cancel(conversation: ConversationId, tag: number): boolean;
  try_again(conversation: ConversationId, tag: number): number;
  discard(conversation: ConversationId, tag: number): void;
  mark_read(conversation: ConversationId, seq: number): void;
  typing(conversation: ConversationId): void;
  watch(users: readonly UserId[]): void;
  page(conversation: ConversationId, window: Window, limit: number): Page;
  /** Asks how far the members of a group have got; the answer comes as notifications. */
  markers(conversation: ConversationId): void;
  profiles(users: readonly UserId[]): void;
  set_draft(conversation: ConversationId, draft: Draft | undefined): void;
  reconnect(): void;
}

/** Calls that are not made again by themselves: they may have worked. */
export const once: ReadonlySet<keyof Calls> = new Set(["sign_up", "log_in", "delete_account"]);
