/** Steps of the engine: what happened, then everything stored in one transaction, then sent and told. */
import { wait } from "../environment.js";
import { ClientFailure, failure } from "../failure.js";
import type { ClientFrame, ConversationId } from "../protocol/index.js";
import { apply, type Named } from "../storage/apply.js";
import type { Database, StoredEntry } from "../storage/database.js";
import type { Effect, Window } from "../sync/effect.js";
import type { Engine } from "../sync/engine.js";
import type { CoreEvent } from "./messages.js";

/** Jobs taken in one step, and so in one transaction. */
const AT_ONCE = 256;
/** The storage is tried so often, with doubling pauses, before the step fails. */
const ATTEMPTS = 5;
const PAUSE_MS = 100;
/** Jobs that may wait; more frames than that, and the session is given up: the server keeps what it has. */
export const JOBS = 20_000;

/** Something for the engine. */
export interface Job {
  run(engine: Engine, now: number): void;
  /** It ends or begins a session. It begins a step: frames that jobs before it caused are for the session before, and must not go into the next one. */
  readonly turns?: true;
  /** What `run` did is stored. */
  done?(): void;
  failed?(error: ClientFailure): void;
  /** A name for what `run` queued, known after it. */
  key?(): Named | undefined;
}

/** Who does what a step wants done. */
export interface Surroundings {
  readonly database: Database;
  /** Fences off a leader that has been replaced. */
  readonly epoch: number;
  /** The wall clock. */
  readonly wallClock: () => number;
  /** Which session the engine is in, after its jobs have run. */
  session(): unknown;
  /** Sends frames in the session that the engine was in, if it still stands. */
  send(session: unknown, frames: readonly ClientFrame[]): void;
  fetch(request: number, conversation: ConversationId, window: Window): void;
  lookUp(conversation: ConversationId, tag: number): void;
  emit(events: readonly CoreEvent[]): void;
  /** What is in memory is ahead of what is stored, and cannot be stored: begin again from what is. */
  broken(error: ClientFailure): void;
}

/** Milliseconds of a clock that never runs backwards. */
function clock(): number {
  return Math.floor(performance.now());
}

/** Drives one engine. */
export class Steps {
  private jobs: Job[] = [];
  private working: Promise<void> | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;

  constructor(
    readonly engine: Engine,
    private readonly around: Surroundings,
  ) {}

  /** How many jobs wait. */
  get waiting(): number {
    return this.jobs.length;
  }

  /** Adds a job. Jobs run in order, each as soon as what ran before is stored. */
  add(job: Job): void {
    if (this.stopped) {
      job.failed?.(new ClientFailure("closed", "the client has ended"));
      return;
    }
    this.jobs.push(job);
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
  }

  /** Runs `run` as a job and resolves to what it returned, once that is stored. */
  ask<T>(run: (engine: Engine, now: number) => T, key?: (answer: T) => ReturnType<NonNullable<Job["key"]>>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let answer: { readonly value: T } | undefined;
      this.add({
        run: (engine, now) => {
          answer = { value: run(engine, now) };
        },
        done: () => (answer === undefined ? reject(new ClientFailure("closed", "the client has ended")) : resolve(answer.value)),
        failed: reject,
        key: () => (answer === undefined ? undefined : key?.(answer.value)),
      });
    });
  }

  /** Ends it. Resolves when nothing is being stored any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    const jobs = this.jobs;
    this.jobs = [];
    for (const job of jobs) job.failed?.(new ClientFailure("closed", "the client has ended"));
    await this.working;
  }

  private async work(): Promise<void> {
    // What comes in the same turn goes into one step.
    await Promise.resolve();
    while (this.jobs.length > 0 && !this.stopped) await this.step(this.jobs.splice(0, this.together()));
    this.schedule();
  }

  /** How many of the jobs that wait go into one step. */
  private together(): number {
    const turn = this.jobs.slice(0, AT_ONCE).findIndex((job, index) => index > 0 && job.turns);
    return turn < 0 ? AT_ONCE : turn;
  }

  private async step(jobs: readonly Job[]): Promise<void> {
    const { engine, around } = this;
    const ran: Job[] = [];
    for (const job of jobs) {
      try {
        job.run(engine, clock());
        ran.push(job);
      } catch (error) {
        job.failed?.(failure(error));
      }
    }
    const session = around.session();
    const effects = engine.takeEffects();
    try {
      const events = await this.store(effects, ran);
      if (events.length > 0) around.emit(events);
    } catch (thrown) {
      const error = failure(thrown);
      for (const job of ran) job.failed?.(error);
      if (!this.stopped) around.broken(error);
      return;
    }
    for (const job of ran) job.done?.();
    if (this.stopped) return;
    const frames: ClientFrame[] = [];
    for (const effect of effects) {
      if (effect.type === "send") frames.push(effect.frame);
      else if (effect.type === "fetch") around.fetch(effect.request, effect.conversation, effect.window);
      else if (effect.type === "look_up") around.lookUp(effect.conversation, effect.tag);
    }
    if (frames.length > 0) around.send(session, frames);
  }

  /** Stores the effects and returns what the faces are to be told. */
  private async store(effects: readonly Effect[], jobs: readonly Job[]): Promise<CoreEvent[]> {
    const now = this.around.wallClock();
    const keys = jobs.flatMap((job) => job.key?.() ?? []);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const told = await apply(this.around.database, effects, { now, keys, epoch: this.around.epoch });
        const events: CoreEvent[] = [];
        for (const effect of effects) {
          if (effect.type !== "write") continue;
          const { write } = effect;
          if (write.type === "conversation") events.push({ type: "conversation", stored: write.state });
          else if (write.type === "queue") events.push({ type: "queued", entry: entryOf(write, now) });
        }
        return events.concat(told.map((notification) => ({ type: "told", notification })));
      } catch (thrown) {
        const error = failure(thrown);
        if (error.code !== "storage" || attempt === ATTEMPTS || this.stopped) throw error;
        await wait(PAUSE_MS * 2 ** attempt);
      }
    }
  }

  private schedule(): void {
    clearTimeout(this.timer);
    const { deadline } = this.engine;
    if (deadline === undefined || this.stopped) return;
    // Timers count in 32 bits.
    const after = Math.min(Math.max(deadline - clock(), 0), 0x7fff_ffff);
    this.timer = setTimeout(() => this.add({ run: (engine, now) => engine.handle(now, { type: "tick" }) }), after);
  }
}

function entryOf(
  write: { readonly conversation: ConversationId; readonly tag: number; readonly frame: StoredEntry["frame"] },
  at: number,
): StoredEntry {
  return { conversation: write.conversation, tag: write.tag, frame: write.frame, at };
}
