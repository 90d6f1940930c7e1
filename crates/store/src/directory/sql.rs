//! The directory over SQL.
