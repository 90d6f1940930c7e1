//! Positions: a command's place in its partition's queue, as one number that only grows.
//!
//! The low 48 bits count the commands from 1 on, the 15 bits above them count how often the queue was made anew (its epoch), and
//! the highest bit stays free, so that a position is also a timestamp where timestamps are signed. The embedded queue has
//! epoch 0: its positions are 1, 2, 3 ... Part of the storage format: it never changes.

/// Greatest epoch there is.
pub const LAST_EPOCH: u16 = (1 << (63 - OFFSET_BITS)) - 1;
/// Most commands that a queue takes in one epoch: a million a second for eight years, in each partition.
pub const COMMANDS_PER_EPOCH: u64 = (1 << OFFSET_BITS) - 1;

const OFFSET_BITS: u32 = 48;

/// The position of the command at `offset` (from 0 on) of a queue in `epoch`. `None` beyond [`LAST_EPOCH`] or
/// [`COMMANDS_PER_EPOCH`].
pub fn pack(epoch: u16, offset: u64) -> Option<u64> {
    (epoch <= LAST_EPOCH && offset < COMMANDS_PER_EPOCH).then(|| u64::from(epoch) << OFFSET_BITS | (offset + 1))
}

/// The epoch of `position`, and the offset of the first command after it in that epoch.
pub fn unpack(position: u64) -> (u16, u64) {
    ((position >> OFFSET_BITS) as u16, position & COMMANDS_PER_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_fixed() {
        assert_eq!([pack(0, 0), pack(0, 41), pack(1, 0)], [Some(1), Some(42), Some(1 << 48 | 1)]);
        assert_eq!(pack(LAST_EPOCH, COMMANDS_PER_EPOCH - 1), Some(i64::MAX as u64));
        assert_eq!([pack(LAST_EPOCH + 1, 0), pack(0, COMMANDS_PER_EPOCH)], [None, None]);
    }

    #[test]
    fn a_reader_goes_on_after_a_position() {
        assert_eq!(unpack(0), (0, 0));
        for (epoch, offset) in [(0, 0), (0, 41), (7, 0), (LAST_EPOCH, COMMANDS_PER_EPOCH - 1)] {
            assert_eq!(pack(epoch, offset).map(unpack), Some((epoch, offset + 1)));
        }
    }

    #[test]
    fn a_queue_made_anew_is_after_everything_before() {
        assert!(pack(1, 0) > pack(0, COMMANDS_PER_EPOCH - 1));
        assert!(pack(3, 5) > pack(3, 4));
    }
}
