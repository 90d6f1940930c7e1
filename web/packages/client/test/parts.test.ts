/** Parts of the shells by themselves. */
import { describe, expect, test, vi } from "vitest";
import { Cell } from "../src/cell.js";
import { covered, partly } from "../src/client/history.js";
import { People } from "../src/client/people.js";
import { Backoff } from "../src/connection/backoff.js";
import { PollingSession } from "../src/connection/polling.js";
import { type Closed, Inbox } from "../src/connection/session.js";
import { WebSocketSession } from "../src/connection/websocket.js";
import { ValueKeeper } from "../src/core/values.js";
import { environmentOf } from "../src/environment.js";
import { Api } from "../src/http/api.js";
import { type ClientFrame, FRAME_BYTES, type Tokens } from "../src/protocol/index.js";
import { openDatabase } from "../src/storage/database.js";
import { ConversationState, type StoredConversation } from "../src/sync/state.js";

test("waits double up to half a minute, and are short again after a reset", () => {
  const backoff = new Backoff(() => 0.5);
  const ceilings = Array.from({ length: 40 }, () => {
    const { ceiling } = backoff;
    expect(backoff.next()).toBe(ceiling / 2);
    return ceiling;
  });
  expect(ceilings.slice(0, 4)).toEqual([200, 400, 800, 1_600]);
  expect(ceilings.at(-1)).toBe(30_000);
  backoff.reset();
  expect(backoff.ceiling).toBe(200);
});

test("an observable calls at once, with each new value, and never after the end", () => {
  const watched: boolean[] = [];
  const cell = new Cell(1, (is) => watched.push(is));
  const [one, other]: [number[], number[]] = [[], []];
  const end = cell.subscribe((value) => one.push(value));
  cell.set(2);
  cell.set(2);
  const endOther = cell.subscribe((value) => {
    other.push(value);
    if (value === 3) end();
  });
  cell.set(3);
  end();
  cell.set(4);
  endOther();
  endOther();
  expect([one, other, watched]).toEqual([
    [1, 2, 3],
    [2, 3, 4],
    [true, false],
  ]);
});

describe("tokens", () => {
  const pair = (name: string, expires_at = Number.MAX_SAFE_INTEGER): Tokens => ({
    access_token: `a${name}`,
    expires_at,
    refresh_token: `r${name}`,
  });

  function server(answer: (body: { refresh_token: string }) => Response) {
    const asked: string[] = [];
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const path = new URL(String(input)).pathname;
      const token = new Headers(init?.headers).get("authorization") ?? "";
      asked.push(`${path} ${token}`.trim());
      if (path === "/v1/refresh") return answer(JSON.parse(String(init?.body)));
      if (token === "Bearer a1") return Response.json({ code: "token_expired", message: "expired" }, { status: 401 });
      return Response.json({ path });
    };
    return { asked, environment: { ...environmentOf(), fetch } };
  }

  test("many that find the token expired make one refresh, which is stored before it is used", async () => {
    const { asked, environment } = server(() => Response.json(pair("2")));
    let stored = pair("1");
    const keep = async (tokens: Tokens) => {
      expect(asked.filter((one) => one.includes("a2"))).toEqual([]);
      stored = tokens;
    };
    const api = new Api(environment, "http://x", pair("1"), keep, async () => stored);
    const answers = await Promise.all(["/v1/a", "/v1/b", "/v1/c"].map((path) => api.get<{ path: string }>(path)));
    expect(answers.map((answer) => answer.path)).toEqual(["/v1/a", "/v1/b", "/v1/c"]);
    expect(asked.filter((one) => one.startsWith("/v1/refresh")).length).toBe(1);
    expect(stored).toEqual(pair("2"));
  });

  test("a token that another tab has refreshed is not used a second time", async () => {
    const { asked, environment } = server(() => Response.json(pair("3")));
    const api = new Api(
      environment,
      "http://x",
      pair("1", 0),
      async () => undefined,
      async () => pair("2"),
    );
    expect(await api.get("/v1/a")).toEqual({ path: "/v1/a" });
    expect(asked).toEqual(["/v1/a Bearer a2"]);
  });

  test("a pair that cannot be stored is used all the same, and stored later", async () => {
    let used = 1;
    // As the server does it: a refresh token that is not the latest is theft.
    const { environment } = server(({ refresh_token }) => {
      if (refresh_token !== `r${used}`) return Response.json({ code: "invalid_refresh_token", message: "used" }, { status: 401 });
      used += 1;
      return Response.json(pair(String(used)));
    });
    let stored = pair("1");
    let full = true;
    const keep = async (tokens: Tokens) => {
      if (full) throw new DOMException("the disk is full", "QuotaExceededError");
      stored = tokens;
    };
    const api = new Api(environment, "http://x", pair("1"), keep, async () => stored);
    expect(await api.get("/v1/a")).toEqual({ path: "/v1/a" });
    expect(await api.refresh("a2")).toBe("a3");
    expect(await api.refresh("a3")).toBe("a4");
    full = false;
    await api.get("/v1/b");
    expect(stored).toEqual(pair("4"));
    expect(await api.refresh("a4")).toBe("a5");
    expect(stored).toEqual(pair("5"));
  });

  test("only the server's word on the refresh token ends the login", async () => {
    const refuse = (code: string) => server(() => Response.json({ code, message: "no" }, { status: 401 })).environment;
    const api = (code: string) =>
      new Api(
        refuse(code),
        "http://x",
        pair("1"),
        async () => undefined,
        async () => undefined,
      );
    await expect(api("invalid_refresh_token").get("/v1/a")).rejects.toMatchObject({ code: "signed_out" });
    await expect(api("proxy_login").get("/v1/a")).rejects.toMatchObject({ code: "unreachable" });
  });
});

