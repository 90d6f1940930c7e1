//! Frames: one JSON object each, the same over WebSocket (a text message each) and long polling (in arrays).

use banter_model::{ConversationId, DeviceId, EventId, Mention, Millis, Ordinal, Seq, Tag, UserId};
use serde::{Deserialize, Serialize};

use crate::{ConversationSummary, Event};

/// From a device to its gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame of a session.
    Hello(Hello),
    /// The first frame of a session of a device that has been here: `hello` and `sync` in one.
    Resume(Resume),
    /// Write a message.
    Send(Send),
    /// Write one's own message anew.
    Edit(Edit),
    /// Delete a message for everyone.
    Redact(Redact),
    /// Put an emoji on a message or take it away.
    React(React),
    /// The user has read up to here.
    Read(UpTo),
    /// The device has stored up to here.
    Delivered(UpTo),
    /// The user is typing.
    Typing(Typing),
    /// Ask who is online; the answer is a `presence` frame.
    Presence(PresenceQuestion),
    /// Ask what changed.
    Sync(SyncQuestion),
    /// I am here.
    Ping(Empty),
}

/// A frame without fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// See [`ClientFrame::Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The access token.
    pub token: String,
}

/// See [`ClientFrame::Resume`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The access token.
    pub token: String,
    /// The `point` of the last `sync` answer that was taken in whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// See [`ClientFrame::Send`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The device's number for it in this conversation.
    pub tag: Tag,
    /// Where.
    pub conversation: ConversationId,
    /// What.
    pub text: String,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Seq>,
}

/// See [`ClientFrame::Edit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The device's number for it in this conversation.
    pub tag: Tag,
    /// Where.
    pub conversation: ConversationId,
    /// The message.
    pub target: Seq,
    /// Its new text.
    pub text: String,
}

/// See [`ClientFrame::Redact`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Redact {
    /// The device's number for it in this conversation.
    pub tag: Tag,
    /// Where.
    pub conversation: ConversationId,
    /// The message.
    pub target: Seq,
}

/// See [`ClientFrame::React`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct React {
    /// The device's number for it in this conversation.
    pub tag: Tag,
    /// Where.
    pub conversation: ConversationId,
    /// The message.
    pub target: Seq,
    /// The emoji.
    pub emoji: String,
    /// Put there, or taken away.
    pub add: bool,
}

/// See [`ClientFrame::Read`] and [`ClientFrame::Delivered`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct UpTo {
    /// Where.
    pub conversation: ConversationId,
    /// Up to and including this event.
    pub seq: Seq,
}

/// See [`ClientFrame::Typing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Typing {
    /// Where.
    pub conversation: ConversationId,
}

/// See [`ClientFrame::Presence`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct PresenceQuestion {
    /// Of whom; at most [`banter_model::limits::USERS_PER_QUESTION`].
    pub users: Vec<UserId>,
}

