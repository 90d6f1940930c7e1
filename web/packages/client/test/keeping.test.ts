/** How much history stays on a device, and how the rest comes back. */
import { expect, test } from "vitest";
import { TimelineWindow } from "../src/client/timeline.js";
import type { ConversationId, Event, Page } from "../src/protocol/index.js";
import { apply } from "../src/storage/apply.js";
import { type Database, openDatabase } from "../src/storage/database.js";
import type { Effect, Window } from "../src/sync/effect.js";
import { Engine } from "../src/sync/engine.js";
import { KEPT_IN_ALL, KEPT_OF_EACH, KEPT_PER_CONVERSATION, LOOKED_AFTER, shares } from "../src/sync/keeping.js";
import { Ranges } from "../src/sync/ranges.js";
import { ConversationState, type StoredConversation } from "../src/sync/state.js";
import { until } from "./browser.js";

const CONVERSATION = "d.1.2";

function said(seq: number): Event {
  return { seq, ordinal: seq, id: String(seq), at: seq, sender: "2", device: "20", content: { kind: "message", text: `message ${seq}` } };
}

function page(from: number, to: number, head: number): Page {
  return { events: Array.from({ length: to - from + 1 }, (_, index) => said(from + index)), from, to, head_seq: head, first_seq: 1 };
}

/** A device in sync that was told of `count` events. `step` takes the effects in between. */
async function told(engine: Engine, conversation: ConversationId, count: number, step: () => Promise<void>): Promise<void> {
  for (let seq = 1; seq <= count; seq += 1) {
    engine.handle(seq, { type: "frame", frame: { type: "event", conversation, event: said(seq) } });
    if (seq % 250 === 0) await step();
  }
  engine.handle(count, { type: "tick" });
  await step();
}

function device(conversations: readonly StoredConversation[] = []): Engine {
  return new Engine({ user: "1", device: "10", point: "p", from_the_start: true, conversations, outbox: [] });
}

test("each conversation keeps its newest, the latest ones more, and all together no more than there is room for", () => {
  expect(shares([])).toEqual([]);
  expect(shares([10, KEPT_PER_CONVERSATION + 1])).toEqual([10, KEPT_PER_CONVERSATION]);
  const many = shares(Array.from({ length: 30 }, () => 1_000_000));
  expect(many.reduce((sum, one) => sum + one, 0)).toBe(KEPT_IN_ALL);
  expect(many[0]).toBe(KEPT_PER_CONVERSATION);
  expect(many.at(-1)).toBe(KEPT_OF_EACH);
  expect(many).toEqual(many.toSorted((a, b) => b - a));
  const thousands = shares(Array.from({ length: 5_000 }, () => 1_000));
  expect(thousands.reduce((sum, one) => sum + one, 0)).toBe(KEPT_IN_ALL);
  expect([thousands[0], thousands.at(-1)]).toEqual([KEPT_OF_EACH, 0]);
});

test("the newest places of ranges", () => {
  const ranges = new Ranges([
    [1, 10],
    [21, 25],
    [31, 40],
  ]);
  expect(ranges.places).toBe(25);
  expect([0, 1, 10, 11, 15, 16, 25, 26].map((most) => ranges.newest(most))).toEqual([41, 40, 31, 25, 21, 10, 1, 1]);
});

test("what waits to be told, or for an answer, is not forgotten", async () => {
  const forgotten = (effects: readonly Effect[]) =>
    effects.flatMap((effect) => (effect.type === "write" && effect.write.type === "forget" ? [effect.write.below] : []));
  const count = KEPT_PER_CONVERSATION + 2 * LOOKED_AFTER;
  // All of it is stored but the first, so nothing can be told.
  const gap = device([{ ...new ConversationState(CONVERSATION).toStored(), have: 0 }]);
  for (let from = 2; from < count; from += 200) {
    const window: Window = { type: "after", seq: from - 1 };
    gap.handle(from, { type: "page", conversation: CONVERSATION, window, page: page(from, from + 199, from + 199) });
  }
  expect(forgotten(gap.takeEffects())).toEqual([]);
  gap.handle(count, { type: "frame", frame: { type: "event", conversation: CONVERSATION, event: said(1) } });
  for (let told = 0; told < count; told += 1_000) gap.handle(count, { type: "tick" });
  expect(forgotten(gap.takeEffects())).not.toEqual([]);
  const waits = device();
  waits.queue(0, CONVERSATION, { type: "send", text: "is it there?" });
  await told(waits, CONVERSATION, count, async () => expect(forgotten(waits.takeEffects())).toEqual([]));
  expect(waits.conversations.get(CONVERSATION)?.known.places).toBe(count);
});

