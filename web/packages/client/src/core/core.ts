/** The one core of all tabs: in the tab that leads. It owns the login, and does what the faces of the tabs ask for. */
import type { Account, Environment, SignedOutReason } from "../api.js";
import { wait } from "../environment.js";
import { ClientFailure, failure } from "../failure.js";
import { ask } from "../http/request.js";
import { normaliseHandle } from "../model/text.js";
import { type LoggedIn, USERS_PER_QUESTION, type UserId } from "../protocol/index.js";
import { fence } from "../storage/apply.js";
import { type Database, type StoredAccount, type StoredEntry, tables } from "../storage/database.js";
import { Device } from "./device.js";
import type { Attached, Batch, Calls, CoreEvent } from "./messages.js";

/** A device that broke is made anew after this long, in milliseconds: its storage may be full. */
const AGAIN_MS = 2_000;

/** Tabs whose wishes are remembered: one that was killed says no good-bye. */
const TABS = 32;

/** Who logs out waits for the server no longer than this, in milliseconds. */
const LOGOUT_MS = 5_000;

type Answers = {
  [Name in keyof Calls]: (tab: string, ...given: Parameters<Calls[Name]>) => Promise<ReturnType<Calls[Name]>> | ReturnType<Calls[Name]>;
};

/** See the module. */
export class Core {
  private device: Device | undefined;
  private reason: SignedOutReason | undefined;
  /** Why the server is being asked to end the login. */
  private leaving: SignedOutReason | undefined;
  private ending: Promise<void> | undefined;
  private beginning = false;
  private serial = 0;
  private stopped = false;
  /** Whose presence each tab shows. */
  private readonly watched = new Map<string, readonly UserId[]>();

  private constructor(
    readonly environment: Environment,
    readonly database: Database,
    readonly base: string,
    readonly epoch: number,
    private readonly publish: (batch: Batch) => void,
    private readonly fenced: () => void,
  ) {}

  /** Takes the lead: from here on, no other core stores anything in this database. */
  static async start(
    environment: Environment,
    database: Database,
    base: string,
    publish: (batch: Batch) => void,
    fenced: () => void,
  ): Promise<Core> {
    const transaction = database.transaction("values", "readwrite");
    const epoch = Number((await transaction.store.get("epoch")) ?? 0) + 1;
    await transaction.store.put(epoch, "epoch");
    await transaction.done;
    const core = new Core(environment, database, base, epoch, publish, fenced);
    core.reason = (await database.get("values", "signed_out")) as SignedOutReason | undefined;
    core.device = await Device.start(core.owner);
    return core;
  }

  /** Does what a face asks for. */
  async call(tab: string, name: keyof Calls, given: readonly unknown[]): Promise<unknown> {
    if (this.stopped) throw new ClientFailure("closed", "the client has ended");
    const answer = this.answers[name] as ((tab: string, ...given: readonly unknown[]) => unknown) | undefined;
    if (answer === undefined) throw new ClientFailure("closed", `this version of the application cannot ${name}: load the page again`);
    return answer(tab, ...given);
  }

  /** A tab closed. */
  forget(tab: string): void {
    if (this.watched.delete(tab)) this.watch();
  }

