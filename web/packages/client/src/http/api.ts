/** The API with a device's tokens, refreshed by one request at a time. Mirrors `crates/client/src/api`. */
import type { Environment } from "../api.js";
import { wait } from "../environment.js";
import { ClientFailure, failure } from "../failure.js";
import type { Tokens } from "../protocol/index.js";
import { ask, type Request } from "./request.js";

/** A token that has less than this left is refreshed before it is used, in milliseconds. */
const MARGIN_MS = 30_000;
/** The server gives the same answer again within 30 s of the first question: so often, and so far apart, it is asked. */
const ATTEMPTS = 4;
const PAUSE_MS = 1_000;
const ANSWER_MS = 6_000;

/** An API client of one device. */
export class Api {
  private refreshing: Promise<string> | undefined;
  /** The refresh token that is stored while the newer pair could not be: a full disk must not end the login. */
  private unstored: string | undefined;

  /**
   * `keep` stores new tokens before they are used: a pair that was used but not stored would be lost with the tab. `stored` says what is stored: a tab that
   * took over may have refreshed them.
   */
  constructor(
    readonly environment: Environment,
    readonly base: string,
    private tokens: Tokens,
    private readonly keep: (tokens: Tokens) => Promise<void>,
    private readonly stored: () => Promise<Tokens | undefined>,
  ) {}

  /** A token that is good for some time, refreshed if need be. */
  async accessToken(): Promise<string> {
    const { access_token, expires_at } = this.tokens;
    if (this.unstored !== undefined) await this.store(this.tokens, this.unstored);
    if (expires_at > this.environment.now() + MARGIN_MS) return access_token;
    try {
      return await this.refresh(access_token);
    } catch (error) {
      // It may still be good, or the clock here may be wrong: the server knows.
      if (failure(error).isTransient) return access_token;
      throw error;
    }
  }

  /** A token other than `stale`, which the server refused. Many may ask at once; one refreshes, for a second one would look like theft. */
  refresh(stale: string): Promise<string> {
    if (this.tokens.access_token !== stale && this.refreshing === undefined) return Promise.resolve(this.tokens.access_token);
    this.refreshing ??= this.swap().finally(() => {
      this.refreshing = undefined;
    });
    return this.refreshing;
  }

  private async swap(): Promise<string> {
    const stored = await this.stored();
    if (stored !== undefined && stored.refresh_token !== this.tokens.refresh_token && stored.refresh_token !== this.unstored) {
      this.tokens = stored;
      this.unstored = undefined;
      return stored.access_token;
    }
    const body = { refresh_token: this.tokens.refresh_token };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const tokens = await ask<Tokens>(this.environment, this.base, { method: "POST", path: "/v1/refresh", body, timeout: ANSWER_MS });
        await this.store(tokens, this.unstored ?? body.refresh_token);
        this.tokens = tokens;
        return tokens.access_token;
      } catch (thrown) {
        const error = failure(thrown);
        if (error.code === "invalid_refresh_token") throw new ClientFailure("signed_out", `the device was logged out: ${error.message}`);
        if (error.isTransient && attempt < ATTEMPTS) await wait(PAUSE_MS);
        // Not the server's word on this token: a proxy's, say, that wants a login of its own.
        else if (error.status === 401) throw new ClientFailure("unreachable", error.message);
        else throw error;
      }
    }
  }

  /** Stores a pair in place of the one with the refresh token `instead`. Where that fails, it is used all the same, and stored as soon as it can be. */
  private async store(tokens: Tokens, instead: string): Promise<void> {
    try {
      await this.keep(tokens);
      this.unstored = undefined;
    } catch (thrown) {
      // Another tab leads, and has tokens of its own.
      if (failure(thrown).code === "closed") throw thrown;
      this.unstored = instead;
    }
  }

  /** Asks with a token; once more with a new one if it has expired. */
  async ask<T>(request: Request): Promise<T> {
    let token = await this.accessToken();
    for (const last of [false, true]) {
      try {
        return await ask<T>(this.environment, this.base, { ...request, token });
      } catch (thrown) {
        const error = failure(thrown);
        if (error.status !== 401 || !isAboutToken(error)) throw error;
        if (last) throw new ClientFailure("signed_out", "the server does not know this device any more: log in again");
        token = await this.refresh(token);
      }
    }
    throw new ClientFailure("unexpected_answer", "a new token is refused");
  }

  get<T>(path: string): Promise<T> {
    return this.ask({ method: "GET", path });
  }
}

/** Is it about the access token rather than about a password? */
export function isAboutToken(error: ClientFailure): boolean {
  return error.code === "token_expired" || error.code === "unauthenticated";
}
