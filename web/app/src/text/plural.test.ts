import { describe, expect, it } from 'vitest';
import { ar } from './ar/index.ts';
import { en } from './en/index.ts';
import { fill } from './plural.ts';

const english = [new Intl.PluralRules('en'), new Intl.NumberFormat('en')] as const;
const arabic = [new Intl.PluralRules('ar'), new Intl.NumberFormat('ar')] as const;

describe('fill', () => {
  it('takes the form that the count asks for', () => {
    const text = { one: '{count} message', other: '{count} messages' };
    expect(fill(text, { count: 1 }, ...english)).toBe('1 message');
    expect(fill(text, { count: 1200 }, ...english)).toBe('1,200 messages');
  });

  it('knows the six forms of Arabic and falls back to the last', () => {
    const text = { zero: 'z', one: 'o', two: 't', few: 'f', many: 'm', other: 'x' };
    expect([0, 1, 2, 3, 11, 100].map((count) => fill(text, { count }, ...arabic)).join('')).toBe('zotfmx');
    expect(fill({ other: 'x' }, { count: 2 }, ...arabic)).toBe('x');
  });

  it('leaves what it has no value for, and never fills a value again', () => {
    expect(fill('{a} {b}', { a: '{b}' }, ...english)).toBe('{b} {b}');
  });
});

describe('the languages', () => {
  it('have the same texts', () => {
    expect(Object.keys(ar).sort()).toEqual(Object.keys(en).sort());
  });

  it('use the same parameters in each text', () => {
    const names = (text: unknown) => new Set([...JSON.stringify(text).matchAll(/\{(\w+)\}/g)].map((match) => match[1]));
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      const missing = [...names(en[key])].filter((name) => name !== 'count' && !names(ar[key]).has(name));
      expect(missing, key).toEqual([]);
    }
  });
});
