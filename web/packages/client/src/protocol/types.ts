// Generated from crates/protocol and crates/model. Not to be edited: see crates/protocol/src/typescript.rs.

/** An event's place in its conversation: 1, 2, 3 ... without a gap. */
export type Seq = number;

/** How many messages there are up to and including an event. */
export type Ordinal = number;

/** Milliseconds since the Unix epoch. */
export type Millis = number;

/**
 * A person with an account.
 */
export type UserId = string;

/**
 * One login of a user: holds a refresh token and numbers what it sends with [tags](crate::tag).
 */
export type DeviceId = string;

/**
 * A group conversation.
 */
export type GroupId = string;

/**
 * An event, unique across the system and sortable by time.
 */
export type EventId = string;

/**
 * A direct conversation is named by its two members, so it needs no creating; a group by its id.
 *
 * Text form: `d.<lower user>.<higher user>` or `g.<group>`. Binary form: [`ConversationId::to_bytes`].
 */
export type ConversationId = string;

/**
 * A device's own number for what it sends in a conversation: 1, 2, 3 ...
 *
 * Below 2^53, so that it is a JSON number.
 */
export type Tag = number;

/**
 * A place in a log together with the number of messages up to it. The greater one wins; the order of arrival is nothing.
 */
export type Marker = { 
/**
 * The place.
 */
seq: number, 
/**
 * Messages up to and including it.
 */
ordinal: number, };

/**
 * A member named in a text, with the place of the `@handle`.
 */
export type Mention = { 
/**
 * Who.
 */
user: UserId, 
/**
 * Where the `@` is, in characters from the start of the text.
 */
start: number, 
/**
 * How long `@handle` is, in characters.
 */
length: number, };

/**
 * Who put one emoji on a message.
 */
export type Reactions = { 
/**
 * The emoji.
 */
emoji: string, 
/**
 * Who, in the order they did.
 */
users: Array<UserId>, };

/**
 * What a member may do (see [`crate::permission`]). Greater is mightier.
 */
export type Role = "member" | "admin" | "owner";

/**
 * The body of every HTTP answer that is not a success, and the heart of an `error` frame.
 */
export type ErrorBody = { 
/**
 * A stable code: what programs look at. See [`ErrorCode`] and `banter_model::Refusal::code`.
 */
code: string, 
/**
 * What was wrong and what is allowed, for people.
 */
message: string, 
/**
 * Seconds to wait before trying again, where waiting helps.
 */
retry_after?: number, };

/**
 * An entry of a conversation's log.
 */
export type Event = { 
/**
 * Its place: 1, 2, 3 ... without a gap.
 */
seq: number, 
/**
 * Messages up to and including it.
 */
ordinal: number, 
/**
 * Unique across the system.
 */
id: EventId, 
/**
 * When, in milliseconds since the Unix epoch; never runs backwards within a conversation.
 */
at: number, 
/**
 * Who did it.
 */
sender: UserId, 
/**
 * From which device.
 */
device: DeviceId, 
/**
 * That device's tag.
 */
tag?: Tag, 
/**
 * What was done.
 */
content: Content, };

/**
 * What was done. See [`banter_model::EventBody`] for what each means.
 */
export type Content = { "kind": "message", 
/**
 * Its text; empty once redacted.
 */
text: string, 
/**
 * The message it answers.
 */
reply_to?: number, 
/**
 * Members named in it.
 */
mentions?: Array<Mention>, 
/**
 * When it was last edited.
 */
edited_at?: number, 
/**
 * Was it deleted for everyone?
 */
redacted?: boolean, 
/**
 * The emoji on it.
 */
reactions?: Array<Reactions>, 
/**
 * The latest event that is already part of what is shown here.
 */
amended_up_to?: number, } | { "kind": "edit", 
/**
 * The message.
 */
target: number, 
/**
 * Its new text; empty once redacted.
 */
text: string, 
/**
 * Members named in it.
 */
mentions?: Array<Mention>, } | { "kind": "redaction", 
/**
 * The message.
 */
target: number, } | { "kind": "reaction", 
/**
 * The message.
 */
target: number, 
/**
 * The emoji.
 */
emoji: string, 
/**
 * Put there, or taken away.
 */
added: boolean, } | { "kind": "group_created", 
/**
 * Its title.
 */
title: string, 
/**
 * Members besides the sender.
 */
members: Array<UserId>, 
/**
 * Do later newcomers see what was said before them?
 */
earlier_history: boolean, } | { "kind": "members_added", 
/**
 * Who.
 */
members: Array<UserId>, } | { "kind": "member_removed", 
/**
 * Who.
 */
member: UserId, } | { "kind": "member_left", 
/**
 * The owner from here on, if the sender was the owner.
 */
successor?: UserId, } | { "kind": "role_changed", 
/**
 * Who.
 */
member: UserId, 
/**
 * The role.
 */
role: Role, } | { "kind": "title_changed", 
/**
 * The title.
 */
title: string, } | { "kind": "earlier_history_changed", 
/**
 * Do they?
 */
earlier_history: boolean, };

