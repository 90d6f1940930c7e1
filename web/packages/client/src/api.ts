/**
 * The public interface of the client: what an application sees.
 *
 * Everything that changes is an {@link Observable}: a `value`, and `subscribe`, which calls at once with the value and then with each
 * new one (the contract of Svelte's stores, of RxJS-like adapters and of `useSyncExternalStore`). Values are never changed in
 * place: a new value is a new object, and parts that did not change are the same objects as before.
 *
 * Names are in camel case here. What goes over the wire keeps the wire's names (`./protocol`).
 */

/** A 64-bit id as a decimal string. Compare ids for equality only. */
export type UserId = string;
/** One login of a user. */
export type DeviceId = string;
/** `d.<lower user>.<higher user>` or `g.<group>`. */
export type ConversationId = string;
/** An event's place in its conversation: 1, 2, 3 ... without a gap. */
export type Seq = number;
/** Milliseconds since the Unix epoch. */
export type Millis = number;
/** What a member may do: an `admin` also changes members and title, the one `owner` also makes admins. */
export type Role = "member" | "admin" | "owner";

/** Ends a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void;

/** A value that changes. */
export interface Observable<T> {
  /** The value now. */
  readonly value: T;
  /** Calls `run` at once with the value, then with each new one, until the returned function is called. */
  subscribe(run: (value: T) => void): Unsubscribe;
}

/** Why something did not work. Every promise of this package that fails, fails with one. */
export interface ClientError extends Error {
  /**
   * A stable code: the server's (`may_not_write`, `handle_taken`, `rate_limited`, ... see docs/protocol.md), a rule's that was checked before
   * sending (`text_too_long`, `invalid_handle`, ...), or one of this package: `unreachable` (no answer from the server), `unexpected_answer`,
   * `signed_out`, `not_logged_in`, `storage` (IndexedDB failed or is full), `closed` (the client was closed), `outbox_full`.
   */
  readonly code: string;
  /** The HTTP status, where the server answered. */
  readonly status?: number;
  /** Seconds to wait before trying again, where waiting helps. */
  readonly retryAfter?: number;
}

/** Why something was refused, as it is kept with what failed. */
export interface Refusal {
  /** A stable code, see {@link ClientError.code}. */
  readonly code: string;
  /** What was wrong and what is allowed, in English. */
  readonly message: string;
}

// ---------------------------------------------------------------------------------------------------------------- opening

/** How to open a {@link Client}. */
export interface ClientOptions {
  /** Where the server is, as `https://chat.example.org`. The page's own origin when absent. */
  readonly server?: string;
  /** Name of the IndexedDB database; two clients with one name in one browser are one device. `banter` when absent. */
  readonly database?: string;
  /** What to use of the surroundings instead of the globals, for tests and for Node. */
  readonly environment?: Partial<Environment>;
}

/** What the client needs of its surroundings. Each defaults to the global of that name. IndexedDB is always the global one. */
export interface Environment {
  readonly fetch: typeof fetch;
  /** `undefined` forbids WebSocket: long polling is used. */
  readonly WebSocket: (new (url: string) => WebSocket) | undefined;
  /** For several tabs on one device. Without it, this client acts as the only one. */
  readonly locks: Pick<LockManager, "request"> | undefined;
  /** For several tabs on one device. */
  readonly BroadcastChannel: typeof BroadcastChannel | undefined;
  /** Says `online` and `offline`, where the browser does. */
  readonly network: { readonly onLine: boolean; readonly events: EventTarget } | undefined;
  /** The wall clock. */
  readonly now: () => Millis;
  /** A number from 0 up to 1, for waits with jitter. */
  readonly random: () => number;
}

// ---------------------------------------------------------------------------------------------------------------- account

/** Who is logged in here. */
export type Account =
  /** Nobody. `reason` is there when a login was ended from elsewhere: revoked, password changed, account deleted. */
  | { readonly state: "signed_out"; readonly reason?: SignedOutReason }
  | { readonly state: "signed_in"; readonly user: UserId; readonly device: DeviceId; readonly handle: string };

/** Why nobody is logged in any more. */
export interface SignedOutReason {
  /** `logged_out` by oneself (in any tab), `revoked` from elsewhere, `deleted` with the account. */
  readonly kind: "logged_out" | "revoked" | "deleted";
  /** What the server said, in English. */
  readonly message: string;
}

/** A login of the user's. */
export interface Device {
  readonly device: DeviceId;
  readonly name: string;
  readonly createdAt: Millis;
  readonly usedAt: Millis;
  /** Is it this one? */
  readonly current: boolean;
}

