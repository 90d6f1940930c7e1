/** The conversations as the face of a tab knows them, made from what the core tells. */
import type { Conversation, Draft, Unread } from "../api.js";
import { Cell } from "../cell.js";
import type { Attached, CoreEvent } from "../core/messages.js";
import { isDirect, peerOf } from "../model/conversation_id.js";
import type { ConversationId, UserId } from "../protocol/index.js";
import { ConversationState, type StoredConversation } from "../sync/state.js";
import { conversationOf } from "./conversation.js";
import { WrittenBook } from "./written.js";

const NOBODY: readonly UserId[] = [];

/** See the module. */
export class Book {
  readonly list = new Cell<readonly Conversation[]>([]);
  readonly unread = new Cell<Unread>({ conversations: 0, messages: 0, mentions: 0 });
  written = new WrittenBook();
  private me: UserId = "";
  private readonly stored = new Map<ConversationId, StoredConversation>();
  private readonly typing = new Map<ConversationId, readonly UserId[]>();
  private readonly drafts = new Map<ConversationId, Draft>();
  private readonly shown = new Map<ConversationId, Conversation>();
  private readonly cells = new Map<ConversationId, Cell<Conversation | undefined>>();
  private readonly changed = new Set<ConversationId>();

  /** How things stand, of user `me`. */
  attach(me: UserId, attached: Pick<Attached, "conversations" | "outbox" | "failures" | "drafts" | "typing">): void {
    const before = [...this.shown.keys()];
    this.me = me;
    for (const map of [this.stored, this.typing, this.drafts, this.shown]) map.clear();
    for (const one of attached.conversations) this.stored.set(one.id, one);
    this.written = new WrittenBook(attached.outbox, attached.failures);
    for (const [conversation, draft] of attached.drafts) this.drafts.set(conversation, draft);
    for (const [conversation, user] of attached.typing) this.setTyping(conversation, user, true);
    for (const id of [...before, ...this.cells.keys(), ...this.stored.keys(), ...this.drafts.keys()]) this.changed.add(id);
    for (const id of this.written.conversations()) this.changed.add(id);
    this.update();
  }

  /** Something happened. {@link Book.update} shows it. */
  take(event: CoreEvent): void {
    switch (event.type) {
      case "conversation":
        this.stored.set(event.stored.id, event.stored);
        this.changed.add(event.stored.id);
        return;
      case "queued":
        this.written.put(event.entry);
        this.changed.add(event.entry.conversation);
        return;
      case "forgotten":
        this.written.delete(event.conversation, event.tag);
        this.changed.add(event.conversation);
        return;
      case "draft":
        if (event.draft === undefined) this.drafts.delete(event.conversation);
        else this.drafts.set(event.conversation, event.draft);
        this.changed.add(event.conversation);
        return;
      case "told":
        return this.told(event.notification);
      default:
        return;
    }
  }

  /** What a conversation is, as it is stored; an empty one if nothing is known of it. */
  of(id: ConversationId): StoredConversation {
    return this.stored.get(id) ?? new ConversationState(id).toStored();
  }

  /** A direct conversation exists as soon as it is asked for. */
  conversation(id: ConversationId): Cell<Conversation | undefined> {
    const known = this.cells.get(id);
    if (known !== undefined) return known;
    const cell = new Cell(this.shown.get(id) ?? this.show(id));
    this.cells.set(id, cell);
    return cell;
  }

  /** Conversations in which something changed since the last update. */
  get touched(): ReadonlySet<ConversationId> {
    return this.changed;
  }

  /** Shows what changed. */
  update(): void {
    if (this.changed.size === 0) return;
    for (const id of this.changed) {
      const conversation = this.show(id);
      if (conversation !== undefined && isListed(conversation)) this.shown.set(id, conversation);
      else this.shown.delete(id);
      this.cells.get(id)?.set(conversation);
    }
    this.changed.clear();
    const list = [...this.shown.values()].sort((a, b) => b.activityAt - a.activityAt || (a.id < b.id ? -1 : 1));
    this.list.set(list);
    const unread = list.filter((one) => one.unread > 0);
    const sum = (of: (one: Conversation) => number) => unread.reduce((total, one) => total + of(one), 0);
    const totals = { conversations: unread.length, messages: sum((one) => one.unread), mentions: sum((one) => one.mentions) };
    const { conversations, messages, mentions } = this.unread.value;
    if (totals.conversations !== conversations || totals.messages !== messages || totals.mentions !== mentions) this.unread.set(totals);
  }

  private told(notification: Extract<CoreEvent, { type: "told" }>["notification"]): void {
    if (notification.type === "stored") this.written.delete(notification.conversation, notification.tag);
    else if (notification.type === "refused") this.written.refuse(notification.conversation, notification.tag, notification.error);
    else if (notification.type === "typing") this.setTyping(notification.conversation, notification.user, notification.typing);
    else return;
    this.changed.add(notification.conversation);
  }

  private setTyping(conversation: ConversationId, user: UserId, typing: boolean): void {
    const others = (this.typing.get(conversation) ?? NOBODY).filter((one) => one !== user);
    const users = typing ? [...others, user] : others;
    if (users.length > 0) this.typing.set(conversation, users);
    else this.typing.delete(conversation);
  }

  private show(id: ConversationId): Conversation | undefined {
    const known = this.stored.has(id) || (isDirect(id) && peerOf(id, this.me) !== undefined);
    if (!known) return undefined;
    const typing = this.typing.get(id) ?? NOBODY;
    return conversationOf({ me: this.me, stored: this.of(id), typing, draft: this.drafts.get(id), written: this.written.of(id) });
  }
}

function isListed({ headSeq, sending, failed, draft }: Conversation): boolean {
  return headSeq > 0 || sending > 0 || failed > 0 || draft !== undefined;
}
