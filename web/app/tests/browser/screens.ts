import { expect, type Person } from './fixtures.ts';
import type { Scene } from './scene.ts';

/** Goes through every screen and dialog of the app, from signing up on, and calls `look` at each, when it stands still. */
export async function everyScreen(who: Person, furnish: () => Promise<Scene>, look: (screen: string) => Promise<void>): Promise<void> {
  const { page } = who;
  // The texts may be in any language: what is pressed is found by what it is.
  const form = page.locator('form');
  const main = page.locator('#content');
  const dialog = page.locator('dialog[open]');
  const button = (place: string, index: number) => page.locator(`${place} button`).nth(index);
  const close = async () => {
    await page.keyboard.press('Escape');
    await expect(dialog).toHaveCount(0);
  };
  const shown = async (screen: string) => {
    await page.evaluate(() => document.fonts.ready);
    await expect(page.locator('#content .spinner')).toHaveCount(0);
    await page.waitForTimeout(300);
    await look(screen);
  };

  await shown('sign-up');
  await form.locator('button[type=submit]').click();
  await expect(page.locator('[aria-invalid=true]').first()).toBeVisible();
  await shown('sign-up-refused');
  await who.page.locator('input[name=username]').fill(who.handle);
  await who.page.locator('input[name=name]').fill(who.name);
  await who.page.locator('input[name=password]').fill('correct horse battery');
  await form.locator('button[type=submit]').click();
  await expect(page.locator('.list')).toBeVisible();
  await shown('first-run');
  await who.go('people');
  await expect(main.locator('h2').first()).toBeVisible();
  await shown('people-none');
  await who.go('');

  const { friends, group } = await furnish();
  const rows = page.locator('.list a[href^="#/c/"]');
  await expect(rows).toHaveCount(3);
  await shown('list');

  const [mina, , , tomas] = friends;
  await who.go(`c/${group}`);
  await expect(page.locator('article[data-message]').last()).toBeVisible();
  await shown('group');
  await rows.filter({ hasText: 'Mina' }).evaluate((row) => (row as HTMLElement).click());
  await expect(page.locator('article[data-message]').filter({ hasText: 'Six is fine' })).toBeVisible();
  await shown('conversation');
  await page.locator('article[data-message]').filter({ hasText: 'clock test' }).locator('[data-bubble]').click({ button: 'right' });
  await expect(page.getByRole('menu')).toBeVisible();
  await shown('message-menu');
  await page.keyboard.press('Escape');

  await who.go('people');
  await expect(main.locator('section section')).toHaveCount(2);
  await shown('people');
  await who.go(`people/${mina!.user}`);
  await expect(main.locator('h2')).toBeVisible();
  await shown('person');
  await main.locator('.more button').last().click();
  await expect(dialog).toBeVisible();
  await shown('person-block');
  await close();
  await who.go(`people/${tomas!.user}`);
  await expect(main.locator('h2')).toContainText('Tomás');
  await shown('person-asking');

  await who.go('groups/new');
  await main.locator('input[type=checkbox]').first().check({ force: true });
  await shown('group-new');
  await who.go(`groups/${group}`);
  await expect(main.locator('li')).toHaveCount(4);
  await shown('group-info');
  await button('#content ul', 1).click();
  await expect(page.getByRole('menu')).toBeVisible();
  await shown('group-member-menu');
  await page.keyboard.press('Escape');

  await who.go('settings');
  await expect(main.locator('[role=switch]')).toBeVisible();
  await shown('settings');
  await main.locator('section section').nth(3).locator('button').nth(0).click();
  await expect(dialog).toBeVisible();
  await shown('log-out');
  await close();
  await main.locator('section section').nth(3).locator('button').nth(1).click();
  await expect(dialog).toBeVisible();
  await shown('delete-account');
  await close();
  for (const place of ['profile', 'devices', 'password']) {
    await who.go(`settings/${place}`);
    await expect(main.locator(place === 'devices' ? 'li' : 'form').first()).toBeVisible();
    await shown(`settings-${place}`);
  }
  await who.go('');
  await page.keyboard.press('?');
  await expect(dialog).toBeVisible();
  await shown('shortcuts');
  await close();

  await who.go(`c/${group}`);
  await who.context.setOffline(true);
  await page.locator('textarea').fill('Written without a network');
  await page.locator('form button[type=submit]').click();
  await shown('offline');
  await who.context.setOffline(false);
}
