//! Bodies of the HTTP API, by what they are about. `GET /v1/openapi.json` describes the paths that take and give them.

mod account;
mod conversation;
mod friend;
mod session;

pub use account::*;
pub use conversation::*;
pub use friend::*;
pub use session::*;
