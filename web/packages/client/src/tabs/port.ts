/**
 * Several tabs on one device: one leads (by Web Locks) and has the core; all of them, the leading one too, have a face that asks it.
 *
 * When the leading tab closes, another gets the lock, makes a core from what is stored and says so; questions without an answer are asked again.
 */
import type { Environment } from "../api.js";
import { Core } from "../core/core.js";
import { type Attached, type Batch, type Calls, once } from "../core/messages.js";
import { ClientFailure, failure } from "../failure.js";
import { uniqueName } from "../names.js";
import type { Database } from "../storage/database.js";

/** A tab that hears nothing of a leader for this long takes the lead by force, in milliseconds: the leader may be frozen ... */
const SILENCE_MS = 10_000;
/** ... if it has asked so often meanwhile. Time alone says nothing in a tab that slept, or whose timers the browser slows down. */
const ASKS = 4;
/** How often a tab without an answer asks who leads, in milliseconds. */
const ASK_MS = 500;
/** A leader that is overtaken although it holds the lock begins again after this long, in milliseconds: until then it hears whether the lock was taken. */
const AGAIN_MS = 1_000;

type Message =
  | { readonly kind: "who" }
  | { readonly kind: "leader"; readonly leader: string }
  | {
      readonly kind: "call";
      readonly leader: string;
      readonly tab: string;
      readonly id: number;
      readonly name: keyof Calls;
      readonly given: readonly unknown[];
    }
  | {
      readonly kind: "answer";
      readonly tab: string;
      readonly id: number;
      readonly value?: unknown;
      readonly error?: { readonly code: string; readonly message: string; readonly status?: number; readonly retryAfter?: number };
    }
  | { readonly kind: "batch"; readonly leader: string; readonly batch: Batch }
  | { readonly kind: "bye"; readonly tab: string };

interface Pending {
  readonly name: keyof Calls;
  readonly given: readonly unknown[];
  /** Which leader it was put to, if to any. */
  asked: string | undefined;
  resolve(value: unknown): void;
  reject(error: ClientFailure): void;
}

/** What the face of a tab is told. */
export interface PortReader {
  /** There is a new leader: batches that came before are of no use, and those that come now wait for {@link PortReader.attached}. */
  attaching(): void;
  /** How things stand. */
  attached(attached: Attached): void;
  /** There cannot be a core in this tab. */
  failed(error: ClientFailure): void;
  batch(batch: Batch): void;
  /** This tab leads, or does no more. */
  leads(leads: boolean): void;
}

/** The way from the face of a tab to the core. */
export class Port {
  private readonly tab = uniqueName();
  private readonly channel: BroadcastChannel | undefined;
  private readonly pending = new Map<number, Pending>();
  private readonly closing = new AbortController();
  /** The core that leads: the name of its tab, and the how manieth of that tab it is. */
  private leader: string | undefined;
  private core: Core | undefined;
  /** The name of the core of this tab, while it leads. */
  private leading: string | undefined;
  /** How many cores were begun in this tab. */
  private begun = 0;
  private release: (() => void) | undefined;
  private nextId = 1;
  private heardAt: number;
  /** How often it asked who leads since it heard of a leader. */
  private unheard = 0;
  /** Grows when the lead is taken from this tab: what began to lead before it is not to go on. */
  private turn = 0;
  private asking: ReturnType<typeof setInterval> | undefined;
  private fatal: ClientFailure | undefined;
  /** Another tab has taken over, and there are no locks to stand in line for. */
  private fenced = false;

  constructor(
    private readonly environment: Environment,
    private readonly name: string,
    private readonly database: Database,
    private readonly base: string,
    private readonly reader: PortReader,
  ) {
    this.heardAt = environment.now();
    const Channel = environment.BroadcastChannel;
    if (Channel !== undefined && environment.locks !== undefined) {
      this.channel = new Channel(`banter ${name}`);
      this.channel.onmessage = (event: MessageEvent<Message>) => this.receive(event.data);
      // For Node, where an open channel keeps the process alive.
      (this.channel as { unref?: () => void }).unref?.();
    }
  }

