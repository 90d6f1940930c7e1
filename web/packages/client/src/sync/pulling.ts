/** Closing gaps with pages. Mirrors `pulling.rs`. */
import type { ConversationId, Page } from "../protocol/index.js";
import type { Input, Window } from "./effect.js";
import type { Engine } from "./engine.js";
import { Ranges } from "./ranges.js";
import { deliver, sendArrived, takeAnswer } from "./receiving.js";
import type { ConversationState } from "./state.js";
import { askSoon } from "./syncing.js";
import { lookUpStale } from "./writing.js";

/** More events behind than this: the newest page first. */
export const FAR_BEHIND = 200;
/** Pages asked for at one time. */
const PULLS = 4;
/** Ranges kept per conversation. A page read far from all of them is shown, but not remembered, once there are as many. */
const RANGES = 256;
/** Answers without anything new in a row, after which what the server says it has counts. */
const EMPTY_PAGES = 5;
/** The longest that a server's word can hold a pull up, in seconds. */
const RETRY_AFTER_MOST = 3_600;

/** Which page to ask for next. */
function nextWindow(state: ConversationState): Window | undefined {
  const { have, reaches } = state;
  if (have === null || have >= reaches) return undefined;
  const last = state.known.last();
  const [topFrom, topTo] = last !== undefined && last[1] > have ? last : [have + 1, have];
  if (topTo < reaches) {
    const from = Math.max(topTo, have);
    return reaches - from > FAR_BEHIND ? { type: "newest" } : { type: "after", seq: from };
  }
  // All of it is stored: it only waits to be told.
  if (topFrom <= have + 1) return undefined;
  return topFrom - 1 - have > FAR_BEHIND ? { type: "before", seq: topFrom } : { type: "after", seq: have };
}

/** Puts the conversation into the queue of those to be pulled, if something is missing. */
export function wantPull(engine: Engine, now: number, id: ConversationId): void {
  const state = engine.conversations.get(id);
  if (state === undefined || state.pulling || state.pullQueued !== undefined || nextWindow(state) === undefined) return;
  if (state.pullAfter > now) {
    engine.setTimer(state.pullAfter, "pull", id);
    return;
  }
  state.pullQueued = state.at;
  engine.pullQueue.add({ id, of: state.at });
}

/**
 * Asks for pages, a few at a time, while the device is connected: without a session there is most likely no server either, and what is queued waits
 * for the next one.
 */
export function startPulls(engine: Engine, now: number): void {
  while (engine.connected && engine.pulls.size < PULLS) {
    const next = engine.pullQueue.shift();
    if (next === undefined) return;
    const { id } = next;
    const state = engine.conversations.get(id);
    if (state === undefined) continue;
    state.pullQueued = undefined;
    const window = nextWindow(state);
    if (window === undefined) continue;
    if (state.pullAfter > now) {
      engine.setTimer(state.pullAfter, "pull", id);
      continue;
    }
    state.pulling = true;
    const request = engine.nextRequest;
    engine.nextRequest += 1;
    engine.pulls.set(request, { id, window });
    engine.effect({ type: "fetch", request, conversation: id, window });
  }
}

export function fetched(engine: Engine, now: number, answer: Extract<Input, { type: "fetched" }>): void {
  const pull = engine.pulls.get(answer.request);
  if (pull === undefined) return;
  engine.pulls.delete(answer.request);
  const { id, window } = pull;
  const state = engine.conversations.get(id);
  if (state !== undefined) state.pulling = false;
  if (answer.page !== undefined) {
    fetchedPage(engine, now, id, window, answer.page);
  } else if (answer.error?.type === "gone") {
    if (state !== undefined) state.reaches = state.have ?? 0;
    engine.markChanged(id);
  } else {
    if (state !== undefined) state.pullsFailed += 1;
    pullLater(engine, now, id, answer.error?.retry_after);
  }
  wantPull(engine, now, id);
  if (engine.lookedUp.size > 0 && engine.syncing.isDone) lookUpStale(engine);
}

function fetchedPage(engine: Engine, now: number, id: ConversationId, window: Window, page: Page): void {
  const state = engine.conversations.get(id);
  if (state === undefined) return;
  const before = { have: state.have, known: new Ranges(state.known.toJSON()), reaches: state.reaches };
  takePage(engine, now, id, window, page, true);
  if (before.have !== state.have || before.reaches !== state.reaches || !before.known.equals(state.known)) {
    state.pullsFailed = 0;
    return;
  }
  state.pullsFailed += 1;
  if (page.to < page.from && state.pullsFailed >= EMPTY_PAGES) {
    // What was announced is not for this user to see, or never came to be.
    state.reaches = Math.max(page.head_seq, state.have ?? 0);
    state.pullsFailed = 0;
  }
  pullLater(engine, now, id, undefined);
}

function pullLater(engine: Engine, now: number, id: ConversationId, retryAfter: number | undefined): void {
  const state = engine.conversations.get(id);
  if (state === undefined) return;
  const failed = Math.min(Math.max(state.pullsFailed, 1), 8);
  const asked = Math.min(retryAfter ?? 0, RETRY_AFTER_MOST) * 1_000;
  state.pullAfter = now + Math.max(100 << failed, asked);
}

/** Takes in a page, whoever asked for it. One that was `pulled` closes a gap: it is remembered however many ranges there are. */
export function takePage(engine: Engine, now: number, id: ConversationId, window: Window, page: Page, pulled: boolean): void {
  const me = engine.user;
  const state = engine.conversations.get(id);
  if (state === undefined) return;
  const { events } = page;
  let { from, to } = page;
  if (to >= from) {
    // The covered range begins where it was asked to; where it does not, nothing between is for the user to see.
    if (window.type === "after") from = Math.min(from, window.seq + 1);
    else if (window.type === "before") to = Math.max(to, window.seq - 1);
  }
  const { have } = state;
  const hasRoom = pulled || state.known.length < RANGES;
  const joins = hasRoom || state.known.around(from) !== undefined || (have !== null && from <= have + 1);
  state.reaches = Math.max(state.reaches, page.head_seq);
  if (to < from || !joins) {
    engine.markChanged(id);
    wantPull(engine, now, id);
    return;
  }
  const ahead = have !== null && from > have + 1;
  state.known.insert(from, to);
  if (have !== null && to > have && events.length < to - from + 1) {
    // What happened while the user was out may have amended messages from before: those told are read anew when asked for, and those that wait
    // to be told, below what this page brought, are pulled anew.
    state.known.forgetBelow(Math.max(have + 1, from));
  }
  let current = true;
  for (const event of events) {
    state.note(me, event);
    current = state.followRoster(me, event) && current;
  }
  const lastOfOthers = events.findLast((event) => event.sender !== me);
  engine.markChanged(id);
  for (const event of events) takeAnswer(engine, id, event);
  if (events.length > 0) engine.write({ type: "keep", conversation: id, events, have: have ?? 0 });
  if (ahead && window.type === "newest") engine.notify({ type: "ahead", conversation: id, from, to });
  if (lastOfOthers !== undefined && have !== null && lastOfOthers.seq > have) sendArrived(engine, now, id, lastOfOthers);
  deliver(engine, id, now);
  if (!current) askSoon(engine, now);
  wantPull(engine, now, id);
}
