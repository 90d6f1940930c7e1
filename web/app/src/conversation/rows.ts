import type { Item, Message, Notice, Seq } from '@banter/client';
import { dayNumber } from '../text/time.ts';

/** A line of a conversation as it is drawn. `key` is unique and stays, so that a row is moved and not made anew. */
export type Row =
  | { readonly kind: 'day'; readonly key: string; readonly at: number }
  | { readonly kind: 'unread'; readonly key: string }
  | { readonly kind: 'notice'; readonly key: string; readonly notice: Notice }
  | MessageRow;

export interface MessageRow {
  readonly kind: 'message';
  readonly key: string;
  readonly message: Message;
  /** First and last of a run by one sender: the first shows who, the last has the bubble's tail. */
  readonly first: boolean;
  readonly last: boolean;
}

/** Messages of one sender that are no further apart stand together. */
export const RUN_MS = 5 * 60_000;

function together(a: Item | undefined, b: Item | undefined): boolean {
  return (
    a?.kind === 'message' &&
    b?.kind === 'message' &&
    a.sender === b.sender &&
    Math.abs(b.at - a.at) <= RUN_MS &&
    dayNumber(a.at) === dayNumber(b.at)
  );
}

/**
 * The rows of `items`: a separator before each day, the line before the first unread message, and runs. Rows that are as they were in
 * `before` are the same objects, so that only what changed is drawn.
 */
export function rowsOf(items: readonly Item[], firstUnread: Seq | undefined, before: ReadonlyMap<string, Row> = new Map()): Row[] {
  const rows: Row[] = [];
  const push = (row: Row) => {
    const known = before.get(row.key);
    rows.push(known && same(known, row) ? known : row);
  };
  // The line stands before one item only, also when the unread message itself is not shown (before what follows it).
  const unreadAt = firstUnread === undefined ? -1 : items.findIndex(({ seq }) => seq !== undefined && seq >= firstUnread);
  // Days only go on: what failed yesterday still stands at the end, and the clock of this device may be wrong. None of them comes twice.
  let day = Number.NEGATIVE_INFINITY;
  items.forEach((item, index) => {
    const previous = items[index - 1];
    const next = items[index + 1];
    // The first item shown has its day above it wherever the stretch begins.
    if (dayNumber(item.at) > day) {
      day = dayNumber(item.at);
      push({ kind: 'day', key: `day ${day}`, at: item.at });
    }
    if (index === unreadAt) push({ kind: 'unread', key: 'unread' });
    if (item.kind === 'notice') push({ kind: 'notice', key: item.key, notice: item });
    else {
      push({
        kind: 'message',
        key: item.key,
        message: item,
        first: index === unreadAt || !together(previous, item),
        last: index + 1 === unreadAt || !together(item, next),
      });
    }
  });
  return rows;
}

function same(a: Row, b: Row): boolean {
  if (a.kind === 'message' && b.kind === 'message') return a.message === b.message && a.first === b.first && a.last === b.last;
  if (a.kind === 'notice' && b.kind === 'notice') return a.notice === b.notice;
  if (a.kind === 'day' && b.kind === 'day') return dayNumber(a.at) === dayNumber(b.at);
  return a.kind === b.kind;
}
