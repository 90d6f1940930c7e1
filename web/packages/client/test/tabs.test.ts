/** Who leads when something goes wrong. */
import { forceCloseDatabase } from "fake-indexeddb";
import { afterEach, expect, test } from "vitest";
import { Core } from "../src/core/core.js";
import { environmentOf } from "../src/environment.js";
import { type Client, openClient } from "../src/index.js";
import { openDatabase } from "../src/storage/database.js";
import { Locks, until } from "./browser.js";

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server that logs anybody in and is gone afterwards. */
const fetch: typeof globalThis.fetch = async (input) => {
  if (!String(input).endsWith("/v1/login")) throw new TypeError("there is no server");
  const tokens = { access_token: "a", expires_at: Number.MAX_SAFE_INTEGER, refresh_token: "r" };
  return Response.json({ user: "1", device: "10", tokens, servers: [] });
};

async function tab(database: string, locks: Locks, more: object = {}): Promise<Client> {
  const client = await openClient({ server: "http://127.0.0.1:1", database, environment: { fetch, WebSocket: undefined, locks, ...more } });
  closing.push(() => client.close());
  return client;
}

test("a leader that was replaced stores nothing any more", async () => {
  const client = await tab("fenced", new Locks());
  await client.logIn({ handle: "ada", password: "correct horse" });
  expect(await client.send("d.1.2", "one")).toBe(1);
  const database = await openDatabase("fenced");
  const environment = { ...environmentOf(), fetch, WebSocket: undefined };
  const core = await Core.start(
    environment,
    database,
    "http://127.0.0.1:1",
    () => undefined,
    () => undefined,
  );
  closing.push(async () => {
    await core.stop();
    database.close();
  });
  await expect(client.send("d.1.2", "two")).rejects.toMatchObject({ code: "closed" });
  expect(await core.call("other", "queue", ["key", "d.1.2", { type: "send", text: "three" }])).toBe(2);
  expect(await core.call("other", "queue", ["key", "d.1.2", { type: "send", text: "three" }]), "asked again").toBe(2);
  expect((await database.getAll("outbox")).map((entry) => entry.tag)).toEqual([1, 2]);
});

test("without locks, the tab opened last leads, and one overtaken can take over in turn", async () => {
  const none = { locks: undefined };
  const first = await tab("no locks", new Locks(), none);
  await first.logIn({ handle: "ada", password: "correct horse" });
  await first.send("d.1.2", "one");
  const second = await tab("no locks", new Locks(), none);
  expect(await second.send("d.1.2", "two")).toBe(2);
  await expect(first.send("d.1.2", "three")).rejects.toMatchObject({ code: "closed" });
  await until(first.connection, (one) => one.state === "waiting" && one.reason === "elsewhere", "told");
  await expect(first.send("d.1.2", "three")).rejects.toMatchObject({ code: "closed" });
  first.reconnect();
  expect(await first.send("d.1.2", "three")).toBe(3);
  const timeline = first.openTimeline("d.1.2");
  const state = await until(timeline.state, (one) => one.items.length === 3, "all of them");
  expect(state.items.map((item) => item.kind === "message" && item.text)).toEqual(["one", "two", "three"]);
  await expect(second.send("d.1.2", "four")).rejects.toMatchObject({ code: "closed" });
});

test("a leader that was replaced deletes nothing any more", async () => {
  const client = await tab("deletes", new Locks());
  await client.logIn({ handle: "ada", password: "correct horse" });
  const database = await openDatabase("deletes");
  closing.push(async () => database.close());
  await database.put("values", 1_000, "epoch");
  await expect(client.logOut()).rejects.toMatchObject({ code: "closed" });
  expect(await database.get("account", "account")).toMatchObject({ user: "1" });
});

