/** Moving through the list of servers, which may be on other hosts than the page's. */
import { expect, test } from "vitest";
import type { Environment } from "../src/api.js";
import { Dialer } from "../src/connection/dialer.js";
import { environmentOf } from "../src/environment.js";
import { Api } from "../src/http/api.js";

const page = "https://chat.example.org";
const welcome = { type: "welcome", session: "1", heartbeat_ms: 45_000 };

/** A world in which the hosts in `alive` take WebSockets, those in `polled` take requests of pages of other origins, and the API tells of `servers`. */
function world(alive: Set<string>, polled: Set<string>, servers: () => readonly string[]) {
  const asked: string[] = [];
  class Socket {
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;
    readyState = 0;
    constructor(address: string) {
      asked.push(address);
      setTimeout(() => {
        // A browser says no more of a host that does not answer, or that the page's policy does not allow.
        if (!alive.has(new URL(address).host)) return this.onclose?.({ code: 1006, reason: "" });
        this.readyState = 1;
        this.onopen?.();
      });
    }
    send(): void {
      this.onmessage?.({ data: JSON.stringify(welcome) });
    }
    close(): void {
      this.readyState = 3;
    }
  }
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const url = new URL(String(input));
    asked.push(`${init?.method} ${url.origin}${url.pathname}`);
    if (url.origin === page && url.pathname === "/v1/servers") return Response.json({ servers: servers().map((one) => ({ url: one })) });
    if (url.origin !== page && !polled.has(url.host)) throw new TypeError("Failed to fetch");
    if (url.pathname === "/v1/sessions") return Response.json({ session: "s", frames: [welcome], cursor: 0 }, { status: 201 });
    if (url.pathname.endsWith("/frames")) return new Promise(() => undefined);
    return Response.json({});
  };
  const environment = { ...environmentOf(), fetch, WebSocket: Socket as unknown as NonNullable<Environment["WebSocket"]> };
  const tokens = { access_token: "a", expires_at: Number.MAX_SAFE_INTEGER, refresh_token: "r" };
  const api = new Api(
    environment,
    page,
    tokens,
    async () => undefined,
    async () => undefined,
  );
  return {
    asked,
    dialer: (urls: readonly string[]) =>
      new Dialer(
        api,
        urls.map((url) => ({ url })),
      ),
  };
}

test("a server on another host that is gone is passed over", async () => {
  const { asked, dialer } = world(new Set(["two.example.org"]), new Set(), () => []);
  const dialing = dialer(["https://one.example.org/", "https://two.example.org/gateways/2"]);
  await expect(dialing.dial(null)).rejects.toMatchObject({ code: "unreachable" });
  const { session } = await dialing.dial(null);
  expect(session.transport).toBe("websocket");
  session.close();
  expect(asked).toEqual(["wss://one.example.org/v1/socket", "wss://two.example.org/gateways/2/v1/socket"]);
});

test("when none of them works others are asked for, where the page came from", async () => {
  const { asked, dialer } = world(new Set(["three.example.org"]), new Set(), () => ["https://three.example.org"]);
  const dialing = dialer(["https://one.example.org", "https://two.example.org"]);
  await expect(dialing.dial(null)).rejects.toMatchObject({ code: "unreachable" });
  expect(dialing.server).toBe("https://two.example.org");
  await expect(dialing.dial(null)).rejects.toMatchObject({ code: "unreachable" });
  expect(asked.at(-1)).toBe(`GET ${page}/v1/servers`);
  const { session } = await dialing.dial(null);
  expect(asked.at(-1)).toBe("wss://three.example.org/v1/socket");
  session.close();
});

test("where WebSockets are blocked a server on another host is polled", async () => {
  const { asked, dialer } = world(new Set(), new Set(["one.example.org"]), () => ["https://one.example.org"]);
  const dialing = dialer(["https://one.example.org"]);
  await expect(dialing.dial(null)).rejects.toMatchObject({ code: "unreachable" });
  const { session } = await dialing.dial(null);
  expect(session.transport).toBe("polling");
  session.close();
  expect(asked).toContain("POST https://one.example.org/v1/sessions");
});
