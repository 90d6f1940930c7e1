/** A session over long polling. */
import type { Environment } from "../api.js";
import { wait } from "../environment.js";
import { type ClientFailure, failure } from "../failure.js";
import { isAboutToken } from "../http/api.js";
import { ask, type Request } from "../http/request.js";
import {
  type ClientFrame,
  closeCode,
  FRAME_BYTES,
  POLL_FRAMES,
  POLL_MS,
  type Poll,
  SESSIONS_PATH,
  type SessionOpened,
} from "../protocol/index.js";
import type { Closed, Reader, Session } from "./session.js";

/**
 * A request that fails is made again so often, with doubling pauses, before the session counts as broken. It stays within the minute for which the server
 * keeps a session that nobody polls.
 */
const ATTEMPTS = 5;
const PAUSE_MS = 300;
/** How much longer than the server's wait a poll may take, in milliseconds. */
const MARGIN_MS = 10_000;

/** See {@link Session}. */
export class PollingSession implements Session {
  readonly transport = "polling";
  private readonly outgoing: ClientFrame[] = [];
  private readonly stop = new AbortController();
  private posting = false;
  private ended = false;

  private constructor(
    private readonly environment: Environment,
    private readonly base: string,
    private readonly path: string,
    private readonly reader: Reader,
  ) {}

  /** Opens a session at the server at `base` with `first` (a `hello` or `resume`). */
  static async open(environment: Environment, base: string, first: ClientFrame, reader: Reader): Promise<PollingSession> {
    const opened = await ask<SessionOpened>(environment, base, { method: "POST", path: SESSIONS_PATH, body: first });
    const session = new PollingSession(environment, base, `${SESSIONS_PATH}/${opened.session}`, reader);
    // Not in this turn: whoever opens is to have the session before its frames.
    queueMicrotask(() => void session.poll(opened.cursor, opened));
    return session;
  }

  send(frame: ClientFrame): void {
    // Every poll says that the device is there.
    if (this.ended || frame.type === "ping") return;
    this.outgoing.push(frame);
    if (!this.posting) void this.post();
  }

  close(): void {
    if (this.ended) return;
    this.ended = true;
    this.stop.abort();
    // The server ends the session by itself if this does not arrive.
    ask(this.environment, this.base, { method: "DELETE", path: this.path }).catch(() => undefined);
  }

  private async poll(from: number, first: { readonly frames: Poll["frames"] }): Promise<void> {
    let cursor = from;
    let frames = first.frames;
    try {
      for (;;) {
        for (const frame of frames) {
          if (this.ended) return;
          if (frame.type === "bye") return this.end({ code: frame.code, message: frame.message });
          this.reader.frame(frame);
        }
        const path = `${this.path}/frames?after=${cursor}`;
        const answer = await this.again<Poll>({ method: "GET", path, timeout: POLL_MS + MARGIN_MS });
        ({ cursor, frames } = answer);
      }
    } catch (error) {
      this.end(closedBy(failure(error)));
    }
  }

  /** Writes what waits, one request at a time so that the order is kept. */
  private async post(): Promise<void> {
    this.posting = true;
    try {
      // What is sent in the same turn goes out together.
      await Promise.resolve();
      while (this.outgoing.length > 0 && !this.ended) {
        // Every frame may safely come twice: tags tell, and the rest only raises registers or asks.
        await this.again({ method: "POST", path: `${this.path}/frames`, body: this.outgoing.splice(0, together(this.outgoing)) });
      }
    } catch (error) {
      this.end(closedBy(failure(error)));
    } finally {
      this.posting = false;
    }
  }

  /** Makes a request again until it works, is refused, or has failed too often. */
  private async again<T>(request: Request): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask<T>(this.environment, this.base, { ...request, signal: this.stop.signal });
      } catch (thrown) {
        const error = failure(thrown);
        if (this.ended || !error.isTransient || attempt === ATTEMPTS) throw error;
        const asked = Math.min(error.retryAfter ?? 0, 10) * 1_000;
        await wait(Math.max(asked, PAUSE_MS * 2 ** (attempt - 1)));
      }
    }
  }

  private end(closed: Closed): void {
    if (this.ended) return;
    this.ended = true;
    this.stop.abort();
    this.reader.closed(closed);
  }
}

/** How many of these frames go into one post: what the server takes, in number and in bytes, and one at least. */
function together(frames: readonly ClientFrame[]): number {
  let bytes = 0;
  for (const [index, frame] of frames.slice(0, POLL_FRAMES).entries()) {
    // A UTF-16 unit has at most three bytes in UTF-8.
    bytes += 3 * JSON.stringify(frame).length + 1;
    if (index > 0 && bytes > FRAME_BYTES) return index;
  }
  return POLL_FRAMES;
}

/** The end of a session that a request brought. */
export function closedBy(error: ClientFailure): Closed {
  return isAboutToken(error) ? { code: closeCode.unauthenticated, message: error.message } : { message: error.message };
}
