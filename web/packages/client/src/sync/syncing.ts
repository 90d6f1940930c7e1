/** Asking what changed since the sync point. Mirrors `syncing.rs`. */
import { isDirect } from "../model/conversation_id.js";
import type { ConversationSummary, ErrorBody, Event, SyncQuestion } from "../protocol/index.js";
import type { Engine } from "./engine.js";
import { sendMarkers } from "./live.js";
import { takePage, wantPull } from "./pulling.js";
import type { Start } from "./state.js";
import { lookUpStale, makeReady, rewind } from "./writing.js";

/**
 * An answer that has not come this long, in milliseconds, after the question or the last sign that the server works on it, is asked for
 * again.
 */
const ANSWER_MS = 30_000;

/** Where the device stands with its questions. */
export class Syncing {
  /** The `since` of the questions under way: a chain of parts keeps it. */
  since: string | null = null;
  /** Chains of questions under way in this session. */
  chains = 0;
  /** Was one taken in whole in this session? */
  done = false;
  /** Something came up that the answer under way may not show: ask once more after it. */
  again = false;
  /** When the answer counts as lost, or what was refused is asked again. */
  lookAgain = 0;
  /** The last question was refused for the time being. */
  refused = false;

  /** A device that stored this `point` last; `null` before the first sync. */
  constructor(public point: string | null) {}

  /** Was everything asked for in this session answered, once at least? */
  get isDone(): boolean {
    return this.done && this.chains === 0 && !this.again;
  }

  /** The session began with `resume`, which asked. */
  begin(now: number): void {
    [this.chains, this.done, this.again, this.lookAgain] = [1, false, false, now + ANSWER_MS];
    this.refused = false;
    this.since = this.point;
  }

  /** The session ended: nothing is under way any more. */
  stop(): void {
    [this.chains, this.done, this.again, this.refused] = [0, false, false, false];
  }
}

function question(since: string | null, more?: string): { type: "sync" } & SyncQuestion {
  return { type: "sync", ...(since === null ? {} : { since }), ...(more === undefined ? {} : { more }) };
}

/** Asks what changed, from the sync point on. */
function ask(engine: Engine, now: number): void {
  const { syncing } = engine;
  if (syncing.chains === 0) syncing.since = syncing.point;
  syncing.chains += 1;
  syncing.again = false;
  [syncing.lookAgain, syncing.refused] = [now + ANSWER_MS, false];
  engine.setTimer(syncing.lookAgain, "sync");
  engine.send(question(syncing.since));
}

/** Asks what changed, unless an answer is under way: then after it. */
export function askSoon(engine: Engine, now: number): void {
  if (!engine.connected) return;
  if (engine.syncing.chains === 0) ask(engine, now);
  else engine.syncing.again = true;
}

/** Frames may have been lost, answers among them. */
export function resync(engine: Engine, now: number): void {
  if (!engine.connected) return;
  rewind(engine);
  for (const id of engine.ids()) makeReady(engine, id);
  ask(engine, now);
}

export function takeSync(
  engine: Engine,
  now: number,
  conversations: readonly ConversationSummary[],
  point: string,
  more: string | undefined,
): void {
  const { syncing } = engine;
  const first = syncing.point === null;
  for (const summary of conversations) takeSummary(engine, now, summary, first && !engine.fromTheStart ? "head" : "first");
  if (more !== undefined) {
    [syncing.lookAgain, syncing.refused] = [now + ANSWER_MS, false];
    engine.setTimer(syncing.lookAgain, "sync");
    engine.send(question(syncing.since, more));
    return;
  }
  engine.write({ type: "point", point });
  syncing.point = point;
  // Answers come in order, so those to earlier questions are in or lost.
  syncing.chains = 0;
  syncing.done = true;
  if (first) followUnfollowed(engine, now);
  if (syncing.again) ask(engine, now);
  else lookUpStale(engine);
}

function takeSummary(engine: Engine, now: number, summary: ConversationSummary, start: Start): void {
  const id = summary.conversation;
  engine.getOrInsert(id).takeIn(engine.user, summary, start);
  engine.markChanged(id);
  engine.notify({ type: "conversation", conversation: id });
  takeLatest(engine, now, id, summary.latest ?? []);
  wantPull(engine, now, id);
  sendMarkers(engine, now, id);
}

/** Takes in the events that came with a summary, if they go on from what the device has: a page that it need not ask for. */
function takeLatest(engine: Engine, now: number, id: string, latest: readonly Event[]): void {
  const state = engine.conversations.get(id);
  const [first, last] = [latest[0], latest.at(-1)];
  if (state === undefined || state.have === null || first === undefined || last === undefined) return;
  const { have } = state;
  const whole = latest.every((event, index) => event.seq === first.seq + index);
  if (!whole || first.seq > have + 1 || last.seq <= have) return;
  const events = latest.filter((event) => event.seq > have);
  const page = { events, from: have + 1, to: last.seq, head_seq: state.reaches, first_seq: state.firstSeq };
  takePage(engine, now, id, { type: "after", seq: have }, page, true);
}

/** What was written to before the first sync: a direct conversation that the server did not list has no events. */
function followUnfollowed(engine: Engine, now: number): void {
  for (const id of engine.ids()) {
    const state = engine.conversations.get(id);
    if (state === undefined || !isDirect(id) || state.have !== null) continue;
    state.have = 0;
    engine.markChanged(id);
    wantPull(engine, now, id);
  }
}

/** An error that answers no command: it may answer the question. */
export function syncRefused(engine: Engine, now: number, error: ErrorBody): void {
  const { syncing } = engine;
  if (syncing.chains === 0) return;
  // The server does not know the sync point: ask for everything.
  if (error.retry_after === undefined && error.code === "invalid_parameter") syncing.since = null;
  syncing.lookAgain = now + Math.min(Math.max(error.retry_after ?? 1, 1), 60) * 1_000;
  syncing.refused = true;
  engine.setTimer(syncing.lookAgain, "sync");
}

/** The server works on what it was asked: the answer is not lost, however long it takes. */
export function syncComes(engine: Engine, now: number): void {
  const { syncing } = engine;
  if (syncing.chains === 0 || syncing.refused) return;
  syncing.lookAgain = now + ANSWER_MS;
  engine.setTimer(syncing.lookAgain, "sync");
}

export function syncOverdue(engine: Engine, now: number): void {
  if (engine.connected && engine.syncing.chains > 0 && engine.syncing.lookAgain <= now) ask(engine, now);
}
