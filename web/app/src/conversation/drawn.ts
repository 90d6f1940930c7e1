import type { Row } from './rows.ts';

/**
 * Which of the loaded rows are drawn: a span that slides a few rows a frame, so that neither the document nor one frame's work grows with what is
 * loaded. The span is held by the keys of its edges, since rows come and go on both sides of it.
 */
export interface Edges {
  /** The first row drawn; a screenful before the last when absent. */
  readonly first?: string;
  /** The last row drawn; absent to follow the end, where what comes is drawn as it comes. */
  readonly last?: string;
}

/** Rows `from <= index < to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Most rows drawn at a time. */
export const MOST = 150;
/** Drawn at first, and around what was jumped to. */
export const SCREENFUL = 60;
/** Drawn more in one frame. */
export const STEP = 14;

/** The span between the edges, as the rows are now. */
export function spanOf(rows: readonly Row[], edges: Edges): Span {
  const last = edges.last === undefined ? -1 : rows.findLastIndex(({ key }) => key === edges.last);
  const to = last < 0 ? rows.length : last + 1;
  const first = edges.first === undefined ? -1 : rows.findIndex(({ key }) => key === edges.first);
  let from = first < 0 || first >= to ? Math.max(0, to - SCREENFUL) : first;
  // A message's separator is drawn with it.
  while (from > 0 && separates(rows[from - 1])) from -= 1;
  return { from: Math.max(from, to - MOST), to };
}

/**
 * Is the span held where it is by its last row? One whose last row is gone (after a jump, all rows are others) would follow the end of what is
 * loaded, away from what is looked at, as more comes.
 */
export function isHeld(rows: readonly Row[], edges: Edges): boolean {
  return edges.last !== undefined && rows.some(({ key }) => key === edges.last);
}

/** The edges of a span, which stay where they are. Separators are no edges: they move when rows are put before them. */
export function edgesOf(rows: readonly Row[], { from, to }: Span): Edges {
  let first = from;
  while (first < to - 1 && separates(rows[first])) first += 1;
  const edge = rows[first];
  const last = rows[to - 1];
  return { ...(edge ? { first: edge.key } : {}), ...(last ? { last: last.key } : {}) };
}

/** A few rows more before the span, and as many fewer after it as are too many. */
export function earlier(rows: readonly Row[], { from, to }: Span): Edges {
  const start = Math.max(0, from - STEP);
  let end = Math.min(to, start + MOST);
  while (end > start + 1 && separates(rows[end - 1])) end -= 1;
  return edgesOf(rows, { from: start, to: end });
}

/** A few rows more after the span. */
export function later(rows: readonly Row[], { from, to }: Span): Edges {
  const end = fromMessage(rows, Math.min(rows.length, to + STEP));
  return edgesOf(rows, { from: Math.max(from, end - MOST), to: end });
}

/** The surroundings of one row. */
export function around(rows: readonly Row[], index: number): Edges {
  const from = Math.max(0, index - SCREENFUL / 2);
  return edgesOf(rows, { from, to: fromMessage(rows, Math.min(rows.length, index + SCREENFUL / 2)) });
}

/** An end that is no separator. */
function fromMessage(rows: readonly Row[], to: number): number {
  let end = to;
  while (end < rows.length && separates(rows[end - 1])) end += 1;
  return end;
}

function separates(row: Row | undefined): boolean {
  return row?.kind === 'day' || row?.kind === 'unread';
}
