/** What a browser has and Node 20 has not, as far as the client needs it. */
import WebSocket from "ws";
import type { Environment, Observable } from "../src/api.js";
import { type ClientOptions, openClient } from "../src/index.js";

type Held = { release(): void; reject(error: Error): void };
type Waiting = { start(): void };

/** Web Locks within one process: one holder for each name, a queue, stealing, giving up by signal. */
export class Locks {
  private readonly held = new Map<string, Held>();
  private readonly queues = new Map<string, Waiting[]>();

  readonly request = ((name: string, options: LockOptions, run: () => Promise<unknown>): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const queue = this.queues.get(name) ?? [];
      this.queues.set(name, queue);
      const start = () => {
        let isHeld = true;
        const release = () => {
          if (!isHeld) return;
          isHeld = false;
          if (this.held.get(name) === held) this.held.delete(name);
          this.queues.get(name)?.shift()?.start();
        };
        const held: Held = {
          release,
          reject: (error) => {
            isHeld = false;
            reject(error);
          },
        };
        this.held.set(name, held);
        run().then(resolve, reject).finally(release);
      };
      if (options.steal) {
        this.held.get(name)?.reject(new DOMException("stolen", "AbortError"));
        start();
      } else if (!this.held.has(name)) {
        start();
      } else {
        const waiting = { start };
        queue.push(waiting);
        options.signal?.addEventListener("abort", () => {
          const index = queue.indexOf(waiting);
          if (index >= 0) queue.splice(index, 1);
          reject(new DOMException("given up", "AbortError"));
        });
      }
    })) as LockManager["request"];
}

export const withWebSocket: Partial<Environment> = { WebSocket: WebSocket as unknown as NonNullable<Environment["WebSocket"]> };

let count = 0;

/** A browser: its own storage. Tabs of it share that and the locks. */
export class Browser {
  private readonly database: string;
  private readonly locks = new Locks();

  constructor(
    private readonly server: string,
    private readonly environment: Partial<Environment> = {},
  ) {
    count += 1;
    this.database = `browser ${process.pid} ${count}`;
  }

  tab(more: Partial<Environment> = {}): ReturnType<typeof openClient> {
    const environment = { ...withWebSocket, locks: this.locks, ...this.environment, ...more };
    const options: ClientOptions = { server: this.server, database: this.database, environment };
    return openClient(options);
  }
}

/** Waits until a value is as wanted. */
export function until<T>(observable: Observable<T>, wanted: (value: T) => boolean, what: string, ms = 20_000): Promise<T> {
  return new Promise((resolve, reject) => {
    let done = false;
    let end: (() => void) | undefined;
    const timer = setTimeout(() => {
      end?.();
      reject(new Error(`never came: ${what}; last: ${JSON.stringify(observable.value)}`));
    }, ms);
    end = observable.subscribe((value) => {
      if (done || !wanted(value)) return;
      done = true;
      clearTimeout(timer);
      queueMicrotask(() => end?.());
      resolve(value);
    });
  });
}
