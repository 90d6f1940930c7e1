//! What a client asks its background task.

use banter_model::{Action, ConversationId};
use banter_protocol::api::Page;
use tokio::sync::oneshot;

use super::Ticket;
use crate::Error;
use crate::sync::{ConversationState, Input, Window};

pub(super) enum Command {
    Queue {
        conversation: ConversationId,
        action: Action,
        reply: oneshot::Sender<Result<Ticket, Error>>,
    },
    Conversations {
        reply: oneshot::Sender<Vec<ConversationState>>,
    },
    Conversation {
        conversation: ConversationId,
        reply: oneshot::Sender<Option<ConversationState>>,
    },
    Unanswered {
        reply: oneshot::Sender<usize>,
    },
    /// A page that was fetched for the application: to be kept.
    Keep {
        conversation: ConversationId,
        window: Window,
        page: Box<Page>,
    },
    Input(Input),
    Shutdown,
}
