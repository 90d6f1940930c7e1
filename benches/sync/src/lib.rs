//! Ways of getting a batch onto the disk. The benches are in `benches/append.rs`.
