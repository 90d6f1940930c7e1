import { Workbox } from 'workbox-window';

const WORKER = './service-worker.js';
/** How often a page that stays open asks whether there is a new version. */
const ASKED_EVERY_MS = 60 * 60 * 1_000;

/**
 * New versions of the app. One that was loaded waits: it takes over when the user says so, or when the app is opened anew after its last tab
 * was closed. Nobody loses what they are writing to an update.
 */
class Update {
  /** A new version is loaded and waits. */
  ready = $state(false);
  #workbox: Workbox | undefined;
  #askedAt = Date.now();

  /** Registers the service worker, where there is one: not over plain HTTP from another machine, and not while developing. */
  async start(): Promise<void> {
    if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
    const workbox = new Workbox(address());
    workbox.addEventListener('waiting', () => (this.ready = true));
    // The first worker of all takes a page that is already of its version; each after it brings another one.
    let controlled = navigator.serviceWorker.controller !== null;
    navigator.serviceWorker.addEventListener('controllerchange', () => {
      if (controlled) location.reload();
      controlled = true;
    });
    document.addEventListener('visibilitychange', () => this.#ask());
    setInterval(() => this.#ask(), ASKED_EVERY_MS);
    this.#workbox = workbox;
    await workbox.register();
  }

  /** Goes over to the version that waits: every tab of the app is loaded anew. */
  take(): void {
    this.#workbox?.messageSkipWaiting();
  }

  #ask(): void {
    if (document.visibilityState !== 'visible' || Date.now() - this.#askedAt < ASKED_EVERY_MS) return;
    this.#askedAt = Date.now();
    // Without a network it is asked again later.
    this.#workbox?.update().catch(() => undefined);
  }
}

/** The worker's address as the page's policy wants it where Trusted Types are known: from the one policy that lets addresses of scripts through. */
function address(): string {
  const policy = window.trustedTypes?.createPolicy('banter-service-worker', {
    createScriptURL(url: string) {
      if (url !== WORKER) throw new TypeError(`${url} is not the service worker`);
      return url;
    },
  });
  // Workbox and the browser take either; the types of this file know the string.
  return (policy?.createScriptURL(WORKER) as unknown as string | undefined) ?? WORKER;
}

export const update = new Update();