/** How the device is connected. */
export type Connection =
  /** The browser says that there is no network. Everything stored can be read, and what is written waits. */
  | { readonly state: "offline" }
  | { readonly state: "connecting" }
  /** Tries again at `retryAt`, or at once with {@link Client.reconnect}. */
  | { readonly state: "waiting"; readonly retryAt: Millis; readonly reason: WaitingReason; readonly message: string }
  /** `synced`: everything up to the moment of connecting is here. Until then the client is catching up. */
  | { readonly state: "online"; readonly transport: "websocket" | "polling"; readonly synced: boolean }
  /** Nobody is logged in. */
  | { readonly state: "signed_out" };

/** `restarting`: the server said that it goes down. `busy`: it asked to be left alone for a while. `unreachable`: no answer. `lost`: a session broke. */
export type WaitingReason = "unreachable" | "lost" | "restarting" | "busy";

// ---------------------------------------------------------------------------------------------------------------- people

/** A user as others see them. */
export interface Profile {
  readonly user: UserId;
  /** Absent for a deleted user. */
  readonly handle?: string;
  readonly displayName: string;
  /** A line about them; may be empty. */
  readonly about: string;
  readonly deleted: boolean;
}

/** What is known of somebody's presence. */
export interface Presence {
  /** `unknown` until the server has said something in this session. */
  readonly state: "online" | "offline" | "hidden" | "unknown";
  /** When they were last online; only when offline and known. */
  readonly lastSeen?: Millis;
}

/** Friends and requests. */
export interface Friends {
  readonly friends: readonly Profile[];
  /** Users who asked and wait for an answer. */
  readonly incoming: readonly Profile[];
  /** Users who were asked. */
  readonly outgoing: readonly Profile[];
}

/** What two users are to each other. */
export type Friendship = "none" | "requested" | "asked_me" | "friends";

/** The user's settings. */
export interface Settings {
  /** Who sees whether one is online, and when last. */
  readonly presence: "everyone" | "friends" | "nobody";
  /** Who may write first, and add one to groups. */
  readonly writers: "everyone" | "friends";
  /** Do others see how far one has read? Off also hides it of others. */
  readonly readReceipts: boolean;
}

// ---------------------------------------------------------------------------------------------------------------- conversations

/** A conversation as it stands in the list. */
export interface Conversation {
  readonly id: ConversationId;
  readonly kind: "direct" | "group";
  /** Whom a direct conversation is with. Their name comes from {@link Client.profile}. */
  readonly peer?: UserId;
  /** A group's title; empty for a direct conversation. */
  readonly title: string;
  /** A group's members, in order of their ids; empty for a direct conversation. */
  readonly members: readonly Member[];
  /** Do newcomers to the group see what was said before them? */
  readonly earlierHistory: boolean;
  /** Is the user a member (still)? Who is out reads what they may see, and writes nothing. */
  readonly member: boolean;
  /** The user's role in a group. */
  readonly role?: Role;
  /** What the user may do here. */
  readonly may: Permissions;
  /** The last event that is known of. 0 in a conversation that has none yet. */
  readonly headSeq: Seq;
  /** The first event that the user may see. */
  readonly firstSeq: Seq;
  /** When the last thing happened, a message of one's own that waits to be sent included. The list is in this order, the latest first. */
  readonly activityAt: Millis;
  /** The last message, one's own that waits to be sent included. */
  readonly lastMessage?: LastMessage;
  /** Messages that the user has not read. */
  readonly unread: number;
  /** Unread messages that mention the user. */
  readonly mentions: number;
  /** The user has read up to here: the "new messages" line comes after it. */
  readonly readSeq: Seq;
  /** How far the other one of a direct conversation has got. 0 when unknown. */
  readonly peerRead: Seq;
  readonly peerDelivered: Seq;
  /** Who is typing now, without the user. */
  readonly typing: readonly UserId[];
  /** What the user began to write, if anything. */
  readonly draft?: Draft;
  /** Own messages that have no answer yet. */
  readonly sending: number;
  /** Own messages that were refused. */
  readonly failed: number;
}

/** The last message of a conversation, for the list. */
export interface LastMessage {
  /** Absent while it waits to be sent. */
  readonly seq?: Seq;
  readonly sender: UserId;
  readonly at: Millis;
  /** The beginning of its text, at most 200 characters; empty when redacted. */
  readonly text: string;
  readonly redacted: boolean;
  /** For one's own: how far it has come. */
  readonly status?: MessageStatus;
}

