//! Long polling: a session for where WebSocket is blocked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ServerFrame;

/// The answer to `POST /v1/sessions`, whose body is a `hello` or `resume` frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct SessionOpened {
    /// The secret name of the session, for its path.
    pub session: String,
    /// The first frames.
    #[schema(value_type = Vec<Object>)]
    pub frames: Vec<ServerFrame>,
    /// Goes into `?after=` of the next poll.
    pub cursor: u64,
}

/// The answer to `GET /v1/sessions/{session}/frames?after=<cursor>`.
///
/// It is kept until a poll with its cursor confirms it: the same question gets the same answer again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Poll {
    /// What came, in order; empty when nothing came in time.
    #[schema(value_type = Vec<Object>)]
    pub frames: Vec<ServerFrame>,
    /// Goes into `?after=` of the next poll.
    pub cursor: u64,
}
