import type { Observable } from '@banter/client';
import { createSubscriber } from 'svelte/reactivity';

const views = new WeakMap<Observable<unknown>, { readonly current: unknown }>();

/**
 * What the client observes, as a rune: reading `current` where Svelte draws or derives subscribes for as long as it is shown, and draws
 * anew with each value. The same observable gives the same view.
 */
export function observed<T>(observable: Observable<T>): { readonly current: T } {
  const known = views.get(observable) as { readonly current: T } | undefined;
  if (known) return known;
  const subscribe = createSubscriber((update) => {
    // The first call comes at once with the value that is read anyway.
    let first = true;
    const end = observable.subscribe(() => {
      if (!first) update();
    });
    first = false;
    return end;
  });
  const view = {
    get current(): T {
      subscribe();
      return observable.value;
    },
  };
  views.set(observable, view);
  return view;
}
