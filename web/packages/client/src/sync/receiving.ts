/** From what comes to what the application is told, once and in order. Mirrors `receiving.rs`. */
import { isDirect } from "../model/conversation_id.js";
import type { ConversationId, Event, ServerFrame } from "../protocol/index.js";
import type { Engine } from "./engine.js";
import { sendMarkers, stopTyping } from "./live.js";
import { contentOf } from "./outbox.js";
import { wantPull } from "./pulling.js";
import { ConversationState } from "./state.js";
import { askSoon } from "./syncing.js";
import { answered, lookUpStale } from "./writing.js";

/** Most places told at a time from what is stored, so that a long gap needs no memory of its length. */
const DELIVERED_AT_ONCE = 1_000;

/** The answer to an own command: its event, whose content is in the outbox. */
export function sent(engine: Engine, now: number, answer: Extract<ServerFrame, { type: "sent" }>): void {
  const { conversation: id, tag, seq, ordinal, id: event, at, mentions } = answer;
  const frame = answered(engine, id, tag);
  if (frame === undefined) {
    // Answered before; only that the log reaches that far is news.
    const state = engine.conversations.get(id);
    if (state !== undefined) state.reaches = Math.max(state.reaches, seq);
    wantPull(engine, now, id);
    return;
  }
  engine.notify({ type: "stored", conversation: id, tag, seq, id: event, at });
  const content = contentOf(frame, mentions ?? []);
  takeEvent(engine, now, id, { seq, ordinal, id: event, at, sender: engine.user, device: engine.device, tag, content });
}

/** An event, live or an own one. */
export function takeEvent(engine: Engine, now: number, id: ConversationId, event: Event): void {
  const syncedOnce = engine.syncing.point !== null;
  const follows = event.seq === 1 || (syncedOnce && isDirect(id));
  if (!engine.conversations.has(id)) {
    if (!follows) {
      // A group that the user came into: its summary says from where to follow.
      askSoon(engine, now);
      return;
    }
    engine.insert(new ConversationState(id));
  }
  const me = engine.user;
  const state = engine.getOrInsert(id);
  if (state.have === null && follows) state.have = 0;
  const { have } = state;
  if (have === null) {
    state.note(me, event);
    askSoon(engine, now);
    return;
  }
  const { seq } = event;
  if (seq <= have || state.known.around(seq) !== undefined) return;
  const next = seq === have + 1;
  const last = state.known.last();
  const extendsLast = last !== undefined && last[1] > have && seq === last[1] + 1;
  // Beyond a gap, the event says no more than how far the log reaches: preview and counts would miss what is in the gap.
  state.reaches = Math.max(state.reaches, seq);
  if (next || extendsLast) {
    state.note(me, event);
    state.known.insert(seq, seq);
    // Before its arrival is noted: what is not stored without a gap is not said to have arrived.
    if (next) state.have = seq;
    const current = state.followRoster(me, event);
    takeAnswer(engine, id, event);
    sendArrived(engine, now, id, event);
    if (next) {
      engine.write({ type: "append", conversation: id, event });
      deliver(engine, id, now);
    } else {
      engine.write({ type: "keep", conversation: id, events: [event], have });
    }
    if (!current) askSoon(engine, now);
  }
  engine.markChanged(id);
  wantPull(engine, now, id);
  if (engine.lookedUp.size > 0 && engine.syncing.isDone) lookUpStale(engine);
}

/** An own event that was read rather than answered answers its command too. */
export function takeAnswer(engine: Engine, conversation: ConversationId, event: Event): void {
  const { device, tag, seq, id, at } = event;
  if (device !== engine.device || tag === undefined || answered(engine, conversation, tag) === undefined) return;
  engine.notify({ type: "stored", conversation, tag, seq, id, at });
}

/** What an event says besides itself: the sender has stopped typing, and it has arrived. */
export function sendArrived(engine: Engine, now: number, id: ConversationId, event: Event): void {
  if (event.sender === engine.user) return;
  if (event.content.kind === "message") stopTyping(engine, id, event.sender);
  const state = engine.conversations.get(id);
  if (state !== undefined) state.arrived = Math.max(state.arrived, event.seq);
  sendMarkers(engine, now, id);
}

/** Tells of what is stored and has become contiguous. */
export function deliver(engine: Engine, id: ConversationId, now: number): void {
  const state = engine.conversations.get(id);
  if (state === undefined || state.have === null) return;
  const { have } = state;
  const end = state.known.around(have + 1)?.[1];
  if (end === undefined) return;
  const to = Math.min(end, have + DELIVERED_AT_ONCE);
  state.have = to;
  if (to < end) engine.setTimer(now, "deliver", id);
  engine.write({ type: "deliver", conversation: id, after: have, to });
  engine.markChanged(id);
  sendMarkers(engine, now, id);
}
