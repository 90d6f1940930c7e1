//! Who may do what in a group.

use crate::{Action, Refusal, Role};

/// The lowest role that may do `action` in a group.
///
/// Removing an admin, and changing roles, need more than the action alone says: see [`crate::fold`].
pub fn role_needed(action: &Action) -> Role {
    match action {
        Action::Send { .. } | Action::Edit { .. } | Action::Redact { .. } | Action::React { .. } | Action::Leave => Role::Member,
        Action::CreateGroup { .. } => Role::Owner,
        Action::AddMembers { .. } | Action::RemoveMember { .. } | Action::SetTitle { .. } | Action::SetEarlierHistory { .. } => {
            Role::Admin
        }
        Action::SetRole { .. } => Role::Owner,
    }
}

/// Refuses when `has` is below `needs`.
pub fn require(has: Role, needs: Role) -> Result<(), Refusal> {
    if has >= needs { Ok(()) } else { Err(Refusal::NotPermitted { needs, has }) }
}
