//! Friends and blocks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Profile;
use crate::frame::UserPresence;

/// `GET /v1/friends`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Friends {
    /// Friends, by handle.
    pub friends: Vec<Profile>,
    /// Users who asked and wait for an answer.
    pub incoming: Vec<Profile>,
    /// Users who were asked.
    pub outgoing: Vec<Profile>,
}

/// The answer to `POST /v1/friends/{user}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Friendship {
    /// What the two are now.
    pub state: FriendshipState,
}

/// What two users are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FriendshipState {
    /// Asked, not answered.
    Requested,
    /// Friends.
    Friends,
}

/// `GET /v1/blocks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Blocks {
    /// Who is blocked.
    pub users: Vec<Profile>,
}

/// `GET /v1/presence?ids=...`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Presences {
    /// One for each user asked for that exists.
    #[schema(value_type = Vec<Object>)]
    pub users: Vec<UserPresence>,
}
