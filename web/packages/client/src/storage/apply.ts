/** Storing what the engine wants stored. Mirrors `crates/client/src/storage/apply.rs`. */
import type { IDBPTransaction } from "idb";
import { ClientFailure } from "../failure.js";
import { amend, redactEdit, targetOf } from "../model/amend.js";
import type { ConversationId, Event } from "../protocol/index.js";
import type { Effect, Notification, Write } from "../sync/effect.js";
import { type Database, type Schema, type StoredEntry, storageFailure } from "./database.js";

const TABLES = ["account", "conversations", "events", "outbox", "failures", "keys", "values"] as const;
type Transaction = IDBPTransaction<Schema, [...typeof TABLES], "readwrite">;

/** A name that a writer gave to what it queued. */
export interface Named {
  readonly key: string;
  readonly conversation: ConversationId;
  readonly tag: number;
  /** The tag of what failed and is written again by this: it is forgotten in the same step, so that it cannot be written a third time. */
  readonly instead?: number;
}

/** What is stored besides what the engine says. */
export interface Extras {
  /** The wall clock, for entries of the outbox. */
  readonly now: number;
  /** Which leader stores. Another one that took over since stores another number, and from then on this one stores nothing. */
  readonly epoch?: number;
  /** Names of what is queued with these effects. */
  readonly keys?: readonly Named[];
}

/**
 * Stores the writes among `effects` in one transaction, and returns what the application is to be told afterwards, in order.
 *
 * When it fails, nothing is stored, and it can be tried again with the same effects. A refused entry goes over to the failures in the same step.
 */
export async function apply(database: Database, effects: readonly Effect[], extras: Extras): Promise<Notification[]> {
  const told: Notification[] = [];
  if (!effects.some((effect) => effect.type === "write")) {
    for (const effect of effects) if (effect.type === "notify") told.push(effect.notification);
    return told;
  }
  const queues = effects.some((effect) => effect.type === "write" && effect.write.type === "queue");
  try {
    // What is queued must be on the disk before it is sent; the rest can be had again from the server.
    const transaction = database.transaction(TABLES, "readwrite", { durability: queues ? "strict" : "relaxed" });
    try {
      if (extras.epoch !== undefined) await fence(transaction.objectStore("values"), extras.epoch);
      const answered = new Map<string, StoredEntry>();
      for (const effect of effects) {
        if (effect.type === "write") await store(transaction, effect.write, told, extras, answered);
        else if (effect.type === "notify") await notify(transaction, effect.notification, told, answered);
      }
      for (const { key, conversation, tag, instead } of extras.keys ?? []) {
        await transaction.objectStore("keys").put({ key, conversation, tag, at: extras.now });
        if (instead !== undefined) await transaction.objectStore("failures").delete([conversation, instead]);
      }
    } catch (error) {
      // Handled by whoever waits for it below or not at all: the error thrown is the one that counts.
      transaction.done.catch(() => undefined);
      try {
        transaction.abort();
      } catch {
        // It is aborted already.
      }
      throw error;
    }
    await transaction.done;
  } catch (error) {
    throw storageFailure(error);
  }
  return told;
}

/** Refuses a leader that has been replaced. To be asked in the transaction in which it stores; `values` is that table. */
export async function fence(values: { get(key: "epoch"): Promise<unknown> }, epoch: number): Promise<void> {
  if ((await values.get("epoch")) !== epoch) throw new ClientFailure("closed", "another tab leads now");
}

async function notify(
  transaction: Transaction,
  notification: Notification,
  told: Notification[],
  answered: Map<string, StoredEntry>,
): Promise<void> {
  if (notification.type === "refused") {
    const entry = answered.get(`${notification.conversation}/${notification.tag}`);
    if (entry !== undefined) await transaction.objectStore("failures").put({ ...entry, error: notification.error });
  }
  told.push(notification);
}

