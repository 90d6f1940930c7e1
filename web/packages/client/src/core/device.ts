/** A device that is logged in: its engine, session and caches. One for each login; the core makes and ends it. */
import type { Connection, Draft, Environment } from "../api.js";
import { Dialer } from "../connection/dialer.js";
import { ClientFailure, failure } from "../failure.js";
import { Api } from "../http/api.js";
import {
  type ConversationId,
  type Markers,
  PAGE_EVENTS,
  type Page,
  type ReadMarker,
  type ServerFrame,
  type Tokens,
  type UserId,
} from "../protocol/index.js";
import { fence, type Named } from "../storage/apply.js";
import type { Database, StoredAccount, StoredEntry, StoredFailure } from "../storage/database.js";
import { events, findTag, snapshot } from "../storage/read.js";
import type { Action, Notification, Window } from "../sync/effect.js";
import { Engine } from "../sync/engine.js";
import { actionOf } from "../sync/outbox.js";
import { Link } from "./link.js";
import type { CoreEvent } from "./messages.js";
import { JOBS, Steps } from "./steps.js";
import { ValueKeeper } from "./values.js";

/** Names of what was queued are kept for this long, in milliseconds ... */
const KEYS_MS = 3_600_000;
/** ... and looked through after this many. */
const KEYS_BETWEEN = 500;

/** What a device needs of the core. */
export interface DeviceOwner {
  readonly environment: Environment;
  readonly database: Database;
  readonly base: string;
  readonly epoch: number;
  emit(events: readonly CoreEvent[]): void;
  /** The server ended the login. */
  signedOut(message: string): unknown;
  /** The device cannot go on and is to be made anew from what is stored. */
  broken(error: ClientFailure): void;
}

/** See the module. */
export class Device {
  readonly api: Api;
  readonly values: ValueKeeper;
  connection: Connection = { state: "connecting" };
  readonly failures = new Map<string, StoredFailure>();
  readonly drafts = new Map<ConversationId, Draft>();
  private readonly steps: Steps;
  private readonly link: Link;
  private readonly asked = new Map<string, Promise<number>>();
  /** The last look whether a name was used before: one after the other, so that what is written keeps its order. */
  private looked: Promise<unknown> = Promise.resolve();
  private session: unknown;
  /** The outbox as it is stored. */
  private readonly written = new Map<string, StoredEntry>();
  private queued = 0;

  private constructor(
    private readonly owner: DeviceOwner,
    readonly account: StoredAccount,
    readonly engine: Engine,
  ) {
    const { environment, database, base } = owner;
    const keep = async (tokens: Tokens) => {
      const transaction = database.transaction(["account", "values"], "readwrite", { durability: "strict" });
      await fence(transaction.objectStore("values"), owner.epoch);
      const rows = transaction.objectStore("account");
      const stored = await rows.get("account");
      if (stored?.device === account.device) await rows.put({ ...stored, tokens }, "account");
      await transaction.done;
    };
    this.api = new Api(environment, base, account.tokens, keep, async () => (await database.get("account", "account"))?.tokens);
    this.values = new ValueKeeper(environment, database, this.api, (told) => owner.emit(told));
    this.steps = new Steps(engine, {
      database,
      epoch: owner.epoch,
      wallClock: environment.now,
      session: () => this.session,
      send: (session, frames) => this.link.send(session, frames),
      fetch: (request, conversation, window) => void this.fetch(request, conversation, window),
      lookUp: (conversation, tag) => void this.lookUp(conversation, tag),
      emit: (told) => this.emit(told),
      broken: (error) => owner.broken(error),
    });
    this.link = new Link(environment, new Dialer(this.api, account.servers), {
      get point() {
        return engine.point;
      },
      welcome: (session, frame) =>
        this.steps.add({
          turns: true,
          run: (_, now) => {
            this.session = session;
            engine.handle(now, { type: "frame", frame });
          },
        }),
      frame: (frame) => this.frame(frame),
      disconnected: () =>
        this.steps.add({
          turns: true,
          run: (_, now) => {
            this.session = undefined;
            engine.handle(now, { type: "disconnected" });
          },
        }),
      signedOut: (message) => owner.signedOut(message),
      connection: (connection) => this.setConnection(connection),
    });
  }

  /** Goes on from what is stored; `undefined` when nobody is logged in. */
  static async start(owner: DeviceOwner): Promise<Device | undefined> {
    const { database } = owner;
    const [account, from] = [await database.get("account", "account"), await snapshot(database)];
    if (account === undefined || from === undefined) return undefined;
    const device = new Device(owner, account, new Engine(from));
    await device.values.load();
    for (const failed of await database.getAll("failures")) device.failures.set(keyOf(failed.conversation, failed.tag), failed);
    for (const conversation of await database.getAllKeys("drafts")) {
      const draft = await database.get("drafts", conversation);
      if (draft !== undefined) device.drafts.set(conversation, draft);
    }
    for (const entry of await database.getAll("outbox")) device.written.set(keyOf(entry.conversation, entry.tag), entry);
    await device.forgetKeys();
    // The engine may have found something to tell in what was stored.
    device.steps.add({ run: () => undefined });
    device.link.dial();
    return device;
  }

