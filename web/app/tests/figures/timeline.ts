import type { CDPSession, Page } from '@playwright/test';
import { rounded } from './quantiles.ts';

declare global {
  interface Window {
    jumped: { pressed?: number; shown?: number };
  }
}

/** After a jump, before it is looked again. */
const REST_MS = 700;

/** Scrolls the messages up (or down, below 0) as a wheel does, smoothly. */
export async function scrollUp(page: Page, session: CDPSession, pixels: number, speed: number): Promise<void> {
  const box = await page.locator('.scroller').boundingBox();
  if (!box) throw new Error('no messages are in sight');
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  // Gestures of a few screens, as hands make them: a single long one would end where the loaded messages end.
  const step = Math.min(Math.abs(pixels), speed);
  for (let done = 0; done < Math.abs(pixels); done += step) {
    const yDistance = Math.sign(pixels) * Math.min(step, Math.abs(pixels) - done);
    await session.send('Input.synthesizeScrollGesture', { x, y, yDistance, speed, gestureSourceType: 'mouse', preventFling: true });
  }
}

/** The place of the last message in sight, as the scrubber says it. */
export async function placeInSight(page: Page): Promise<number> {
  return Number(await page.getByRole('slider').getAttribute('aria-valuenow'));
}

/** Presses the scrubber at a part of its height; milliseconds until the message there is in sight and drawn. `stays` when it is there still a while later; `at` is the place then. */
export async function scrub(page: Page, part: number): Promise<{ seq: number; ms: number; stays: boolean; at: number }> {
  const slider = page.getByRole('slider');
  const [first, head] = [Number(await slider.getAttribute('aria-valuemin')), Number(await slider.getAttribute('aria-valuemax'))];
  const box = await page.locator('.track').boundingBox();
  if (!box) throw new Error('the conversation has no scrubber');
  const y = Math.min(Math.ceil(box.y) + Math.round(part * box.height), Math.floor(box.y + box.height) - 1);
  const seq = Math.round(first + Math.min(1, Math.max(0, (y - box.y) / box.height)) * (head - first));
  await page.mouse.move(box.x + box.width / 2, y);
  await page.evaluate((seq) => {
    const jumped: Window['jumped'] = {};
    window.jumped = jumped;
    const scroller = document.querySelector('.scroller')!.getBoundingClientRect();
    const look = () => {
      const row = document.querySelector(`[data-seq="${seq}"]`)?.getBoundingClientRect();
      if (row && row.bottom > scroller.top && row.top < scroller.bottom) requestAnimationFrame(() => (jumped.shown = performance.now()));
      else requestAnimationFrame(look);
    };
    addEventListener(
      'pointerup',
      () => {
        jumped.pressed = performance.now();
        look();
      },
      { once: true, capture: true },
    );
  }, seq);
  await page.mouse.down();
  await page.mouse.up();
  await page.waitForFunction(() => window.jumped.shown !== undefined);
  const { pressed, shown } = await page.evaluate(() => window.jumped as Required<Window['jumped']>);
  await page.waitForTimeout(REST_MS);
  const stays = await page.locator(`[data-seq="${seq}"]`).isVisible();
  return { seq, ms: rounded(shown - pressed), stays, at: await placeInSight(page) };
}