/** A member of a group. */
export interface Member {
  readonly user: UserId;
  readonly role: Role;
  /** May the user put this one out? */
  readonly mayRemove: boolean;
  /** Roles that the user may give this one, other than theirs. */
  readonly mayBecome: readonly Role[];
}

/** What the user may do in a conversation. The server decides; this is for showing what will work. */
export interface Permissions {
  readonly write: boolean;
  readonly rename: boolean;
  readonly addMembers: boolean;
  readonly changeRoles: boolean;
  readonly setEarlierHistory: boolean;
  readonly leave: boolean;
  /** Delete the messages of others for everyone. One's own can always be deleted by who may write. */
  readonly redactOthers: boolean;
}

/** What the user began to write in a conversation. Kept in the browser. */
export interface Draft {
  readonly text: string;
  /** The message that it answers. */
  readonly replyTo?: Seq;
  /** The own message that it would replace. */
  readonly editing?: Seq;
  readonly at: Millis;
}

/** Totals over all conversations, for a badge. */
export interface Unread {
  /** Conversations with unread messages. */
  readonly conversations: number;
  readonly messages: number;
  readonly mentions: number;
}

// ---------------------------------------------------------------------------------------------------------------- messages

/** What stands in a timeline. Edits, redactions and reactions do not: they are seen in the message that they are about. */
export type Item = Message | Notice;

/**
 * How far a message has come. `received`: somebody else's. Own ones: `sending` (in the outbox, on its way or waiting for a connection), `failed` (refused;
 * see `refusal`), `sent` (stored at the server), `delivered` and `read` (by the other one of a direct conversation; in a group `read` means by
 * all members, where that is known).
 */
export type MessageStatus = "received" | "sending" | "failed" | "sent" | "delivered" | "read";

/** A message. */
export interface Message {
  readonly kind: "message";
  /** Stays the same from sending to stored, edited and redacted: a key for lists, unique in its timeline. */
  readonly key: string;
  /** Its place; absent until it is stored at the server. */
  readonly seq?: Seq;
  /** Messages up to it; absent until it is stored. */
  readonly ordinal?: number;
  /** The device's number for it, while `status` is `sending` or `failed`: for {@link Client.cancel}, {@link Client.tryAgain} and {@link Client.discard}. */
  readonly tag?: number;
  /** When: by the server's clock once it is stored. */
  readonly at: Millis;
  readonly sender: UserId;
  readonly own: boolean;
  /** Its text as it is now; empty when redacted. With an edit on its way, already the new one. */
  readonly text: string;
  /** The message that it answers; see {@link Client.message}. */
  readonly replyTo?: Seq;
  /** Members named in it. Places are in UTF-16 units, as of JavaScript's strings. */
  readonly mentions: readonly Mention[];
  readonly editedAt?: Millis;
  /** Deleted for everyone. */
  readonly redacted: boolean;
  /** In the order in which the emoji came. Reactions of one's own that are on their way are included. */
  readonly reactions: readonly Reaction[];
  readonly status: MessageStatus;
  /** Why it failed. */
  readonly refusal?: Refusal;
  /** Edits, redactions and reactions of one's own that are on their way or failed, the oldest first. */
  readonly changes: readonly Change[];
}

/** A member named in a text. */
export interface Mention {
  readonly user: UserId;
  /** Where the `@` is, in UTF-16 units. */
  readonly start: number;
  /** How long `@handle` is, in UTF-16 units. */
  readonly length: number;
}

/** An emoji on a message. */
export interface Reaction {
  readonly emoji: string;
  /** Who, in the order they did. */
  readonly users: readonly UserId[];
  /** Is the user among them? */
  readonly own: boolean;
}

/** A change of a message that the server has not taken. */
export interface Change {
  readonly kind: "edit" | "redaction" | "reaction";
  readonly tag: number;
  readonly status: "sending" | "failed";
  readonly refusal?: Refusal;
}

/** Something else that happened in a group. */
export interface Notice {
  readonly kind: "notice";
  readonly key: string;
  readonly seq: Seq;
  readonly at: Millis;
  /** Who did it. */
  readonly sender: UserId;
  readonly own: boolean;
  readonly what:
    | { readonly kind: "group_created"; readonly title: string; readonly members: readonly UserId[] }
    | { readonly kind: "members_added"; readonly members: readonly UserId[] }
    | { readonly kind: "member_removed"; readonly member: UserId }
    | { readonly kind: "member_left"; readonly successor?: UserId }
    | { readonly kind: "role_changed"; readonly member: UserId; readonly role: Role }
    | { readonly kind: "title_changed"; readonly title: string }
    | { readonly kind: "earlier_history_changed"; readonly earlierHistory: boolean };
}