test("a leader that holds the lock leads again when one that does not has stored over it", async () => {
  const locks = new Locks();
  const client = await tab("again", locks);
  await client.logIn({ handle: "ada", password: "correct horse" });
  const other = await tab("again", locks);
  for (const text of ["a", "b", "c"]) await client.send("d.1.2", text);
  await until(other.conversation("d.1.2"), (one) => one?.sending === 3, "the first three");
  const database = await openDatabase("again");
  closing.push(async () => database.close());
  // A tab that was frozen while it began, and woke after the lock was taken from it.
  await database.put("values", 1_000, "epoch");
  await expect(client.send("d.1.2", "refused")).rejects.toMatchObject({ code: "closed" });
  expect(await client.send("d.1.2", "one")).toBe(4);
  expect((await database.getAll("outbox")).map((entry) => entry.frame)).toMatchObject(["a", "b", "c", "one"].map((text) => ({ text })));
  await until(other.conversation("d.1.2"), (one) => one?.sending === 4, "the other tab follows the new core of the same tab");
  expect(await other.send("d.1.2", "two")).toBe(5);
});

test("of two that log in at once in one browser, one does", async () => {
  const locks = new Locks();
  let asked = 0;
  const counting: typeof fetch = (input, init) => {
    if (String(input).endsWith("/v1/login")) asked += 1;
    return fetch(input, init);
  };
  const tabs = [await tab("at once", locks, { fetch: counting }), await tab("at once", locks, { fetch: counting })];
  const results = await Promise.allSettled(tabs.map((one) => one.logIn({ handle: "ada", password: "correct horse" })));
  expect(results.map((one) => one.status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(asked).toBe(1);
});

test("a tab whose clock jumps asks who leads before it takes the lead by force", async () => {
  const locks = new Locks();
  let forced = 0;
  const request = ((name: string, options: LockOptions, run: () => Promise<unknown>) => {
    if (options.steal) forced += 1;
    return locks.request(name, options, run);
  }) as Locks["request"];
  const watched = { request } as Locks;
  const slow: typeof fetch = async (input, init) => {
    if (String(input).includes("/v1/devices")) await new Promise((resolve) => setTimeout(resolve, 3_000));
    return fetch(input, init);
  };
  const first = await tab("jumps", watched, { fetch: slow });
  await first.logIn({ handle: "ada", password: "correct horse" });
  const began = Date.now();
  // Half a minute between two looks, as where the browser slows timers down.
  const second = await tab("jumps", watched, { now: () => began + (Date.now() - began) * 60 });
  await expect(second.devices()).rejects.toMatchObject({ code: "unreachable" });
  expect(forced).toBe(0);
});

test("a tab that lost the lead while it began leads no more, and the one that took it does", async () => {
  const locks = new Locks();
  const database = await openDatabase("slow start");
  closing.push(async () => database.close());
  // Whoever begins to lead waits for this.
  const holding = database.transaction("values", "readwrite");
  let held = true;
  const hold = (async () => {
    while (held) await holding.store.get("epoch");
    await holding.done;
  })();
  const began = Date.now();
  const first = tab("slow start", locks);
  const second = tab("slow start", locks, { now: () => began + (Date.now() - began) * 20 });
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  held = false;
  await hold;
  const tabs = await Promise.all([first, second]);
  await tabs[0].logIn({ handle: "ada", password: "correct horse" });
  await until(tabs[1].account, (one) => one.state === "signed_in", "logged in in the other tab as well");
  expect(await tabs[0].send("d.1.2", "one")).toBe(1);
  expect(await tabs[1].send("d.1.2", "two")).toBe(2);
});

test("what is written in one go keeps its order, however much it is", async () => {
  const client = await tab("in order", new Locks());
  await client.logIn({ handle: "ada", password: "correct horse" });
  const tags = await Promise.all(Array.from({ length: 1_020 }, (_, number) => client.send("d.1.2", `message ${number}`)));
  expect(tags).toEqual(tags.map((_, index) => index + 1));
});

test("a leader that says nothing is replaced by force", async () => {
  const locks = new Locks();
  let stolen = false;
  const frozen = locks
    .request("banter frozen", {}, () => new Promise(() => undefined))
    .catch(() => {
      stolen = true;
    });
  const began = Date.now();
  // Twenty times as fast.
  const client = await tab("frozen", locks, { now: () => began + (Date.now() - began) * 20 });
  await frozen;
  expect(stolen).toBe(true);
  await client.logIn({ handle: "ada", password: "correct horse" });
  expect(client.account.value).toMatchObject({ state: "signed_in", user: "1", device: "10", handle: "ada" });
});

test("a leader that stops answering is replaced by force, and what it was asked is asked of the next one", async () => {
  const locks = new Locks();
  /** A channel that can be cut: as if its tab were frozen. */
  class Cut extends BroadcastChannel {
    static cut = false;
    override postMessage(message: unknown): void {
      if (!Cut.cut) super.postMessage(message);
    }
  }
  const first = await tab("cut", locks, { BroadcastChannel: Cut });
  await first.logIn({ handle: "ada", password: "correct horse" });
  const began = Date.now();
  const second = await tab("cut", locks, { now: () => began + (Date.now() - began) * 20 });
  Cut.cut = true;
  const tag = await second.send("d.1.2", "once");
  expect(tag).toBe(1);
  const timeline = second.openTimeline("d.1.2");
  const state = await until(timeline.state, (one) => one.items.length > 0, "the message");
  expect(state.items.map((item) => item.kind === "message" && item.text)).toEqual(["once"]);
});

test("a tab that missed something asks how things stand", async () => {
  const locks = new Locks();
  /** A channel that loses what happens, as in a tab that was put to sleep. */
  class Lossy extends BroadcastChannel {
    static loses = false;
    override postMessage(message: { kind: string }): void {
      if (!Lossy.loses || message.kind !== "batch") super.postMessage(message);
    }
  }
  const first = await tab("missed", locks, { BroadcastChannel: Lossy });
  await first.logIn({ handle: "ada", password: "correct horse" });
  const second = await tab("missed", locks);
  Lossy.loses = true;
  await first.send("d.1.2", "one");
  Lossy.loses = false;
  await first.send("d.1.2", "two");
  await until(second.conversation("d.1.2"), (one) => one?.sending === 2, "both");
});

test("a database that the browser drops is opened again, and nothing that was written is lost", async () => {
  const opened: IDBOpenDBRequest[] = [];
  const { open } = indexedDB;
  indexedDB.open = (...given) => {
    const request = open.apply(indexedDB, given);
    opened.push(request);
    return request;
  };
  closing.push(async () => {
    indexedDB.open = open;
  });
  const client = await tab("dropped", new Locks());
  await client.logIn({ handle: "ada", password: "correct horse" });
  expect(await client.send("d.1.2", "one")).toBe(1);
  forceCloseDatabase(opened[0]?.result as never);
  // What is asked in this very moment fails, and says so.
  await expect.poll(() => client.send("d.1.2", "two").catch(() => 0)).toBe(2);
  const timeline = client.openTimeline("d.1.2");
  const state = await until(timeline.state, (one) => one.items.length === 2, "both");
  expect(state.items.map((item) => item.kind === "message" && item.text)).toEqual(["one", "two"]);
});

test("the next tab goes on where the last one was, without a server", async () => {
  const locks = new Locks();
  const first = await tab("goes on", locks);
  const second = await tab("goes on", locks);
  await second.logIn({ handle: "@Ada", password: "correct horse" });
  await until(first.account, (account) => account.state === "signed_in", "logged in in the other tab as well");
  await first.send("d.1.2", "hello");
  first.setDraft("d.1.3", { text: "dear" });
  await until(second.conversations, (list) => list.length === 2, "a message and a draft");
  await first.close();
  await until(second.connection, (one) => one.state === "waiting", "tried by the new leader");
  await second.send("d.1.2", "world");
  const timeline = second.openTimeline("d.1.2");
  const state = await until(timeline.state, (one) => one.items.length === 2, "both");
  expect(state.items.map((item) => item.kind === "message" && [item.text, item.status, item.tag])).toEqual([
    ["hello", "sending", 1],
    ["world", "sending", 2],
  ]);
  await second.close();
  const third = await tab("goes on", locks);
  expect(third.conversations.value.map((one) => one.sending)).toContain(2);
  expect(await third.cancel("d.1.2", 2), "a run before may have sent it").toBe(false);
  await expect(third.logIn({ handle: "bob", password: "correct horse" })).rejects.toMatchObject({ code: "closed" });
});
