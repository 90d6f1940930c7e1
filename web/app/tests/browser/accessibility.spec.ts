import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from '@playwright/test';
import type axe from 'axe-core';
import { expect, test } from './fixtures.ts';
import { furnish } from './scene.ts';
import { everyScreen } from './screens.ts';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds on the page as it is, with WCAG 2.2 AA and its best practices. */
async function violations(page: Page): Promise<string[]> {
  // Through the debugger: the page's own policy lets no script in.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary}`));
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [name, viewport] of [
    ['desk', { width: 1280, height: 800 }],
    ['phone', { width: 390, height: 844 }],
  ] as const) {
    test(`axe finds nothing on any screen, ${colorScheme}, ${name}`, async ({ visitor, server }) => {
      test.setTimeout(240_000);
      const ada = await visitor('Ada');
      await ada.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await ada.page.setViewportSize(viewport);
      const found: Record<string, string[]> = {};
      await everyScreen(
        ada,
        () => furnish(server, ada),
        async (screen) => {
          const here = await violations(ada.page);
          if (here.length > 0) found[screen] = here;
        },
      );
      expect(found).toEqual({});
    });
  }
}
