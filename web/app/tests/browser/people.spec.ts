import { expect, test } from './fixtures.ts';

test('friends: asked, accepted, seen online, removed', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await ada.go('people');
  await ada.page.getByRole('searchbox').fill('bob');
  await ada.page.getByRole('searchbox').press('Enter');
  await ada.page.getByRole('button', { name: 'Add friend' }).click();
  await expect(ada.page.getByRole('region', { name: 'Asked, no answer yet' })).toContainText('Bob');

  await bob.go('people');
  await expect(bob.page.getByRole('region', { name: 'Want to be friends' })).toContainText('Ada');
  await bob.page.getByRole('button', { name: 'Accept the request of Ada' }).click();
  const friends = ada.page.getByRole('region', { name: 'Friends', exact: true });
  await expect(friends).toContainText('Bob');
  await expect(friends).toContainText('online');
  await bob.context.close();
  await expect(friends).toContainText(/last seen|offline/);

  await friends.getByRole('link').click();
  await ada.page.getByRole('button', { name: 'Remove from friends' }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Remove from friends' }).click();
  await expect(ada.page.getByRole('button', { name: 'Add friend' })).toBeVisible();
});

test('a request declined, and nobody found', async ({ person, server }) => {
  const eve = await server.signUp('eve', 'Eve');
  const ada = await person('Ada');
  await eve.call('POST', `/v1/friends/${await userOf(eve, 'ada')}`);
  await ada.go('people');
  await ada.page.getByRole('button', { name: 'Decline the request of Eve' }).click();
  await expect(ada.page.getByText('No friends yet')).toBeVisible();

  const field = ada.page.getByRole('searchbox');
  for (const [handle, answer] of [
    ['nobody_here', 'Nobody is called @nobody_here.'],
    ['ada', 'That is you.'],
    ['x', 'A handle has 3 to 32'],
  ]) {
    await field.fill(handle!);
    await field.press('Enter');
    await expect(ada.page.getByRole('alert')).toContainText(answer!);
    await expect(field).toBeFocused();
  }
});

test('who is blocked cannot write until unblocked', async ({ person }) => {
  const ada = await person('Ada');
  const bob = await person('Bob');
  await bob.find({ handle: 'ada', name: 'Ada' });
  await bob.write('hello?');
  await ada.open('Bob');
  await ada.page.getByRole('button', { name: 'About this conversation' }).click();
  await ada.page.getByRole('button', { name: 'Block', exact: true }).click();
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Block', exact: true }).click();
  await expect(ada.page.getByText('You blocked this person.')).toBeVisible();
  await bob.write('are you there?');
  await expect(bob.message('are you there?')).toContainText('Not sent: This person does not take messages from you.');
  await ada.page.getByRole('button', { name: 'Unblock Bob' }).click();
  await expect(ada.page.getByRole('button', { name: 'Message', exact: true })).toBeVisible();
  await bob.message('are you there?').getByRole('button', { name: 'Try again' }).click();
  await expect(bob.message('are you there?').last()).toContainText(/Sent|Delivered|Read/);
  await expect(bob.message('are you there?'), 'what failed gave way to it').toHaveCount(1);
});

async function userOf(who: { call: (method: string, path: string) => Promise<unknown> }, handle: string): Promise<string> {
  return ((await who.call('GET', `/v1/handles/${handle}`)) as { user: string }).user;
}
