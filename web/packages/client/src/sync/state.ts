/** What a device knows of one conversation. Mirrors `state.rs`. */
import { compareIds, isDirect, peerOf } from "../model/conversation_id.js";
import { changeRoster, emptyRoster, type Roster } from "../model/roster.js";
import { firstCharacters } from "../model/text.js";
import type { ConversationId, ConversationSummary, Event, Marker, Preview, Role, UserId } from "../protocol/index.js";
import { PREVIEW_CHARACTERS } from "../protocol/index.js";
import { Outbox } from "./outbox.js";
import { Ranges } from "./ranges.js";

/** How far another member has got: registers that only grow. 0 when unknown. */
export interface Reach {
  readonly read: number;
  readonly delivered: number;
}

/** What is stored of a conversation, apart from its events and its outbox. */
export interface StoredConversation {
  readonly id: ConversationId;
  /** Every event from where the device started to follow up to here was told to the application. `null` until it is known from where to follow. */
  readonly have: number | null;
  /** Places whose events (those that the user may see) are stored. */
  readonly known: readonly (readonly [number, number])[];
  /** The last event that is known of, with the number of messages up to it. */
  readonly head: Marker;
  /** There are events up to here at least; above `head` when only their existence is known. */
  readonly reaches: number;
  /** The first event that the user may see. */
  readonly first_seq: number;
  /** When the last event happened. */
  readonly at: number;
  /** Is the user a member? */
  readonly member: boolean;
  /** That was so after this event at least. */
  readonly member_at: number;
  /** How far the user has read. */
  readonly read: Marker;
  /** Unread messages that mention the user. */
  readonly mentions: number;
  /** The last message. */
  readonly preview: Preview | null;
  /** Title and members of a group. */
  readonly roster: Roster;
  /** The roster is as it was after this event. */
  readonly roster_at: number;
  /** How far the others have got. */
  readonly reach: Readonly<Record<UserId, Reach>>;
  /** The tag of the next thing written here. */
  readonly next_tag: number;
  /** The marker that the server was told last. */
  readonly read_sent: number;
  /** The last event of others that is stored ... */
  readonly arrived: number;
  /** ... and what the server was told of it. */
  readonly delivered_sent: number;
}

/** From where a device follows a conversation that it meets for the first time: its end (what came before is history), or the first event that the user may see. */
export type Start = "head" | "first";

function maxMarker(a: Marker, b: Marker): Marker {
  return a.seq > b.seq || (a.seq === b.seq && a.ordinal >= b.ordinal) ? a : b;
}

/** A conversation as this device knows it. */
export class ConversationState {
  have: number | null = null;
  known = new Ranges();
  head: Marker = { seq: 0, ordinal: 0 };
  reaches = 0;
  firstSeq = 1;
  at = 0;
  member = true;
  memberAt = 0;
  read: Marker = { seq: 0, ordinal: 0 };
  mentions = 0;
  preview: Preview | null = null;
  roster: Roster = emptyRoster();
  rosterAt = 0;
  reach: Readonly<Record<UserId, Reach>> = {};
  nextTag = 1;
  readSent = 0;
  arrived = 0;
  deliveredSent = 0;
  readonly outbox = new Outbox();

  // What is not stored.
  /** Is a page on its way? */
  pulling = false;
  /** Is it in the queue of those to be pulled, and under which time? */
  pullQueued: number | undefined;
  /** Pulls in a row that brought nothing. */
  pullsFailed = 0;
  /** Not to be pulled before. */
  pullAfter = 0;
  /** Is it in the queue of those with something to send? */
  ready = false;
  /** Read and delivered are not sent before. */
  markersAfter = 0;
  /** When a marker was sent in this session last, if one was. */
  markersSent: number | undefined;
  /** `typing` is not sent before. */
  typingAfter = 0;

  constructor(readonly id: ConversationId) {}

