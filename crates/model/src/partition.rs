//! Which partition a conversation belongs to.

use crate::ConversationId;

/// The partition of `conversation`, below `partitions`. Part of the storage format: it never changes.
///
/// 64-bit FNV-1a over the 16 bytes, then the finaliser of SplitMix64, whose high bits are well mixed.
pub fn partition_of(conversation: ConversationId, partitions: u32) -> u32 {
    let mut hash = conversation
        .to_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    ((u128::from(hash) * u128::from(partitions)) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GroupId, UserId};

    #[test]
    fn the_mapping_is_fixed() {
        let direct = ConversationId::direct(UserId(1), UserId(2)).unwrap();
        let got = [partition_of(direct, 256), partition_of(ConversationId::Group(GroupId(7)), 256), partition_of(direct, 1)];
        assert_eq!(got, [40, 145, 0]);
    }

    #[test]
    fn it_spreads_evenly() {
        let mut count = [0_u32; 16];
        for group in 1..=16_000 {
            count[partition_of(ConversationId::Group(GroupId(group)), 16) as usize] += 1;
        }
        assert!(count.iter().all(|count| (850..1_150).contains(count)), "{count:?}");
    }
}