  /** Ends the session and waits until nothing is being stored. */
  async stop(): Promise<void> {
    this.link.stop();
    await this.steps.stop();
  }

  reconnect(): void {
    this.link.reconnect();
  }

  /** Puts an action into the outbox, `instead` of what failed under that tag. The same `key` again gives the same tag again. */
  queue(key: string, conversation: ConversationId, action: Action, instead?: number): Promise<number> {
    const asked = this.asked.get(key);
    if (asked !== undefined) return asked;
    const known = this.looked.then(() => this.owner.database.get("keys", key));
    this.looked = known.catch(() => undefined);
    const answer = known
      .then((used) => used?.tag ?? this.queueNew({ key, conversation, ...(instead === undefined ? {} : { instead }) }, action))
      .finally(() => this.asked.delete(key));
    this.asked.set(key, answer);
    return answer;
  }

  private queueNew(named: Omit<Named, "tag">, action: Action): Promise<number> {
    this.queued += 1;
    // Not waited for: what is written next would overtake this.
    if (this.queued % KEYS_BETWEEN === 0) void this.forgetKeys().catch(() => undefined);
    return this.steps.ask(
      (engine, now) => {
        const queued = engine.queue(now, named.conversation, action);
        if ("refusal" in queued) throw ClientFailure.from(queued.refusal);
        return queued.tag;
      },
      (tag) => ({ ...named, tag }),
    );
  }

  /** When an entry of the outbox was written, by the clock of this device. */
  writtenAt(conversation: ConversationId, tag: number): number | undefined {
    return this.written.get(keyOf(conversation, tag))?.at;
  }

  /** Takes what was surely not sent out of the outbox. */
  async cancel(conversation: ConversationId, tag: number): Promise<boolean> {
    const cancelled = await this.steps.ask((engine, now) => engine.cancel(now, conversation, tag));
    if (cancelled) {
      this.written.delete(keyOf(conversation, tag));
      this.owner.emit([{ type: "forgotten", conversation, tag }]);
    }
    return cancelled;
  }

  /** Writes what failed again. */
  async tryAgain(conversation: ConversationId, tag: number): Promise<number> {
    const failed = this.failures.get(keyOf(conversation, tag));
    const key = `again ${this.account.device} ${conversation} ${tag}`;
    const known = failed === undefined ? await this.owner.database.get("keys", key) : undefined;
    if (failed === undefined) {
      if (known === undefined) throw new ClientFailure("unknown_message", "nothing failed under this tag");
      return known.tag;
    }
    const again = await this.queue(key, conversation, actionOf(failed.frame), tag);
    this.forgetFailure(conversation, tag);
    return again;
  }

  /** Forgets what failed. */
  async discard(conversation: ConversationId, tag: number): Promise<void> {
    await this.owner.database.delete("failures", [conversation, tag]);
    this.forgetFailure(conversation, tag);
  }

  private forgetFailure(conversation: ConversationId, tag: number): void {
    if (this.failures.delete(keyOf(conversation, tag))) this.owner.emit([{ type: "forgotten", conversation, tag }]);
  }

  /** Moves the user's read marker up to `seq`. */
  async markRead(conversation: ConversationId, seq: number): Promise<void> {
    const state = this.engine.conversations.get(conversation);
    if (state === undefined || seq <= state.read.seq) return;
    let marker = state.head;
    if (seq < state.head.seq) {
      const [event] = await events(this.owner.database, conversation, seq, seq, 1);
      if (event !== undefined) marker = { seq, ordinal: event.ordinal };
      else {
        const path = `/v1/conversations/${conversation}/read`;
        marker = (await this.api.ask<ReadMarker>({ method: "PUT", path, body: { seq } })).read;
      }
    }
    await this.steps.ask((engine, now) => engine.handle(now, { type: "mark_read", conversation, marker }));
  }

  typing(conversation: ConversationId): void {
    this.steps.add({ run: (engine, now) => engine.handle(now, { type: "typing", conversation }) });
  }

  watch(users: readonly UserId[]): void {
    this.steps.add({ run: (engine, now) => engine.handle(now, { type: "watch", users }) });
  }

  /** A page for the application, stored before it is returned. */
  async page(conversation: ConversationId, window: Window, limit: number): Promise<Page> {
    const page = await this.api.get<Page>(pathOf(conversation, window, limit));
    await this.steps.ask((engine, now) => engine.handle(now, { type: "page", conversation, window, page }));
    return page;
  }

