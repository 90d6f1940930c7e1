import { fileURLToPath } from 'node:url';
import { test } from './fixtures.ts';
import { furnish } from './scene.ts';
import { everyScreen } from './screens.ts';

/** Below the app's folder, not kept in the repository. */
const FOLDER = fileURLToPath(new URL('../../screenshots/', import.meta.url));
const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

for (const [name, viewport, colorScheme, language] of [
  ['desk-light', DESK, 'light', 'en'],
  ['desk-dark', DESK, 'dark', 'en'],
  ['phone-light', PHONE, 'light', 'en'],
  ['phone-dark', PHONE, 'dark', 'en'],
  ['desk-rtl', DESK, 'light', 'ar'],
  ['phone-rtl', PHONE, 'dark', 'ar'],
] as const) {
  test(name, async ({ visitor, server }) => {
    const ada = await visitor('Ada');
    await ada.page.evaluate((chosen) => localStorage.setItem('banter.language', chosen), language);
    await ada.page.reload();
    await ada.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await ada.page.setViewportSize(viewport);
    await everyScreen(
      ada,
      () => furnish(server, ada),
      async (screen) => {
        await ada.page.screenshot({ path: `${FOLDER}${name}/${screen}.png` });
      },
    );
  });
}
