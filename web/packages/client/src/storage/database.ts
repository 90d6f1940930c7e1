/** What is kept in IndexedDB: the tables and how they are opened. */
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Draft } from "../api.js";
import { ClientFailure } from "../failure.js";
import type { ChatServer, ConversationId, DeviceId, ErrorBody, Event, Profile, Tokens, UserId } from "../protocol/index.js";
import type { CommandFrame } from "../sync/effect.js";
import type { StoredConversation } from "../sync/state.js";

/** Who is logged in. */
export interface StoredAccount {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly handle: string;
  readonly servers: readonly ChatServer[];
  readonly from_the_start: boolean;
  /** The sync point. */
  readonly point: string | null;
  readonly tokens: Tokens;
}

/** An entry of the outbox. */
export interface StoredEntry {
  readonly conversation: ConversationId;
  readonly tag: number;
  readonly frame: CommandFrame;
  /** When it was written, by the clock of this device. */
  readonly at: number;
}

/** An entry that was refused for good. */
export interface StoredFailure extends StoredEntry {
  readonly error: ErrorBody;
}

/** An event in its conversation. */
export interface StoredEvent {
  readonly conversation: ConversationId;
  readonly seq: number;
  /** The message that it is about, if any. */
  readonly target?: number;
  readonly event: Event;
}

/** The tables. */
export interface Schema extends DBSchema {
  /** One row, `account`. */
  account: { key: string; value: StoredAccount };
  conversations: { key: ConversationId; value: StoredConversation };
  events: { key: [ConversationId, number]; value: StoredEvent; indexes: { target: [ConversationId, number] } };
  outbox: { key: [ConversationId, number]; value: StoredEntry };
  failures: { key: [ConversationId, number]; value: StoredFailure };
  drafts: { key: ConversationId; value: Draft };
  profiles: { key: UserId; value: Profile };
  /** What else is cached, by name: settings, friends, blocks, why the login ended. */
  values: { key: string; value: unknown };
  /** Names that writers gave to what they queued, so that asking again after a lost answer does not write twice. */
  keys: { key: string; value: { readonly key: string; readonly conversation: ConversationId; readonly tag: number; readonly at: number } };
}

/** The open database. */
export type Database = IDBPDatabase<Schema>;

/** All tables. */
export const tables = ["account", "conversations", "events", "outbox", "failures", "drafts", "profiles", "values", "keys"] as const;

/**
 * Opens the database `name`, made if it is new. Where the browser drops the connection (some do to a page in the background) or deletes the site's data, what
 * is under way fails, and another connection is made: whoever tries again finds what there is then.
 */
export async function openDatabase(name: string): Promise<Database> {
  let closed = false;
  const dropped = (): void => {
    // Failing here, it is dropped for good: everything that is stored fails, and says so.
    if (!closed) connect(name, dropped).then(take, () => undefined);
  };
  let current = await connect(name, dropped);
  const take = (next: Database): void => {
    if (closed) next.close();
    else current = next;
  };
  const close = (): void => {
    closed = true;
    current.close();
  };
  return new Proxy({} as Database, {
    get(_, key) {
      if (key === "close") return close;
      const value: unknown = Reflect.get(current, key);
      return typeof value === "function" ? value.bind(current) : value;
    },
  });
}

async function connect(name: string, dropped: () => void): Promise<Database> {
  try {
    return await openDB<Schema>(name, 1, {
      upgrade(database) {
        database.createObjectStore("account");
        database.createObjectStore("conversations", { keyPath: "id" });
        const events = database.createObjectStore("events", { keyPath: ["conversation", "seq"] });
        events.createIndex("target", ["conversation", "target"]);
        database.createObjectStore("outbox", { keyPath: ["conversation", "tag"] });
        database.createObjectStore("failures", { keyPath: ["conversation", "tag"] });
        database.createObjectStore("drafts");
        database.createObjectStore("profiles", { keyPath: "user" });
        database.createObjectStore("values");
        database.createObjectStore("keys", { keyPath: "key" });
      },
      // A newer version of the application in another tab wants to change the tables.
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
      terminated: dropped,
    });
  } catch (error) {
    throw storageFailure(error);
  }
}

/** A failure of IndexedDB as an error of this package. */
export function storageFailure(error: unknown): ClientFailure {
  if (error instanceof ClientFailure) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new ClientFailure("storage", `the browser's storage failed: ${message}`);
}
