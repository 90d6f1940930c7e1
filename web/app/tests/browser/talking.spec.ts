import { expect, test } from './fixtures.ts';

test('two people find each other and talk, without reading anything', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('Hello Bob!');
  await expect(bob.row('Ada')).toContainText('Hello Bob!');
  await expect(bob.row('Ada')).toContainText('1 unread message');

  await bob.open('Ada');
  await expect(bob.message('Hello Bob!')).toBeVisible();
  await expect(ada.message('Hello Bob!')).toContainText('Read');

  await bob.composer.pressSequentially('Hel', { delay: 20 });
  await expect(ada.page.getByText('typing…').filter({ visible: true }).first()).toBeVisible();
  await bob.write('Hello Ada, how are you?');
  await expect(ada.message('Hello Ada, how are you?')).toBeVisible();
});

test('what is made of a message is seen on the other side', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  for (const text of ['the first', 'the secnd', 'the third']) await ada.write(text);
  await bob.open('Ada');
  await expect(bob.message('the third')).toBeVisible();

  // An edit.
  await ada.act(ada.message('the secnd'), 'Edit');
  await ada.composer.fill('the second');
  await ada.page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(bob.message('the second')).toContainText('edited');
  await expect(bob.message('the secnd')).toHaveCount(0);

  // A reply, and the jump to what it answers.
  await bob.act(bob.message('the first'), 'Reply');
  await bob.write('an answer');
  await expect(ada.message('an answer')).toContainText('the first');

  // Deleting for everyone.
  await ada.act(ada.message('the third'), 'Delete for everyone');
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Delete for everyone' }).click();
  await expect(bob.message('This message was deleted')).toBeVisible();
  await expect(bob.message('the third')).toHaveCount(0);
  await expect(ada.message('You deleted this message')).toBeVisible();
});

test('a reaction reaches the other side, and goes again', async ({ person, isMobile }) => {
  test.skip(isMobile, 'reactions of a phone are in the menu; the picker is the same');
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  await ada.write('good news');
  await bob.open('Ada');
  const message = bob.message('good news');
  await message.hover();
  await message.getByRole('button', { name: 'React', exact: true }).click();
  await bob.page
    .getByRole('button', { name: /👍/ })
    .or(bob.page.getByRole('option', { name: /👍|thumbs up/ }))
    .first()
    .click();
  await expect(ada.message('good news')).toContainText('👍');
  await bob.message('good news').getByRole('button', { name: /👍/ }).click();
  await expect(ada.message('good news')).not.toContainText('👍');
});

test('text is text, whatever it looks like', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.find({ handle: 'bob', name: 'Bob' });
  const strange = [
    '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>',
    '    fn main() {\n        let x = 1;\n    }',
    'مرحبا Bob، كيف الحال؟ 123 abc',
    'Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢ 👩‍👩‍👧‍👦 🏳️‍🌈 é',
    'https://example.org/' + 'a'.repeat(500) + ' ' + 'w'.repeat(2_000),
  ];
  for (const text of strange) await ada.write(text);
  await bob.open('Ada');
  const texts = bob.page.locator('article[data-message] [data-bubble] .text');
  await expect(texts).toHaveCount(strange.length);
  for (const [index, text] of strange.entries()) expect(await texts.nth(index).textContent()).toContain(text.slice(0, 400).trimEnd());
  expect(await bob.page.title()).not.toContain('owned');
  const wide = await bob.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide, 'nothing is wider than the window').toBeLessThanOrEqual(0);
});
