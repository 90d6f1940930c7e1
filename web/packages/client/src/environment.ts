import type { Environment } from "./api.js";

/** The surroundings, with the globals where nothing else is given. */
export function environmentOf(given: Partial<Environment> = {}): Environment {
  const { navigator, window } = globalThis as { navigator?: Navigator; window?: EventTarget };
  const network =
    window !== undefined && navigator !== undefined
      ? {
          get onLine() {
            return navigator.onLine;
          },
          events: window,
        }
      : undefined;
  return {
    // Called as functions of their own, which browsers refuse for methods of the window.
    fetch: (...request) => globalThis.fetch(...request),
    WebSocket: (globalThis as { WebSocket?: Environment["WebSocket"] }).WebSocket,
    locks: navigator?.locks,
    BroadcastChannel: globalThis.BroadcastChannel,
    network,
    now: () => Date.now(),
    random: () => Math.random(),
    ...given,
  };
}

/** Resolves after some milliseconds. */
export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
