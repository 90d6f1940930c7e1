import { expect, test } from './fixtures.ts';

test('100,000 characters arrive whole, are folded, and do not hold up the one who types', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  const long = 'All work and no play. '.repeat(5_000).slice(0, 99_990) + '0123456789';
  expect([...long].length).toBe(100_000);
  await ada.write(long);
  await bob.open('Ada');
  const message = bob.message('All work and no play.');
  await expect(message.getByRole('button', { name: 'Show all (100,000 characters)' })).toBeVisible();
  expect((await message.locator('.text').textContent())!.length, 'folded').toBeLessThan(10_000);
  await message.getByRole('button', { name: /Show all/ }).click();
  await expect(message.locator('.text')).toHaveText(long);

  // Typing goes on beside it: each key is drawn before the next second.
  await bob.composer.pressSequentially('I have read it', { delay: 10 });
  await expect(bob.composer).toHaveValue('I have read it');

  await message.getByRole('button', { name: 'Show less' }).click();
  await expect(message.getByRole('button', { name: /Show all/ })).toBeVisible();
});

test('one character more is not sent, and it is said how many are too many', async ({ person }) => {
  const ada = await person('Ada');
  await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  // Each is one character, and two of JavaScript's units.
  await ada.composer.fill('😀'.repeat(100_001));
  await expect(ada.page.getByText('1 character too many')).toBeVisible();
  await expect(ada.page.getByRole('button', { name: 'Send', exact: true })).toBeDisabled();
});
