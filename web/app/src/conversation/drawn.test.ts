import { describe, expect, it } from 'vitest';
import { around, earlier, edgesOf, isHeld, later, MOST, SCREENFUL, spanOf, STEP, type Edges } from './drawn.ts';
import type { Row } from './rows.ts';

/** Rows of items `from` to `to`, with a day's separator before every fifth and before the first. */
function rows(from: number, to: number): Row[] {
  const made: Row[] = [];
  for (let seq = from; seq <= to; seq += 1) {
    if (seq === from || seq % 5 === 0) made.push({ kind: 'day', key: `day ${Math.floor(seq / 5)}`, at: 0 });
    made.push({ kind: 'notice', key: `m${seq}`, notice: {} as never });
  }
  return made;
}
const keys = (all: Row[], edges: Edges) => all.slice(spanOf(all, edges).from, spanOf(all, edges).to).map(({ key }) => key);

describe('what is drawn', () => {
  it('begins at the end and follows it', () => {
    const before = keys(rows(1, 500), {});
    expect(before.at(-1)).toBe('m500');
    expect(before.length).toBeGreaterThanOrEqual(SCREENFUL);
    expect(keys(rows(1, 501), {}).at(-1)).toBe('m501');
  });

  it('stays where it is when rows come before and after', () => {
    const all = rows(100, 300);
    let edges: Edges = {};
    for (let step = 0; step < 8; step += 1) edges = earlier(all, spanOf(all, edges));
    const before = keys(all, edges);
    expect(keys(rows(13, 310), edges).filter((key) => key.startsWith('m'))).toEqual(before.filter((key) => key.startsWith('m')));
  });

  it('is not held by a row that a jump took away, and stays with what was jumped to once it is held anew', () => {
    const before = edgesOf(rows(900, 1_000), spanOf(rows(900, 1_000), {}));
    const jumped = rows(100, 150);
    expect(isHeld(jumped, {})).toBe(false);
    expect(isHeld(jumped, before)).toBe(false);
    const held = edgesOf(jumped, spanOf(jumped, before));
    expect(isHeld(jumped, held)).toBe(true);
    const messages = (all: Row[]) => keys(all, held).filter((key) => key.startsWith('m'));
    expect(messages(rows(100, 300))).toEqual(messages(jumped));
  });

  it('slides to either end, bounded, a few rows at a time', () => {
    const all = rows(1, 600);
    let edges: Edges = {};
    for (let step = 0; spanOf(all, edges).from > 0; step += 1) {
      const before = spanOf(all, edges);
      edges = earlier(all, before);
      const after = spanOf(all, edges);
      expect(after.from).toBeLessThan(before.from);
      expect(before.from - after.from).toBeLessThanOrEqual(STEP + 1);
      expect(after.to - after.from).toBeLessThanOrEqual(MOST + 2);
      expect(step).toBeLessThan(200);
    }
    expect(edges.last).toBeDefined();
    for (let step = 0; spanOf(all, edges).to < all.length; step += 1) {
      const before = spanOf(all, edges);
      edges = later(all, before);
      expect(spanOf(all, edges).to).toBeGreaterThan(before.to);
      expect(spanOf(all, edges).to - spanOf(all, edges).from).toBeLessThanOrEqual(MOST);
      expect(step).toBeLessThan(200);
    }
  });

  it('does not move with the end once it has an edge there', () => {
    const edges = edgesOf(rows(1, 40), spanOf(rows(1, 40), {}));
    expect(keys(rows(1, 140), edges).at(-1)).toBe('m40');
  });

  it('has the surroundings of what was jumped to', () => {
    const all = rows(1, 400);
    const index = all.findIndex(({ key }) => key === 'm200');
    expect(keys(all, around(all, index))).toContain('m200');
    expect(keys(all, around(all, 0))).toContain('m1');
    expect(keys(all, around(all, all.length - 1))).toContain('m400');
  });

  it('falls back where its edges are gone', () => {
    const all = rows(1, 30);
    expect(keys(all, { first: 'm999', last: 'm998' }).at(-1)).toBe('m30');
    expect(keys([], { first: 'x' })).toEqual([]);
  });
});
