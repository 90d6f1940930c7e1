/** The engine and the storage against what the Rust engine did with the same inputs. */
import { deleteDB } from "idb";
import { describe, expect, test } from "vitest";
import { apply } from "../src/storage/apply.js";
import { type Database, openDatabase } from "../src/storage/database.js";
import { findTag, snapshot } from "../src/storage/read.js";
import type { Effect } from "../src/sync/effect.js";
import { Engine } from "../src/sync/engine.js";
import { type Device, devices, type VectorEffect } from "./vectors.js";

const tokens = { access_token: "a", expires_at: 0, refresh_token: "r" };

/** Effects of the vectors with conversations made whole again. `stored` holds them as they were last. */
function whole(effects: readonly VectorEffect[], stored: Map<string, object>): unknown[] {
  return effects.map((effect) => {
    if (effect.type !== "write" || effect.write.type !== "conversation") return effect;
    const { id, changed } = effect.write;
    const state = { ...stored.get(id), ...changed };
    stored.set(id, state);
    return { type: "write", write: { type: "conversation", state } };
  });
}

/** The engine's own effects as they look in JSON. */
function plain(effects: readonly Effect[]): unknown {
  return JSON.parse(JSON.stringify(effects));
}

async function start(database: Database): Promise<Engine> {
  const from = await snapshot(database);
  if (from === undefined) throw new Error("nobody is logged in");
  return new Engine(from);
}

async function replay(vector: Device, name: string): Promise<void> {
  const database = await openDatabase(name);
  const account = { ...vector.device, handle: "ada", servers: [], point: null, tokens };
  await database.put("account", account, "account");
  let engine: Engine | undefined;
  const stored = new Map<string, object>();
  for (const [index, step] of vector.steps.entries()) {
    const at = `${vector.name}, device ${vector.device.device}, step ${index + 1}`;
    if (step.start || engine === undefined) {
      engine = await start(database);
    } else if (step.queue !== undefined) {
      const queued = engine.queue(step.now ?? 0, step.queue.conversation, step.queue.action);
      expect("refusal" in queued ? queued.refusal : queued, at).toEqual(step.queued);
    } else if (step.input !== undefined) {
      if (step.input.type === "looked_up") {
        // What the disk of the other engine said, this one says as well.
        const { conversation, tag, found } = step.input;
        expect(await findTag(database, conversation, vector.device.device, tag), at).toEqual(found);
      }
      engine.handle(step.now ?? 0, step.input);
    }
    const effects = engine.takeEffects();
    expect(plain(effects), at).toEqual(whole(step.effects, stored));
    expect(engine.deadline ?? null, at).toBe(step.deadline);
    await apply(database, effects, { now: step.now ?? 0 });
  }
  const rows = (await database.getAll("events")).map((row) => [row.conversation, row.event] as const);
  const byKey = (a: readonly [string, { seq: number }], b: readonly [string, { seq: number }]) =>
    a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1].seq - b[1].seq;
  expect(rows.sort(byKey)).toEqual([...vector.events].sort(byKey));
  database.close();
  await deleteDB(name);
}

const files = ["scenarios.jsonl", "simulation-1.jsonl", "simulation-5.jsonl", "simulation-12.jsonl", "simulation-2117043.jsonl"];

describe.each(files)("%s", (file) => {
  const all = devices(file).map((device, index) => ({ title: `${index + 1}: ${device.name}`, device }));
  test.each(all)("$title", async ({ title, device }) => {
    expect(device.steps.length).toBeGreaterThan(1);
    await replay(device, `${file} ${title}`);
  });
});