  /** Looks for the leader, or becomes it. */
  open(): void {
    this.stand(false);
    if (this.channel === undefined) return;
    this.post({ kind: "who" });
    this.asking = setInterval(() => this.look(), ASK_MS);
  }

  /** Asks the core. Waits for a leader if there is none. */
  call<Name extends keyof Calls>(name: Name, ...given: Parameters<Calls[Name]>): Promise<ReturnType<Calls[Name]>> {
    if (this.fatal !== undefined) return Promise.reject(this.fatal);
    if (this.fenced) {
      if (name !== "reconnect")
        return Promise.reject(new ClientFailure("closed", "another tab has taken over: reconnect to take over in turn"));
      this.fenced = false;
      void this.lead();
    }
    return new Promise((resolve, reject) => {
      const id = this.nextId;
      this.nextId += 1;
      const pending: Pending = { name, given, asked: undefined, resolve: resolve as (value: unknown) => void, reject };
      this.pending.set(id, pending);
      if (this.leader !== undefined) this.put(id, pending, this.leader);
    });
  }

  /** Ends it. If this tab leads, another may take over as soon as nothing is being stored any more. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    clearInterval(this.asking);
    this.fail(new ClientFailure("closed", "the client was closed"));
    const core = this.leave();
    await core?.stop();
    this.release?.();
    this.post({ kind: "bye", tab: this.tab });
    this.channel?.close();
  }

  /** Stands in line for the lead; by force, where the leader says nothing any more. */
  private stand(steal: boolean): void {
    const { locks } = this.environment;
    if (locks === undefined || this.channel === undefined) {
      void this.lead();
      return;
    }
    // A lock taken by force cannot be waited for, so it takes no signal.
    const options: LockOptions = steal ? { steal: true } : { signal: this.closing.signal };
    const held = async () => {
      if (this.closing.signal.aborted) return;
      const until = new Promise<void>((resolve) => {
        this.release = resolve;
      });
      await this.lead();
      await until;
    };
    locks.request(`banter ${this.name}`, options, held).catch((error: Error) => {
      if (error.name === "AbortError") this.lost();
      // No locks where this page comes from: it acts as the only one.
      else if (!this.closing.signal.aborted) void this.lead();
    });
  }

  /** Another tab has taken the lead by force. */
  private lost(): void {
    if (this.closing.signal.aborted) return;
    const core = this.leave();
    this.leader = undefined;
    this.turn += 1;
    this.heard();
    if (core !== undefined) this.reader.leads(false);
    void core?.stop();
    this.stand(false);
    this.post({ kind: "who" });
  }

  /** The core that began in `turn` found that another one has begun since. */
  private overtaken(turn: number): void {
    if (turn !== this.turn) return;
    this.leave();
    this.leader = undefined;
    if (this.channel !== undefined) {
      // Most likely the lock is lost too, and says so in a moment. If not, it was a tab that lost the lock while it began, and leads no more.
      setTimeout(() => {
        if (turn === this.turn && this.core === undefined && !this.closing.signal.aborted) void this.lead();
      }, AGAIN_MS);
      return;
    }
    this.fenced = true;
    this.reader.leads(false);
    this.fail(new ClientFailure("closed", "another tab has taken over"));
  }

  /** There is no core in this tab any more: the one that was. */
  private leave(): Core | undefined {
    const { core } = this;
    [this.core, this.leading] = [undefined, undefined];
    return core;
  }

  private async lead(): Promise<void> {
    const { turn } = this;
    this.begun += 1;
    const leading = `${this.tab} ${this.begun}`;
    try {
      const publish = (batch: Batch) => {
        this.reader.batch(batch);
        this.post({ kind: "batch", leader: leading, batch });
      };
      const core = await Core.start(this.environment, this.database, this.base, publish, () => this.overtaken(turn));
      if (this.closing.signal.aborted || turn !== this.turn) return void core.stop();
      [this.core, this.leading] = [core, leading];
      this.reader.leads(true);
      this.follow(leading);
      this.post({ kind: "leader", leader: leading });
    } catch (thrown) {
      if (turn !== this.turn) return;
      this.fatal = failure(thrown);
      this.fail(this.fatal);
      this.reader.failed(this.fatal);
      this.release?.();
    }
  }

