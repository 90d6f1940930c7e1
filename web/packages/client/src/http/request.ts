/** Requests to the HTTP API. */
import type { Environment } from "../api.js";
import { ClientFailure } from "../failure.js";
import type { ErrorBody } from "../protocol/index.js";

/** A request takes at most this long, its answer included, in milliseconds. Hashing a password on a busy server takes a while. */
export const REQUEST_MS = 30_000;

/** A request. */
export interface Request {
  readonly method: string;
  /** From the server's root, with its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Asks the server at `base`. Resolves to the answer's JSON, `undefined` when there is none; fails with the server's words. */
export async function ask<T>(environment: Environment, base: string, request: Request): Promise<T> {
  const { method, path, body, token, timeout = REQUEST_MS } = request;
  const headers: Record<string, string> = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  // Not AbortSignal.any, which browsers of two years ago have not.
  const stop = new AbortController();
  const abort = () => stop.abort(request.signal?.reason);
  const timer = setTimeout(() => stop.abort(new Error("no answer in time")), timeout);
  request.signal?.addEventListener("abort", abort);
  if (request.signal?.aborted) abort();
  const { signal } = stop;
  let response: Response;
  let text: string;
  try {
    const init: RequestInit = { method, headers, signal, cache: "no-store", credentials: "omit" };
    response = await environment.fetch(base + path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
    text = await response.text();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ClientFailure("unreachable", `the server does not answer: ${message}`);
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener("abort", abort);
  }
  const answer = parse(text);
  if (response.ok) {
    if (text !== "" && answer === undefined) throw new ClientFailure("unexpected_answer", "the server's answer is no JSON");
    return answer as T;
  }
  if (isErrorBody(answer)) throw ClientFailure.answered(response.status, answer);
  // A load balancer, say: its page is of no use here.
  const code = response.status >= 500 ? "unreachable" : "unexpected_answer";
  const header = Number(response.headers.get("retry-after") ?? Number.NaN);
  const more = Number.isFinite(header) ? { status: response.status, retryAfter: header } : { status: response.status };
  throw new ClientFailure(code, `the server answered with status ${response.status}`, more);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isErrorBody(answer: unknown): answer is ErrorBody {
  const { code, message } = (answer ?? {}) as Partial<ErrorBody>;
  return typeof code === "string" && typeof message === "string";
}
