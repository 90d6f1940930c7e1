/** Steps of the engine around what a device lives through: sessions that change while something is stored. */
import { expect, test } from "vitest";
import { Steps } from "../src/core/steps.js";
import type { ClientFrame, ServerFrame } from "../src/protocol/index.js";
import { apply } from "../src/storage/apply.js";
import { openDatabase } from "../src/storage/database.js";
import type { Effect } from "../src/sync/effect.js";
import { Engine } from "../src/sync/engine.js";

const CONVERSATION = "d.1.2";

/** A device in sync, whose sessions are names, and what was sent in each. */
async function device(name: string) {
  const database = await openDatabase(name);
  const engine = new Engine({ user: "1", device: "10", point: null, from_the_start: true, conversations: [], outbox: [] });
  let session: string | undefined;
  const sent: [unknown, ClientFrame][] = [];
  const steps = new Steps(engine, {
    database,
    epoch: 1,
    wallClock: () => 1,
    session: () => session,
    send: (to, frames) => sent.push(...frames.map((frame): [unknown, ClientFrame] => [to, frame])),
    fetch: () => undefined,
    lookUp: () => undefined,
    emit: () => undefined,
    broken: (error) => {
      throw error;
    },
  });
  await database.put("values", 1, "epoch");
  const frame = (one: ServerFrame) => steps.add({ run: (_, now) => engine.handle(now, { type: "frame", frame: one }) });
  return {
    sent,
    frame,
    begin(next: string) {
      steps.add({
        turns: true,
        run: (_, now) => {
          session = next;
          const welcome: ServerFrame = { type: "welcome", session: next, user: "1", device: "10", at: 1, heartbeat_ms: 45_000 };
          engine.handle(now, { type: "frame", frame: welcome });
        },
      });
      frame({ type: "sync", conversations: [], point: "p" });
    },
    end() {
      steps.add({
        turns: true,
        run: (_, now) => {
          session = undefined;
          engine.handle(now, { type: "disconnected" });
        },
      });
    },
    write(text: string) {
      return steps.ask((_, now) => engine.queue(now, CONVERSATION, { type: "send", text }));
    },
    async close() {
      await steps.stop();
      database.close();
    },
  };
}

test("what was to go out in one session does not go out in the next before what is older", async () => {
  const one = await device("turns");
  one.begin("first");
  await one.write("one");
  // All of this waits while something is stored.
  const two = one.write("two");
  one.end();
  one.begin("second");
  await Promise.all([two, one.write("three")]);
  const tags = one.sent.flatMap(([session, frame]) => (session === "second" && frame.type === "send" ? [frame.tag] : []));
  expect(tags).toEqual([1, 2, 3]);
  await one.close();
});

test("what failed and is written again is forgotten in the same step", async () => {
  const database = await openDatabase("again in one step");
  const frame = { type: "send", tag: 1, conversation: CONVERSATION, text: "hello" } as const;
  await database.put("failures", { conversation: CONVERSATION, tag: 1, frame, at: 1, error: { code: "may_not_write", message: "no" } });
  const queue: Effect = { type: "write", write: { type: "queue", conversation: CONVERSATION, tag: 2, frame: { ...frame, tag: 2 } } };
  await apply(database, [queue], { now: 2, keys: [{ key: "again", conversation: CONVERSATION, tag: 2, instead: 1 }] });
  expect(await database.getAll("failures")).toEqual([]);
  expect(await database.get("keys", "again")).toMatchObject({ tag: 2 });
  expect((await database.getAll("outbox")).map((entry) => entry.tag)).toEqual([2]);
  database.close();
});
