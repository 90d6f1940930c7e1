/** Title and members of a group: the fold of its log. Mirrors `banter_model::fold::change_roster`. */
import type { Event, Role, Seq, UserId } from "../protocol/index.js";
import { roleNeeded } from "../protocol/index.js";
import { compareIds } from "./conversation_id.js";

/** A member of a group. */
export interface RosterMember {
  user: UserId;
  role: Role;
  /** The event that brought them in; 0 when unknown. */
  since: Seq;
}

/** Title and members of a group; empty for a direct conversation. */
export interface Roster {
  title: string;
  earlier_history: boolean;
  /** In order of their ids. */
  members: RosterMember[];
}

/** The roster before the first event. */
export function emptyRoster(): Roster {
  return { title: "", earlier_history: false, members: [] };
}

/** The roster as it is after `event`. The one given is not changed. */
export function changeRoster(roster: Roster, event: Event): Roster {
  const content = event.content;
  switch (content.kind) {
    case "group_created": {
      const created = { ...roster, title: content.title, earlier_history: content.earlier_history };
      return enter(enter(created, [event.sender], "owner", event.seq), content.members, "member", event.seq);
    }
    case "members_added":
      return enter(roster, content.members, "member", event.seq);
    case "member_removed":
      return leave(roster, content.member);
    case "member_left": {
      const rest = leave(roster, event.sender);
      return content.successor === undefined ? rest : withRole(rest, content.successor, "owner");
    }
    case "role_changed": {
      const before = content.role === "owner" ? withRole(roster, event.sender, "admin") : roster;
      return withRole(before, content.member, content.role);
    }
    case "title_changed":
      return { ...roster, title: content.title };
    case "earlier_history_changed":
      return { ...roster, earlier_history: content.earlier_history };
    default:
      return roster;
  }
}

function enter(roster: Roster, users: readonly UserId[], role: Role, since: Seq): Roster {
  const members = [...roster.members];
  for (const user of users) {
    if (!members.some((member) => member.user === user)) members.push({ user, role, since });
  }
  members.sort((a, b) => compareIds(a.user, b.user));
  return { ...roster, members };
}

function leave(roster: Roster, user: UserId): Roster {
  return { ...roster, members: roster.members.filter((member) => member.user !== user) };
}

function withRole(roster: Roster, user: UserId, role: Role): Roster {
  return { ...roster, members: roster.members.map((member) => (member.user === user ? { ...member, role } : member)) };
}

const ranks: Record<Role, number> = { member: 0, admin: 1, owner: 2 };

/** Is `has` at least `needs`? */
export function isAtLeast(has: Role | undefined, needs: Role): boolean {
  return has !== undefined && ranks[has] >= ranks[needs];
}

/** May a member with the role `has` put out one with the role `other`? One's equals cannot be put out. */
export function mayRemove(has: Role | undefined, other: Role): boolean {
  return isAtLeast(has, roleNeeded.removeMember) && isAtLeast(has, other === "member" ? "admin" : "owner") && other !== "owner";
}