  /** Asks how far the members of a group have got. What comes is taken in like what comes live. */
  async markers(conversation: ConversationId): Promise<void> {
    const { members } = await this.api.get<Markers>(`/v1/conversations/${conversation}/markers`);
    const others = members.filter((member) => member.user !== this.account.user);
    await this.steps.ask((engine, now) => {
      for (const { user, read, delivered } of others) {
        engine.handle(now, { type: "frame", frame: { type: "delivered", conversation, user, seq: delivered } });
        if (read !== undefined) engine.handle(now, { type: "frame", frame: { type: "read", conversation, user, seq: read, ordinal: 0 } });
      }
    });
  }

  async setDraft(conversation: ConversationId, draft: Draft | undefined): Promise<void> {
    if (draft === undefined) {
      this.drafts.delete(conversation);
      await this.owner.database.delete("drafts", conversation);
    } else {
      this.drafts.set(conversation, draft);
      await this.owner.database.put("drafts", draft, conversation);
    }
    this.owner.emit([{ type: "draft", conversation, draft }]);
  }

  /** Any request of the application. */
  async request(request: { readonly method: string; readonly path: string; readonly body?: unknown }): Promise<unknown> {
    const answer = await this.api.ask(request);
    await this.values.after(request.method, request.path, answer);
    return answer;
  }

  private frame(frame: ServerFrame): void {
    if (this.steps.waiting > JOBS) return this.link.drop("more comes than can be stored");
    this.steps.add({ run: (engine, now) => engine.handle(now, { type: "frame", frame }) });
  }

  private async fetch(request: number, conversation: ConversationId, window: Window): Promise<void> {
    try {
      const page = await this.api.get<Page>(pathOf(conversation, window, PAGE_EVENTS));
      this.steps.add({ run: (engine, now) => engine.handle(now, { type: "fetched", request, page }) });
    } catch (thrown) {
      const { code, retryAfter, message } = failure(thrown);
      if (code === "signed_out") return void this.owner.signedOut(message);
      // Only the server's own word counts: a status alone may be a proxy's, and would make a device skip events.
      const later = retryAfter === undefined ? ({ type: "later" } as const) : ({ type: "later", retry_after: retryAfter } as const);
      const error = code === "not_a_member" ? ({ type: "gone" } as const) : later;
      this.steps.add({ run: (engine, now) => engine.handle(now, { type: "fetched", request, error }) });
    }
  }

  private async lookUp(conversation: ConversationId, tag: number): Promise<void> {
    const found = await findTag(this.owner.database, conversation, this.account.device, tag);
    this.steps.add({ run: (engine, now) => engine.handle(now, { type: "looked_up", conversation, tag, found }) });
  }

  /** Notes what concerns the core in what is told, and passes it on. */
  private emit(told: readonly CoreEvent[]): void {
    for (const event of told) {
      if (event.type === "queued") this.written.set(keyOf(event.entry.conversation, event.entry.tag), event.entry);
      else if (event.type === "told") this.note(event.notification);
    }
    this.owner.emit(told);
    const synced = told.some((event) => event.type === "told" && event.notification.type === "synced");
    // Not where it is of a session that was lost meanwhile.
    if (synced && this.link.holds(this.session) && this.connection.state === "online") {
      this.setConnection({ ...this.connection, synced: true });
      this.values.refreshAll();
    }
  }

  private note(notification: Notification): void {
    if (notification.type === "account") this.values.changed(notification.changed);
    if (notification.type !== "stored" && notification.type !== "refused") return;
    const key = keyOf(notification.conversation, notification.tag);
    const entry = this.written.get(key);
    this.written.delete(key);
    if (notification.type === "refused" && entry !== undefined) this.failures.set(key, { ...entry, error: notification.error });
  }

  /** Names of what was queued long ago are of no use any more. */
  private async forgetKeys(): Promise<void> {
    const { database, environment } = this.owner;
    const old = environment.now() - KEYS_MS;
    const transaction = database.transaction("keys", "readwrite");
    for (const key of await transaction.store.getAll()) if (key.at < old) void transaction.store.delete(key.key);
    await transaction.done;
  }

  private setConnection(connection: Connection): void {
    this.connection = connection;
    this.owner.emit([{ type: "connection", connection }]);
  }
}

/** The name of an entry of the outbox. */
function keyOf(conversation: ConversationId, tag: number): string {
  return `${conversation}/${tag}`;
}

function pathOf(conversation: ConversationId, window: Window, limit: number): string {
  const part = window.type === "newest" ? "" : `${window.type}=${window.seq}&`;
  return `/v1/conversations/${conversation}/events?${part}limit=${limit}`;
}
