/** A window on the messages of one conversation. */
import type { Connection, Item, Observable, Place, Refusal, Timeline, TimelineState } from "../api.js";
import { Cell } from "../cell.js";
import { ClientFailure, failure } from "../failure.js";
import type { ConversationId, Event, Page } from "../protocol/index.js";
import type { Database } from "../storage/database.js";
import type { Notification, Window } from "../sync/effect.js";
import type { StoredConversation } from "../sync/state.js";
import { type Stretch, stretch } from "./history.js";
import { ItemMaker, type Self } from "./items.js";
import type { Written } from "./written.js";

/** Events loaded at a time: a few screens. */
const PAGE = 60;
/** Most events that are held; beyond it the far end is let go. */
const HELD = 400;
/** Pages loaded in a row when what comes are only edits and reactions, which are no items. */
const PAGES_AT_ONCE = 5;
/** Most of what is kept of what comes while a page is loaded: beyond it, the end is loaded anew. */
const ARRIVED = 1_000;

const nothing = async (): Promise<void> => undefined;

/** What a timeline needs of its client. */
export interface TimelineOwner {
  readonly self: Self;
  readonly database: Database;
  readonly connection: Connection;
  stored(conversation: ConversationId): StoredConversation;
  written(conversation: ConversationId): readonly Written[];
  fetch(conversation: ConversationId, window: Window, limit: number): Promise<Page>;
  closed(timeline: TimelineWindow): void;
}

/** See {@link Timeline}. */
export class TimelineWindow implements Timeline {
  private readonly cell: Cell<TimelineState>;
  private readonly maker: ItemMaker;
  private events: readonly Event[] = [];
  private from = 1;
  private to = 0;
  /** Does it hold the end, and follow it as events come? */
  private follows = false;
  private below = 0;
  private loading = { before: false, after: false, jump: false };
  private error: Refusal | undefined;
  private target: TimelineState["target"];
  private firstUnread: number | undefined;
  private isClosed = false;
  /** Grows with each jump: what was asked for before it is of no use any more. */
  private epoch = 0;
  /** What came while a page was on its way that may lie behind it. */
  private arrived: Event[] = [];
  /** More came meanwhile than is kept: what is loaded does not join it. */
  private missed = false;
  private begun = false;
  /** How to try again what failed, and whether that is done without being asked for when the server answers again. */
  private again: { readonly run: () => Promise<unknown>; readonly byItself: boolean } | undefined;

  constructor(
    private readonly owner: TimelineOwner,
    readonly conversation: ConversationId,
    private place: Place,
  ) {
    this.maker = new ItemMaker(owner.self);
    this.cell = new Cell(this.make());
    void this.begin();
  }

  get state(): Observable<TimelineState> {
    return this.cell;
  }

  async loadBefore(): Promise<void> {
    await this.load("before");
  }

  async loadAfter(): Promise<void> {
    await this.load("after");
  }

  async jump(seq: number): Promise<number> {
    const found = await this.show({ type: "around", seq });
    if (found === undefined) return seq;
    const nearest = this.nearest(seq);
    this.target = { seq: nearest, serial: (this.target?.serial ?? 0) + 1 };
    this.update();
    return nearest;
  }

