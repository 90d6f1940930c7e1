import type { Browser, Page } from '@playwright/test';
import { expect } from '@playwright/test';
import { PASSWORD } from '../browser/server.ts';
import { median } from './quantiles.ts';

/** As long as nothing has kept the main thread for 50 ms this long, a page is taken for interactive. */
const QUIET_MS = 1_000;

/** Milliseconds from the opening of the address (or from the log-in). */
interface Opened {
  /** Absent where there was paint before. */
  'first contentful paint'?: number;
  usable: number;
  interactive: number;
}

interface Watch {
  usable?: number;
  busyUntil: number;
}
declare global {
  interface Window {
    watch: Watch;
  }
}

/** Takes note of when the page is usable: `wanted` stands in it, and a frame with it has been made. */
function watchPage(wanted: string): void {
  const watch: Watch = { busyUntil: 0 };
  window.watch = watch;
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) watch.busyUntil = Math.max(watch.busyUntil, task.startTime + task.duration);
  }).observe({ type: 'longtask', buffered: true });
  const look = () => {
    const found = document.querySelector<HTMLElement>(wanted);
    if (found?.checkVisibility() && found.getBoundingClientRect().height > 0) {
      // Within the frame after: it has been drawn.
      requestAnimationFrame(() => requestAnimationFrame(() => (watch.usable ??= performance.now())));
    } else requestAnimationFrame(look);
  };
  look();
}

/** When a page that is being watched was ready; times count from `since` on its clock. */
async function ready(page: Page, since = 0): Promise<Opened> {
  await page.waitForFunction(
    (quiet) => window.watch?.usable !== undefined && performance.now() - Math.max(window.watch.usable, window.watch.busyUntil) > quiet,
    QUIET_MS,
  );
  const [paint, usable, busy] = await page.evaluate(() => [
    performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
    window.watch.usable!,
    window.watch.busyUntil,
  ]);
  // A frame's callbacks come before it is seen.
  const seen = Math.max(usable!, paint!);
  return { 'first contentful paint': paint! - since, usable: seen - since, interactive: Math.max(seen, busy!) - since };
}

const middle = (all: Opened[]) =>
  Object.fromEntries(
    (['first contentful paint', 'usable', 'interactive'] as const)
      .filter((name) => all[0]?.[name] !== undefined)
      .map((name) => [name, median(all.map((one) => one[name] ?? 0))]),
  );

export const FORM = 'form input[name=username]';
export const ROWS = '[data-conversations] a';
export const COMPOSER = 'textarea';

/** Opens the app as a stranger, as somebody who logs in, and as somebody who comes back, each several times. */
export async function opening(browser: Browser, address: string, handle: string, conversation: string, visits: number) {
  const kinds = new Map<string, Opened[]>();
  const note = (kind: string, opened: Opened) => kinds.set(kind, [...(kinds.get(kind) ?? []), opened]);
  for (let visit = 0; visit < visits; visit += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, baseURL: address, locale: 'en-GB' });
    const visited = async (path: string, wanted: string, cached = true) => {
      const page = await context.newPage();
      await page.addInitScript(watchPage, wanted);
      if (!cached) {
        const session = await context.newCDPSession(page);
        await session.send('Network.enable');
        await session.send('Network.setCacheDisabled', { cacheDisabled: true });
        await session.send('Network.setBypassServiceWorker', { bypass: true });
      }
      await page.goto(path);
      return { page, opened: await ready(page) };
    };

    const { page, opened } = await visited('/', FORM);
    note('first visit: nothing kept, up to the sign-in', opened);
    const loggedIn = await logIn(page, handle);
    note('log-in: up to the list', loggedIn);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await page.close();

    for (const [kind, path, wanted, cached] of [
      ['next visit: up to the list', '/', ROWS, true],
      ['next visit: up to a conversation', `/#/c/${conversation}`, COMPOSER, true],
      ['next visit without cache and worker: up to the list', '/', ROWS, false],
    ] as const) {
      const { page, opened } = await visited(path, wanted, cached);
      note(kind, opened);
      await page.close();
    }
    await context.close();
  }
  return Object.fromEntries([...kinds].map(([kind, all]) => [kind, middle(all)]));
}

/** Logs in, on a page that shows the sign-up; times count from the press of the button. */
export async function logIn(page: Page, handle: string): Promise<Opened> {
  await page.getByRole('button', { name: /Already have an account/ }).click();
  await page.getByRole('textbox', { name: 'Handle', exact: true }).fill(handle);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.evaluate(watchPage, ROWS);
  const since = await page.evaluate(() => performance.now());
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  const { usable, interactive } = await ready(page, since);
  await expect(page.locator(ROWS).first()).toBeVisible();
  return { usable, interactive };
}