  /** The conversation as it was stored. */
  static from(stored: StoredConversation): ConversationState {
    const state = new ConversationState(stored.id);
    state.have = stored.have;
    state.known = new Ranges(stored.known);
    state.head = stored.head;
    state.reaches = stored.reaches;
    state.firstSeq = stored.first_seq;
    state.at = stored.at;
    state.member = stored.member;
    state.memberAt = stored.member_at;
    state.read = stored.read;
    state.mentions = stored.mentions;
    state.preview = stored.preview;
    state.roster = stored.roster;
    state.rosterAt = stored.roster_at;
    state.reach = stored.reach;
    state.nextTag = stored.next_tag;
    state.readSent = stored.read_sent;
    state.arrived = stored.arrived;
    state.deliveredSent = stored.delivered_sent;
    return state;
  }

  /** As it is to be stored. Later changes of this object do not change what is returned. */
  toStored(): StoredConversation {
    // Markers sent lately may not have arrived, and this device may die together with the server: the next run sends them again.
    const doubtful = this.markersSent !== undefined;
    return {
      id: this.id,
      have: this.have,
      known: this.known.toJSON(),
      head: this.head,
      reaches: this.reaches,
      first_seq: this.firstSeq,
      at: this.at,
      member: this.member,
      member_at: this.memberAt,
      read: this.read,
      mentions: this.mentions,
      preview: this.preview,
      roster: this.roster,
      roster_at: this.rosterAt,
      reach: this.reach,
      next_tag: this.nextTag,
      read_sent: doubtful ? 0 : this.readSent,
      arrived: this.arrived,
      delivered_sent: doubtful ? 0 : this.deliveredSent,
    };
  }

  /** Messages that the user has not read. */
  get unread(): number {
    return Math.max(0, this.head.ordinal - this.read.ordinal);
  }

  /** The user's role in the group. */
  role(user: UserId): Role | undefined {
    return this.roster.members.find((member) => member.user === user)?.role;
  }

  /** Is everything up to the last known event stored and told? */
  get caughtUp(): boolean {
    return this.have !== null && this.have >= this.reaches;
  }

  /** Takes in what the server says of the conversation. `start` says from where to follow when that is open. */
  takeIn(me: UserId, summary: ConversationSummary, start: Start): void {
    // What was said before the user came in is history, not news.
    this.have ??= start === "head" ? summary.head_seq : Math.min(summary.joined_seq, summary.head_seq);
    this.reaches = Math.max(this.reaches, summary.head_seq);
    this.at = Math.max(this.at, summary.at);
    // An answer that was written before an event that is known already does not undo what the event did.
    if (summary.head_seq >= this.memberAt) {
      this.firstSeq = summary.first_seq;
      [this.member, this.memberAt] = [summary.member, summary.head_seq];
    }
    const read = maxMarker(summary.read, this.read);
    if (summary.head_seq >= this.head.seq) {
      const news = summary.head_seq > this.head.seq;
      this.head = { seq: summary.head_seq, ordinal: summary.head_ordinal };
      if (read.seq === summary.read.seq && read.ordinal === summary.read.ordinal) {
        this.mentions = summary.mentions;
      } else {
        // The server does not know yet how far this device has read, and counts from before: too many rather than none.
        const mentions = news ? summary.mentions : this.mentions;
        this.mentions = Math.min(mentions, Math.max(0, this.head.ordinal - read.ordinal));
      }
      this.preview = summary.preview ?? null;
    }
    this.read = read;
    this.readSent = Math.max(this.readSent, summary.read.seq);
    if (summary.group !== undefined && summary.head_seq >= this.rosterAt) {
      const since = new Map(this.roster.members.map((member) => [member.user, member.since]));
      const members = summary.group.members.map(({ user, role }) => ({ user, role, since: since.get(user) ?? 0 }));
      members.sort((a, b) => compareIds(a.user, b.user));
      this.roster = { title: summary.group.title, earlier_history: summary.group.earlier_history, members };
      this.rosterAt = summary.head_seq;
    } else if (summary.member && !isDirect(this.id)) {
      // Nobody came or went since the point that this device asked from, at which it knew them.
      this.rosterAt = Math.max(this.rosterAt, summary.head_seq);
    }
    const peer = peerOf(this.id, me);
    if (summary.peer !== undefined && peer !== undefined) this.raise(peer, summary.peer.read ?? 0, summary.peer.delivered);
  }

