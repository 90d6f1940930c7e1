/** A session over WebSocket. */
import type { Environment } from "../api.js";
import { type ClientFrame, HEARTBEAT_MS, type ServerFrame, SOCKET_PATH } from "../protocol/index.js";
import type { Closed, Reader, Session } from "./session.js";
import { CONNECT_MS } from "./session.js";

/** What is not answered within this time is doubted; and from there, or from a hint that the network may be gone, to when a session that says
 * nothing counts as broken, in milliseconds. */
const DOUBT_MS = 5_000;
/** The slowest line that is reckoned with, in characters a second: what is still on its way gets the time for it. */
const SLOWEST = 2_048;

/** The address of the WebSocket of the server at `base` (`http://...` or `https://...`). */
function addressOf(base: string): string {
  return base.replace(/^http/, "ws") + SOCKET_PATH;
}

/** See {@link Session}. */
export class WebSocketSession implements Session {
  readonly transport = "websocket";
  private readonly socket: WebSocket;
  /** By a clock that nobody sets: after a correction of the other one a dead session would be taken for one that has just answered. */
  private sentAt: number;
  private receivedAt: number;
  private beat: ReturnType<typeof setTimeout> | undefined;
  private heartbeat = HEARTBEAT_MS;
  private bye: Closed | undefined;
  private ended = false;
  /** What was said since anything came last. */
  private unanswered: { characters: number } | undefined;

  /** Connects to the server at `base` and says `first` (a `hello` or `resume`). Throws where there is no WebSocket. */
  constructor(
    environment: Environment,
    base: string,
    first: ClientFrame,
    private readonly reader: Reader,
  ) {
    if (environment.WebSocket === undefined) throw new Error("there is no WebSocket here");
    this.socket = new environment.WebSocket(addressOf(base));
    this.sentAt = this.receivedAt = performance.now();
    this.socket.onopen = () => this.send(first);
    this.socket.onmessage = (event: MessageEvent) => this.receive(event.data);
    this.socket.onclose = (event: CloseEvent) => this.closedBy(event);
    // `close` follows, and says as much as a browser tells.
    this.socket.onerror = () => undefined;
    this.schedule();
  }

  send(frame: ClientFrame): void {
    if (this.ended || this.socket.readyState !== 1) return;
    this.sentAt = performance.now();
    const text = JSON.stringify(frame);
    if (this.unanswered === undefined) {
      const unanswered = { characters: 0 };
      this.unanswered = unanswered;
      setTimeout(() => {
        if (this.unanswered === unanswered) this.doubt();
      }, DOUBT_MS);
    }
    this.unanswered.characters += text.length;
    this.socket.send(text);
  }

  close(): void {
    this.ended = true;
    clearTimeout(this.beat);
    this.socket.close(1000);
  }

  /** The network or the server may be gone: a session that does not answer soon is broken. */
  doubt(): void {
    if (this.ended) return;
    const asked = performance.now();
    this.send({ type: "ping" });
    const onItsWay = ((this.unanswered?.characters ?? 0) / SLOWEST) * 1_000;
    setTimeout(() => {
      if (!this.ended && this.receivedAt < asked) this.broken("the server does not answer any more");
    }, DOUBT_MS + onItsWay);
  }

  private receive(data: unknown): void {
    if (this.ended || typeof data !== "string") return;
    this.receivedAt = performance.now();
    this.unanswered = undefined;
    let frame: ServerFrame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame.type === "welcome") this.heartbeat = Math.min(Math.max(frame.heartbeat_ms, 1_000), 600_000);
    if (frame.type === "bye") this.bye = { code: frame.code, message: frame.message };
    this.reader.frame(frame);
  }

  private closedBy(event: CloseEvent): void {
    if (this.ended) return;
    this.end(
      this.bye ??
        (event.code >= 4_000 || event.code === 1_001 ? { code: event.code, message: event.reason } : { message: "the connection broke" }),
    );
  }

  private broken(message: string): void {
    this.socket.close();
    this.end({ message, silent: true });
  }

  private end(closed: Closed): void {
    this.ended = true;
    clearTimeout(this.beat);
    this.reader.closed(closed);
  }

  /** Says something at least every heartbeat, and notices a session that is dead. */
  private schedule(): void {
    this.beat = setTimeout(() => {
      const now = performance.now();
      if (now - this.receivedAt > 2 * this.heartbeat + DOUBT_MS) return this.broken("the server is silent");
      if (now - this.sentAt >= this.heartbeat / 2) this.send({ type: "ping" });
      this.schedule();
    }, this.heartbeat / 2);
  }
}

/** Does a WebSocket get through to the server at `base`? */
export function probe(environment: Environment, base: string): Promise<boolean> {
  const { WebSocket } = environment;
  if (WebSocket === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = new WebSocket(addressOf(base));
    const timer = setTimeout(() => end(false), CONNECT_MS);
    const end = (through: boolean) => {
      clearTimeout(timer);
      resolve(through);
      socket.close();
    };
    socket.onopen = () => end(true);
    socket.onclose = () => end(false);
    socket.onerror = () => end(false);
  });
}
