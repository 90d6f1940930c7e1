/** Timelines by themselves: what they show while the server comes and goes. */
import { afterEach, expect, test } from "vitest";
import type { Connection } from "../src/api.js";
import { TimelineWindow } from "../src/client/timeline.js";
import { ClientFailure } from "../src/failure.js";
import type { Event, Page } from "../src/protocol/index.js";
import { type Database, openDatabase } from "../src/storage/database.js";
import type { Window } from "../src/sync/effect.js";
import { ConversationState, type StoredConversation } from "../src/sync/state.js";
import { until } from "./browser.js";

const CONVERSATION = "d.1.2";
const open: Database[] = [];

afterEach(() => {
  for (const database of open.splice(0)) database.close();
});

function said(seq: number): Event {
  const content = { kind: "message", text: `message ${seq}` } as const;
  return { seq, ordinal: seq, id: String(seq), at: seq, sender: "2", device: "20", content };
}

function page(from: number, to: number, head = to): Page {
  return { events: Array.from({ length: to - from + 1 }, (_, index) => said(from + index)), from, to, head_seq: head, first_seq: 1 };
}

/** A timeline at the end of a log up to `head` of which nothing is stored here. `answer` is the server. */
async function timeline(name: string, head: number, answer: (window: Window) => Promise<Page>) {
  const database = await openDatabase(name);
  open.push(database);
  const around = {
    connection: { state: "online", transport: "websocket", synced: true } as Connection,
    stored: { ...new ConversationState(CONVERSATION).toStored(), have: head, reaches: head } as StoredConversation,
  };
  const window = new TimelineWindow(
    {
      self: { user: "1", device: "10" },
      database,
      get connection() {
        return around.connection;
      },
      stored: () => around.stored,
      written: () => [],
      fetch: (_, asked) => answer(asked),
      closed: () => undefined,
    },
    CONVERSATION,
    { at: "end" },
  );
  const tell = (event: Event) => {
    around.stored = { ...around.stored, have: event.seq, reaches: event.seq };
    window.take({ type: "event", conversation: CONVERSATION, event });
    window.update();
  };
  return { window, tell };
}

const gone = () => Promise.reject(new ClientFailure("unreachable", "the server does not answer"));

test("what could not be loaded without the server is loaded when it is back", async () => {
  let away = true;
  const { window } = await timeline("recovers", 100, async (asked) => {
    if (away) return gone();
    return asked.type === "before" ? page(1, asked.seq - 1, 100) : page(41, 100);
  });
  await until(window.state, (state) => state.error?.code === "offline", "told of");
  away = false;
  window.recover();
  const shown = await until(window.state, (state) => state.items.length === 60, "shown");
  expect([shown.atEnd, shown.error]).toEqual([true, undefined]);
  away = true;
  await window.loadBefore();
  expect(window.state.value.error?.code).toBe("offline");
  away = false;
  window.recover();
  const all = await until(window.state, (state) => state.atStart, "the beginning");
  expect([all.items.length, all.error]).toEqual([100, undefined]);
});

test("a jump that failed without the server is not made when it is back", async () => {
  let away = false;
  const { window } = await timeline("no late jump", 100, async (asked) => {
    if (away) return gone();
    return asked.type === "around" ? page(1, 30, 100) : page(41, 100);
  });
  await until(window.state, (state) => state.items.length === 60, "the end");
  away = true;
  await expect(window.jump(5)).rejects.toMatchObject({ code: "unreachable" });
  away = false;
  window.recover();
  expect(window.state.value.error).toBeUndefined();
  expect(window.state.value).toMatchObject({ from: 41, to: 100, loading: { jump: false } });
});

test("however much comes while the end is loaded, nothing is left out of what is shown", async () => {
  let answer: (page: Page) => void = () => undefined;
  let asked = 0;
  const { window, tell } = await timeline("overrun", 100, (window) => {
    asked += 1;
    if (asked === 1) return new Promise<Page>((resolve) => (answer = resolve));
    return Promise.resolve(window.type === "after" ? page(window.seq + 1, window.seq + 60, 1_500) : page(1_441, 1_500));
  });
  for (let seq = 101; seq <= 1_500; seq += 1) tell(said(seq));
  answer(page(41, 100));
  await until(window.state, (state) => !state.loading.jump, "loaded");
  tell(said(1_501));
  const seqs = () => window.state.value.items.map((item) => item.seq ?? 0);
  const first = seqs()[0] ?? 0;
  expect(seqs()).toEqual(seqs().map((_, index) => first + index));
  expect(window.state.value.atEnd).toBe(false);
});
