//! Lists of ids in a query.

use banter_model::UserId;
use banter_model::limits::USERS_PER_QUESTION;

use super::DirectoryError;

/// Lengths that lists are padded to, so that few different statements are prepared.
const LENGTHS: [usize; 4] = [1, 8, 40, USERS_PER_QUESTION];

/// Ids to be bound to one list of placeholders.
pub(super) struct IdList {
    ids: Vec<i64>,
}

impl IdList {
    /// `None` when `ids` is empty; an error when they are more than one may ask for.
    pub fn of(ids: &[UserId]) -> Result<Option<Self>, DirectoryError> {
        let Some(last) = ids.last() else { return Ok(None) };
        let Some(length) = LENGTHS.iter().find(|length| ids.len() <= **length) else {
            return Err(DirectoryError::Failed(format!("{} users are too many for one question", ids.len())));
        };
        let mut ids: Vec<i64> = ids.iter().map(|id| id.0 as i64).collect();
        // Naming one twice asks for nothing more.
        ids.resize(*length, last.0 as i64);
        Ok(Some(IdList { ids }))
    }

    /// `$first, $first+1, ...`, one for each id.
    pub fn placeholders(&self, first: usize) -> String {
        let placeholders: Vec<String> = (first..first + self.ids.len()).map(|number| format!("${number}")).collect();
        placeholders.join(", ")
    }

    /// The values, in order.
    pub fn values(&self) -> impl Iterator<Item = i64> + '_ {
        self.ids.iter().copied()
    }
}
