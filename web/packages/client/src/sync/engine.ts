/**
 * The sync engine: what a device must do so that what was acknowledged is stored, and each event is seen once and in order.
 *
 * It is pure: no I/O, no clock, no random number. {@link Engine.handle} takes what happened and the time (milliseconds of any clock that never
 * runs backwards), {@link Engine.takeEffects} gives what is to be done, {@link Engine.deadline} says when to call with the input `tick`. It mirrors
 * `crates/client/src/sync` of the Rust SDK file by file: the contract that every client of banter keeps stands in its `mod.rs`, and both pass the
 * same vectors (`crates/client/vectors`).
 */
import { compareConversations, compareIds } from "../model/conversation_id.js";
import type { ClientFrame, ConversationId, DeviceId, ServerFrame, Tag, UserId, UserPresence } from "../protocol/index.js";
import type { Action, Effect, Input, Notification, Snapshot, Window, Write } from "./effect.js";
import { forgetOld, LOOKED_AFTER } from "./keeping.js";
import * as live from "./live.js";
import * as pulling from "./pulling.js";
import * as receiving from "./receiving.js";
import { SortedSet } from "./sorted.js";
import { ConversationState } from "./state.js";
import * as syncing from "./syncing.js";
import { Syncing } from "./syncing.js";
import * as writing from "./writing.js";

/**
 * What is to be looked at again at a certain time, in this order among equals: more of what is stored can be told, a command may be sent again, markers may
 * be sent again, a page may be asked for again, somebody may have stopped typing, the sync answer may have been lost. Looking too early or too often does no harm.
 */
export const timerKinds = ["deliver", "outbox", "markers", "pull", "typing", "sync"] as const;

/** See {@link timerKinds}. */
export interface Timer {
  readonly time: number;
  readonly kind: (typeof timerKinds)[number];
  readonly id: ConversationId;
  readonly user: UserId;
}

function compareTimers(a: Timer, b: Timer): number {
  return (
    a.time - b.time ||
    timerKinds.indexOf(a.kind) - timerKinds.indexOf(b.kind) ||
    compareConversations(a.id, b.id) ||
    compareIds(a.user, b.user)
  );
}

/** A conversation and something of it. */
export interface Key<Of> {
  readonly id: ConversationId;
  readonly of: Of;
}

/** The state of one device. */
export class Engine {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly fromTheStart: boolean;
  connected = false;
  readonly conversations = new Map<ConversationId, ConversationState>();
  readonly syncing: Syncing;
  /** Conversations with something to send, in turn. */
  readonly ready: ConversationId[] = [];
  inFlight = 0;
  /** Commands that the server could not tell of: to be looked up in the history. */
  readonly lookedUp = new SortedSet<Key<Tag>>((a, b) => compareConversations(a.id, b.id) || a.of - b.of);
  /** Conversations that lack events, the latest first. */
  readonly pullQueue = new SortedSet<Key<number>>((a, b) => b.of - a.of || compareConversations(a.id, b.id));
  readonly pulls = new Map<number, { readonly id: ConversationId; readonly window: Window }>();
  nextRequest = 1;
  readonly timers = new SortedSet<Timer>(compareTimers);
  /** Who is typing where, until when. */
  readonly typing = new Map<ConversationId, Map<UserId, number>>();
  readonly presence = new Map<UserId, UserPresence>();
  watched: readonly UserId[] = [];
  private readonly changed = new Set<ConversationId>();
  private readonly order = new SortedSet<ConversationId>(compareConversations);
  private toldSynced = false;
  /** Places stored or told since it was looked how much is kept; a device that goes on from a snapshot looks at once. */
  private grown = LOOKED_AFTER;
  private effects: Effect[] = [];