test("a new leader is told again whose presence is shown", async () => {
  const database = await openDatabase("people");
  const told: string[][] = [];
  const people = new People(
    database,
    () => undefined,
    (users) => told.push([...users]),
  );
  const end = people.presence("2").subscribe(() => undefined);
  await expect.poll(() => told).toEqual([["2"]]);
  people.resume();
  await expect.poll(() => told).toEqual([["2"], ["2"]]);
  end();
  database.close();
});

test("an answer that a later one has overtaken is not kept", async () => {
  const database = await openDatabase("values");
  const waiting: ((answer: Response) => void)[] = [];
  const environment = { ...environmentOf(), fetch: () => new Promise<Response>((resolve) => waiting.push(resolve)) };
  const tokens: Tokens = { access_token: "a", expires_at: Number.MAX_SAFE_INTEGER, refresh_token: "r" };
  const api = new Api(
    environment,
    "http://x",
    tokens,
    async () => undefined,
    async () => tokens,
  );
  const keeper = new ValueKeeper(environment, database, api, () => undefined);
  const [first, second] = [keeper.refresh("settings"), keeper.refresh("settings")];
  await expect.poll(() => waiting.length).toBe(2);
  const settings = (read_receipts: boolean) => ({ presence: "everyone", writers: "everyone", read_receipts });
  waiting[1]?.(Response.json(settings(false)));
  await second;
  waiting[0]?.(Response.json(settings(true)));
  await first;
  expect(keeper.values.settings?.read_receipts).toBe(false);
  const late = keeper.refresh("settings");
  await expect.poll(() => waiting.length).toBe(3);
  await keeper.after("PATCH", "/v1/settings", settings(true));
  waiting[2]?.(Response.json(settings(false)));
  await late;
  expect(keeper.values.settings?.read_receipts).toBe(true);
  expect(await database.get("values", "settings")).toMatchObject({ read_receipts: true });
  database.close();
});

