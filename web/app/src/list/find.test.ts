import { describe, expect, it } from 'vitest';
import { matches } from './find.ts';

describe('finding', () => {
  it('takes beginnings of words, in any order', () => {
    expect(matches('lo ad', 'Ada Lovelace', 'ada')).toBe(true);
    expect(matches('@ada', 'Countess', 'ada')).toBe(true);
    expect(matches('velace', 'Ada Lovelace')).toBe(false);
  });
  it('passes over case and accents', () => {
    expect(matches('jose', 'José')).toBe(true);
    expect(matches('احمد', 'أحمد')).toBe(true);
  });
  it('finds everything with nothing, and nothing without a name', () => {
    expect(matches(' ', 'x')).toBe(true);
    expect(matches('x', undefined)).toBe(false);
  });
});
