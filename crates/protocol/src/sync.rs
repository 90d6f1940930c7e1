//! What a device is told of its conversations when it connects.

use banter_model::{ConversationId, Marker, Millis, Ordinal, Role, Seq, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Event;

/// One conversation of the user's, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct ConversationSummary {
    /// Which.
    #[schema(value_type = String, example = "d.48201.48333")]
    pub conversation: ConversationId,
    /// The last event that the user may see (the log's last, unless they went out).
    pub head_seq: Seq,
    /// Messages up to it.
    pub head_ordinal: Ordinal,
    /// The first event that the user may see.
    pub first_seq: Seq,
    /// Where the user came in for the last time: what stands up to here is history to them, not news.
    pub joined_seq: Seq,
    /// When it happened, in milliseconds since the Unix epoch.
    pub at: Millis,
    /// Is the user still a member?
    pub member: bool,
    /// How far the user has read, on any device.
    #[schema(value_type = WireMarker)]
    pub read: Marker,
    /// Messages after that.
    pub unread: u64,
    /// Messages after that which mention the user.
    pub mentions: u64,
    /// The last message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// For a group: its title and members. May be absent for a member in an answer to a question with `since`: then they are what they
    /// were at that point, up to `head_seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// For a direct conversation: how far the other has got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// The latest events, in order and without a gap up to `head_seq`, in an answer to a question with `since`: a device that lacks
    /// no more than these need not ask for a page. At most [`crate::limits::LATEST_EVENTS`], and
    /// [`crate::limits::LATEST_BYTES`] of text; empty where they would be more, or nothing happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    #[cfg_attr(test, ts(as = "Option<Vec<Event>>", optional))]
    pub latest: Vec<Event>,
}

/// How `banter_model::Marker` looks in JSON.
#[derive(ToSchema)]
pub struct WireMarker {
    /// The place.
    pub seq: Seq,
    /// Messages up to it.
    pub ordinal: Ordinal,
}

/// The beginning of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Preview {
    /// Its place.
    pub seq: Seq,
    /// Who wrote it.
    #[schema(value_type = String)]
    pub sender: UserId,
    /// When.
    pub at: Millis,
    /// At most [`crate::limits::PREVIEW_CHARACTERS`] of its text; empty when redacted.
    pub text: String,
    /// Was it deleted for everyone?
    pub redacted: bool,
}

/// Title and members of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Group {
    /// The title.
    pub title: String,
    /// Do newcomers see what was said before them?
    pub earlier_history: bool,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct GroupMember {
    /// Who.
    #[schema(value_type = String)]
    pub user: UserId,
    /// Role: `member`, `admin` or `owner`.
    #[schema(value_type = String, example = "member")]
    pub role: Role,
}

/// How far the other one of a direct conversation has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Peer {
    /// Read up to here; absent when they keep that to themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Seq>,
    /// Arrived on a device up to here.
    pub delivered: Seq,
}