  /** A device that goes on from `snapshot`. */
  constructor(snapshot: Snapshot) {
    this.user = snapshot.user;
    this.device = snapshot.device;
    this.fromTheStart = snapshot.from_the_start;
    this.syncing = new Syncing(snapshot.point);
    for (const stored of snapshot.conversations) this.insert(ConversationState.from(stored));
    const outbox = [...snapshot.outbox].sort((a, b) => compareConversations(a.conversation, b.conversation) || a.tag - b.tag);
    for (const { conversation, tag, frame } of outbox) {
      const state = this.getOrInsert(conversation);
      state.nextTag = Math.max(state.nextTag, tag + 1);
      state.outbox.push(tag, frame, true);
    }
    for (const id of this.ids()) {
      writing.makeReady(this, id);
      receiving.deliver(this, id, 0);
    }
  }

  /** Takes in what happened at the time `now`. */
  handle(now: number, input: Input): void {
    if (this.grown >= LOOKED_AFTER) {
      this.grown = 0;
      forgetOld(this);
    }
    switch (input.type) {
      case "frame":
        this.takeFrame(now, input.frame);
        break;
      case "disconnected":
        this.disconnected(now);
        break;
      case "fetched":
        pulling.fetched(this, now, input);
        break;
      case "page":
        pulling.takePage(this, now, input.conversation, input.window, input.page, false);
        break;
      case "looked_up":
        writing.found(this, now, input.conversation, input.tag, input.found);
        break;
      case "mark_read":
        live.markRead(this, now, input.conversation, input.marker);
        break;
      case "typing":
        live.typeIn(this, now, input.conversation);
        break;
      case "watch":
        live.watch(this, input.users);
        break;
      case "tick":
        this.tick(now);
        break;
    }
    pulling.startPulls(this, now);
    writing.pump(this, now);
    this.tellSynced();
  }

  /**
   * Puts `action` into the outbox, and returns its tag, or why it cannot be written. Its answer comes as the notification `stored` or `refused`, perhaps
   * in another run of the client.
   */
  queue(now: number, conversation: ConversationId, action: Action): writing.Queued {
    return writing.queue(this, now, conversation, action);
  }

  /** Takes an entry out of the outbox that was surely never sent. `false` when it may have been: then it goes on. */
  cancel(now: number, conversation: ConversationId, tag: Tag): boolean {
    const cancelled = writing.cancel(this, conversation, tag);
    writing.pump(this, now);
    return cancelled;
  }

  /**
   * What is to be done, in order. States of conversations that changed come once, after everything else that is to be stored about them.
   */
  takeEffects(): Effect[] {
    const effects = this.effects;
    this.effects = [];
    for (const id of [...this.changed].sort(compareConversations)) {
      const state = this.conversations.get(id);
      if (state !== undefined) effects.push({ type: "write", write: { type: "conversation", state: state.toStored() } });
    }
    this.changed.clear();
    return effects;
  }

  /** When the input `tick` is due, if nothing else happens before. */
  get deadline(): number | undefined {
    return this.timers.first()?.time;
  }

  /** The sync point, for `resume`. */
  get point(): string | null {
    return this.syncing.point;
  }

  /** Is everything up to the moment of connecting stored and told? */
  get isSynced(): boolean {
    if (!this.connected || !this.syncing.isDone || this.pulls.size > 0 || this.pullQueue.size > 0) return false;
    for (const state of this.conversations.values()) if (state.have !== null && !state.caughtUp) return false;
    return true;
  }

  /** Commands without an answer, in all conversations. */
  get unanswered(): number {
    let count = 0;
    for (const state of this.conversations.values()) count += state.outbox.length;
    return count;
  }

  /** The ids of all conversations, in the model's order. */
  ids(): readonly ConversationId[] {
    return this.order.values();
  }

  /** Adds a conversation. */
  insert(state: ConversationState): ConversationState {
    this.conversations.set(state.id, state);
    this.order.add(state.id);
    return state;
  }

  /** A conversation, known from here on. */
  getOrInsert(id: ConversationId): ConversationState {
    return this.conversations.get(id) ?? this.insert(new ConversationState(id));
  }

