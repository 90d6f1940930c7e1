import { describe, expect, it } from 'vitest';
import { colourOf, initials } from './initials.ts';

describe('initials', () => {
  it('are of the first and the last word', () => {
    expect(initials('Ada King Lovelace')).toBe('AL');
    expect(initials('  grace ')).toBe('G');
    expect(initials('')).toBe('');
  });
  it('keep a grapheme whole', () => {
    expect(initials('👩‍👩‍👧 Family')).toBe('👩‍👩‍👧F');
    expect(initials('e\u0301va')).toBe('E\u0301');
  });
});

describe('colourOf', () => {
  it('is stable, within range, and spreads ids that follow each other', () => {
    const colours = Array.from({ length: 200 }, (_, index) => colourOf(String(7_000_000_000 + index)));
    expect(colours.every((colour) => colour >= 0 && colour < 12)).toBe(true);
    expect(new Set(colours).size).toBe(12);
    expect(colourOf('48201')).toBe(colourOf('48201'));
  });
});
