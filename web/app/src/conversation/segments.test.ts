import { describe, expect, it } from 'vitest';
import { onlyEmoji, segments } from './segments.ts';

const kinds = (text: string, mentions: Parameters<typeof segments>[1] = []) =>
  segments(text, mentions)
    .map((piece) => (piece.kind === 'link' ? `<${piece.text}|${piece.href}>` : piece.kind === 'mention' ? `(${piece.text})` : piece.text))
    .join('');

describe('segments', () => {
  it('find links and addresses', () => {
    expect(kinds('see https://x.org/a?b=(c). or ada@example.org')).toBe(
      'see <https://x.org/a?b=(c)|https://x.org/a?b=(c)>. or <ada@example.org|mailto:ada@example.org>',
    );
    expect(kinds('example.com!')).toBe('<example.com|http://example.com>!');
  });
  it('make no link of what could run', () => {
    for (const text of ['javascript:alert(1)', 'data:text/html,<b>x</b>', '<img src=x onerror=alert(1)>', 'file:///etc/passwd']) {
      expect(
        segments(text, []).every(({ kind }) => kind === 'text'),
        text,
      ).toBe(true);
    }
  });
  it('cut at mentions, which win over links', () => {
    expect(
      kinds('😀 @ada and @bob', [
        { user: '1', start: 3, length: 4 },
        { user: '2', start: 12, length: 4 },
      ]),
    ).toBe('😀 (@ada) and (@bob)');
  });
  it('join to the text again, whatever the mentions say', () => {
    const text = '  code\n\thttps://a.example/x @eve ';
    for (const mentions of [
      [],
      [{ user: '1', start: 500, length: 4 }],
      [{ user: '1', start: -1, length: 4 }],
      [
        { user: '1', start: 9, length: 5 },
        { user: '2', start: 10, length: 5 },
      ],
    ]) {
      expect(
        segments(text, mentions)
          .map((piece) => piece.text)
          .join(''),
      ).toBe(text);
    }
  });
});

describe('onlyEmoji', () => {
  it('takes whole sequences', () => {
    for (const text of ['😀', '👩‍👩‍👧‍👦', '❤️', '👍🏽👍🏽', '😀 😀 😀']) expect(onlyEmoji(text), text).toBe(true);
    for (const text of ['', 'a😀', '123', '😀😀😀😀', '#']) expect(onlyEmoji(text), text).toBe(false);
  });
});
