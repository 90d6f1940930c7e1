import type { Member, Role } from '@banter/client';

const RANK: Record<Role, number> = { owner: 0, admin: 1, member: 2 };

/** Members in the order they are shown: who has more to say first, then by name. */
export function byRole(members: readonly Member[], name: (user: string) => string): Member[] {
  return members
    .map((member) => ({ member, name: name(member.user) }))
    .sort((one, other) => RANK[one.member.role] - RANK[other.member.role] || one.name.localeCompare(other.name))
    .map(({ member }) => member);
}
