/** The session of a device: dialled, lost, waited for, and moved from long polling to WebSocket. Mirrors `crates/client/src/client/link.rs`. */
import type { Connection, Environment, WaitingReason } from "../api.js";
import { Backoff } from "../connection/backoff.js";
import type { Dialed, Dialer } from "../connection/dialer.js";
import { type Closed, isSignedOut, type Session } from "../connection/session.js";
import { probe, WebSocketSession } from "../connection/websocket.js";
import { failure } from "../failure.js";
import { type ClientFrame, closeCode, type ServerFrame } from "../protocol/index.js";

/** A session that lasted this long was a good one: the next wait is short. In milliseconds. */
const LASTED_MS = 30_000;
/** After a server said that it goes down, its devices come back within this time, at random. */
const GOING_AWAY_MS = 3_000;
/** The longest that a server's word holds a device off, in seconds. */
const RETRY_AFTER_MOST = 60;

/** Who is told of the session. */
export interface LinkOwner {
  readonly point: string | null;
  /** A session stands from this frame (`welcome`) on. */
  welcome(session: Session, frame: ServerFrame): void;
  frame(frame: ServerFrame): void;
  disconnected(): void;
  signedOut(message: string): void;
  connection(connection: Connection): void;
}

/** Keeps the device connected from {@link Link.dial} to {@link Link.stop}. */
export class Link {
  private session: Session | undefined;
  private since = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private probing: ReturnType<typeof setTimeout> | undefined;
  private dialing = false;
  private stopped = false;
  private readonly backoff: Backoff;

  constructor(
    private readonly environment: Environment,
    private readonly dialer: Dialer,
    private readonly owner: LinkOwner,
  ) {
    this.backoff = new Backoff(environment.random);
    environment.network?.events.addEventListener("online", this.online);
    environment.network?.events.addEventListener("offline", this.offline);
  }

  /** Begins, or begins again at once. */
  dial(): void {
    if (this.stopped || this.dialing || this.session !== undefined) return;
    clearTimeout(this.timer);
    this.dialing = true;
    this.owner.connection({ state: "connecting" });
    this.dialer.dial(this.owner.point).then(
      (dialed) => this.dialed(dialed),
      (error) => this.failed(error),
    );
  }

  /** Connects at once if it waits. */
  reconnect(): void {
    this.backoff.reset();
    this.dial();
  }

  /** Sends frames, if `session` still stands. */
  send(session: unknown, frames: readonly ClientFrame[]): void {
    if (this.holds(session)) for (const frame of frames) this.session?.send(frame);
  }

  /** Does `session` still stand? */
  holds(session: unknown): boolean {
    return session !== undefined && this.session === session;
  }

  /** Gives the session up and makes another. */
  drop(message: string): void {
    const { session } = this;
    if (session === undefined) return;
    session.close();
    this.closed(session, { message });
  }

  /** Ends the session and everything that waits. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.probing);
    this.environment.network?.events.removeEventListener("online", this.online);
    this.environment.network?.events.removeEventListener("offline", this.offline);
    this.session?.close();
    this.session = undefined;
  }

  private readonly online = () => {
    if (this.session instanceof WebSocketSession) this.session.doubt();
    this.reconnect();
  };

  private readonly offline = () => {
    if (this.session instanceof WebSocketSession) this.session.doubt();
  };

  private dialed({ session, inbox, welcome }: Dialed): void {
    this.dialing = false;
    if (this.stopped) return session.close();
    this.session = session;
    this.since = this.environment.now();
    this.owner.connection({ state: "online", transport: session.transport, synced: false });
    this.owner.welcome(session, welcome);
    inbox.read({
      frame: (frame) => {
        if (this.session === session) this.owner.frame(frame);
      },
      closed: (closed) => this.closed(session, closed),
    });
    if (session.transport === "polling") this.probeLater();
  }

  private failed(thrown: unknown): void {
    this.dialing = false;
    if (this.stopped) return;
    const error = failure(thrown);
    if (error.code === "signed_out") return this.owner.signedOut(error.message);
    const asked = Math.min(error.retryAfter ?? 0, RETRY_AFTER_MOST) * 1_000;
    const reason = error.code === "shutting_down" ? "restarting" : error.retryAfter !== undefined ? "busy" : "unreachable";
    this.waitFor(Math.max(this.backoff.next(), asked), reason, error.message);
  }

  private closed(session: Session, closed: Closed): void {
    if (this.session !== session) return;
    this.session = undefined;
    clearTimeout(this.probing);
    this.owner.disconnected();
    if (isSignedOut(closed)) return this.owner.signedOut(closed.message);
    if (closed.silent === true) this.dialer.passOver();
    const goingAway = closed.code === closeCode.goingAway;
    if (goingAway || this.environment.now() - this.since >= LASTED_MS) this.backoff.reset();
    const wait = goingAway ? this.environment.random() * GOING_AWAY_MS : this.backoff.next();
    this.waitFor(wait, goingAway ? "restarting" : "lost", closed.message);
  }

  private waitFor(ms: number, reason: WaitingReason, message: string): void {
    // A server on this machine may be there without a network, so it is tried all the same.
    const offline = this.environment.network?.onLine === false;
    const retryAt = this.environment.now() + ms;
    this.owner.connection(offline ? { state: "offline" } : { state: "waiting", retryAt, reason, message });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.dial(), ms);
  }

  /** Looks from time to time whether WebSocket gets through again, and then goes over to it. What is under way is sent again, as after any reconnect. */
  private probeLater(): void {
    clearTimeout(this.probing);
    this.probing = setTimeout(async () => {
      const { session } = this;
      const through = await probe(this.environment, this.dialer.server);
      if (session === undefined || this.session !== session) return;
      if (!through) return this.probeLater();
      this.dialer.useWebSocket();
      session.close();
      this.session = undefined;
      this.owner.disconnected();
      this.dial();
    }, this.dialer.untilProbe);
  }
}
