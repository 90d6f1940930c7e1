/** Markers, typing and presence: what is never in a log. Mirrors `live.rs`. */
import { compareConversations, compareIds } from "../model/conversation_id.js";
import type { ConversationId, Marker, UserId, UserPresence } from "../protocol/index.js";
import { TYPING_MS, USERS_PER_QUESTION } from "../protocol/index.js";
import type { Engine } from "./engine.js";

/** Markers of one conversation are sent at most this often, in milliseconds. */
const MARKERS_MS = 1_000;
/** A marker that went out this shortly before the session broke is sent again, in milliseconds: longer than a session can be dead without being noticed. */
const DOUBT_MS = 180_000;
/** Most people remembered as typing, or with their presence. */
const REMEMBERED = 10_000;

export function markRead(engine: Engine, now: number, id: ConversationId, marker: Marker): void {
  const state = engine.conversations.get(id);
  if (state === undefined) return;
  const read = { seq: Math.min(marker.seq, state.head.seq), ordinal: Math.min(marker.ordinal, state.head.ordinal) };
  if (!state.raiseRead(read)) return;
  engine.markChanged(id);
  engine.notify({ type: "read", conversation: id, user: engine.user, seq: read.seq });
  engine.notify({ type: "conversation", conversation: id });
  sendMarkers(engine, now, id);
}

export function takeRead(engine: Engine, id: ConversationId, user: UserId, marker: Marker): void {
  const state = engine.conversations.get(id);
  if (state === undefined) return;
  const own = user === engine.user;
  if (own) state.readSent = Math.max(state.readSent, marker.seq);
  const grew = own ? state.raiseRead(marker) : state.raise(user, marker.seq, 0).read;
  if (!grew) return;
  engine.markChanged(id);
  engine.notify({ type: "read", conversation: id, user, seq: marker.seq });
  if (own) engine.notify({ type: "conversation", conversation: id });
}

export function takeDelivered(engine: Engine, id: ConversationId, user: UserId, seq: number): void {
  const state = engine.conversations.get(id);
  if (state === undefined || user === engine.user || !state.raise(user, 0, seq).delivered) return;
  engine.markChanged(id);
  engine.notify({ type: "delivered", conversation: id, user, seq });
}

/** Sends the markers that the server does not know of yet, if it is time. */
export function sendMarkers(engine: Engine, now: number, id: ConversationId): void {
  const state = engine.conversations.get(id);
  if (state === undefined) return;
  if (state.markersSent !== undefined && state.markersSent + DOUBT_MS <= now) {
    state.markersSent = undefined;
    engine.markChanged(id);
  }
  const read = state.read.seq > state.readSent ? state.read.seq : undefined;
  // Only what is stored without a gap has arrived.
  const arrived = Math.min(state.arrived, state.have ?? 0);
  const delivered = arrived > state.deliveredSent ? arrived : undefined;
  if (!engine.connected || !state.member || (read === undefined && delivered === undefined)) return;
  if (state.markersAfter > now) {
    engine.setTimer(state.markersAfter, "markers", id);
    return;
  }
  state.markersAfter = now + MARKERS_MS;
  state.markersSent = now;
  engine.setTimer(now + DOUBT_MS, "markers", id);
  state.readSent = read ?? state.readSent;
  state.deliveredSent = delivered ?? state.deliveredSent;
  engine.markChanged(id);
  if (delivered !== undefined) engine.send({ type: "delivered", conversation: id, seq: delivered });
  if (read !== undefined) engine.send({ type: "read", conversation: id, seq: read });
}

/** The session broke: markers sent lately may not have arrived. */
export function doubtMarkers(engine: Engine, now: number): void {
  for (const state of engine.conversations.values()) {
    const sent = state.markersSent;
    state.markersSent = undefined;
    if (sent !== undefined && sent + DOUBT_MS > now) [state.readSent, state.deliveredSent] = [0, 0];
    [state.markersAfter, state.typingAfter] = [0, 0];
  }
}

export function typeIn(engine: Engine, now: number, id: ConversationId): void {
  const state = engine.conversations.get(id);
  if (state === undefined || !engine.connected || !state.member || state.typingAfter > now) return;
  state.typingAfter = now + TYPING_MS / 2;
  engine.send({ type: "typing", conversation: id });
}

export function takeTyping(engine: Engine, now: number, id: ConversationId, user: UserId): void {
  let remembered = 0;
  for (const users of engine.typing.values()) remembered += users.size;
  if (user === engine.user || remembered >= REMEMBERED) return;
  const until = now + TYPING_MS;
  engine.setTimer(until, "typing", id, user);
  const users = engine.typing.get(id) ?? new Map<UserId, number>();
  engine.typing.set(id, users);
  const began = !users.has(user);
  users.set(user, until);
  if (began) engine.notify({ type: "typing", conversation: id, user, typing: true });
}

export function typingEnded(engine: Engine, now: number, id: ConversationId, user: UserId): void {
  const until = engine.typing.get(id)?.get(user);
  if (until !== undefined && until <= now) stopTyping(engine, id, user);
}

export function stopTyping(engine: Engine, id: ConversationId, user: UserId): void {
  const users = engine.typing.get(id);
  if (users?.delete(user) !== true) return;
  if (users.size === 0) engine.typing.delete(id);
  engine.notify({ type: "typing", conversation: id, user, typing: false });
}

export function takePresence(engine: Engine, users: readonly UserPresence[]): void {
  for (const user of users) {
    if (engine.presence.size < REMEMBERED || engine.presence.has(user.user)) engine.presence.set(user.user, user);
    engine.notify({ type: "presence", user });
  }
}

export function watch(engine: Engine, users: readonly UserId[]): void {
  engine.watched = users.slice(0, USERS_PER_QUESTION);
  askPresence(engine);
}

export function askPresence(engine: Engine): void {
  if (engine.connected && engine.watched.length > 0) engine.send({ type: "presence", users: [...engine.watched] });
}

/** What was true of others in the session that ended is unknown now. */
export function forgetLive(engine: Engine): void {
  engine.presence.clear();
  for (const id of [...engine.typing.keys()].sort(compareConversations)) {
    for (const user of [...(engine.typing.get(id)?.keys() ?? [])].sort(compareIds)) stopTyping(engine, id, user);
  }
}