  /** Asks who leads while nobody is known to, or while the leader owes an answer; takes the lead by force in the end. */
  private look(): void {
    const now = this.environment.now();
    const owed = this.leader === undefined || this.pending.size > 0;
    if (this.core !== undefined || !owed) {
      this.heard();
    } else if (now - this.heardAt > SILENCE_MS && this.unheard >= ASKS) {
      this.heard();
      this.leader = undefined;
      this.stand(true);
    } else {
      this.unheard += 1;
      this.post({ kind: "who" });
    }
  }

  private heard(): void {
    this.heardAt = this.environment.now();
    this.unheard = 0;
  }

  private receive(message: Message): void {
    switch (message.kind) {
      case "who":
        if (this.leading !== undefined) this.post({ kind: "leader", leader: this.leading });
        return;
      case "leader":
        this.heard();
        return this.follow(message.leader);
      case "batch":
        if (message.leader === this.leader) this.reader.batch(message.batch);
        return;
      case "call":
        if (message.leader === this.leading) void this.answer(message);
        return;
      case "answer":
        if (message.tab === this.tab) this.take(message);
        return;
      case "bye":
        this.core?.forget(message.tab);
        // The leader is gone: its successor will say so.
        if (this.leader?.startsWith(`${message.tab} `)) this.leader = undefined;
        return;
    }
  }

  /** Puts what has no answer to a new leader, first of all how things stand. */
  private follow(leader: string): void {
    if (leader === this.leader) return;
    this.leader = leader;
    this.fatal = undefined;
    this.reader.attaching();
    // Not one of the pending calls: a leader that comes after this one answers for itself.
    this.call("attach").then(
      (attached) => {
        if (this.leader === leader) this.reader.attached(attached);
      },
      () => undefined,
    );
    for (const [id, pending] of [...this.pending]) {
      if (pending.asked === leader) continue;
      if (pending.asked !== undefined && once.has(pending.name)) {
        this.pending.delete(id);
        pending.reject(new ClientFailure("closed", "the tab that did this was closed: look whether it worked"));
      } else if (pending.asked !== undefined && pending.name === "attach") {
        this.pending.delete(id);
        pending.reject(new ClientFailure("closed", "another tab leads now"));
      } else {
        this.put(id, pending, leader);
      }
    }
  }

  private put(id: number, pending: Pending, leader: string): void {
    pending.asked = leader;
    const { tab, core } = this;
    const { name, given } = pending;
    if (leader !== this.leading || core === undefined) return this.post({ kind: "call", leader, tab, id, name, given });
    core.call(tab, name, given).then(
      (value) => this.take({ kind: "answer", tab, id, value }),
      (thrown) => {
        const error = failure(thrown);
        // It leads no more: its successor is asked.
        if (error.code !== "closed" || this.core === core) this.take({ kind: "answer", tab, id, error });
      },
    );
  }

  private async answer({ tab, id, name, given }: Extract<Message, { kind: "call" }>): Promise<void> {
    const { core } = this;
    if (core === undefined) return;
    try {
      const value = await core.call(tab, name, given);
      this.post({ kind: "answer", tab, id, value });
    } catch (thrown) {
      const { code, message, status, retryAfter } = failure(thrown);
      // A leader that is closing: its successor is asked.
      if (code === "closed" && this.core !== core) return;
      const more = { ...(status === undefined ? {} : { status }), ...(retryAfter === undefined ? {} : { retryAfter }) };
      this.post({ kind: "answer", tab, id, error: { code, message, ...more } });
    }
  }

  private take({ id, value, error }: Extract<Message, { kind: "answer" }>): void {
    const pending = this.pending.get(id);
    if (pending === undefined) return;
    this.pending.delete(id);
    if (error === undefined) pending.resolve(value);
    else pending.reject(error instanceof ClientFailure ? error : new ClientFailure(error.code, error.message, error));
  }

  private fail(error: ClientFailure): void {
    const pending = [...this.pending.values()];
    this.pending.clear();
    for (const one of pending) one.reject(error);
  }

  private post(message: Message): void {
    try {
      this.channel?.postMessage(message);
    } catch (error) {
      // A closed channel: nobody is to be told any more.
      if (!this.closing.signal.aborted) throw error;
    }
  }
}
