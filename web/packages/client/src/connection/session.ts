/** A session: the same over WebSocket and long polling. */
import type { ClientFrame, ServerFrame } from "../protocol/index.js";
import { closeCode } from "../protocol/index.js";

/** Making a connection, `welcome` included, takes at most this long, in milliseconds. */
export const CONNECT_MS = 15_000;

/** Why a session ended. */
export interface Closed {
  /** The server's close code; absent when the connection broke. */
  readonly code?: number;
  /** What is known of the reason. */
  readonly message: string;
  /** Did the server fall silent? It may hang, and so would the next session with it. */
  readonly silent?: boolean;
}

/** Who takes what a session brings. */
export interface Reader {
  frame(frame: ServerFrame): void;
  closed(closed: Closed): void;
}

/** A live connection of the device. */
export interface Session {
  readonly transport: "websocket" | "polling";
  /** Sends a frame, in order. What cannot be sent any more is lost: the engine sends it again in the next session. */
  send(frame: ClientFrame): void;
  /** Ends the session in good order; `closed` is not called. */
  close(): void;
}

/** Was the device logged out? */
export function isSignedOut(closed: Closed): boolean {
  return closed.code === closeCode.signedOut;
}

/** Keeps frames until the reader that is to have them is there: `welcome` goes to who dials, what follows to who uses the session. */
export class Inbox implements Reader {
  private readonly waiting: ServerFrame[] = [];
  private end: Closed | undefined;
  private reader: Reader | undefined;

  frame(frame: ServerFrame): void {
    if (this.reader !== undefined) this.reader.frame(frame);
    else this.waiting.push(frame);
  }

  closed(closed: Closed): void {
    if (this.end !== undefined) return;
    this.end = closed;
    this.reader?.closed(closed);
  }

  /** From here on `reader` gets everything, first what waits. */
  read(reader: Reader | undefined): void {
    this.reader = reader;
    if (reader === undefined) return;
    while (this.reader === reader && this.waiting.length > 0) reader.frame(this.waiting.shift() as ServerFrame);
    if (this.reader === reader && this.end !== undefined) reader.closed(this.end);
  }
}
