/** Making a session: WebSocket first, long polling where it does not get through. Mirrors `crates/client/src/connection/dialer.rs`. */
import { ClientFailure, failure } from "../failure.js";
import type { Api } from "../http/api.js";
import { ask } from "../http/request.js";
import { type ChatServer, type ClientFrame, closeCode, type ServerFrame, type Servers } from "../protocol/index.js";
import { closedBy, PollingSession } from "./polling.js";
import { type Closed, CONNECT_MS, Inbox, isSignedOut, type Session } from "./session.js";
import { WebSocketSession } from "./websocket.js";

/** WebSockets that fail in a row before `welcome`, while HTTP works, until long polling is used. */
const FAILURES = 2;
/** How long long polling is used at first before WebSocket is tried again, and the most that is doubled to, in milliseconds. */
const POLLING_MS = 180_000;
const POLLING_MOST_MS = 3_600_000;

/** A session that stands. */
export interface Dialed {
  readonly session: Session;
  readonly inbox: Inbox;
  readonly welcome: ServerFrame;
}

class NoSession extends Error {
  constructor(readonly closed: Closed) {
    super(closed.message);
  }
}

/** Connects to the first server that works, by WebSocket where it gets through. */
export class Dialer {
  private servers: readonly string[];
  private at = 0;
  private failures = 0;
  private pollUntil = 0;
  /** For how long long polling was chosen last; `undefined` once a WebSocket has carried a session. */
  private polling: number | undefined;

  /** A dialer for `servers`, best first; an empty address is where the API is. */
  constructor(
    private readonly api: Api,
    servers: readonly ChatServer[],
  ) {
    this.servers = addresses(api, servers);
  }

  /** The server that is tried now. */
  get server(): string {
    return this.servers[this.at % this.servers.length] ?? this.api.base;
  }

  /** How long to use long polling before looking whether WebSocket gets through again, in milliseconds. */
  get untilProbe(): number {
    return this.polling ?? POLLING_MS;
  }

  /** The server that is tried now fell silent: the next one is tried first, for a connection to one that hangs comes about and then says nothing. */
  passOver(): void {
    this.at = (this.at + 1) % this.servers.length;
  }

  /**
   * An upgrade got through: the next session is tried by WebSocket. Something between may still cut it before `welcome`, so one more failure is enough
   * for long polling.
   */
  useWebSocket(): void {
    this.failures = FAILURES - 1;
    this.pollUntil = 0;
  }

  /** Tries once to make a session that goes on from `since`. The token is refreshed if the server wants that. Failing with `signed_out` is final. */
  async dial(since: string | null): Promise<Dialed> {
    try {
      return await this.tryServer(since);
    } catch (thrown) {
      const error = thrown instanceof NoSession ? asFailure(thrown.closed) : failure(thrown);
      // The next one may be alive.
      if (error.code !== "signed_out") {
        this.at = (this.at + 1) % this.servers.length;
        if (this.at === 0) await this.askAgain();
      }
      throw error;
    }
  }

  /** None of the servers works: there may be others by now. The API itself is tried again anyway. */
  private async askAgain(): Promise<void> {
    if (this.servers.every((server) => server === this.api.base)) return;
    try {
      const { servers } = await this.api.ask<Servers>({ method: "GET", path: "/v1/servers", timeout: CONNECT_MS });
      this.servers = addresses(this.api, servers);
    } catch {
      // Those that are known are tried again.
    }
  }

  private async tryServer(since: string | null): Promise<Dialed> {
    let token = await this.api.accessToken();
    for (const fresh of [false, true]) {
      const first: ClientFrame = since === null ? { type: "resume", token } : { type: "resume", token, since };
      try {
        return await (this.api.environment.now() < this.pollUntil ? this.byPolling(first) : this.byWebSocket(first));
      } catch (error) {
        if (!(error instanceof NoSession) || fresh || error.closed.code !== closeCode.unauthenticated) throw error;
        token = await this.api.refresh(token);
      }
    }
    throw new ClientFailure("unexpected_answer", "a fresh token is refused");
  }

  private async byWebSocket(first: ClientFrame): Promise<Dialed> {
    const { environment } = this.api;
    if (environment.WebSocket === undefined) return this.byPolling(first);
    const inbox = new Inbox();
    try {
      const dialed = await welcomed(new WebSocketSession(environment, this.server, first, inbox), inbox);
      [this.failures, this.pollUntil, this.polling] = [0, 0, undefined];
      return dialed;
    } catch (error) {
      const closed = error instanceof NoSession ? error.closed : { message: String(error) };
      // The server itself has spoken: WebSocket gets through.
      if (closed.code === closeCode.goingAway || (closed.code ?? 0) >= 4_000) throw new NoSession(closed);
      this.failures += 1;
      if (this.failures < FAILURES || !(await this.isAlive())) throw new NoSession(closed);
      this.polling = this.polling === undefined ? POLLING_MS : Math.min(this.polling * 2, POLLING_MOST_MS);
      this.pollUntil = environment.now() + this.polling;
      return this.byPolling(first);
    }
  }

  /** Is there a server that answers? For telling a blocked WebSocket from no network. */
  private async isAlive(): Promise<boolean> {
    try {
      await ask(this.api.environment, this.server, { method: "GET", path: "/health", timeout: CONNECT_MS });
      return true;
    } catch (error) {
      // It may answer with something else than JSON.
      return failure(error).code === "unexpected_answer";
    }
  }

  private async byPolling(first: ClientFrame): Promise<Dialed> {
    const inbox = new Inbox();
    try {
      return await welcomed(await PollingSession.open(this.api.environment, this.server, first, inbox), inbox);
    } catch (error) {
      throw error instanceof NoSession ? error : new NoSession(closedBy(failure(error)));
    }
  }
}

/** The addresses of `servers`; the API's if there is none. */
function addresses(api: Api, servers: readonly ChatServer[]): readonly string[] {
  const known = servers.map((server) => (server.url === "" ? api.base : server.url.replace(/\/+$/, "")));
  return known.length > 0 ? known : [api.base];
}

function asFailure(closed: Closed): ClientFailure {
  if (isSignedOut(closed)) return new ClientFailure("signed_out", closed.message);
  return new ClientFailure(closed.code === closeCode.goingAway ? "shutting_down" : "unreachable", closed.message);
}

/** Waits for `welcome`. */
function welcomed(session: Session, inbox: Inbox): Promise<Dialed> {
  return new Promise((resolve, reject) => {
    const fail = (closed: Closed) => {
      clearTimeout(timer);
      inbox.read(undefined);
      session.close();
      reject(new NoSession(closed));
    };
    const timer = setTimeout(() => fail({ message: "no welcome in time" }), CONNECT_MS);
    inbox.read({
      frame: (frame) => {
        // What the close code says comes next.
        if (frame.type === "bye") return;
        if (frame.type !== "welcome") return fail({ message: `expected welcome, got ${frame.type}` });
        clearTimeout(timer);
        inbox.read(undefined);
        resolve({ session, inbox, welcome: frame });
      },
      closed: fail,
    });
  });
}
