//! Ids never repeat and never run backwards, whatever the clocks do.

use std::collections::HashSet;

use banter_model::snowflake::{EPOCH, Generator, Unavailable, node_of, time_of};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// How a clock moves on, and how many ids are asked for then.
fn ticks() -> impl Strategy<Value = Vec<(i64, u32)>> {
    let step = prop_oneof![4 => 0..3_i64, 1 => -50..0_i64, 1 => 0..5_000_i64];
    let asked = prop_oneof![8 => 0..20_u32, 1 => 4_000..4_200_u32];
    prop::collection::vec((step, asked), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // Written only when a case fails.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn ids_increase_and_differ(clocks in prop::collection::vec(ticks(), 1..5), first in 0..1_000_u16) {
        let mut all = HashSet::new();
        for (node, ticks) in (first..).zip(clocks) {
            let mut generator = Generator::new(node);
            let mut now = EPOCH + 1_000_000;
            let (mut last, mut latest) = (0, 0);
            for (step, asked) in ticks {
                now = now.saturating_add_signed(step);
                for _ in 0..asked {
                    match generator.next(now) {
                        Ok(id) => {
                            prop_assert!(id > last);
                            prop_assert!(all.insert(id), "{} was given out twice", id);
                            prop_assert_eq!((time_of(id), node_of(id)), (now, node));
                            (last, latest) = (id, now);
                        }
                        Err(Unavailable::ClockBehind { behind_ms }) => prop_assert_eq!(now + behind_ms, latest),
                        Err(Unavailable::Exhausted) => prop_assert!(now == latest && last & 0xfff == 0xfff),
                        Err(Unavailable::ClockOutOfRange) => return Err(TestCaseError::fail("the clock is in range")),
                    }
                }
            }
        }
    }
}
