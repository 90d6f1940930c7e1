/** The face of a tab: what {@link openClient} returns. */
import type * as api from "../api.js";
import { Cell, report } from "../cell.js";
import type { Attached, Batch, CoreEvent } from "../core/messages.js";
import { ClientFailure } from "../failure.js";
import { directBetween, groupOf } from "../model/conversation_id.js";
import { uniqueName } from "../names.js";
import type * as wire from "../protocol/index.js";
import type { ConversationId, UserId } from "../protocol/index.js";
import type { Database } from "../storage/database.js";
import { events } from "../storage/read.js";
import type { Action } from "../sync/effect.js";
import { Port } from "../tabs/port.js";
import { Book } from "./book.js";
import { DraftKeeper } from "./drafts.js";
import { messageOf, type Self } from "./items.js";
import { People } from "./people.js";
import { Requests } from "./requests.js";
import { type TimelineOwner, TimelineWindow } from "./timeline.js";

/** Batches kept until it is known how things stand. */
const EARLY = 10_000;

/** See {@link api.Client}. */
export class TabClient extends Requests implements api.Client {
  readonly account = new Cell<api.Account>({ state: "signed_out" });
  readonly connection = new Cell<api.Connection>({ state: "signed_out" });
  protected readonly port: Port;
  private readonly book = new Book();
  protected readonly people: People;
  private readonly drafts: DraftKeeper;
  private readonly timelines = new Set<TimelineWindow>();
  private readonly incoming = new Set<{ run: (incoming: api.Incoming) => void }>();
  private leads = false;
  private serial: number | undefined;
  private early: Batch[] = [];
  private closed = false;
  /** Resolves when it is known how things stand. */
  readonly opened: Promise<void>;

  constructor(
    private readonly environment: api.Environment,
    name: string,
    base: string,
    private readonly database: Database,
  ) {
    super();
    this.people = new People(
      database,
      (users) => this.tell(this.port.call("profiles", users)),
      (users) => this.tell(this.port.call("watch", users)),
    );
    this.drafts = new DraftKeeper((conversation, draft) => this.tell(this.port.call("set_draft", conversation, draft)));
    let [resolve, reject] = [(): void => {}, (_: ClientFailure): void => {}];
    this.opened = new Promise((done, failed) => {
      [resolve, reject] = [done, failed];
    });
    this.port = new Port(environment, name, database, base, {
      attached: (attached) => {
        this.attach(attached);
        resolve();
      },
      batch: (batch) => this.batch(batch),
      leads: (leads) => {
        this.leads = leads;
      },
      attaching: () => {
        this.serial = undefined;
        this.early = [];
      },
      failed: (error) => {
        reject(error);
        const { message } = error;
        this.connection.set({ state: "waiting", retryAt: Number.MAX_SAFE_INTEGER, reason: "lost", message });
      },
    });
    this.port.open();
  }

  get me(): api.Observable<api.Profile | undefined> {
    return this.people.me;
  }

  get settings(): api.Observable<api.Settings | undefined> {
    return this.people.settings;
  }

  get friends(): api.Observable<api.Friends> {
    return this.people.friends;
  }

  get blocked(): api.Observable<readonly api.Profile[]> {
    return this.people.blocked;
  }

  get conversations(): api.Observable<readonly api.Conversation[]> {
    return this.book.list;
  }

  get unread(): api.Observable<api.Unread> {
    return this.book.unread;
  }

  // conversations

  conversation(id: ConversationId): api.Observable<api.Conversation | undefined> {
    return this.book.conversation(id);
  }

  directWith(user: UserId): ConversationId {
    const conversation = directBetween(this.self.user, user);
    if (conversation === undefined) throw new ClientFailure("not_yourself", "that needs another user than oneself");
    return conversation;
  }

  openTimeline(conversation: ConversationId, place: api.Place = { at: "end" }): api.Timeline {
    const client = this;
    const owner: TimelineOwner = {
      self: this.self,
      database: this.database,
      get connection() {
        return client.connection.value;
      },
      stored: (id) => this.book.of(id),
      written: (id) => this.book.written.of(id),
      fetch: (id, window, limit) => this.port.call("page", id, window, limit),
      closed: (timeline) => this.timelines.delete(timeline),
    };
    const timeline = new TimelineWindow(owner, conversation, place);
    this.timelines.add(timeline);
    // How far each member of a group has got comes with the answer.
    if (groupOf(conversation) !== undefined && this.book.of(conversation).member) this.tell(this.port.call("markers", conversation));
    return timeline;
  }

  async message(conversation: ConversationId, seq: number): Promise<api.Message | undefined> {
    const stored = this.book.of(conversation);
    const [known] = await events(this.database, conversation, seq, seq, 1);
    if (known !== undefined) return messageOf(this.self, known, stored);
    const page = await this.port.call("page", conversation, { type: "around", seq }, 1);
    const event = page.events.find((one) => one.seq === seq);
    return event === undefined ? undefined : messageOf(this.self, event, stored);
  }

  onIncoming(run: (incoming: api.Incoming) => void): api.Unsubscribe {
    const one = { run };
    this.incoming.add(one);
    return () => void this.incoming.delete(one);
  }

  async readBy(conversation: ConversationId, seq: number): Promise<{ read: readonly UserId[]; delivered: readonly UserId[] }> {
    const { members } = await this.request<wire.Markers>("GET", `/v1/conversations/${conversation}/markers`);
    const others = members.filter((member) => member.user !== this.self.user);
    const read = others.filter((member) => (member.read ?? 0) >= seq).map((member) => member.user);
    const delivered = others.filter((member) => Math.max(member.delivered, member.read ?? 0) >= seq).map((member) => member.user);
    return { read, delivered };
  }