/**
 * From a device to its gateway.
 */
export type ClientFrame = { "type": "hello" } & Hello | { "type": "resume" } & Resume | { "type": "send" } & Send | { "type": "edit" } & Edit | { "type": "redact" } & Redact | { "type": "react" } & React | { "type": "read" } & UpTo | { "type": "delivered" } & UpTo | { "type": "typing" } & Typing | { "type": "presence" } & PresenceQuestion | { "type": "sync" } & SyncQuestion | { "type": "ping" } & Empty;

/**
 * A frame without fields.
 */
export type Empty = Record<symbol, never>;

/**
 * See [`ClientFrame::Hello`].
 */
export type Hello = { 
/**
 * The access token.
 */
token: string, };

/**
 * See [`ClientFrame::Resume`].
 */
export type Resume = { 
/**
 * The access token.
 */
token: string, 
/**
 * The `point` of the last `sync` answer that was taken in whole.
 */
since?: string, };

/**
 * See [`ClientFrame::Send`].
 */
export type Send = { 
/**
 * The device's number for it in this conversation.
 */
tag: Tag, 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * What.
 */
text: string, 
/**
 * The message it answers.
 */
reply_to?: number, };

/**
 * See [`ClientFrame::Edit`].
 */
export type Edit = { 
/**
 * The device's number for it in this conversation.
 */
tag: Tag, 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * The message.
 */
target: number, 
/**
 * Its new text.
 */
text: string, };

/**
 * See [`ClientFrame::Redact`].
 */
export type Redact = { 
/**
 * The device's number for it in this conversation.
 */
tag: Tag, 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * The message.
 */
target: number, };

/**
 * See [`ClientFrame::React`].
 */
export type React = { 
/**
 * The device's number for it in this conversation.
 */
tag: Tag, 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * The message.
 */
target: number, 
/**
 * The emoji.
 */
emoji: string, 
/**
 * Put there, or taken away.
 */
add: boolean, };

/**
 * See [`ClientFrame::Read`] and [`ClientFrame::Delivered`].
 */
export type UpTo = { 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * Up to and including this event.
 */
seq: number, };

/**
 * See [`ClientFrame::Typing`].
 */
export type Typing = { 
/**
 * Where.
 */
conversation: ConversationId, };

/**
 * See [`ClientFrame::Presence`].
 */
export type PresenceQuestion = { 
/**
 * Of whom; at most [`banter_model::limits::USERS_PER_QUESTION`].
 */
users: Array<UserId>, };

/**
 * See [`ClientFrame::Sync`].
 */
export type SyncQuestion = { 
/**
 * The `point` of the last `sync` answer that was taken in whole; everything when absent.
 */
since?: string, 
/**
 * The `more` of the answer before, to go on with it. The same `since` goes with it.
 */
more?: string, };

/**
 * From a gateway to a device.
 */
