/** Folding of long texts: what is shown of them before somebody asks for all. */

/** A text longer than this, in UTF-16 units, or of more lines, is folded. */
export const FOLD_UNITS = 1_800;
export const FOLD_LINES = 30;
/** What a folded text is cut to; less than when it folds, so that "show all" always shows something worth it. */
const KEPT_UNITS = 1_200;
const KEPT_LINES = 20;
/** How far back a good place to cut is looked for. */
const BACK_UNITS = 120;

/** The beginning of a long text, or `undefined` where all of it is shown. Never cuts a grapheme; cuts between words where there are any. */
export function folded(text: string): string | undefined {
  const lines = lineEnds(text, FOLD_LINES);
  if (text.length <= FOLD_UNITS && lines.length < FOLD_LINES) return undefined;
  const end = Math.min(KEPT_UNITS, lines[KEPT_LINES - 1] ?? text.length);
  if (end < KEPT_UNITS) return text.slice(0, end);
  const head = text.slice(0, end);
  const space = head.search(/\s\S*$/u);
  if (space > end - BACK_UNITS) return head.slice(0, space);
  return text.slice(0, graphemeBoundary(text, end));
}

/** Where the first `most` lines end. */
function lineEnds(text: string, most: number): number[] {
  const ends: number[] = [];
  for (let at = text.indexOf('\n'); at >= 0 && ends.length < most; at = text.indexOf('\n', at + 1)) ends.push(at);
  return ends;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The last boundary between graphemes at or before `end`; `end` itself if one of them is endless. */
function graphemeBoundary(text: string, end: number): number {
  // From a place that is certainly no half of a surrogate pair.
  let from = Math.max(0, end - BACK_UNITS);
  const unit = text.charCodeAt(from);
  if (unit >= 0xdc00 && unit < 0xe000) from += 1;
  const segment = graphemes.segment(text.slice(from, end + BACK_UNITS)).containing(end - from);
  const boundary = segment === undefined ? end : from + segment.index;
  return boundary > from ? boundary : surrogateBoundary(text, end);
}

function surrogateBoundary(text: string, end: number): number {
  const unit = text.charCodeAt(end);
  return unit >= 0xdc00 && unit < 0xe000 ? end - 1 : end;
}