  // writing

  send(conversation: ConversationId, text: string, replyTo?: number): Promise<number> {
    return this.queue(conversation, replyTo === undefined ? { type: "send", text } : { type: "send", text, reply_to: replyTo });
  }

  edit(conversation: ConversationId, seq: number, text: string): Promise<number> {
    return this.queue(conversation, { type: "edit", target: seq, text });
  }

  redact(conversation: ConversationId, seq: number): Promise<number> {
    return this.queue(conversation, { type: "redact", target: seq });
  }

  react(conversation: ConversationId, seq: number, emoji: string, add: boolean): Promise<number> {
    return this.queue(conversation, { type: "react", target: seq, emoji, add });
  }

  cancel(conversation: ConversationId, tag: number): Promise<boolean> {
    return this.port.call("cancel", conversation, tag);
  }

  tryAgain(conversation: ConversationId, tag: number): Promise<number> {
    return this.port.call("try_again", conversation, tag);
  }

  async discard(conversation: ConversationId, tag: number): Promise<void> {
    await this.port.call("discard", conversation, tag);
  }

  markRead(conversation: ConversationId, seq: number): void {
    if (seq > this.book.of(conversation).read.seq) this.tell(this.port.call("mark_read", conversation, seq));
  }

  typing(conversation: ConversationId): void {
    if (this.connection.value.state === "online") this.tell(this.port.call("typing", conversation));
  }

  setDraft(conversation: ConversationId, draft: Omit<api.Draft, "at"> | undefined): void {
    const empty = draft === undefined || (draft.text === "" && draft.replyTo === undefined && draft.editing === undefined);
    this.drafts.set(conversation, empty ? undefined : { ...draft, at: this.environment.now() });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.drafts.close();
    this.closed = true;
    for (const timeline of [...this.timelines]) timeline.close();
    await this.port.close();
    this.database.close();
  }

  private get self(): Self {
    const { value } = this.account;
    if (value.state === "signed_out") throw new ClientFailure("not_logged_in", "nobody is logged in here: log in first");
    return value;
  }

  private queue(conversation: ConversationId, action: Action): Promise<number> {
    return this.port.call("queue", uniqueName(), conversation, action);
  }

  /** Asks how things stand, and shows it. What comes meanwhile waits. */
  protected async attachAgain(): Promise<void> {
    this.serial = undefined;
    this.attach(await this.port.call("attach"));
  }

  private attach(attached: Attached): void {
    // Asked twice, and what came since the later answer is shown already.
    if (this.serial !== undefined && attached.serial < this.serial) return;
    const { account } = attached;
    const before = this.account.value;
    const another = account.state === "signed_out" || before.state === "signed_out" || account.device !== before.device;
    if (another) {
      for (const timeline of [...this.timelines]) timeline.close();
      this.people.clear();
    }
    this.serial = attached.serial;
    this.book.attach(account.state === "signed_in" ? account.user : "", attached);
    this.people.takeValues(attached.values);
    for (const presence of attached.presence) this.people.takePresence(presence);
    this.setConnection(attached.connection);
    this.account.set(account);
    this.people.resume();
    for (const timeline of this.timelines) timeline.resume();
    const early = this.early;
    this.early = [];
    for (const batch of early) this.batch(batch);
  }

  private batch(batch: Batch): void {
    if (this.closed) return;
    if (this.serial === undefined) {
      if (this.early.length < EARLY) this.early.push(batch);
      return;
    }
    if (batch.serial <= this.serial) return;
    if (batch.serial > this.serial + 1) {
      // Some never came, as may be in a tab that was put to sleep.
      this.early = [batch];
      this.tell(this.attachAgain());
      return;
    }
    this.serial = batch.serial;
    for (const event of batch.events) this.take(event);
    const touched = [...this.book.touched];
    this.book.update();
    for (const timeline of this.timelines) if (touched.includes(timeline.conversation)) timeline.update();
    if (this.leads) for (const event of batch.events) this.announce(event);
  }

  private take(event: CoreEvent): void {
    switch (event.type) {
      case "account":
        // Everything else is of somebody else now.
        this.tell(this.attachAgain());
        return;
      case "connection":
        return this.setConnection(event.connection);
      case "profiles":
        return this.people.takeProfiles(event.profiles);
      case "values":
        return this.people.takeValues(event.values);
      case "told": {
        const { notification } = event;
        if (notification.type === "presence") this.people.takePresence(notification.user);
        this.book.take(event);
        if ("conversation" in notification) {
          for (const timeline of this.timelines) if (timeline.conversation === notification.conversation) timeline.take(notification);
        }
        return;
      }
      default:
        return this.book.take(event);
    }
  }

  private setConnection(connection: api.Connection): void {
    const before = this.connection.value.state;
    if (connection.state !== "online") this.people.forgetPresence();
    this.connection.set(connection);
    if (connection.state === "online" && before !== "online") for (const timeline of this.timelines) timeline.recover();
  }

  private announce(event: CoreEvent): void {
    if (event.type !== "told" || event.notification.type !== "event" || this.incoming.size === 0) return;
    const { conversation, event: told } = event.notification;
    const self = this.self;
    if (told.content.kind !== "message" || told.sender === self.user || told.content.redacted) return;
    const message = messageOf(self, told, this.book.of(conversation));
    if (message === undefined) return;
    const mentioned = message.mentions.some((mention) => mention.user === self.user);
    for (const one of [...this.incoming]) report(() => one.run({ conversation, message, mentioned }));
  }
}