export type ServerFrame = { "type": "welcome", 
/**
 * Its number, for the logs of both sides.
 */
session: string, 
/**
 * Who the device's user is.
 */
user: UserId, 
/**
 * Which device it is.
 */
device: DeviceId, 
/**
 * The server's clock.
 */
at: number, 
/**
 * Send something at least this often, in milliseconds.
 */
heartbeat_ms: number, } | { "type": "sent", 
/**
 * Its tag.
 */
tag: Tag, 
/**
 * Its conversation.
 */
conversation: ConversationId, 
/**
 * Its place.
 */
seq: number, 
/**
 * Messages up to it.
 */
ordinal: number, 
/**
 * Its id.
 */
id: EventId, 
/**
 * Its time.
 */
at: number, 
/**
 * Members that were found in its text.
 */
mentions?: Array<Mention>, } | { "type": "event", 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * What.
 */
event: Event, } | { "type": "read", 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * Who.
 */
user: UserId, 
/**
 * Up to and including this event.
 */
seq: number, 
/**
 * Messages up to it.
 */
ordinal: number, } | { "type": "delivered", 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * Who.
 */
user: UserId, 
/**
 * Up to and including this event.
 */
seq: number, } | { "type": "typing", 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * Who.
 */
user: UserId, } | { "type": "presence", 
/**
 * One entry each.
 */
users: Array<UserPresence>, } | { "type": "sync", 
/**
 * Conversations with something new.
 */
conversations: Array<ConversationSummary>, 
/**
 * The next sync point, once all parts are taken in.
 */
point: string, 
/**
 * Ask again with this to get the next part.
 */
more?: string, } | { "type": "resync", } | { "type": "account", 
/**
 * What.
 */
changed: AccountPart, } | { "type": "error", 
/**
 * The stable code.
 */
code: string, 
/**
 * What was wrong and what is allowed.
 */
message: string, 
/**
 * The tag of the command that was refused.
 */
tag?: number, 
/**
 * The conversation of the command that was refused.
 */
conversation?: ConversationId, 
/**
 * Seconds to wait before trying again, where waiting helps. Without it, the same frame would be refused again.
 */
retry_after?: number, } | { "type": "bye", 
/**
 * See [`crate::close_code`].
 */
code: number, 
/**
 * Why.
 */
message: string, } | { "type": "pong", } | { "type": "working", };

/**
 * Presence of one user, as far as the asker may know it.
 */
export type UserPresence = { 
/**
 * Who.
 */
user: UserId, 
/**
 * Online, offline, or hidden by their settings.
 */
state: PresenceState, 
/**
 * When they were last online; absent while online, when hidden, or never.
 */
last_seen?: number, };

/**
 * See [`UserPresence`].
 */
export type PresenceState = "online" | "offline" | "hidden";

/**
 * A part of an account.
 */
export type AccountPart = "profile" | "settings" | "friends" | "blocks" | "devices";

/**
 * One conversation of the user's, as it stands.
 */
export type ConversationSummary = { 
/**
 * Which.
 */
conversation: ConversationId, 
/**
 * The last event that the user may see (the log's last, unless they went out).
 */
head_seq: number, 
/**
 * Messages up to it.
 */
head_ordinal: number, 
/**
 * The first event that the user may see.
 */
first_seq: number, 
/**
 * Where the user came in for the last time: what stands up to here is history to them, not news.
 */
joined_seq: number, 
/**
 * When it happened, in milliseconds since the Unix epoch.
 */
at: number, 
/**
 * Is the user still a member?
 */
member: boolean, 
/**
 * How far the user has read, on any device.
 */
read: Marker, 
/**
 * Messages after that.
 */
unread: number, 
/**
 * Messages after that which mention the user.
 */
mentions: number, 
/**
 * The last message.
 */
preview?: Preview, 
/**
 * For a group: its title and members. May be absent for a member in an answer to a question with `since`: then they are what they
 * were at that point, up to `head_seq`.
 */
group?: Group, 
/**
 * For a direct conversation: how far the other has got.
 */
peer?: Peer, 
/**
 * The latest events, in order and without a gap up to `head_seq`, in an answer to a question with `since`: a device that lacks
 * no more than these need not ask for a page. At most [`crate::limits::LATEST_EVENTS`], and
 * [`crate::limits::LATEST_BYTES`] of text; empty where they would be more, or nothing happened.
 */
latest?: Array<Event>, };

/**
 * The beginning of a message.
 */
export type Preview = { 
/**
 * Its place.
 */
seq: number, 
/**
 * Who wrote it.
 */
sender: UserId, 
/**
 * When.
 */
at: number, 
/**
 * At most [`crate::limits::PREVIEW_CHARACTERS`] of its text; empty when redacted.
 */
text: string, 
/**
 * Was it deleted for everyone?
 */
redacted: boolean, };

/**
 * Title and members of a group.
 */
export type Group = { 
/**
 * The title.
 */
title: string, 
/**
 * Do newcomers see what was said before them?
 */
earlier_history: boolean, 
/**
 * Who is in it.
 */
members: Array<GroupMember>, };

/**
 * A member of a group.
 */
export type GroupMember = { 
/**
 * Who.
 */
user: UserId, 
/**
 * Role: `member`, `admin` or `owner`.
 */
role: Role, };

/**
 * How far the other one of a direct conversation has got.
 */
export type Peer = { 
/**
 * Read up to here; absent when they keep that to themselves.
 */
read?: number, 
/**
 * Arrived on a device up to here.
 */
delivered: number, };

/**
 * `POST /v1/accounts`: sign up. Answers like a login.
 */