/** Where a timeline begins. */
export type Place = { readonly at: "end" } | { readonly at: "unread" } | { readonly at: "seq"; readonly seq: Seq };

/** What a timeline shows now: a stretch of the log without a gap, bounded in length. */
export interface TimelineState {
  /** In order; own messages that wait to be sent or failed come last, when `atEnd`. */
  readonly items: readonly Item[];
  /** The places that `items` cover: every event with `from <= seq <= to` that the user may see. `to < from` when there are none. */
  readonly from: Seq;
  readonly to: Seq;
  /** The first and last event that there are for the user, for a scroll bar over all of the log. */
  readonly firstSeq: Seq;
  readonly headSeq: Seq;
  /** There is nothing before, or after. */
  readonly atStart: boolean;
  readonly atEnd: boolean;
  /** What is being loaded. */
  readonly loading: { readonly before: boolean; readonly after: boolean; readonly jump: boolean };
  /** Why the last load failed, until one works. Offline, what is stored is shown and `offline` is the code. */
  readonly error?: Refusal;
  /** Messages of others that came after what is shown, since the timeline left the end: the number on "jump to the bottom". */
  readonly below: number;
  /** The message asked for with {@link Timeline.jump}, to be scrolled to and shown as found; `serial` grows with each jump. */
  readonly target?: { readonly seq: Seq; readonly serial: number };
  /** The first unread message when the timeline was opened: the "new messages" line comes before it. Does not move while reading. */
  readonly firstUnread?: Seq;
}

/** A window on the messages of one conversation. Close it when it is no longer shown. */
export interface Timeline {
  readonly conversation: ConversationId;
  readonly state: Observable<TimelineState>;
  /** Loads earlier items, from this device where they are stored. At the other end, items beyond the bound are let go. Does nothing while it is loading, or at the start. */
  loadBefore(): Promise<void>;
  /** Loads later items. */
  loadAfter(): Promise<void>;
  /** Shows the surroundings of a place. Resolves to the place of the nearest event that there is. */
  jump(seq: Seq): Promise<Seq>;
  /** Shows the surroundings of the first event at or after a time. The log is searched with a few small questions (its times never run backwards). */
  jumpToDate(at: Millis): Promise<Seq>;
  /** Shows the end, and stays there as messages come. */
  jumpToEnd(): Promise<void>;
  /** Ends it. */
  close(): void;
}

// ---------------------------------------------------------------------------------------------------------------- client

/** What happened, for notifications and sounds; lists and timelines follow by themselves. Only in the tab that leads. */
export interface Incoming {
  readonly conversation: ConversationId;
  readonly message: Message;
  readonly mentioned: boolean;
}

/** One device of one user, or of nobody yet. Made by {@link openClient}. One for each tab; all tabs together are one device with one session. */
export interface Client {
  // account
  /** Who is logged in. Restored from IndexedDB when the client opens. */
  readonly account: Observable<Account>;
  /** How the device is connected. */
  readonly connection: Observable<Connection>;
  /** Makes an account and logs in to it. Takes a handle with or without `@`, in any case. */
  signUp(details: { handle: string; password: string; displayName?: string; deviceName?: string }): Promise<void>;
  /** Logs in. What is stored of another account is deleted first. */
  logIn(details: { handle: string; password: string; deviceName?: string }): Promise<void>;
  /**
   * Ends this login and deletes everything stored of it. Works offline too: then the server is not told (the device stays in the list of devices until it is
   * revoked from another). `lost` says how many own messages were not sent yet.
   */
  logOut(): Promise<{ readonly lost: number }>;
  changePassword(current: string, next: string): Promise<void>;
  /** Deletes the account at the server and everything stored here. What was written stays, as of "deleted user". */
  deleteAccount(password: string): Promise<void>;
  devices(): Promise<readonly Device[]>;
  /** Ends another login. */
  revokeDevice(device: DeviceId): Promise<void>;
  /** Connects at once if the client waits before it tries again. */
  reconnect(): void;

  // me
  /** The user's own profile; `undefined` until it is known. */
  readonly me: Observable<Profile | undefined>;
  changeProfile(change: { displayName?: string; about?: string }): Promise<void>;
  /** `undefined` until they are known. */
  readonly settings: Observable<Settings | undefined>;
  changeSettings(change: Partial<Settings>): Promise<void>;

