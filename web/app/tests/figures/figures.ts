import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { expect, test } from '@playwright/test';
import { Server } from '../browser/server.ts';
import { fillDirect, fillList, direct, textOf, Writer } from './filling.ts';
import { frameTimes } from './frames.ts';
import { memory } from './memory.ts';
import { COMPOSER, logIn, opening } from './opening.ts';
import { FILE, options } from './options.ts';
import { median, rounded } from './quantiles.ts';
import { served } from './serving.ts';
import { sizes } from './sizes.ts';
import { placeInSight, scrollUp, scrub } from './timeline.ts';

/** Parts of the scrubber that are pressed, in an order that never comes near the place before. */
const PARTS = [0.5, 0.1, 0.9, 0.25, 0.75, 0, 0.6];
/** Messages that an open conversation holds before more arrive: the page is as full as it gets. */
const SAID_BEFORE = 1_000;

/** How busy the machine is, the first minute's load. */
const load = () => rounded(loadavg()[0]!);

test('figures of the web app', async ({ browser }) => {
  test.setTimeout(0);
  const figures: Record<string, unknown> = {};
  const loads: Record<string, number> = { before: load() };
  const say = (what: string, value: unknown) => {
    figures[what] = value;
    loads[what] = load();
    console.log(`\n${what}`);
    for (const line of lines(value)) console.log(line);
  };

  say('sizes, bytes', await sizes());
  const server = await Server.start();
  const app = await served(server);
  try {
    const ada = await server.signUp('ada', 'Ada Lovelace');
    const bob = await server.signUp('bob', 'Bob Martin');
    const cyd = await server.signUp('cyd', 'Cyd Charisse');
    await fillList(server, ada, cyd, options.conversations - 2);
    const long = direct(ada, bob);
    const live = direct(ada, cyd);
    const adasSession = await Writer.open(server, ada);
    await adasSession.write(numbered(live, 1, SAID_BEFORE), options.window);
    await adasSession.close();
    say('filled, messages a second', rounded(await fillDirect(server, [ada, bob], options.messages, options.window)));

    const { conversations } = (await ada.call('GET', '/v1/conversations')) as { conversations: unknown[] };
    expect(conversations.length).toBe(options.conversations);
    say('opening, ms', await opening(browser, app.address, ada.handle, live, options.visits));

    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, baseURL: app.address, locale: 'en-GB' });
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await page.goto('/');
    await logIn(page, ada.handle);

    await page.evaluate((id) => (location.hash = `#/c/${id}`), long);
    // It begins at the first unread message.
    await expect(page.locator('[data-message]').first()).toBeVisible();
    await page.waitForTimeout(500);
    await page.keyboard.press('Control+End');
    await expect(page.locator('[data-message]').filter({ hasText: `${options.messages}: ` })).toBeInViewport();
    await page.waitForTimeout(1_000);
    const before = await memory(session);
    const from = await placeInSight(page);
    const scrolling = await frameTimes(browser, page, () => scrollUp(page, session, options.scrolled_px, options.scrolled_px_per_second));
    const to = await placeInSight(page);
    say('scrolling up', { ...scrolling, 'messages passed': from - to, before, after: await memory(session) });
    expect(to).toBeLessThan(from);

    const jumps: Awaited<ReturnType<typeof scrub>>[] = [];
    const jumping = await frameTimes(browser, page, async () => {
      for (const part of PARTS) jumps.push(await scrub(page, part));
    });
    say('jumping by the scrubber', {
      'until the message is in sight, ms': Object.fromEntries(jumps.map(({ seq, ms }) => [`to ${seq}`, ms])),
      'jumps that did not stay where they led to':
        jumps
          .filter(({ stays }) => !stays)
          .map(({ seq, at }) => `${seq}: at ${at}`)
          .join(', ') || 'none',
      'median, ms': median(jumps.map(({ ms }) => ms)),
      ...jumping,
      after: await memory(session),
    });

    await page.evaluate((id) => (location.hash = `#/c/${id}`), live);
    await expect(page.locator(COMPOSER)).toBeVisible();
    await expect(page.locator('[data-message]').last()).toBeInViewport();
    await page.waitForTimeout(1_000);
    const quiet = await memory(session);
    // A login of its own: the first one's token and session are too old by now.
    const cydsSession = await Writer.open(server, await server.logIn(cyd.handle));
    const last = page.locator('[data-message]').filter({ hasText: `${SAID_BEFORE + options.received}: ` });
    let rate = 0;
    let behind = 0;
    const receiving = await frameTimes(browser, page, async () => {
      const begun = performance.now();
      await cydsSession.write(numbered(live, SAID_BEFORE + 1, options.received), options.window, options.received_per_second);
      const stored = performance.now();
      await last.waitFor({ timeout: 120_000 });
      rate = rounded(options.received / ((stored - begun) / 1_000));
      behind = rounded(performance.now() - stored);
    });
    await expect(last).toBeInViewport();
    await page.waitForTimeout(1_000);
    say('receiving in an open conversation', {
      'messages sent a second': rate,
      'from the last one stored until it is in sight, ms': behind,
      ...receiving,
      before: quiet,
      after: await memory(session),
    });
    await cydsSession.close();
    await context.close();
  } finally {
    await app.close();
    await server.remove();
  }

  const report = {
    command: 'npm run figures -w app',
    options: { ...options, 'served by': app.by, browser: `Chromium ${browser.version()}` },
    commit: execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim(),
    date: new Date().toISOString().replace(/\.\d+/, ''),
    machine: { cores: cpus().length, processor: cpus()[0]?.model ?? '', memory_bytes: totalmem(), kernel: release() },
    'load of the machine after each part, processes': loads,
    figures,
  };
  await mkdir(dirname(FILE), { recursive: true });
  await writeFile(FILE, JSON.stringify(report, undefined, 2) + '\n');
  console.log(JSON.stringify(report));
});

/** `count` messages of a conversation, from the `first` on. */
function* numbered(conversation: string, first: number, count: number): Generator<[string, string]> {
  for (let number = first; number < first + count; number += 1) yield [conversation, textOf(number)];
}

/** A value as a table: a line for each number, indented below what it belongs to. */
function lines(value: unknown, depth = 1): string[] {
  const indent = '  '.repeat(depth);
  if (typeof value !== 'object' || value === null) return [`${indent}${String(value)}`];
  return Object.entries(value).flatMap(([name, inner]) =>
    typeof inner === 'object'
      ? [`${indent}${name}`, ...lines(inner, depth + 1)]
      : [`${indent}${name.padEnd(56 - 2 * depth)}${String(inner).padStart(12)}`],
  );
}
