//! What a move tells whoever started it.

use crate::tally::Tallies;

/// What there is to tell.
#[derive(Debug)]
pub enum News<'a> {
    /// A sentence.
    Said(String),
    /// So much was moved so far. Told often: to be shown now and then.
    Moved(&'a Tallies),
    /// So much was read again so far, to compare.
    Compared(&'a Tallies),
}

/// Takes the news.
pub type Tell<'a> = &'a (dyn Fn(News<'_>) + Send + Sync);
