/** Who is logged in, and how the device is connected. */
import type { DeviceId, Millis, UserId } from "./basics.js";

/** Who is logged in here. */
export type Account =
  /** Nobody. `reason` is there when a login was ended from elsewhere: revoked, password changed, account deleted. */
  | { readonly state: "signed_out"; readonly reason?: SignedOutReason }
  | { readonly state: "signed_in"; readonly user: UserId; readonly device: DeviceId; readonly handle: string };

/** Why nobody is logged in any more. */
export interface SignedOutReason {
  /** `logged_out` by oneself (in any tab), `revoked` from elsewhere, `deleted` with the account. */
  readonly kind: "logged_out" | "revoked" | "deleted";
  /** What the server said, in English. */
  readonly message: string;
}

/** A login of the user's. */
export interface Device {
  readonly device: DeviceId;
  readonly name: string;
  readonly createdAt: Millis;
  readonly usedAt: Millis;
  /** Is it this one? */
  readonly current: boolean;
}

/** How the device is connected. */
export type Connection =
  /** The browser says that there is no network. Everything stored can be read, and what is written waits. */
  | { readonly state: "offline" }
  | { readonly state: "connecting" }
  /** Tries again at `retryAt`, or at once with {@link Client.reconnect}. */
  | { readonly state: "waiting"; readonly retryAt: Millis; readonly reason: WaitingReason; readonly message: string }
  /** `synced`: everything up to the moment of connecting is here. Until then the client is catching up. */
  | { readonly state: "online"; readonly transport: "websocket" | "polling"; readonly synced: boolean }
  /** Nobody is logged in. */
  | { readonly state: "signed_out" };

/**
 * `unreachable`: no answer. `lost`: a session broke. `restarting`: the server said that it goes down. `busy`: it asked to be left alone for a while.
 * `elsewhere`: another tab has taken over, and this one cannot follow it, since the browser has no Web Locks (pages without TLS); it waits until
 * {@link Client.reconnect} takes over in turn.
 */
export type WaitingReason = "unreachable" | "lost" | "restarting" | "busy" | "elsewhere";