async function store(
  transaction: Transaction,
  write: Write,
  told: Notification[],
  extras: Extras,
  answered: Map<string, StoredEntry>,
): Promise<void> {
  switch (write.type) {
    case "point": {
      const account = await transaction.objectStore("account").get("account");
      if (account !== undefined) await transaction.objectStore("account").put({ ...account, point: write.point }, "account");
      return;
    }
    case "conversation":
      await transaction.objectStore("conversations").put(write.state);
      return;
    case "queue": {
      const { conversation, tag, frame } = write;
      await transaction.objectStore("outbox").add({ conversation, tag, frame, at: extras.now });
      return;
    }
    case "answered": {
      const outbox = transaction.objectStore("outbox");
      const entry = await outbox.get([write.conversation, write.tag]);
      if (entry !== undefined) answered.set(`${write.conversation}/${write.tag}`, entry);
      await outbox.delete([write.conversation, write.tag]);
      return;
    }
    case "forget":
      await transaction.objectStore("events").delete(between(write.conversation, 0, write.below - 1));
      return;
    case "append":
      await put(transaction, write.conversation, write.event);
      return tell(transaction, write.conversation, write.event, told);
    case "keep":
      return keep(transaction, write.conversation, write.events, write.have);
    case "deliver": {
      const range = between(write.conversation, write.after + 1, write.to);
      for (const row of await transaction.objectStore("events").getAll(range)) await tell(transaction, write.conversation, row.event, told);
      return;
    }
  }
}

/** The key range of `from..=to` of a conversation. */
export function between(conversation: ConversationId, from: number, to: number): IDBKeyRange {
  // A range whose ends are the wrong way round is an error to IndexedDB.
  return IDBKeyRange.bound([conversation, from], [conversation, Math.max(from, to)]);
}

async function put(transaction: Transaction, conversation: ConversationId, event: Event): Promise<void> {
  const target = targetOf(event.content);
  const row = { conversation, seq: event.seq, event };
  await transaction.objectStore("events").put(target === undefined ? row : { ...row, target });
}

/** Stored events about messages in `from..=to`, up to the place `have`, in order. */
async function about(transaction: Transaction, conversation: ConversationId, from: number, to: number, have: number): Promise<Event[]> {
  const rows = await transaction
    .objectStore("events")
    .index("target")
    .getAll(between(conversation, from, to));
  const events = rows.map((row) => row.event).filter((event) => event.seq <= have);
  return events.sort((a, b) => a.seq - b.seq);
}

/** Tells of the next event, and applies it to the message that it is about. */
async function tell(transaction: Transaction, conversation: ConversationId, event: Event, told: Notification[]): Promise<void> {
  told.push({ type: "event", conversation, event });
  const target = targetOf(event.content);
  if (target === undefined) return;
  const row = await transaction.objectStore("events").get([conversation, target]);
  const message = row === undefined ? undefined : amend(row.event, event);
  if (message !== undefined) {
    await put(transaction, conversation, message);
    told.push({ type: "amended", conversation, message });
  }
  if (event.content.kind !== "redaction") return;
  for (const edit of await about(transaction, conversation, target, target, event.seq)) {
    const redacted = redactEdit(edit);
    if (redacted !== undefined) await put(transaction, conversation, redacted);
  }
}

/** Stores a page's events, brought up to date with what was told since the page was read. */
async function keep(transaction: Transaction, conversation: ConversationId, events: readonly Event[], have: number): Promise<void> {
  const [first, last] = [events[0], events.at(-1)];
  if (first === undefined || last === undefined) return;
  const later = await about(transaction, conversation, first.seq, last.seq, have);
  for (const event of events) {
    let kept = event;
    // Does nothing where it is about another message.
    for (const amendment of later) kept = amend(kept, amendment) ?? kept;
    if (kept.content.kind === "edit") {
      const row = await transaction.objectStore("events").get([conversation, kept.content.target]);
      if (row?.event.content.kind === "message" && row.event.content.redacted) kept = redactEdit(kept) ?? kept;
    }
    await put(transaction, conversation, kept);
  }
}
