/** Ids, places, observables and errors. */
/** A 64-bit id as a decimal string. Compare ids for equality only. */
export type UserId = string;
/** One login of a user. */
export type DeviceId = string;
/** `d.<lower user>.<higher user>` or `g.<group>`. */
export type ConversationId = string;
/** An event's place in its conversation: 1, 2, 3 ... without a gap. */
export type Seq = number;
/** Milliseconds since the Unix epoch. */
export type Millis = number;
/** What a member may do: an `admin` also changes members and title, the one `owner` also makes admins. */
export type Role = "member" | "admin" | "owner";

/** Ends a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void;

/** A value that changes. */
export interface Observable<T> {
  /** The value now. */
  readonly value: T;
  /** Calls `run` at once with the value, then with each new one, until the returned function is called. */
  subscribe(run: (value: T) => void): Unsubscribe;
}

/** Why something did not work. Every promise of this package that fails, fails with one. */
export interface ClientError extends Error {
  /**
   * A stable code: the server's (`may_not_write`, `handle_taken`, `rate_limited`, ... see docs/protocol.md), a rule's that was checked before
   * sending (`text_too_long`, `invalid_handle`, ...), or one of this package: `unreachable` (no answer from the server), `unexpected_answer`,
   * `signed_out`, `not_logged_in`, `storage` (IndexedDB failed or is full), `closed` (the client was closed), `outbox_full`.
   */
  readonly code: string;
  /** The HTTP status, where the server answered. */
  readonly status?: number;
  /** Seconds to wait before trying again, where waiting helps. */
  readonly retryAfter?: number;
}

/** Why something was refused, as it is kept with what failed. */
export interface Refusal {
  /** A stable code, see {@link ClientError.code}. */
  readonly code: string;
  /** What was wrong and what is allowed, in English. */
  readonly message: string;
}
