/** Parts of the shells by themselves. */
import { describe, expect, test } from "vitest";
import { Cell } from "../src/cell.js";
import { covered, partly } from "../src/client/history.js";
import { Backoff } from "../src/connection/backoff.js";
import { environmentOf } from "../src/environment.js";
import { Api } from "../src/http/api.js";
import type { Tokens } from "../src/protocol/index.js";
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
