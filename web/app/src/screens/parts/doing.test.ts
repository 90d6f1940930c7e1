import { expect, it } from 'vitest';
import { Doing } from './doing.svelte.ts';

it('what is done is done once at a time, and says why it failed until it is tried again', async () => {
  const doing = new Doing();
  let count = 0;
  let fail: (error: Error) => void = () => undefined;
  const first = doing.run(
    () => new Promise((_, reject) => (fail = reject)),
    (error) => `no: ${(error as Error).message}`,
  );
  expect(doing.busy).toBe(true);
  expect(await doing.run(async () => (count += 1))).toBe(false);
  fail(new Error('full'));
  expect([await first, doing.busy, doing.wrong, count]).toEqual([false, false, 'no: full', 0]);
  expect(await doing.run(async () => (count += 1))).toBe(true);
  expect([doing.busy, doing.wrong, count]).toEqual([false, undefined, 1]);
});
