import type { Profile } from '@banter/client';
import { describe, expect, it } from 'vitest';
import { complete, OFFERED, offers } from './mention_completion.ts';

const person = (handle: string, displayName: string, deleted = false): Profile => ({
  user: handle,
  displayName,
  about: '',
  deleted,
  ...(deleted ? {} : { handle }),
});
const people = [
  person('bob', 'Robert Ada'),
  person('ada', 'Ada Lovelace'),
  person('adam', 'Adam'),
  person('eve', 'Ádám Éva'),
  person('gone', 'adx', true),
];

describe('offers', () => {
  it('are handles first, then words of names', () => {
    expect(offers(people, 'ad').map(({ handle }) => handle)).toEqual(['ada', 'adam', 'bob']);
    expect(offers(people, 'LOVE').map(({ handle }) => handle)).toEqual(['ada']);
  });
  it('are everybody for a bare @, bounded, without the deleted', () => {
    expect(offers(people, '')).toHaveLength(4);
    expect(
      offers(
        Array.from({ length: 50 }, (_, index) => person(`user${index}`, 'x')),
        'u',
      ),
    ).toHaveLength(OFFERED);
  });
});

describe('completing', () => {
  it('puts the handle there and the caret behind it', () => {
    expect(complete('hi @ad', 3, 6, 'ada')).toEqual({ text: 'hi @ada ', caret: 8 });
    expect(complete('@a rest', 0, 2, 'ada')).toEqual({ text: '@ada rest', caret: 5 });
    expect(complete('@a\nrest', 0, 2, 'ada')).toEqual({ text: '@ada\nrest', caret: 5 });
  });
});
