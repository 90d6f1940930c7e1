import { describe, expect, it } from 'vitest';
import { href, parse, toConversation } from './router.svelte.ts';

describe('the route of a hash', () => {
  it('names conversations and their messages', () => {
    expect(parse('#/c/d.1.2')).toEqual({ at: 'conversation', id: 'd.1.2' });
    expect(parse(toConversation('g.7', 1200))).toEqual({ at: 'conversation', id: 'g.7', seq: 1200 });
    expect(parse('#/c/g.7/-1')).toEqual({ at: 'conversation', id: 'g.7' });
  });
  it('names screens with what follows', () => {
    expect(parse(href('people', 'ada/x'))).toEqual({ at: 'screen', screen: 'people', path: ['ada/x'] });
  });
  it('is the list for anything else', () => {
    for (const hash of ['', '#', '#/', '#/c', '#/nonsense', '#/%E0%A4%A']) expect(parse(hash)).toEqual({ at: 'list' });
  });
});