  /** Raises another member's registers; says whether either grew. */
  raise(user: UserId, read: number, delivered: number): { readonly read: boolean; readonly delivered: boolean } {
    const before = this.reach[user] ?? { read: 0, delivered: 0 };
    // What was read has arrived.
    const after = { read: Math.max(before.read, read), delivered: Math.max(before.delivered, delivered, read) };
    this.reach = { ...this.reach, [user]: after };
    return { read: read > before.read, delivered: delivered > before.delivered };
  }

  /** Raises the user's own read marker; says whether it grew. */
  raiseRead(marker: Marker): boolean {
    if (marker.seq < this.read.seq || (marker.seq === this.read.seq && marker.ordinal <= this.read.ordinal)) return false;
    this.read = marker;
    this.mentions = Math.min(this.mentions, this.unread);
    return true;
  }

  /** Notes an event that was received, in whatever order: head, preview, counts. Knows it when it comes again. */
  note(me: UserId, event: Event): void {
    const marker = { seq: event.seq, ordinal: event.ordinal };
    const { content } = event;
    if (event.sender === me && content.kind === "message" && this.raiseRead(marker)) this.readSent = Math.max(this.readSent, event.seq);
    this.reaches = Math.max(this.reaches, event.seq);
    // The last message may be on an earlier page than what happened last.
    if (content.kind === "message" && (this.preview === null || this.preview.seq < event.seq)) {
      const text = firstCharacters(content.text, PREVIEW_CHARACTERS);
      this.preview = { seq: event.seq, sender: event.sender, at: event.at, text, redacted: content.redacted ?? false };
    }
    if (event.seq <= this.head.seq) return;
    this.head = maxMarker(marker, this.head);
    this.at = Math.max(this.at, event.at);
    if (content.kind === "message") {
      if (event.sender !== me && content.mentions?.some((mention) => mention.user === me)) this.mentions += 1;
    } else if (content.kind === "edit" && this.preview?.seq === content.target && !this.preview.redacted) {
      this.preview = { ...this.preview, text: firstCharacters(content.text, PREVIEW_CHARACTERS) };
    } else if (content.kind === "redaction" && this.preview?.seq === content.target) {
      this.preview = { ...this.preview, text: "", redacted: true };
    }
  }

  /** Applies an event to title and members, if it is the next one for them. Says whether they are up to date with it. */
  followRoster(me: UserId, event: Event): boolean {
    this.followMembership(me, event);
    if (isDirect(this.id) || event.seq <= this.rosterAt) return true;
    // Exactly the next one: places in between may be stored, but what they did to the roster is not in it.
    if (event.seq !== this.rosterAt + 1) return false;
    this.rosterAt = event.seq;
    this.roster = changeRoster(this.roster, event);
    return true;
  }

  /** Does the event bring the user in or out? Unlike the roster this needs no other event, so it is followed in whatever order. */
  private followMembership(me: UserId, event: Event): void {
    const member = membershipAfter(me, event);
    if (member !== undefined && event.seq > this.memberAt) [this.member, this.memberAt] = [member, event.seq];
  }
}

function membershipAfter(me: UserId, event: Event): boolean | undefined {
  const { content } = event;
  switch (content.kind) {
    case "group_created":
      return event.sender === me || content.members.includes(me) ? true : undefined;
    case "members_added":
      return content.members.includes(me) ? true : undefined;
    case "member_removed":
      return content.member === me ? false : undefined;
    case "member_left":
      return event.sender === me ? false : undefined;
    default:
      return undefined;
  }
}