export type SignUp = { 
/**
 * The unique name: 3 to 32 of a-z, 0-9 and `_`, beginning with a letter.
 */
handle: string, 
/**
 * 8 characters to 1,024 bytes.
 */
password: string, 
/**
 * The name shown; the handle when absent.
 */
display_name?: string, 
/**
 * What to call this device in the list of devices.
 */
device_name?: string, };

/**
 * `POST /v1/login`.
 */
export type Login = { 
/**
 * The handle.
 */
handle: string, 
/**
 * The password.
 */
password: string, 
/**
 * What to call this device in the list of devices.
 */
device_name?: string, };

/**
 * The answer to sign-up and login.
 */
export type LoggedIn = { 
/**
 * Who.
 */
user: UserId, 
/**
 * The new device.
 */
device: DeviceId, 
/**
 * Tokens of the device.
 */
tokens: Tokens, 
/**
 * Chat servers to connect to, best first.
 */
servers: Array<ChatServer>, };

/**
 * The answer to `GET /v1/servers`.
 */
export type Servers = { 
/**
 * Chat servers to connect to, best first.
 */
servers: Array<ChatServer>, };

/**
 * Tokens of a device.
 */
export type Tokens = { 
/**
 * Goes into `Authorization: Bearer` and into `hello`.
 */
access_token: string, 
/**
 * When it expires, in milliseconds since the Unix epoch.
 */
expires_at: number, 
/**
 * Gets the next pair, once: using one twice revokes the device.
 */
refresh_token: string, };

/**
 * A chat server.
 */
export type ChatServer = { 
/**
 * Where its API and long polling are; empty for "where you asked".
 */
url: string, };

/**
 * `POST /v1/refresh`. Answers with [`Tokens`].
 */
export type Refresh = { 
/**
 * The latest refresh token of the device.
 */
refresh_token: string, };

/**
 * A login of the user's.
 */
export type Device = { 
/**
 * Which.
 */
device: DeviceId, 
/**
 * What the user called it.
 */
name: string, 
/**
 * Logged in at.
 */
created_at: number, 
/**
 * Last refreshed or connected at.
 */
used_at: number, 
/**
 * Is it the one that asks?
 */
current: boolean, };

/**
 * `GET /v1/devices`.
 */
export type Devices = { 
/**
 * All of the user's, the one used last first.
 */
devices: Array<Device>, };

/**
 * `POST /v1/password`. Logs out all other devices.
 */
export type ChangePassword = { 
/**
 * The password so far.
 */
current: string, 
/**
 * The password from now on.
 */
new: string, };

/**
 * `DELETE /v1/account`.
 */
export type DeleteAccount = { 
/**
 * The password, so that a borrowed phone cannot do it.
 */
password: string, };

/**
 * A user as others see them.
 */
export type Profile = { 
/**
 * Who.
 */
user: UserId, 
/**
 * The unique name; absent for a deleted user.
 */
handle?: string, 
/**
 * The name shown; `deleted user` for a deleted one.
 */
display_name: string, 
/**
 * A line about them.
 */
about: string, 
/**
 * Did they delete their account?
 */
deleted: boolean, };

/**
 * `GET /v1/users?ids=...`.
 */
export type Profiles = { 
/**
 * One for each id asked for, in the same order.
 */
users: Array<Profile>, };

/**
 * `PATCH /v1/profile`: what is absent stays.
 */
export type ChangeProfile = { 
/**
 * The name shown.
 */
display_name?: string, 
/**
 * The line about oneself.
 */
about?: string, };

/**
 * `GET /v1/settings`.
 */
export type Settings = { 
/**
 * Who sees whether one is online, and when last.
 */
presence: Audience, 
/**
 * Who may write first, and add one to groups: everyone or friends.
 */
writers: Writers, 
/**
 * Do others see how far one has read?
 */
read_receipts: boolean, };

/**
 * `PATCH /v1/settings`: what is absent stays.
 */
export type ChangeSettings = { 
/**
 * Who sees whether one is online, and when last.
 */
presence?: Audience, 
/**
 * Who may write.
 */
writers?: Writers, 
/**
 * Do others see how far one has read?
 */
read_receipts?: boolean, };

/**
 * Who sees one's presence.
 */
export type Audience = "everyone" | "friends" | "nobody";

/**
 * Who may write to one.
 */
export type Writers = "everyone" | "friends";

/**
 * `GET /v1/conversations`.
 */