  /** Ends it. Resolves when nothing is being stored any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.device?.stop();
  }

  private readonly owner = (() => {
    const core = this;
    return {
      get environment() {
        return core.environment;
      },
      get database() {
        return core.database;
      },
      get base() {
        return core.base;
      },
      get epoch() {
        return core.epoch;
      },
      emit: (events: readonly CoreEvent[]) => core.emit(events),
      signedOut: (message: string) => core.end({ kind: "revoked", message }).catch(() => undefined),
      broken: (error: ClientFailure) => void core.restart(error),
    };
  })();

  private readonly answers: Answers = {
    attach: () => this.attach(),
    sign_up: async (_, { handle, password, display_name, device_name }) => {
      const body = { handle, password, ...optional({ display_name, device_name }) };
      await this.begin("/v1/accounts", body, handle, true);
    },
    log_in: async (_, { handle, password, device_name }) => {
      await this.begin("/v1/login", { handle, password, ...optional({ device_name }) }, handle, false);
    },
    log_out: async () => {
      const device = this.required();
      const lost = device.engine.unanswered;
      await this.leave({ kind: "logged_out", message: "logged out" }, async () => {
        try {
          await device.api.ask({ method: "POST", path: "/v1/logout", timeout: LOGOUT_MS });
        } catch (error) {
          if (!failure(error).isTransient && failure(error).code !== "signed_out") throw error;
        }
      });
      return { lost };
    },
    delete_account: async (_, password) => {
      const { api } = this.required();
      await this.leave({ kind: "deleted", message: "the account was deleted" }, () =>
        api.ask({ method: "DELETE", path: "/v1/account", body: { password } }),
      );
    },
    request: (_, request) => this.guarded((device) => device.request(request)),
    queue: (_, key, conversation, action) => this.required().queue(key, conversation, action),
    cancel: (_, conversation, tag) => this.required().cancel(conversation, tag),
    try_again: (_, conversation, tag) => this.required().tryAgain(conversation, tag),
    discard: (_, conversation, tag) => this.required().discard(conversation, tag),
    mark_read: (_, conversation, seq) => this.guarded((device) => device.markRead(conversation, seq)),
    typing: (_, conversation) => this.required().typing(conversation),
    watch: (tab, users) => {
      this.watched.delete(tab);
      this.watched.set(tab, users);
      const [oldest] = this.watched.keys();
      if (this.watched.size > TABS && oldest !== undefined) this.watched.delete(oldest);
      this.watch();
    },
    page: (_, conversation, window, limit) => this.guarded((device) => device.page(conversation, window, limit)),
    markers: (_, conversation) => this.guarded((device) => device.markers(conversation)),
    profiles: (_, users) => this.device?.values.want(users),
    set_draft: (_, conversation, draft) => this.required().setDraft(conversation, draft),
    reconnect: () => this.device?.reconnect(),
  };

  private get account(): Account {
    if (this.device === undefined)
      return this.reason === undefined ? { state: "signed_out" } : { state: "signed_out", reason: this.reason };
    const { user, device, handle } = this.device.account;
    return { state: "signed_in", user, device, handle };
  }

  private attach(): Attached {
    const { serial, account, device } = this;
    if (device === undefined) {
      const nothing = { conversations: [], outbox: [], failures: [], drafts: [], values: {}, presence: [], typing: [] };
      return { serial, account, connection: { state: "signed_out" }, ...nothing };
    }
    const { engine, connection, failures, drafts, values } = device;
    const states = engine.ids().flatMap((id) => engine.conversations.get(id) ?? []);
    const now = this.environment.now();
    const entries = (id: string, state: (typeof states)[number]): StoredEntry[] =>
      state.outbox.all().map(({ tag, frame }) => ({ conversation: id, tag, frame, at: device.writtenAt(id, tag) ?? now }));
    return {
      serial,
      account,
      connection,
      conversations: states.map((state) => state.toStored()),
      outbox: states.flatMap((state) => entries(state.id, state)),
      failures: [...failures.values()],
      drafts: [...drafts],
      values: values.values,
      presence: [...engine.presence.values()],
      typing: [...engine.typing].flatMap(([id, users]) => [...users.keys()].map((user) => [id, user] as const)),
    };
  }

  private required(): Device {
    if (this.device === undefined) throw new ClientFailure("not_logged_in", "nobody is logged in here: log in first");
    return this.device;
  }

  /** Does something with the API; if the server says that the login is over, it is. */
  private async guarded<T>(run: (device: Device) => Promise<T>): Promise<T> {
    const device = this.required();
    try {
      return await run(device);
    } catch (thrown) {
      const error = failure(thrown);
      if (error.code === "signed_out" && this.device === device) await this.end({ kind: "revoked", message: error.message });
      throw error;
    }
  }

