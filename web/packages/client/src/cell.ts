import type { Observable, Unsubscribe } from "./api.js";

/** An {@link Observable} with a way to change it. Whoever subscribes is called in order of subscription. */
export class Cell<T> implements Observable<T> {
  private readonly subscribers = new Set<{ run: (value: T) => void }>();

  /** `watched` is told when the first subscriber comes and when the last one goes. */
  constructor(
    private current: T,
    private readonly watched?: (watched: boolean) => void,
  ) {}

  get value(): T {
    return this.current;
  }

  /** Changes the value; the same one again tells nobody. */
  set(value: T): void {
    if (Object.is(value, this.current)) return;
    this.current = value;
    for (const subscriber of [...this.subscribers]) if (this.subscribers.has(subscriber)) report(() => subscriber.run(value));
  }

  subscribe(run: (value: T) => void): Unsubscribe {
    // An object of its own: the same function may subscribe twice.
    const subscriber = { run };
    this.subscribers.add(subscriber);
    if (this.subscribers.size === 1) this.watched?.(true);
    report(() => run(this.current));
    return () => {
      if (this.subscribers.delete(subscriber) && this.subscribers.size === 0) this.watched?.(false);
    };
  }
}

/** What an application throws is its own: it is reported as uncaught and does not stop the client. */
export function report(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