export type Conversations = { 
/**
 * A part of the user's conversations, in no particular order.
 */
conversations: Array<ConversationSummary>, 
/**
 * Ask again with `?more=` this to get the next part.
 */
more?: string, };

/**
 * `GET /v1/conversations/{conversation}/events`: a page of history, in order of seq.
 */
export type Page = { 
/**
 * The events.
 */
events: Array<Event>, 
/**
 * The page covers the places from here ...
 */
from: number, 
/**
 * ... to here: every event among them that the user may see is in it. Below `from` when there is nothing to cover.
 */
to: number, 
/**
 * The last event that the user may see.
 */
head_seq: number, 
/**
 * The first event that the user may see.
 */
first_seq: number, };

/**
 * `GET /v1/conversations/{conversation}/markers`: how far each member has got.
 */
export type Markers = { 
/**
 * One entry for each member.
 */
members: Array<MemberMarkers>, };

/**
 * How far a member has got.
 */
export type MemberMarkers = { 
/**
 * Who.
 */
user: UserId, 
/**
 * Read up to here; absent when they keep that to themselves.
 */
read?: number, 
/**
 * Arrived on a device up to here.
 */
delivered: number, };

/**
 * `PUT /v1/conversations/{conversation}/read`: the user has read up to here. Answers with where the marker is now.
 */
export type MarkRead = { 
/**
 * Up to and including this event.
 */
seq: number, };

/**
 * The answer to [`MarkRead`].
 */
export type ReadMarker = { 
/**
 * Where the marker is now.
 */
read: Marker, 
/**
 * Messages after it.
 */
unread: number, };

/**
 * `POST /v1/groups`. Answers with [`GroupCreated`].
 */
export type CreateGroup = { 
/**
 * The title.
 */
title: string, 
/**
 * Members besides the creator; at most 99.
 */
members: Array<UserId>, 
/**
 * Do later newcomers see what was said before them?
 */
earlier_history: boolean, 
/**
 * A text of up to 64 bytes of the client's choice: the same key again gives the same group again.
 */
key: string, };

/**
 * The answer to [`CreateGroup`].
 */
export type GroupCreated = { 
/**
 * The group's conversation.
 */
conversation: ConversationId, };

/**
 * `PATCH /v1/groups/{group}`: what is absent stays.
 */
export type ChangeGroup = { 
/**
 * The title.
 */
title?: string, 
/**
 * Do newcomers see what was said before them?
 */
earlier_history?: boolean, };

/**
 * `POST /v1/groups/{group}/members`.
 */
export type AddMembers = { 
/**
 * Who comes in.
 */
members: Array<UserId>, };

/**
 * `PUT /v1/groups/{group}/members/{user}/role`.
 */
export type SetRole = { 
/**
 * `member`, `admin` or `owner`.
 */
role: Role, };

/**
 * The answer to every change of a group: the place of the event that it made.
 */
export type Changed = { 
/**
 * The event's place.
 */
seq: number, };

/**
 * `GET /v1/friends`.
 */
export type Friends = { 
/**
 * Friends, by handle.
 */
friends: Array<Profile>, 
/**
 * Users who asked and wait for an answer.
 */
incoming: Array<Profile>, 
/**
 * Users who were asked.
 */
outgoing: Array<Profile>, };

/**
 * The answer to `POST /v1/friends/{user}`.
 */
export type Friendship = { 
/**
 * What the two are now.
 */
state: FriendshipState, };

/**
 * What two users are to each other.
 */
export type FriendshipState = "requested" | "friends";

/**
 * `GET /v1/blocks`.
 */
export type Blocks = { 
/**
 * Who is blocked.
 */
users: Array<Profile>, };

/**
 * `GET /v1/presence?ids=...`.
 */
export type Presences = { 
/**
 * One for each user asked for that exists.
 */
users: Array<UserPresence>, };

/**
 * The answer to `POST /v1/sessions`, whose body is a `hello` or `resume` frame.
 */
export type SessionOpened = { 
/**
 * The secret name of the session, for its path.
 */
session: string, 
/**
 * The first frames.
 */
frames: Array<ServerFrame>, 
/**
 * Goes into `?after=` of the next poll.
 */
cursor: number, };

/**
 * The answer to `GET /v1/sessions/{session}/frames?after=<cursor>`.
 *
 * It is kept until a poll with its cursor confirms it: the same question gets the same answer again.
 */
export type Poll = { 
/**
 * What came, in order; empty when nothing came in time.
 */
frames: Array<ServerFrame>, 
/**
 * Goes into `?after=` of the next poll.
 */
cursor: number, };