  async jumpToDate(at: number): Promise<number> {
    const { first_seq, reaches } = this.owner.stored(this.conversation);
    let [low, high] = [first_seq, Math.max(first_seq, reaches)];
    // The first place whose event is not before the time. Times never run backwards in a log.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const event = (await this.ask({ type: "after", seq: middle - 1 }, 1)).events[0];
      if (event !== undefined && event.at < at) low = Math.max(event.seq, middle) + 1;
      else high = middle;
    }
    return this.jump(Math.min(low, high));
  }

  async jumpToEnd(): Promise<void> {
    await this.show({ type: "newest" });
  }

  async tryAgain(): Promise<void> {
    const { again } = this;
    if (this.isClosed || again === undefined) return;
    [this.error, this.again] = [undefined, undefined];
    this.update();
    await again.run().catch(() => undefined);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.epoch += 1;
    this.owner.closed(this);
  }

  /** Something was told of this conversation, or of what waits in it. */
  take(notification: Notification): void {
    if (notification.type === "event") this.append(notification.event);
    else if (notification.type === "amended") this.replace(notification.message);
    else if (notification.type === "ahead" && this.follows && !this.loading.jump) this.showSoon({ type: "newest" });
  }

  /** Shows what it is made from anew. To be called once after what was told in one step. */
  update(): void {
    if (!this.isClosed) this.cell.set(this.make());
  }

  /** The client was attached anew: what was told meanwhile was missed. */
  resume(): void {
    this.showSoon(this.follows || !this.begun ? { type: "newest" } : { type: "around", seq: Math.floor((this.from + this.to) / 2) });
  }

  /** The server answers again: what failed for want of it is tried again. */
  recover(): void {
    if (this.again?.byItself) void this.tryAgain();
  }

  /** Shows other surroundings; failing is told in the state. */
  private showSoon(window: Window): void {
    this.show(window).catch(() => undefined);
  }

  private async begin(): Promise<void> {
    const stored = this.owner.stored(this.conversation);
    const { read, head } = stored;
    if (this.place.at === "seq") {
      await this.jump(this.place.seq).catch(() => undefined);
    } else if (this.place.at === "unread" && head.ordinal > read.ordinal) {
      const shown = await this.show({ type: "around", seq: Math.max(read.seq + 1, stored.first_seq) }).catch(() => undefined);
      if (shown !== undefined) this.setFirstUnread(read.seq);
    } else {
      const shown = await this.show({ type: "newest" }).catch(() => undefined);
      if (shown !== undefined && head.ordinal > read.ordinal) this.setFirstUnread(read.seq);
    }
    this.update();
  }

  private setFirstUnread(readSeq: number): void {
    const isUnread = (event: Event) => event.seq > readSeq && event.content.kind === "message" && event.sender !== this.owner.self.user;
    this.firstUnread = this.events.find(isUnread)?.seq;
  }

  private append(event: Event): void {
    if (this.loading.jump || this.loading.after) {
      if (this.arrived.length < ARRIVED) this.arrived.push(event);
      else this.missed = true;
    }
    if (event.seq <= this.to) return;
    if (!this.follows) {
      if (event.content.kind === "message" && event.sender !== this.owner.self.user) this.below += 1;
      return;
    }
    this.events = [...this.events, event];
    this.to = event.seq;
    this.trim("before");
  }

  private replace(message: Event): void {
    const index = this.events.findIndex((event) => event.seq === message.seq);
    if (index >= 0) this.events = this.events.with(index, message);
  }

  /** Loads a page at one end, or several if they hold no items. */
  private async load(side: "before" | "after"): Promise<void> {
    if (this.isClosed || this.loading[side] || this.loading.jump || this.atEnd(side)) return;
    const { epoch } = this;
    this.loading = { ...this.loading, [side]: true };
    this.update();
    try {
      const count = this.cell.value.items.length;
      for (let page = 0; page < PAGES_AT_ONCE && !this.atEnd(side); page += 1) {
        const window: Window = side === "before" ? { type: "before", seq: this.from } : { type: "after", seq: this.to };
        const loaded = await this.ask(window, PAGE);
        if (epoch !== this.epoch) return;
        if (!this.join(side, loaded) || this.make().items.length > count) break;
      }
      if (side === "after" && this.atEnd("after")) this.reachedEnd();
      [this.error, this.again] = [undefined, undefined];
    } catch (thrown) {
      if (epoch === this.epoch) this.fail(thrown, () => this.load(side));
    } finally {
      if (epoch === this.epoch) {
        this.loading = { ...this.loading, [side]: false };
        if (side === "after") this.forgetArrived();
        this.update();
      }
    }
  }

  /** Adds a stretch; says whether there was anything to cover. */
  private join(side: "before" | "after", loaded: Stretch): boolean {
    if (loaded.to < loaded.from) {
      // Nothing there for this user to see.
      if (side === "before") this.from = Math.min(this.from, this.owner.stored(this.conversation).first_seq);
      else this.to = Math.max(this.to, this.owner.stored(this.conversation).reaches);
      return false;
    }
    if (side === "before") {
      this.events = [...loaded.events.filter((event) => event.seq < this.from), ...this.events];
      this.from = Math.min(this.from, loaded.from);
      this.trim("after");
    } else {
      this.events = [...this.events, ...loaded.events.filter((event) => event.seq > this.to)];
      this.to = Math.max(this.to, loaded.to);
      this.trim("before");
    }
    return true;
  }

  /** Lets go of what is too much, at one end. */
  private trim(side: "before" | "after"): void {
    const tooMany = this.events.length - HELD;
    if (tooMany <= 0) return;
    if (side === "before") {
      this.events = this.events.slice(tooMany);
      this.from = this.events[0]?.seq ?? this.from;
    } else {
      this.events = this.events.slice(0, HELD);
      this.to = this.events.at(-1)?.seq ?? this.to;
      this.follows = false;
    }
  }

  /** Shows other surroundings. Resolves to what is shown; `undefined` if another jump came in between. */
  private async show(window: Window): Promise<Stretch | undefined> {
    if (this.isClosed) throw new ClientFailure("closed", "the timeline was closed");
    this.epoch += 1;
    const { epoch } = this;
    this.forgetArrived();
    this.loading = { before: false, after: false, jump: true };
    this.update();
    try {
      const shown = await this.ask(window, PAGE);
      if (epoch !== this.epoch) return undefined;
      this.begun = true;
      this.events = shown.events;
      [this.from, this.to] = [shown.from, shown.to];
      this.error = shown.offline ? { code: "offline", message: "without the server, only what is on this device is shown" } : undefined;
      this.again = shown.offline ? { run: nothing, byItself: true } : undefined;
      this.follows = false;
      if (window.type === "newest" || this.atEnd("after")) this.reachedEnd();
      return shown;
    } catch (thrown) {
      // A jump that failed is not made later, when the user looks at something else.
      if (epoch === this.epoch) this.fail(thrown, this.begun ? nothing : () => this.begin());
      throw failure(thrown);
    } finally {
      if (epoch === this.epoch) {
        this.loading = { before: false, after: false, jump: false };
        this.forgetArrived();
        this.update();
      }
    }
  }

  /** The end is shown: from here on it is followed, and what came while it was loaded comes after it. */
  private reachedEnd(): void {
    // There is a gap before what comes next: the rest is loaded as any other part.
    if (this.missed) return;
    this.follows = true;
    this.below = 0;
    const missed = this.arrived.filter((event) => event.seq > this.to);
    this.events = [...this.events, ...missed];
    this.to = missed.at(-1)?.seq ?? this.to;
  }

  private ask(window: Window, limit: number): Promise<Stretch> {
    const { owner, conversation } = this;
    const stored = owner.stored(conversation);
    // Nothing was said yet: no need to ask.
    if (stored.reaches === 0) return Promise.resolve({ events: [], from: 1, to: 0, offline: false });
    const fetch = (asked: Window, most: number) => owner.fetch(conversation, asked, most);
    return stretch({ database: owner.database, connection: owner.connection, stored, fetch }, window, limit);
  }

  private forgetArrived(): void {
    [this.arrived, this.missed] = [[], false];
  }

  /** Notes what failed, and how to try it again. */
  private fail(thrown: unknown, run: () => Promise<unknown>): void {
    const error = failure(thrown);
    const { code, message } = error;
    this.error = { code: code === "unreachable" ? "offline" : code, message };
    this.again = { run, byItself: error.isTransient };
  }

  private nearest(seq: number): number {
    let best: number | undefined;
    for (const event of this.events) if (best === undefined || Math.abs(event.seq - seq) < Math.abs(best - seq)) best = event.seq;
    return best ?? seq;
  }

  private atEnd(side: "before" | "after"): boolean {
    const stored = this.owner.stored(this.conversation);
    if (side === "before") return this.from <= Math.max(stored.first_seq, 1);
    return this.follows || this.to >= stored.reaches;
  }

  private make(): TimelineState {
    const stored = this.owner.stored(this.conversation);
    const atEnd = this.atEnd("after");
    const items: readonly Item[] = this.maker.items(this.events, stored, this.owner.written(this.conversation), atEnd);
    return {
      items,
      from: this.from,
      to: this.to,
      firstSeq: stored.first_seq,
      headSeq: stored.reaches,
      atStart: this.begun && this.atEnd("before"),
      atEnd,
      loading: this.loading,
      ...(this.error === undefined ? {} : { error: this.error }),
      below: this.below,
      ...(this.target === undefined ? {} : { target: this.target }),
      ...(this.firstUnread === undefined ? {} : { firstUnread: this.firstUnread }),
    };
  }
}