  /** Logs in. One at a time: of two devices in one database, each would store over the other. */
  private async begin(path: string, body: object, handle: string, fromTheStart: boolean): Promise<void> {
    if (this.device !== undefined || this.beginning) {
      throw new ClientFailure("closed", "somebody is logged in here already: log out first");
    }
    this.beginning = true;
    try {
      await this.ending;
      await this.enter(path, body, handle, fromTheStart);
    } finally {
      this.beginning = false;
    }
  }

  private async enter(path: string, body: object, handle: string, fromTheStart: boolean): Promise<void> {
    const loggedIn = await ask<LoggedIn>(this.environment, this.base, { method: "POST", path, body });
    const { user, device, tokens, servers } = loggedIn;
    const account: StoredAccount = {
      user,
      device,
      tokens,
      servers,
      from_the_start: fromTheStart,
      point: null,
      handle: normaliseHandle(handle) ?? handle,
    };
    await this.wipe(account);
    this.reason = undefined;
    this.device = await Device.start(this.owner);
    this.emit([{ type: "account", account: this.account }]);
    this.device?.values.refreshAll();
  }

  /** Asks the server to end the login, and ends it here. The session may say so before the answer comes. */
  private async leave(reason: SignedOutReason, ask: () => Promise<unknown>): Promise<void> {
    this.leaving = reason;
    try {
      await ask();
    } finally {
      this.leaving = undefined;
    }
    await this.end(reason);
  }

  /** Ends the login and deletes everything stored of it. */
  private end(reason: SignedOutReason): Promise<void> {
    const { device } = this;
    if (device === undefined) return this.ending ?? Promise.resolve();
    this.device = undefined;
    this.reason = this.leaving ?? reason;
    this.ending = this.finish(device, this.reason).finally(() => {
      this.ending = undefined;
    });
    return this.ending;
  }

  private async finish(device: Device, reason: SignedOutReason): Promise<void> {
    await device.stop();
    await this.wipe(undefined, reason);
    this.emit([
      { type: "account", account: this.account },
      { type: "connection", connection: { state: "signed_out" } },
    ]);
  }

  /** Deletes everything, and stores who is logged in now or why nobody is, in one step. A leader that was replaced deletes nothing. */
  private async wipe(account: StoredAccount | undefined, reason?: SignedOutReason): Promise<void> {
    const transaction = this.database.transaction(tables, "readwrite", { durability: "strict" });
    const values = transaction.objectStore("values");
    await fence(values, this.epoch);
    for (const table of tables) await transaction.objectStore(table).clear();
    await values.put(this.epoch, "epoch");
    if (reason !== undefined) await values.put(reason, "signed_out");
    if (account !== undefined) await transaction.objectStore("account").put(account, "account");
    await transaction.done;
  }

  /** What is in memory could not be stored: begins again from what is. */
  private async restart(error: ClientFailure): Promise<void> {
    const { device } = this;
    if (device === undefined || this.stopped) return;
    const { code, message } = error;
    if (code === "closed") {
      // Another tab leads: it stores and sends what this one cannot.
      this.emit([{ type: "connection", connection: { state: "waiting", retryAt: Number.MAX_SAFE_INTEGER, reason: "elsewhere", message } }]);
      await this.stop();
      this.fenced();
      return;
    }
    this.emit([
      { type: "connection", connection: { state: "waiting", retryAt: this.environment.now() + AGAIN_MS, reason: "lost", message } },
    ]);
    await device.stop();
    await wait(AGAIN_MS);
    if (this.stopped || this.device !== device) return;
    try {
      this.device = await Device.start(this.owner);
      this.emit([{ type: "account", account: this.account }]);
    } catch (thrown) {
      await this.restart(failure(thrown));
    }
  }

  /** Who looked last comes first: only so many can be watched. */
  private watch(): void {
    const users = new Set([...this.watched.values()].reverse().flat());
    this.device?.watch([...users].slice(0, USERS_PER_QUESTION));
  }

  private emit(events: readonly CoreEvent[]): void {
    if (this.stopped) return;
    this.serial += 1;
    this.publish({ serial: this.serial, events });
  }
}

function optional<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}
