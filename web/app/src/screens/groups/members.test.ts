import type { Member, Role } from '@banter/client';
import { expect, test } from 'vitest';
import { byRole } from './members.ts';

const member = (user: string, role: Role): Member => ({ user, role, mayRemove: false, mayBecome: [] });

test('the owner, then admins, then the rest, each by name', () => {
  const names: Record<string, string> = { '1': 'Zoë', '2': 'Émile', '3': 'bob', '4': 'Ada', '5': 'Carl' };
  const given = [member('1', 'member'), member('2', 'member'), member('3', 'admin'), member('4', 'admin'), member('5', 'owner')];
  expect(byRole(given, (user) => names[user] ?? '').map(({ user }) => user)).toEqual(['5', '4', '3', '2', '1']);
  expect(given[0]?.user, 'what was given is not changed').toBe('1');
});