test("what was forgotten at the old end is pulled again when it is scrolled to", async () => {
  const database = await openDatabase("forgets");
  const count = KEPT_PER_CONVERSATION + 1_200;
  const engine = device();
  let stored: StoredConversation | undefined;
  const step = async () => {
    const effects = engine.takeEffects();
    await apply(database, effects, { now: 0 });
    for (const effect of effects) if (effect.type === "write" && effect.write.type === "conversation") stored = effect.write.state;
  };
  await told(engine, CONVERSATION, count, step);
  const rows = await database.count("events");
  expect(rows).toBeGreaterThanOrEqual(KEPT_PER_CONVERSATION);
  expect(rows).toBeLessThanOrEqual(KEPT_PER_CONVERSATION + LOOKED_AFTER);
  expect(stored).toMatchObject({ have: count, known: [[count - rows + 1, count]] });

  const asked: Window[] = [];
  const timeline = open(
    database,
    () => stored as StoredConversation,
    async (window) => {
      asked.push(window);
      const before = window.type === "before" ? window.seq : 0;
      const answer = page(Math.max(1, before - 60), before - 1, count);
      engine.handle(0, { type: "page", conversation: CONVERSATION, window, page: answer });
      await step();
      return answer;
    },
  );
  await until(timeline.state, (state) => state.items.length === 60, "the newest");
  expect(asked, "from this device").toEqual([]);
  const seen = new Set<number>();
  while (!timeline.state.value.atStart) {
    await timeline.loadBefore();
    for (const item of timeline.state.value.items) seen.add(item.seq ?? 0);
  }
  expect(seen.size).toBe(count);
  expect(asked.length).toBeGreaterThan(0);
  expect(await database.count("events")).toBeLessThanOrEqual(KEPT_PER_CONVERSATION + LOOKED_AFTER + 200);
  timeline.close();
  database.close();
});

test("a page that was forgotten while it was to be read is asked for", async () => {
  const database = await openDatabase("forgets meanwhile");
  const engine = device();
  let stored: StoredConversation | undefined;
  await told(engine, CONVERSATION, 250, async () => {
    const effects = engine.takeEffects();
    await apply(database, effects, { now: 0 });
    for (const effect of effects) if (effect.type === "write" && effect.write.type === "conversation") stored = effect.write.state;
  });
  // The tab has not heard of it yet.
  await apply(
    database,
    [
      { type: "write", write: { type: "forget", conversation: CONVERSATION, below: 221 } },
      { type: "write", write: { type: "conversation", state: { ...(stored as StoredConversation), known: [[221, 250]] } } },
    ],
    { now: 0 },
  );
  const timeline = open(
    database,
    () => stored as StoredConversation,
    async () => page(191, 250, 250),
  );
  const shown = await until(timeline.state, (state) => state.items.length > 0, "shown");
  expect(shown.items.map((item) => item.seq)).toEqual(Array.from({ length: 60 }, (_, index) => 191 + index));
  timeline.close();
  database.close();
});

function open(database: Database, stored: () => StoredConversation, fetch: (window: Window) => Promise<Page>): TimelineWindow {
  return new TimelineWindow(
    {
      self: { user: "1", device: "10" },
      database,
      connection: { state: "online", transport: "websocket", synced: true },
      stored,
      written: () => [],
      fetch: (_, window) => fetch(window),
      closed: () => undefined,
    },
    CONVERSATION,
    { at: "end" },
  );
}
