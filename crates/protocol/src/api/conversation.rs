//! Conversations, groups and history.

use banter_model::{ConversationId, Marker, Role, Seq, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ConversationSummary, Event};

/// `GET /v1/conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Conversations {
    /// A part of the user's conversations, in no particular order.
    pub conversations: Vec<ConversationSummary>,
    /// Ask again with `?more=` this to get the next part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// `GET /v1/conversations/{conversation}/events`: a page of history, in order of seq.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Page {
    /// The events.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Event>,
    /// The page covers the places from here ...
    pub from: Seq,
    /// ... to here: every event among them that the user may see is in it. Below `from` when there is nothing to cover.
    pub to: Seq,
    /// The last event that the user may see.
    pub head_seq: Seq,
    /// The first event that the user may see.
    pub first_seq: Seq,
}

/// `GET /v1/conversations/{conversation}/markers`: how far each member has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Markers {
    /// One entry for each member.
    pub members: Vec<MemberMarkers>,
}

/// How far a member has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct MemberMarkers {
    /// Who.
    #[schema(value_type = String)]
    pub user: UserId,
    /// Read up to here; absent when they keep that to themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Seq>,
    /// Arrived on a device up to here.
    pub delivered: Seq,
}

/// `PUT /v1/conversations/{conversation}/read`: the user has read up to here. Answers with where the marker is now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// Up to and including this event.
    pub seq: Seq,
}

/// The answer to [`MarkRead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct ReadMarker {
    /// Where the marker is now.
    #[schema(value_type = crate::sync::WireMarker)]
    pub read: Marker,
    /// Messages after it.
    pub unread: u64,
}

/// `POST /v1/groups`. Answers with [`GroupCreated`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// The title.
    pub title: String,
    /// Members besides the creator; at most 99.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<UserId>,
    /// Do later newcomers see what was said before them?
    #[serde(default)]
    pub earlier_history: bool,
    /// A text of up to 64 bytes of the client's choice: the same key again gives the same group again.
    pub key: String,
}

/// The answer to [`CreateGroup`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct GroupCreated {
    /// The group's conversation.
    #[schema(value_type = String, example = "g.48400")]
    pub conversation: ConversationId,
}

/// `PATCH /v1/groups/{group}`: what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct ChangeGroup {
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Do newcomers see what was said before them?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier_history: Option<bool>,
}

/// `POST /v1/groups/{group}/members`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct AddMembers {
    /// Who comes in.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<UserId>,
}

/// `PUT /v1/groups/{group}/members/{user}/role`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// `member`, `admin` or `owner`.
    #[schema(value_type = String, example = "admin")]
    pub role: Role,
}

/// The answer to every change of a group: the place of the event that it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Changed {
    /// The event's place.
    pub seq: Seq,
}
