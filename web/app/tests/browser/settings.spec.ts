import { expect, PASSWORD, test } from './fixtures.ts';

test('the profile is changed, and others see it', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await bob.find({ handle: 'ada', name: 'Ada' });
  await ada.go('settings');
  await ada.page.getByRole('link', { name: /Ada/ }).first().click();
  await ada.page.getByRole('textbox', { name: 'Name' }).fill('Ada Lovelace');
  await ada.page.getByRole('textbox', { name: 'About you' }).fill('Poetical science');
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await expect(ada.page.getByRole('main').getByText('Ada Lovelace')).toBeVisible();
  await bob.page.reload();
  await bob.page.getByRole('button', { name: 'About this conversation' }).click();
  await expect(bob.page.getByText('Poetical science')).toBeVisible();
  await expect(bob.page.getByRole('heading', { name: 'Ada Lovelace' })).toBeVisible();
});

test('privacy: who sees one online, and read receipts', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await bob.find({ handle: 'ada', name: 'Ada' });
  await ada.go('settings');
  await ada.page.getByRole('radio', { name: 'Nobody' }).check();
  await expect(ada.page.getByRole('radio', { name: 'Nobody' })).toBeChecked();
  await ada.page.getByText('Show others what you have read').click();
  await ada.page.reload();
  await expect(ada.page.getByRole('radio', { name: 'Nobody' })).toBeChecked();
  await expect(ada.page.getByRole('switch', { name: /Show others/ })).not.toBeChecked();
  await bob.write('did you read this?');
  await ada.open('Bob');
  await expect(ada.message('did you read this?')).toBeVisible();
  await expect(bob.message('did you read this?')).toContainText('Delivered');
  await expect(bob.message('did you read this?')).not.toContainText('Read');
  await bob.page.reload();
  await expect(bob.page.getByRole('heading', { name: 'Ada' })).toBeVisible();
  await expect(bob.page.getByRole('main').getByText('online')).toHaveCount(0);
});

test('theme and language, kept over a reload', async ({ person }) => {
  const ada = await person('Ada');
  await ada.go('settings');
  const back = () => ada.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await back();
  await ada.page.getByRole('radio', { name: 'Dark' }).check();
  expect(await back()).not.toBe(light);
  await ada.page.getByRole('radio', { name: 'العربية' }).check();
  await expect(ada.page.locator('html')).toHaveAttribute('dir', 'rtl');
  await ada.page.reload();
  await expect(ada.page.getByRole('heading', { name: 'الإعدادات' })).toBeVisible();
  expect(await back()).not.toBe(light);
});

test('devices: another login is seen and logged out', async ({ person, server }) => {
  const ada = await person('Ada');
  const elsewhere = await server.logIn('ada', 'An old phone');
  await ada.go('settings');
  await ada.page.getByRole('link', { name: /Devices/ }).click();
  await expect(ada.page.getByText('This device')).toBeVisible();
  await ada.page.getByRole('button', { name: 'Log out An old phone' }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Log out' }).click();
  await expect(ada.page.getByText('An old phone')).toHaveCount(0);
  await expect(elsewhere.call('GET', '/v1/profile')).rejects.toThrow(/401/);
});

test('the password is changed: the old one is asked for, the new one works', async ({ person, server }) => {
  const ada = await person('Ada');
  await ada.go('settings/password');
  const now = ada.page.getByLabel('Current password');
  const next = ada.page.getByLabel('New password');
  const change = ada.page.getByRole('button', { name: 'Change password' });
  await now.fill('not the one');
  await next.fill('another good password');
  await change.click();
  await expect(ada.page.getByRole('alert')).toHaveText('This is not your password.');
  await now.fill(PASSWORD);
  await change.click();
  await expect(ada.page.getByText('The password is changed.')).toBeVisible();
  await expect(server.logIn('ada')).rejects.toThrow(/wrong_credentials/);
});

test('logged out, and in again: everything is there', async ({ person, server }) => {
  await server.signUp('bob', 'Bob');
  const ada = await person('Ada');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('to be found again');
  await expect(ada.message('to be found again')).toContainText('Sent');
  await ada.go('settings');
  await ada.page.getByRole('button', { name: 'Log out' }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Log out' }).click();
  await expect(ada.page.getByRole('button', { name: 'Log in', exact: true })).toBeVisible();
  await ada.page.getByRole('textbox', { name: 'Handle', exact: true }).fill('ada');
  await ada.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await ada.page.getByRole('button', { name: 'Log in', exact: true }).click();
  await ada.open('Bob');
  await expect(ada.message('to be found again')).toBeVisible();
});

test('the account is deleted with the password, and its handle is free', async ({ person, server }) => {
  const ada = await person('Ada');
  await ada.go('settings');
  await ada.page.getByRole('button', { name: 'Delete account' }).click();
  const dialog = ada.page.getByRole('dialog');
  await dialog.getByLabel('Your password, to confirm').fill('wrong password');
  await dialog.getByRole('button', { name: 'Delete for ever' }).click();
  await expect(dialog.getByRole('alert')).toHaveText('This is not your password.');
  await dialog.getByLabel('Your password, to confirm').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Delete for ever' }).click();
  await expect(ada.page.getByRole('textbox', { name: 'Handle', exact: true })).toBeVisible();
  await server.signUp('ada');
});