  // people
  /** Somebody's profile: at once from the cache, asked for in batches where it is missing. `undefined` until it is known. */
  profile(user: UserId): Observable<Profile | undefined>;
  /** Somebody's presence, asked for as long as somebody subscribes (at most 200 users at a time). Friends' comes by itself. */
  presence(user: UserId): Observable<Presence>;
  /** The user with this handle (with or without `@`, in any case); `undefined` if there is none. */
  findByHandle(handle: string): Promise<Profile | undefined>;
  /** People known to this device whose handle or name begins with `prefix`, friends first; at most 20. For completion; needs no network. */
  searchKnown(prefix: string): readonly Profile[];
  readonly friends: Observable<Friends>;
  friendship(user: UserId): Friendship;
  /** Asks for friendship; if they asked before, accepts. */
  requestFriend(user: UserId): Promise<Friendship>;
  acceptFriend(user: UserId): Promise<void>;
  /** Declines, takes back, or ends. */
  removeFriend(user: UserId): Promise<void>;
  readonly blocked: Observable<readonly Profile[]>;
  block(user: UserId): Promise<void>;
  unblock(user: UserId): Promise<void>;

  // conversations
  /** All with something in them, the latest first. */
  readonly conversations: Observable<readonly Conversation[]>;
  readonly unread: Observable<Unread>;
  /** One of them. A direct one exists as soon as it is asked for; a group that this device does not know is `undefined`. */
  conversation(id: ConversationId): Observable<Conversation | undefined>;
  /** The direct conversation with somebody; fails with `not_yourself`. */
  directWith(user: UserId): ConversationId;
  /** Opens a window on messages. `unread` begins at the first unread one, or at the end if there is none. `end` when absent. */
  openTimeline(conversation: ConversationId, place?: Place): Timeline;
  /** One message, for a quote: from this device, else from the server. `undefined` if there is none that the user may see. */
  message(conversation: ConversationId, seq: Seq): Promise<Message | undefined>;
  /** A new message, once per message and device, in no particular tab's favour: called in the tab that leads only. */
  onIncoming(run: (incoming: Incoming) => void): Unsubscribe;
  /** How far each member of a group has read and received, for "seen by". */
  readBy(conversation: ConversationId, seq: Seq): Promise<{ readonly read: readonly UserId[]; readonly delivered: readonly UserId[] }>;

  // writing: each resolves, with its tag, when it is stored in the outbox, which survives closing the tab. Fails at once if a rule forbids it.
  send(conversation: ConversationId, text: string, replyTo?: Seq): Promise<number>;
  edit(conversation: ConversationId, seq: Seq, text: string): Promise<number>;
  /** Deletes a message for everyone. */
  redact(conversation: ConversationId, seq: Seq): Promise<number>;
  /** Puts an emoji on a message, or takes it away. */
  react(conversation: ConversationId, seq: Seq, emoji: string, add: boolean): Promise<number>;
  /** Takes what waits out of the outbox. `false` if it may have been sent already: then it goes on. */
  cancel(conversation: ConversationId, tag: number): Promise<boolean>;
  /** Writes what failed again, as something new. */
  tryAgain(conversation: ConversationId, tag: number): Promise<number>;
  /** Forgets what failed. */
  discard(conversation: ConversationId, tag: number): Promise<void>;
  /** The user has read up to here. Never moves back; to be called as often as one likes. */
  markRead(conversation: ConversationId, seq: Seq): void;
  /** The user is typing: to be called with every key. */
  typing(conversation: ConversationId): void;
  /** Keeps a draft; `undefined` or an empty text without a reply forgets it. Written a moment later, and when the page is hidden. */
  setDraft(conversation: ConversationId, draft: Omit<Draft, "at"> | undefined): void;

  // groups
  createGroup(details: { title: string; members: readonly UserId[]; earlierHistory?: boolean }): Promise<ConversationId>;
  renameGroup(conversation: ConversationId, title: string): Promise<void>;
  setEarlierHistory(conversation: ConversationId, earlierHistory: boolean): Promise<void>;
  addMembers(conversation: ConversationId, members: readonly UserId[]): Promise<void>;
  removeMember(conversation: ConversationId, user: UserId): Promise<void>;
  setRole(conversation: ConversationId, user: UserId, role: Role): Promise<void>;
  leaveGroup(conversation: ConversationId): Promise<void>;

  /** Ends this tab's client: subscriptions, timelines, and, if it leads, the session (another tab takes over). Stored things stay. */
  close(): Promise<void>;
}
