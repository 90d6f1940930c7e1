/** How a client is opened. */
import type { Millis } from "./basics.js";

/** How to open a {@link Client}. */
export interface ClientOptions {
  /** Where the server is, as `https://chat.example.org`. The page's own origin when absent. */
  readonly server?: string;
  /** Name of the IndexedDB database; two clients with one name in one browser are one device. `banter` when absent. */
  readonly database?: string;
  /** What to use of the surroundings instead of the globals, for tests and for Node. */
  readonly environment?: Partial<Environment>;
}

/** What the client needs of its surroundings. Each defaults to the global of that name. IndexedDB is always the global one. */
export interface Environment {
  readonly fetch: typeof fetch;
  /** `undefined` forbids WebSocket: long polling is used. */
  readonly WebSocket: (new (url: string) => WebSocket) | undefined;
  /** For several tabs on one device. Without it, this client acts as the only one. */
  readonly locks: Pick<LockManager, "request"> | undefined;
  /** For several tabs on one device. */
  readonly BroadcastChannel: typeof BroadcastChannel | undefined;
  /** Says `online` and `offline`, where the browser does. */
  readonly network: { readonly onLine: boolean; readonly events: EventTarget } | undefined;
  /** The wall clock. */
  readonly now: () => Millis;
  /** A number from 0 up to 1, for waits with jitter. */
  readonly random: () => number;
}
