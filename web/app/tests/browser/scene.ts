import type { Account, Person } from './fixtures.ts';
import type { Server } from './server.ts';

/** Somebody to talk to, made without a browser. */
export interface Scene {
  friends: Account[];
  /** The group `Spring release`. */
  group: string;
}

/** Gives `who` friends, a request, a group and something to have been said, as after a week of use. */
export async function furnish(server: Server, who: Person): Promise<Scene> {
  const me = await server.logIn(who.handle, 'Firefox on Linux');
  const people: [string, string, string][] = [
    ['mina', 'Mina Okafor', 'Mornings only.'],
    ['grace', 'Grace Hopper', ''],
    ['salma', 'سلمى حداد', 'بيروت'],
    ['tomas', 'Tomás Rivera', ''],
  ];
  const friends: Account[] = [];
  for (const [handle, name, about] of people) {
    const account = await server.signUp(handle, name);
    if (about) await account.call('PATCH', '/v1/profile', { about });
    friends.push(account);
  }
  const [mina, grace, salma, tomas] = friends as [Account, Account, Account, Account];
  for (const friend of [mina, grace, salma]) await server.befriend(friend, me);
  await tomas.call('POST', `/v1/friends/${me.user}`);
  const { conversation: group } = (await mina.call('POST', '/v1/groups', {
    title: 'Spring release',
    members: [me.user, grace.user, salma.user],
    earlier_history: true,
    key: 'spring',
  })) as { conversation: string };
  await mina.call('PUT', `/v1/groups/${group.slice(2)}/members/${grace.user}/role`, { role: 'admin' });

  const direct = (other: Account) => {
    const [lower, upper] = [me.user, other.user].sort((one, two) => (BigInt(one) < BigInt(two) ? -1 : 1));
    return `d.${lower}.${upper}`;
  };
  await mina.write(direct(mina), ['Did you see the build?', 'It went green on the second try 🎉']);
  await me.write(direct(mina), ['Yes! The flaky one was the clock test.', 'Shall we meet at six? https://example.org/cafe is quiet']);
  await mina.write(direct(mina), ['Six is fine. I will bring the map:\n    north of the river,\n    then left']);
  await grace.write(group, ['I have written the announcement.', `@${who.handle} can you read it, please?`]);
  await salma.write(group, ['مرحبا بالجميع، سأقرأه أنا أيضًا']);
  await salma.write(direct(salma), ['أراك غدًا']);
  return { friends, group };
}
