/** From what is stored of a conversation to what an application shows of it. */
import type { Conversation, Draft, LastMessage, Member, MessageStatus, Permissions, Role } from "../api.js";
import { isDirect, peerOf } from "../model/conversation_id.js";
import { isAtLeast, mayRemove } from "../model/roster.js";
import { firstCharacters } from "../model/text.js";
import { PREVIEW_CHARACTERS, roleNeeded, type UserId } from "../protocol/index.js";
import type { StoredConversation } from "../sync/state.js";
import type { Written } from "./written.js";

/** What a conversation is shown from. */
export interface Parts {
  readonly me: UserId;
  readonly stored: StoredConversation;
  readonly typing: readonly UserId[];
  readonly draft: Draft | undefined;
  readonly written: readonly Written[];
}

const ROLES: readonly Role[] = ["member", "admin", "owner"];

/** How far an own message at `seq` has come. */
export function statusOf(me: UserId, stored: StoredConversation, seq: number): MessageStatus {
  const peer = peerOf(stored.id, me);
  const others = peer === undefined ? stored.roster.members.map((member) => member.user).filter((user) => user !== me) : [peer];
  const reached = (how: "read" | "delivered") => others.length > 0 && others.every((user) => (stored.reach[user]?.[how] ?? 0) >= seq);
  return reached("read") ? "read" : reached("delivered") ? "delivered" : "sent";
}

/** The conversation as it stands. */
export function conversationOf({ me, stored, typing, draft, written }: Parts): Conversation {
  const direct = isDirect(stored.id);
  const peer = peerOf(stored.id, me);
  const role = stored.roster.members.find((member) => member.user === me)?.role;
  const may = permissions(direct, stored.member, role);
  const members: Member[] = stored.roster.members.map((member) => ({
    user: member.user,
    role: member.role,
    mayRemove: stored.member && member.user !== me && mayRemove(role, member.role),
    mayBecome: may.changeRoles && member.user !== me ? ROLES.filter((one) => one !== member.role) : [],
  }));
  const lastMessage = lastMessageOf(me, stored, written);
  const lastWritten = written.findLast((one) => one.refusal === undefined);
  return {
    id: stored.id,
    kind: direct ? "direct" : "group",
    ...(peer === undefined ? {} : { peer }),
    title: stored.roster.title,
    members,
    earlierHistory: stored.roster.earlier_history,
    member: stored.member,
    ...(role === undefined ? {} : { role }),
    may,
    headSeq: stored.reaches,
    firstSeq: stored.first_seq,
    // One that holds nothing but a draft stands where that was begun.
    activityAt: Math.max(stored.at, lastWritten?.at ?? 0) || (draft?.at ?? 0),
    ...(lastMessage === undefined ? {} : { lastMessage }),
    unread: Math.max(0, stored.head.ordinal - stored.read.ordinal),
    mentions: stored.mentions,
    readSeq: stored.read.seq,
    peerRead: peer === undefined ? 0 : (stored.reach[peer]?.read ?? 0),
    peerDelivered: peer === undefined ? 0 : (stored.reach[peer]?.delivered ?? 0),
    typing,
    ...(draft === undefined ? {} : { draft }),
    sending: written.filter((one) => one.frame.type === "send" && one.refusal === undefined).length,
    failed: written.filter((one) => one.frame.type === "send" && one.refusal !== undefined).length,
  };
}

function permissions(direct: boolean, member: boolean, role: Role | undefined): Permissions {
  const group = (needs: Role) => !direct && member && isAtLeast(role, needs);
  return {
    write: member,
    rename: group(roleNeeded.setTitle),
    addMembers: group(roleNeeded.addMembers),
    changeRoles: group(roleNeeded.setRole),
    setEarlierHistory: group(roleNeeded.setEarlierHistory),
    leave: group(roleNeeded.leave),
    redactOthers: group("admin"),
  };
}

function lastMessageOf(me: UserId, stored: StoredConversation, written: readonly Written[]): LastMessage | undefined {
  const waiting = written.findLast((one) => one.frame.type === "send" && one.refusal === undefined);
  if (waiting?.frame.type === "send") {
    const text = firstCharacters(waiting.frame.text, PREVIEW_CHARACTERS);
    return { sender: me, at: waiting.at, text, redacted: false, status: "sending" };
  }
  const { preview } = stored;
  if (preview === null) return undefined;
  const { seq, sender, at, text, redacted } = preview;
  return { seq, sender, at, text, redacted, ...(sender === me ? { status: statusOf(me, stored, seq) } : {}) };
}
