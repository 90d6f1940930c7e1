import { describe, expect, it } from 'vitest';
import { folded, FOLD_LINES, FOLD_UNITS } from './folding.ts';

describe('folding', () => {
  it('leaves short texts whole', () => {
    expect(folded('hello')).toBeUndefined();
    expect(folded('x'.repeat(FOLD_UNITS))).toBeUndefined();
    expect(folded(Array(FOLD_LINES).fill('x').join('\n'))).toBeUndefined();
  });
  it('cuts between words', () => {
    const text = 'word '.repeat(20_000);
    const part = folded(text);
    expect(part).toBeDefined();
    expect(text.startsWith(part!)).toBe(true);
    expect(part!.endsWith('word')).toBe(true);
    expect(part!.length).toBeGreaterThan(1_000);
  });
  it('cuts many lines at the end of one', () => {
    const part = folded(Array.from({ length: 500 }, (_, line) => `  line ${line}`).join('\n'))!;
    expect(part.split('\n')).toHaveLength(20);
    expect(part.endsWith('line 19')).toBe(true);
  });
  it('never cuts a grapheme', () => {
    const family = '👩‍👩‍👧‍👦';
    const part = folded(family.repeat(5_000))!;
    expect(part.length % family.length).toBe(0);
    expect(folded('x' + '😀'.repeat(5_000))!.isWellFormed()).toBe(true);
  });
  it('cuts one endless word and one endless grapheme all the same', () => {
    expect(folded('x'.repeat(100_000))!.length).toBe(1_200);
    const zalgo = 'e' + '\u0301'.repeat(99_999);
    expect(folded(zalgo)!.length).toBeLessThanOrEqual(1_200);
    expect(folded(zalgo)!.length).toBeGreaterThan(0);
  });
});
