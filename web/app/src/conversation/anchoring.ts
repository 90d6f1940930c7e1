/**
 * Keeps what the user looks at where it is, while rows come and go above and below it. Browsers have `overflow-anchor` for it; Safari has not, and a row that
 * moves to another element is lost to it, so this is done by key.
 */

/** Rows in sight, with where they were, the topmost first. Several, since one may be gone afterwards. */
export interface Anchor {
  readonly rows: readonly { readonly key: string; readonly top: number }[];
}

const MOST = 12;

/** Takes note of the rows in sight. */
export function capture(scroller: HTMLElement): Anchor {
  const frame = scroller.getBoundingClientRect();
  const all = scroller.querySelectorAll<HTMLElement>('[data-key]');
  // The first that reaches below the top edge, by halving: rows are in order.
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (all[middle]!.getBoundingClientRect().bottom <= frame.top) low = middle + 1;
    else high = middle;
  }
  const rows: { key: string; top: number }[] = [];
  for (let index = low; index < all.length && rows.length < MOST; index += 1) {
    const row = all[index]!;
    const { top } = row.getBoundingClientRect();
    if (top >= frame.bottom) break;
    // Separators come and go with what is beside them: messages are what is looked at.
    if (row.dataset['seq'] !== undefined) rows.push({ key: row.dataset['key'] ?? '', top: top - frame.top });
  }
  return { rows };
}

/** Scrolls so that the first row of `anchor` that is still there is where it was. */
export function restore(scroller: HTMLElement, anchor: Anchor): void {
  const frame = scroller.getBoundingClientRect();
  for (const { key, top } of anchor.rows) {
    const row = scroller.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
    if (!row) continue;
    const moved = row.getBoundingClientRect().top - frame.top - top;
    if (Math.abs(moved) >= 0.5) scroller.scrollTop += moved;
    return;
  }
}