/// See [`ClientFrame::Sync`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct SyncQuestion {
    /// The `point` of the last `sync` answer that was taken in whole; everything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The `more` of the answer before, to go on with it. The same `since` goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// From a gateway to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The session stands.
    Welcome {
        /// Its number, for the logs of both sides.
        session: String,
        /// Who the device's user is.
        user: UserId,
        /// Which device it is.
        device: DeviceId,
        /// The server's clock.
        at: Millis,
        /// Send something at least this often, in milliseconds.
        heartbeat_ms: u64,
    },
    /// A command of this session is stored.
    Sent {
        /// Its tag.
        tag: Tag,
        /// Its conversation.
        conversation: ConversationId,
        /// Its place.
        seq: Seq,
        /// Messages up to it.
        ordinal: Ordinal,
        /// Its id.
        id: EventId,
        /// Its time.
        at: Millis,
        /// Members that were found in its text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<Mention>>"))]
        mentions: Vec<Mention>,
    },
    /// Something happened in a conversation.
    Event {
        /// Where.
        conversation: ConversationId,
        /// What.
        event: Event,
    },
    /// Somebody has read up to here. For oneself (another device), the marker that unread counts start from.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Up to and including this event.
        seq: Seq,
        /// Messages up to it.
        ordinal: Ordinal,
    },
    /// It has arrived on a device of somebody's up to here.
    Delivered {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Up to and including this event.
        seq: Seq,
    },
    /// Somebody is typing; see [`crate::limits::TYPING_MS`].
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// Who is online: the answer to a question, or a change of a friend's.
    Presence {
        /// One entry each.
        users: Vec<UserPresence>,
    },
    /// What changed since the sync point.
    Sync {
        /// Conversations with something new.
        conversations: Vec<ConversationSummary>,
        /// The next sync point, once all parts are taken in.
        point: String,
        /// Ask again with this to get the next part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        more: Option<String>,
    },
    /// Something may have been missed: ask with `sync`.
    Resync {},
    /// Something of the account changed on another device: ask the API for it.
    Account {
        /// What.
        changed: AccountPart,
    },
    /// A frame of this session was refused and changed nothing.
    Error {
        /// The stable code.
        code: String,
        /// What was wrong and what is allowed.
        message: String,
        /// The tag of the command that was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<u64>,
        /// The conversation of the command that was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation: Option<ConversationId>,
        /// Seconds to wait before trying again, where waiting helps. Without it, the same frame would be refused again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// The session ends; over WebSocket the close code follows.
    Bye {
        /// See [`crate::close_code`].
        code: u16,
        /// Why.
        message: String,
    },
    /// The answer to `ping`.
    Pong {},
    /// A frame of this session is being worked on, or waits for its turn: what it asks for comes, and need not be asked for again.
    Working {},
}

/// Presence of one user, as far as the asker may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct UserPresence {
    /// Who.
    pub user: UserId,
    /// Online, offline, or hidden by their settings.
    pub state: PresenceState,
    /// When they were last online; absent while online, when hidden, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Millis>,
}

/// See [`UserPresence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    /// At least one session.
    Online,
    /// No session.
    Offline,
    /// Not for you.
    Hidden,
}

/// A part of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum AccountPart {
    /// Name and about line.
    Profile,
    /// Settings.
    Settings,
    /// Friends and friend requests.
    Friends,
    /// Who is blocked.
    Blocks,
    /// The list of devices.
    Devices,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ClientFrame, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn frames_look_like_this() {
        let send = parse(r#"{"type":"send","tag":1,"conversation":"d.3.9","text":"hi \ud83d\ude00"}"#).unwrap();
        let ClientFrame::Send(send) = send else { panic!("{send:?}") };
        assert_eq!((send.tag.get(), send.text.as_str(), send.reply_to), (1, "hi 😀", None));
        let pong = serde_json::to_string(&ServerFrame::Pong {}).unwrap();
        assert_eq!(pong, r#"{"type":"pong"}"#);
        assert_eq!(parse(r#"{"type":"ping"}"#).unwrap(), ClientFrame::Ping(Empty {}));
    }

    #[test]
    fn what_is_not_a_frame() {
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"type":"shout"}"#,
            r#"{"type":"ping","extra":1}"#,
            r#"{"type":"send","tag":1,"conversation":"d.3.9","text":"x","colour":"red"}"#,
            r#"{"type":"send","tag":0,"conversation":"d.3.9","text":"x"}"#,
            r#"{"type":"send","tag":1.5,"conversation":"d.3.9","text":"x"}"#,
            r#"{"type":"send","tag":1,"conversation":"d.9.3","text":"x"}"#,
            r#"{"type":"send","tag":1,"conversation":"d.3.9","text":"\ud800"}"#,
            r#"{"type":"send","tag":1,"conversation":"d.3.9"}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn server_frames_come_back_as_they_were() {
        let frame = ServerFrame::Read { conversation: "g.7".parse().unwrap(), user: UserId(5), seq: 9, ordinal: 8 };
        let json = serde_json::to_string(&frame).unwrap();
        assert_eq!(json, r#"{"type":"read","conversation":"g.7","user":"5","seq":9,"ordinal":8}"#);
        assert_eq!(serde_json::from_str::<ServerFrame>(&json).unwrap(), frame);
    }
}
