/** Conversations as they stand in the list. */
import type { ConversationId, Millis, Role, Seq, UserId } from "./basics.js";
import type { MessageStatus } from "./message.js";

/** A conversation as it stands in the list. */
export interface Conversation {
  readonly id: ConversationId;
  readonly kind: "direct" | "group";
  /** Whom a direct conversation is with. Their name comes from {@link Client.profile}. */
  readonly peer?: UserId;
  /** A group's title; empty for a direct conversation. */
  readonly title: string;
  /** A group's members, in order of their ids; empty for a direct conversation. */
  readonly members: readonly Member[];
  /** Do newcomers to the group see what was said before them? */
  readonly earlierHistory: boolean;
  /** Is the user a member (still)? Who is out reads what they may see, and writes nothing. */
  readonly member: boolean;
  /** The user's role in a group. */
  readonly role?: Role;
  /** What the user may do here. */
  readonly may: Permissions;
  /** The last event that is known of. 0 in a conversation that has none yet. */
  readonly headSeq: Seq;
  /** The first event that the user may see. */
  readonly firstSeq: Seq;
  /** When the last thing happened, a message of one's own that waits to be sent included. The list is in this order, the latest first. */
  readonly activityAt: Millis;
  /** The last message, one's own that waits to be sent included. */
  readonly lastMessage?: LastMessage;
  /** Messages that the user has not read. */
  readonly unread: number;
  /** Unread messages that mention the user. */
  readonly mentions: number;
  /** The user has read up to here: the "new messages" line comes after it. */
  readonly readSeq: Seq;
  /** How far the other one of a direct conversation has got. 0 when unknown. */
  readonly peerRead: Seq;
  readonly peerDelivered: Seq;
  /** Who is typing now, without the user. */
  readonly typing: readonly UserId[];
  /** What the user began to write, if anything. */
  readonly draft?: Draft;
  /** Own messages that have no answer yet. */
  readonly sending: number;
  /** Own messages that were refused. */
  readonly failed: number;
}

/** The last message of a conversation, for the list. */
export interface LastMessage {
  /** Absent while it waits to be sent. */
  readonly seq?: Seq;
  readonly sender: UserId;
  readonly at: Millis;
  /** The beginning of its text, at most 200 characters; empty when redacted. */
  readonly text: string;
  readonly redacted: boolean;
  /** For one's own: how far it has come. */
  readonly status?: MessageStatus;
}

/** A member of a group. */
export interface Member {
  readonly user: UserId;
  readonly role: Role;
  /** May the user put this one out? */
  readonly mayRemove: boolean;
  /** Roles that the user may give this one, other than theirs. */
  readonly mayBecome: readonly Role[];
}

/** What the user may do in a conversation. The server decides; this is for showing what will work. */
export interface Permissions {
  readonly write: boolean;
  readonly rename: boolean;
  readonly addMembers: boolean;
  readonly changeRoles: boolean;
  readonly setEarlierHistory: boolean;
  readonly leave: boolean;
  /** Delete the messages of others for everyone. One's own can always be deleted by who may write. */
  readonly redactOthers: boolean;
}

/** What the user began to write in a conversation. Kept in the browser. */
export interface Draft {
  readonly text: string;
  /** The message that it answers. */
  readonly replyTo?: Seq;
  /** The own message that it would replace. */
  readonly editing?: Seq;
  /** What was being written when the edit began, to go on with after it. */
  readonly before?: { readonly text: string; readonly replyTo?: Seq };
  readonly at: Millis;
}

/** Totals over all conversations, for a badge. */
export interface Unread {
  /** Conversations with unread messages. */
  readonly conversations: number;
  readonly messages: number;
  readonly mentions: number;
}
