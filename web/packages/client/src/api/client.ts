/** The client itself. */
import type { Account, Connection, Device } from "./account.js";
import type { ConversationId, DeviceId, Observable, Role, Seq, Unsubscribe, UserId } from "./basics.js";
import type { Conversation, Draft, Unread } from "./conversation.js";
import type { Message, Place, Timeline } from "./message.js";
import type { Friends, Friendship, Presence, Profile, Settings } from "./people.js";

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
