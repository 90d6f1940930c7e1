import { tick } from 'svelte';
import { isComposing } from './input_method.ts';
import { router, toConversation } from './router.svelte.ts';
import { app } from './state/app.svelte.ts';

/** Keys that work anywhere. Those of one message stand in `conversation/`. */
class Shortcuts {
  /** Is the help sheet open? */
  help = $state(false);

  press(event: KeyboardEvent): void {
    if (event.defaultPrevented || isComposing(event)) return;
    const writing = event.target instanceof HTMLElement && event.target.matches('input, textarea, select, [contenteditable]');
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === 'k') this.#take(event, () => focusFind());
    else if (event.altKey && !command && event.key === 'ArrowDown') this.#take(event, () => this.#step(1));
    else if (event.altKey && !command && event.key === 'ArrowUp') this.#take(event, () => this.#step(-1));
    else if (command && event.key === ',') this.#take(event, () => router.go('#/settings'));
    else if (event.key === 'Escape' && router.route.at !== 'list') this.#take(event, () => void this.#leave());
    else if (writing || command || event.altKey) return;
    else if (event.key === '?') this.#take(event, () => (this.help = true));
    else if (event.key === '/') this.#take(event, () => focusFind());
    else if (event.key === 'n') this.#take(event, () => router.go('#/people'));
  }

  #take(event: KeyboardEvent, run: () => void): void {
    event.preventDefault();
    run();
  }

  /** Back to the list, to the conversation that was shown. */
  async #leave(): Promise<void> {
    const link = location.hash;
    router.go('#/');
    await tick();
    const row =
      document.querySelector<HTMLElement>(`[data-conversations] a[href="${CSS.escape(link)}"]`) ??
      document.querySelector<HTMLElement>('[data-conversations] a');
    row?.focus();
  }

  /** To the conversation after or before the one shown, in the order of the list. */
  #step(by: 1 | -1): void {
    const all = app.conversations;
    const route = router.route;
    const here = route.at === 'conversation' ? all.findIndex(({ id }) => id === route.id) : by > 0 ? -1 : all.length;
    const next = all[here + by];
    if (next) router.go(toConversation(next.id));
  }
}

function focusFind(): void {
  document.querySelector<HTMLInputElement>('[data-find]')?.focus();
}

export const shortcuts = new Shortcuts();
