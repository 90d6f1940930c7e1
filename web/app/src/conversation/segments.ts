import type { Mention, UserId } from '@banter/client';
import { find } from 'linkifyjs';

/** A piece of a text as it is drawn. Texts are never HTML: each piece becomes a text node. */
export type Segment =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly href: string }
  | { readonly kind: 'mention'; readonly text: string; readonly user: UserId };

/** Only these are ever links; `javascript:` and the like stay text. */
const SCHEMES = /^(https?:\/\/|mailto:)/iu;

/** Cuts a text at its mentions and links. The pieces joined are the text. What goes beyond `text` (which may be the beginning of one) is passed over. */
export function segments(text: string, mentions: readonly Mention[]): Segment[] {
  type Span = { start: number; end: number; make: (text: string) => Segment };
  const spans: Span[] = [];
  for (const { user, start, length } of mentions) {
    spans.push({ start, end: start + length, make: (piece) => ({ kind: 'mention', text: piece, user }) });
  }
  // Without one of these there is no link, and most texts are spared the search.
  if (/[.:@]/u.test(text)) {
    for (const { isLink, start, end, href } of find(text)) {
      if (isLink && SCHEMES.test(href)) spans.push({ start, end, make: (piece) => ({ kind: 'link', text: piece, href }) });
    }
  }
  spans.sort((a, b) => a.start - b.start);

  const pieces: Segment[] = [];
  let at = 0;
  for (const { start, end, make } of spans) {
    if (start < at || end > text.length || end <= start) continue;
    if (start > at) pieces.push({ kind: 'text', text: text.slice(at, start) });
    pieces.push(make(text.slice(start, end)));
    at = end;
  }
  if (at < text.length) pieces.push({ kind: 'text', text: text.slice(at) });
  return pieces;
}

const ONLY_EMOJI = /^(?:\p{RGI_Emoji}\s?){1,3}$/v;

/** One to three emoji and nothing else: shown large. */
export function onlyEmoji(text: string): boolean {
  return text.length <= 64 && ONLY_EMOJI.test(text);
}
