import { describe, expect, it } from 'vitest';
import { partOf, seqAt, Times } from './scrubbing.ts';

describe('the track', () => {
  it('goes from the first to the head and back', () => {
    expect([seqAt(0, 1, 1_000_000), seqAt(1, 1, 1_000_000), seqAt(2, 1, 10), seqAt(-1, 5, 10)]).toEqual([1, 1_000_000, 10, 5]);
    for (const seq of [1, 2, 499_999, 999_999, 1_000_000]) expect(seqAt(partOf(seq, 1, 1_000_000), 1, 1_000_000)).toBe(seq);
  });
  it('is at its end where there is nothing to scrub', () => {
    expect(partOf(1, 1, 1)).toBe(1);
    expect(partOf(0, 0, 0)).toBe(1);
  });
});

describe('times', () => {
  it('are exact where known and in between elsewhere', () => {
    const times = new Times();
    expect(times.guess(5)).toBeUndefined();
    times.learn(100, 2_000);
    times.learn(1, 1_010);
    expect([times.guess(1), times.guess(100), times.guess(50), times.guess(1_000)]).toEqual([1_010, 2_000, 1_500, 2_000]);
    times.learn(50, 1_100);
    expect(times.guess(50)).toBe(1_100);
    expect(times.guess(75)).toBe(1_550);
  });
  it('never run backwards, and stay bounded', () => {
    const times = new Times();
    let seed = 7;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let index = 0; index < 2_000; index += 1) {
      const seq = Math.ceil(random() * 1_000_000);
      times.learn(seq, seq * 3);
    }
    let last = 0;
    for (let seq = 1; seq < 1_000_000; seq += 997) {
      const at = times.guess(seq)!;
      expect(at).toBeGreaterThanOrEqual(last);
      last = at;
    }
    expect(times.knows(500_000, 20_000)).toBe(true);
  });
});
