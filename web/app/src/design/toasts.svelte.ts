export interface Toast {
  id: number;
  text: string;
  kind: 'plain' | 'bad';
}

/** Most toasts at a time: the oldest goes when there are more. */
const MOST = 3;
const SHOWN_MS = 4_000;

let next = 0;

/** Short notes that go by themselves. What must not be missed does not belong here. */
export const toasts = $state<Toast[]>([]);

export function toast(text: string, kind: Toast['kind'] = 'plain'): void {
  const id = (next += 1);
  toasts.push({ id, text, kind });
  if (toasts.length > MOST) toasts.shift();
  setTimeout(() => {
    const index = toasts.findIndex((shown) => shown.id === id);
    if (index >= 0) toasts.splice(index, 1);
  }, SHOWN_MS);
}
