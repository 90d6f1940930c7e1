/** From events and what waits in the outbox to what stands in a timeline. */
import type { Change, Item, Mention, Message, Notice, Reaction } from "../api.js";
import { react } from "../model/amend.js";
import { utf16Offset } from "../model/text.js";
import type { Content, DeviceId, Event, UserId } from "../protocol/index.js";
import type { StoredConversation } from "../sync/state.js";
import { statusOf } from "./conversation.js";
import type { Written } from "./written.js";

/** Whose timeline it is. */
export interface Self {
  readonly user: UserId;
  readonly device: DeviceId;
}

interface Made {
  readonly event: Event;
  readonly status: string;
  readonly changes: readonly Written[];
  readonly item: Item;
}

const NONE: readonly Written[] = [];

/** Makes items, the same object again as long as nothing of it changed. */
export class ItemMaker {
  private made = new Map<string, Made>();
  private waiting = new Map<Written, Message>();

  constructor(private readonly self: Self) {}

  /** The items of `events`, and what waits behind them if `atEnd`. */
  items(events: readonly Event[], stored: StoredConversation, written: readonly Written[], atEnd: boolean): Item[] {
    const changes = new Map<number, readonly Written[]>();
    for (const one of written) {
      if (one.frame.type !== "send") changes.set(one.frame.target, [...(changes.get(one.frame.target) ?? NONE), one]);
    }
    const [made, waiting] = [new Map<string, Made>(), new Map<Written, Message>()];
    const items: Item[] = [];
    const stands = new Set<number>();
    for (const event of events) {
      if (event.device === this.self.device && event.tag !== undefined) stands.add(event.tag);
      const one = this.make(event, stored, changes.get(event.seq) ?? NONE);
      if (one === undefined) continue;
      made.set(one.item.key, one);
      items.push(one.item);
    }
    if (atEnd) {
      for (const one of written) {
        // Stored, and told of in this same step.
        if (one.frame.type !== "send" || stands.has(one.tag)) continue;
        const message = this.waiting.get(one) ?? this.waitingMessage(one);
        waiting.set(one, message);
        items.push(message);
      }
    }
    [this.made, this.waiting] = [made, waiting];
    return items;
  }

  private make(event: Event, stored: StoredConversation, changes: readonly Written[]): Made | undefined {
    const own = event.sender === this.self.user;
    const status = event.content.kind !== "message" ? "" : own ? statusOf(this.self.user, stored, event.seq) : "received";
    const before = this.made.get(keyOf(event, this.self));
    if (before !== undefined && before.event === event && before.status === status && same(before.changes, changes)) return before;
    const item =
      event.content.kind === "message" ? this.message(event, event.content, status as Message["status"], changes) : noticeOf(event, own);
    return item === undefined ? undefined : { event, status, changes, item };
  }

  private message(
    event: Event,
    content: Extract<Content, { kind: "message" }>,
    status: Message["status"],
    changes: readonly Written[],
  ): Message {
    const waits = changes.filter((one) => one.refusal === undefined);
    const edit = waits.findLast((one) => one.frame.type === "edit")?.frame;
    const redacted = content.redacted === true || waits.some((one) => one.frame.type === "redact");
    let reactions = content.reactions ?? [];
    for (const { frame } of waits) if (frame.type === "react") reactions = react(reactions, this.self.user, frame.emoji, frame.add);
    const edited = edit?.type === "edit" && !redacted;
    const text = redacted ? "" : edited ? edit.text : content.text;
    return {
      kind: "message",
      key: keyOf(event, this.self),
      seq: event.seq,
      ordinal: event.ordinal,
      at: event.at,
      sender: event.sender,
      own: event.sender === this.self.user,
      text,
      ...(content.reply_to === undefined ? {} : { replyTo: content.reply_to }),
      mentions: redacted || edited ? [] : mentionsOf(content.text, content.mentions ?? []),
      ...(content.edited_at === undefined || redacted ? {} : { editedAt: content.edited_at }),
      redacted,
      reactions: redacted ? [] : reactions.map(({ emoji, users }): Reaction => ({ emoji, users, own: users.includes(this.self.user) })),
      status,
      changes: changes.map(changeOf),
    };
  }

  private waitingMessage(written: Written): Message {
    const { frame, tag, at, refusal } = written;
    if (frame.type !== "send") throw new Error("only messages wait by themselves");
    return {
      kind: "message",
      key: `${this.self.device}.${tag}`,
      tag,
      at,
      sender: this.self.user,
      own: true,
      text: frame.text,
      ...(frame.reply_to === undefined ? {} : { replyTo: frame.reply_to }),
      mentions: [],
      redacted: false,
      reactions: [],
      status: refusal === undefined ? "sending" : "failed",
      ...(refusal === undefined ? {} : { refusal }),
      changes: [],
    };
  }
}

/** The message of an event by itself; `undefined` if it is none. */
export function messageOf(self: Self, event: Event, stored: StoredConversation | undefined): Message | undefined {
  if (event.content.kind !== "message") return undefined;
  const nothing = stored ?? ({ id: "", reach: {}, roster: { members: [] } } as unknown as StoredConversation);
  const [item] = new ItemMaker(self).items([event], nothing, [], false);
  return item?.kind === "message" ? item : undefined;
}

function keyOf(event: Event, self: Self): string {
  // As it was while it waited to be sent.
  return event.device === self.device && event.tag !== undefined ? `${event.device}.${event.tag}` : `#${event.seq}`;
}

function same(a: readonly Written[], b: readonly Written[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}

function changeOf({ frame, tag, refusal }: Written): Change {
  const kind = frame.type === "edit" ? "edit" : frame.type === "redact" ? "redaction" : "reaction";
  return refusal === undefined ? { kind, tag, status: "sending" } : { kind, tag, status: "failed", refusal };
}

/** Mentions with places in UTF-16 units. */
function mentionsOf(text: string, mentions: readonly Mention[]): readonly Mention[] {
  return mentions.map(({ user, start, length }) => {
    const from = utf16Offset(text, start);
    return { user, start: from, length: utf16Offset(text.slice(from, from + 2 * length), length) };
  });
}

function noticeOf(event: Event, own: boolean): Notice | undefined {
  const what = whatOf(event.content);
  if (what === undefined) return undefined;
  return { kind: "notice", key: `#${event.seq}`, seq: event.seq, at: event.at, sender: event.sender, own, what };
}

function whatOf(content: Content): Notice["what"] | undefined {
  switch (content.kind) {
    case "group_created":
      return { kind: "group_created", title: content.title, members: content.members };
    case "members_added":
      return { kind: "members_added", members: content.members };
    case "member_removed":
      return { kind: "member_removed", member: content.member };
    case "member_left":
      return content.successor === undefined ? { kind: "member_left" } : { kind: "member_left", successor: content.successor };
    case "role_changed":
      return { kind: "role_changed", member: content.member, role: content.role };
    case "title_changed":
      return { kind: "title_changed", title: content.title };
    case "earlier_history_changed":
      return { kind: "earlier_history_changed", earlierHistory: content.earlier_history };
    // Seen in the message that they are about; and kinds of a newer server.
    default:
      return undefined;
  }
}
