/** From what the user wants written to its answer. Mirrors `writing.rs`. */
import type { Refusal } from "../api.js";
import { isDirect, peerOf } from "../model/conversation_id.js";
import { refusal } from "../model/text.js";
import { type ConversationId, type ErrorBody, type Tag, UNANSWERED_PER_SESSION } from "../protocol/index.js";
import type { Action, CommandFrame, Found } from "./effect.js";
import type { Engine } from "./engine.js";
import { checkAction, ENTRIES_PER_CONVERSATION, frameOf } from "./outbox.js";
import { askSoon } from "./syncing.js";

/** Most commands in flight in one session: below what the server allows, so that it never stops reading. */
const IN_FLIGHT = UNANSWERED_PER_SESSION - 32;

/** The tag of what was put into the outbox, or why it was not. */
export type Queued = { readonly tag: Tag } | { readonly refusal: Refusal };

const FULL: Refusal = {
  code: "outbox_full",
  message: `${ENTRIES_PER_CONVERSATION} commands wait for an answer in this conversation: wait for some of them first`,
};

export function queue(engine: Engine, now: number, conversation: ConversationId, action: Action): Queued {
  if (isDirect(conversation) && peerOf(conversation, engine.user) === undefined) return { refusal: refusal("not_a_member") };
  const known = engine.conversations.get(conversation);
  const tag = known?.nextTag ?? 1;
  // 2^53 tags are more than a device writes in its life.
  if ((known?.outbox.length ?? 0) >= ENTRIES_PER_CONVERSATION || tag > Number.MAX_SAFE_INTEGER) return { refusal: FULL };
  const wrong = checkAction(action);
  if (wrong !== undefined) return { refusal: wrong };
  const frame = frameOf(conversation, tag, action);
  const state = engine.getOrInsert(conversation);
  // The server would have listed it if it had any events.
  if (isDirect(conversation) && engine.syncing.point !== null) state.have ??= 0;
  state.nextTag = tag + 1;
  state.outbox.push(tag, frame, false);
  engine.write({ type: "queue", conversation, tag, frame });
  engine.markChanged(conversation);
  makeReady(engine, conversation);
  pump(engine, now);
  return { tag };
}

/** Takes an entry out that was never sent. Its tag is not used again: places in a device's count may stay empty. */
export function cancel(engine: Engine, conversation: ConversationId, tag: Tag): boolean {
  const entry = engine.conversations.get(conversation)?.outbox.get(tag);
  if (entry === undefined || entry.sent) return false;
  answered(engine, conversation, tag);
  engine.markChanged(conversation);
  return true;
}

/** Everything in flight is to be sent again. */
export function rewind(engine: Engine): void {
  for (const state of engine.conversations.values()) state.outbox.rewind();
  engine.inFlight = 0;
}

/** The conversation may have something to send. */
export function makeReady(engine: Engine, id: ConversationId): void {
  const state = engine.conversations.get(id);
  if (state === undefined || state.ready || state.outbox.length === 0) return;
  state.ready = true;
  engine.ready.push(id);
}

/** Sends what may be sent. */
export function pump(engine: Engine, now: number): void {
  // Until the first sync, the device does not know from where it follows what it writes in.
  if (!engine.connected || engine.syncing.point === null) return;
  while (engine.inFlight < IN_FLIGHT) {
    const id = engine.ready.shift();
    if (id === undefined) return;
    const state = engine.conversations.get(id);
    if (state === undefined) continue;
    state.ready = false;
    const next = state.outbox.next(now);
    if (next === undefined) continue;
    if ("waitUntil" in next) {
      engine.setTimer(next.waitUntil, "outbox", id);
      continue;
    }
    next.progress = { type: "in_flight" };
    next.sent = true;
    state.ready = true;
    engine.ready.unshift(id);
    engine.inFlight += 1;
    engine.send(next.frame);
  }
}

/** The entry has its answer: forgets it. `undefined` if it had one before. */
export function answered(engine: Engine, id: ConversationId, tag: Tag): CommandFrame | undefined {
  const entry = engine.conversations.get(id)?.outbox.take(tag);
  if (entry === undefined) return undefined;
  if (entry.progress.type === "in_flight") engine.inFlight -= 1;
  else if (entry.progress.type === "looked_up") engine.lookedUp.delete({ id, of: tag });
  engine.write({ type: "answered", conversation: id, tag });
  makeReady(engine, id);
  return entry.frame;
}

export function refused(engine: Engine, now: number, id: ConversationId, tag: Tag, error: ErrorBody): void {
  const entry = engine.conversations.get(id)?.outbox.get(tag);
  if (entry === undefined) return;
  const wasInFlight = entry.progress.type === "in_flight";
  if (!wasInFlight && entry.progress.type !== "queued") return;
  if (error.retry_after !== undefined) {
    // "Now" would be a loop without a pause.
    entry.progress = { type: "later", time: now + Math.max(Math.min(error.retry_after, 3_600) * 1_000, 200) };
  } else if (error.code === "stale_tag") {
    entry.progress = { type: "looked_up" };
    engine.lookedUp.add({ id, of: tag });
  } else {
    answered(engine, id, tag);
    engine.notify({ type: "refused", conversation: id, tag, error });
    return;
  }
  if (wasInFlight) engine.inFlight -= 1;
  makeReady(engine, id);
  if (engine.lookedUp.has({ id, of: tag })) askSoon(engine, now);
}

/** Looks for the events of stale tags, where all of the history is there. */
export function lookUpStale(engine: Engine): void {
  for (const { id, of: tag } of engine.lookedUp.values()) {
    if (engine.conversations.get(id)?.caughtUp) engine.effect({ type: "look_up", conversation: id, tag });
  }
}

export function found(engine: Engine, now: number, id: ConversationId, tag: Tag, event: Found | null): void {
  if (!engine.lookedUp.has({ id, of: tag }) || answered(engine, id, tag) === undefined) return;
  if (event !== null) {
    engine.notify({ type: "stored", conversation: id, tag, seq: event.seq, id: event.id, at: event.at });
  } else {
    engine.notify({ type: "refused", conversation: id, tag, error: refusal("stale_tag") });
  }
  pump(engine, now);
}
