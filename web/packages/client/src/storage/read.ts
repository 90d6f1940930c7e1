/** Reading what is stored, always a bounded part of it. */
import type { ConversationId, DeviceId, Event, Tag } from "../protocol/index.js";
import type { Found, Snapshot } from "../sync/effect.js";
import { Ranges } from "../sync/ranges.js";
import { between } from "./apply.js";
import type { Database } from "./database.js";

/** Events looked at in one go when a tag is looked for. */
const LOOKED_AT_ONCE = 500;

/** What the engine goes on from; `undefined` when nobody is logged in. */
export async function snapshot(database: Database): Promise<Snapshot | undefined> {
  const transaction = database.transaction(["account", "conversations", "outbox"], "readonly");
  const account = await transaction.objectStore("account").get("account");
  if (account === undefined) return undefined;
  const conversations = await transaction.objectStore("conversations").getAll();
  const outbox = await transaction.objectStore("outbox").getAll();
  await transaction.done;
  const { user, device, point, from_the_start } = account;
  return { user, device, point, from_the_start, conversations, outbox };
}

/** The first `limit` stored events with `from <= seq <= to`, in order. */
export async function events(database: Database, conversation: ConversationId, from: number, to: number, limit: number): Promise<Event[]> {
  if (to < from) return [];
  const rows = await database.getAll("events", between(conversation, from, to), limit);
  return rows.map((row) => row.event);
}

/** All events with `from <= seq <= to`; `undefined` where some of these places are not stored, or no more. */
export async function whole(database: Database, conversation: ConversationId, from: number, to: number): Promise<Event[] | undefined> {
  // In one transaction: what is old may be forgotten at any time.
  const transaction = database.transaction(["conversations", "events"], "readonly");
  const stored = await transaction.objectStore("conversations").get(conversation);
  if (stored === undefined || !new Ranges(stored.known).cover(from, to)) return undefined;
  const rows = await transaction.objectStore("events").getAll(between(conversation, from, to));
  return rows.map((row) => row.event);
}

/** The last `limit` stored events with `from <= seq <= to`, in order. */
export async function eventsBack(
  database: Database,
  conversation: ConversationId,
  from: number,
  to: number,
  limit: number,
): Promise<Event[]> {
  if (to < from) return [];
  const found: Event[] = [];
  const transaction = database.transaction("events", "readonly");
  let cursor = await transaction.store.openCursor(between(conversation, from, to), "prev");
  while (cursor !== null && found.length < limit) {
    found.push(cursor.value.event);
    cursor = await cursor.continue();
  }
  return found.reverse();
}

/** The event that `device` made with `tag`, if it is stored. Reads the conversation from its end; this is asked seldom. */
export async function findTag(database: Database, conversation: ConversationId, device: DeviceId, tag: Tag): Promise<Found | null> {
  let before = Number.MAX_SAFE_INTEGER;
  for (;;) {
    const part = await eventsBack(database, conversation, 1, before, LOOKED_AT_ONCE);
    const first = part[0];
    if (first === undefined) return null;
    before = first.seq - 1;
    const own = part.find((event) => event.device === device && event.tag === tag);
    if (own !== undefined) return { seq: own.seq, id: own.id, at: own.at };
  }
}
