import type { ClientError, Refusal } from "./api.js";
import type { ErrorBody } from "./protocol/index.js";

/** The one class of errors of this package. See {@link ClientError} for the codes. */
export class ClientFailure extends Error implements ClientError {
  override readonly name = "ClientError";
  readonly status?: number;
  readonly retryAfter?: number;

  constructor(
    readonly code: string,
    message: string,
    more: { readonly status?: number; readonly retryAfter?: number } = {},
  ) {
    super(message);
    if (more.status !== undefined) this.status = more.status;
    if (more.retryAfter !== undefined) this.retryAfter = more.retryAfter;
  }

  /** A refusal of a rule that was checked here. */
  static from(refusal: Refusal): ClientFailure {
    return new ClientFailure(refusal.code, refusal.message);
  }

  /** What the server answered. */
  static answered(status: number, body: ErrorBody): ClientFailure {
    const { code, message, retry_after } = body;
    return new ClientFailure(code, message, retry_after === undefined ? { status } : { status, retryAfter: retry_after });
  }

  /** May the same work later? */
  get isTransient(): boolean {
    if (this.code === "unreachable") return true;
    if (this.status === undefined) return false;
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** Throws the refusal, if there is one. */
export function require(refusal: Refusal | undefined): void {
  if (refusal !== undefined) throw ClientFailure.from(refusal);
}

/** Anything thrown as an error of this package. */
export function failure(error: unknown): ClientFailure {
  if (error instanceof ClientFailure) return error;
  const { code, message } = error as Partial<ClientError>;
  if (typeof code === "string" && typeof message === "string") return new ClientFailure(code, message);
  return new ClientFailure("unexpected", error instanceof Error ? error.message : String(error));
}