  /** Asks for a look at something later. */
  setTimer(time: number, kind: Timer["kind"], id: ConversationId = "", user: UserId = ""): void {
    this.timers.add({ time, kind, id, user });
  }

  notify(notification: Notification): void {
    this.effects.push({ type: "notify", notification });
  }

  write(write: Write): void {
    if (write.type === "append") this.grown += 1;
    else if (write.type === "keep") this.grown += write.events.length;
    else if (write.type === "deliver") this.grown += write.to - write.after;
    this.effects.push({ type: "write", write });
  }

  send(frame: ClientFrame): void {
    this.effects.push({ type: "send", frame });
  }

  effect(effect: Effect): void {
    this.effects.push(effect);
  }

  /** The conversation's state is to be stored. */
  markChanged(id: ConversationId): void {
    this.changed.add(id);
  }

  private takeFrame(now: number, frame: ServerFrame): void {
    switch (frame.type) {
      case "welcome":
        return this.welcome(now);
      case "sent":
        return receiving.sent(this, now, frame);
      case "event":
        return receiving.takeEvent(this, now, frame.conversation, frame.event);
      case "read":
        return live.takeRead(this, frame.conversation, frame.user, { seq: frame.seq, ordinal: frame.ordinal });
      case "delivered":
        return live.takeDelivered(this, frame.conversation, frame.user, frame.seq);
      case "typing":
        return live.takeTyping(this, now, frame.conversation, frame.user);
      case "presence":
        return live.takePresence(this, frame.users);
      case "sync":
        return syncing.takeSync(this, now, frame.conversations, frame.point, frame.more);
      case "resync":
        return syncing.resync(this, now);
      case "account":
        return this.notify({ type: "account", changed: frame.changed });
      case "error": {
        const { code, message, retry_after } = frame;
        const error = retry_after === undefined ? { code, message } : { code, message, retry_after };
        if (frame.tag !== undefined && frame.tag > 0 && frame.conversation !== undefined) {
          return writing.refused(this, now, frame.conversation, frame.tag, error);
        }
        return syncing.syncRefused(this, now, error);
      }
      case "working":
        return syncing.syncComes(this, now);
      // `bye`: the close that follows says the rest. `pong`, and what a newer server may send: nothing.
      default:
        return;
    }
  }

  private welcome(now: number): void {
    if (this.connected) this.disconnected(now);
    this.connected = true;
    this.toldSynced = false;
    this.syncing.begin(now);
    this.setTimer(this.syncing.lookAgain, "sync");
    live.askPresence(this);
    for (const id of this.ids()) {
      writing.makeReady(this, id);
      pulling.wantPull(this, now, id);
      live.sendMarkers(this, now, id);
    }
  }

  private disconnected(now: number): void {
    this.connected = false;
    this.syncing.stop();
    writing.rewind(this);
    live.forgetLive(this);
    live.doubtMarkers(this, now);
  }

  private tick(now: number): void {
    for (let timer = this.timers.first(); timer !== undefined && timer.time <= now; timer = this.timers.first()) {
      this.timers.shift();
      switch (timer.kind) {
        case "deliver":
          // A chunk of what can be told at a time: the rest after the chunk is stored.
          return receiving.deliver(this, timer.id, now);
        case "outbox":
          writing.makeReady(this, timer.id);
          break;
        case "markers":
          live.sendMarkers(this, now, timer.id);
          break;
        case "pull":
          pulling.wantPull(this, now, timer.id);
          break;
        case "typing":
          live.typingEnded(this, now, timer.id, timer.user);
          break;
        case "sync":
          syncing.syncOverdue(this, now);
          break;
      }
    }
  }

  private tellSynced(): void {
    if (!this.toldSynced && this.isSynced) {
      this.toldSynced = true;
      this.notify({ type: "synced" });
    }
  }
}