test("posts of a polling session are no larger than the server takes them", async () => {
  const posts: ClientFrame[][] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const { pathname } = new URL(String(input));
    if (init?.method === "GET") return new Promise(() => undefined);
    if (pathname === "/v1/sessions") return Response.json({ session: "s", frames: [], cursor: 0 }, { status: 201 });
    const body = String(init?.body ?? "[]");
    if (new TextEncoder().encode(body).length > FRAME_BYTES) return Response.json({ code: "too_large", message: "" }, { status: 413 });
    if (init?.method === "POST") posts.push(JSON.parse(body));
    return Response.json({}, { status: 202 });
  };
  const inbox = new Inbox();
  const ended: Closed[] = [];
  inbox.read({ frame: () => undefined, closed: (closed) => ended.push(closed) });
  const session = await PollingSession.open({ ...environmentOf(), fetch }, "http://x", { type: "resume", token: "t" }, inbox);
  const texts = [...Array.from({ length: 30 }, () => "€".repeat(100_000)), ...Array.from({ length: 300 }, () => "short")];
  for (const [index, text] of texts.entries()) session.send({ type: "send", tag: index + 1, conversation: "d.1.2", text });
  await expect.poll(() => posts.flat().length + 1_000 * ended.length).toBe(330);
  expect(posts.flat().map((frame) => frame.type === "send" && frame.tag)).toEqual(texts.map((_, index) => index + 1));
  expect(Math.max(...posts.map((post) => post.length))).toBeLessThanOrEqual(200);
  session.close();
});

test("pages come from this device where it has them whole", () => {
  const stored: StoredConversation = {
    ...new ConversationState("g.7").toStored(),
    known: [
      [11, 40],
      [61, 100],
    ],
    reaches: 100,
    first_seq: 5,
  };
  expect(covered(stored, { type: "newest" }, 20, true)).toEqual([81, 100]);
  expect(covered(stored, { type: "newest" }, 20, false), "the end may not be the end").toBeUndefined();
  expect(covered(stored, { type: "newest" }, 50, true)).toBeUndefined();
  expect(covered(stored, { type: "before", seq: 81 }, 20, false)).toEqual([61, 80]);
  expect(covered(stored, { type: "before", seq: 61 }, 20, true)).toBeUndefined();
  expect(covered(stored, { type: "after", seq: 20 }, 20, true)).toEqual([21, 40]);
  expect(covered(stored, { type: "around", seq: 30 }, 10, true)).toEqual([26, 35]);
  expect(partly(stored, { type: "newest" }, 50)).toEqual([61, 100]);
  expect(partly(stored, { type: "before", seq: 21 }, 50)).toEqual([11, 20]);
  expect(partly(stored, { type: "after", seq: 30 }, 50)).toEqual([31, 40]);
  expect(partly(stored, { type: "around", seq: 50 }, 10)).toBeUndefined();
});

test("a server that does not answer is asked once more, and then given up", async () => {
  vi.useFakeTimers();
  try {
    const written: ClientFrame[] = [];
    class Mute {
      readonly readyState = 1;
      onopen: (() => void) | null = null;
      onmessage: ((event: { data: string }) => void) | null = null;
      constructor() {
        sockets.push(this);
        setTimeout(() => this.onopen?.(), 1);
      }
      send(text: string): void {
        written.push(JSON.parse(text));
      }
      close(): void {}
    }
    const sockets: Mute[] = [];
    const environment = { ...environmentOf(), WebSocket: Mute as unknown as new (url: string) => WebSocket };
    const closed: Closed[] = [];
    const reader = { frame: () => undefined, closed: (one: Closed) => closed.push(one) };
    const session = new WebSocketSession(environment, "http://127.0.0.1:1", { type: "hello", token: "t" }, reader);
    await vi.advanceTimersByTimeAsync(1_000);
    sockets[0]?.onmessage?.({ data: JSON.stringify({ type: "pong" }) });
    await vi.advanceTimersByTimeAsync(10_000);
    expect([written.length, closed.length]).toEqual([1, 0]);
    vi.setSystemTime(Date.now() - 1_800_000);
    session.send({ type: "typing", conversation: "d.1.2" });
    await vi.advanceTimersByTimeAsync(6_000);
    expect(written.map((frame) => frame.type)).toEqual(["hello", "typing", "ping"]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(closed).toEqual([{ message: "the server does not answer any more", silent: true }]);
  } finally {
    vi.useRealTimers();
  }
});
