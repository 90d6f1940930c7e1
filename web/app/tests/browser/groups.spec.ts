import { expect, test } from './fixtures.ts';

test('a group: made, talked in, changed and left', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  const eve = await person('Eve');

  // Made of somebody found by handle.
  await ada.go('groups/new');
  await ada.page.getByRole('textbox', { name: 'Name of the group' }).fill('Sailing');
  const add = ada.page.getByRole('textbox', { name: 'Add by name or handle' });
  await add.fill('bob');
  await add.press('Enter');
  await expect(ada.page.getByText('1 person chosen')).toBeVisible();
  await ada.page.getByRole('button', { name: 'Create group' }).click();
  await expect(ada.composer).toBeVisible();
  await ada.write('Welcome aboard, @bob');
  await expect(bob.row('Sailing')).toContainText('You are mentioned');

  await bob.open('Sailing');
  await bob.write('Thanks!');
  await expect(ada.message('Thanks!')).toContainText('Bob');

  // Somebody is added later and sees nothing of what was said before.
  await ada.page.getByRole('button', { name: 'About this conversation' }).click();
  await ada.page.getByRole('button', { name: 'Add people' }).click();
  const dialog = ada.page.getByRole('dialog');
  await dialog.getByRole('textbox').fill('@eve');
  await dialog.getByRole('textbox').press('Enter');
  await dialog.getByRole('button', { name: 'Add 1 person' }).click();
  await expect(ada.page.getByText('3 members').first()).toBeVisible();
  await eve.open('Sailing');
  await expect(eve.page.getByText('Ada added you').or(eve.page.getByText(/added/)).first()).toBeVisible();
  await expect(eve.message('Welcome aboard')).toHaveCount(0);

  // Roles: Bob becomes an admin and may rename.
  await ada.page.getByRole('button', { name: 'What to do with Bob' }).click();
  await ada.page.getByRole('menuitem', { name: 'Make an admin' }).click();
  await expect(ada.page.getByText('Admin', { exact: true })).toBeVisible();
  await bob.page.getByRole('button', { name: 'About this conversation' }).click();
  await bob.page.getByRole('button', { name: 'Rename' }).click();
  await bob.page.getByRole('dialog').getByRole('textbox').fill('Sailing 2027');
  await bob.page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(eve.page.getByRole('heading', { name: 'Sailing 2027' })).toBeVisible();

  // Bob is only a member again, Eve is put out, and Ada leaves: Bob owns it then.
  await ada.page.getByRole('button', { name: 'What to do with Eve' }).click();
  await ada.page.getByRole('menuitem', { name: 'Remove from the group' }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Remove from the group' }).click();
  await expect(eve.page.getByText('You are no longer in this group. You can read what was said while you were.')).toBeVisible();
  await ada.page.getByRole('button', { name: 'Leave the group' }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Leave the group' }).click();
  await expect(ada.page.getByText('You are no longer in this group.')).toBeVisible();
  await expect(bob.page.getByText('Owner', { exact: true })).toBeVisible();
});

test('a group that shows newcomers what was said before', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.go('groups/new');
  await ada.page.getByRole('textbox', { name: 'Name of the group' }).fill('Open book');
  await ada.page.getByText('Newcomers see earlier messages').click();
  await ada.page.getByRole('button', { name: 'Create group' }).click();
  await ada.write('said before Bob came');
  await ada.page.getByRole('button', { name: 'About this conversation' }).click();
  await expect(ada.page.getByRole('switch', { name: /Newcomers/ })).toBeChecked();
  await ada.page.getByRole('button', { name: 'Add people' }).click();
  await ada.page.getByRole('dialog').getByRole('textbox').fill('bob');
  await ada.page.getByRole('dialog').getByRole('textbox').press('Enter');
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Add 1 person' }).click();
  await bob.open('Open book');
  await expect(bob.message('said before Bob came')).toBeVisible();
});

test('a name is asked for, and a group of one is fine', async ({ person }) => {
  const ada = await person('Ada');
  await ada.go('groups/new');
  await ada.page.getByRole('button', { name: 'Create group' }).click();
  const name = ada.page.getByRole('textbox', { name: 'Name of the group' });
  await expect(ada.page.getByRole('alert')).toContainText('A name has 1 to 100 characters');
  await expect(name).toBeFocused();
  await name.fill('Notes to myself');
  await ada.page.getByRole('button', { name: 'Create group' }).click();
  await ada.write('remember the milk');
  await expect(ada.message('remember the milk')).toContainText('Sent');
});
