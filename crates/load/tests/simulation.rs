//! Whatever dies, stands still or overlaps, the rows come out the same: the workers of a fleet, simulated. A failing seed prints what happened
//! in it; `banter-load simulate --seeds 1 --first SEED` runs it again.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use banter_load::simulate::{Mutation, Simulate};

/// Seeds that every run of the tests goes through.
const SEEDS: u64 = 3_000;
/// Seeds within which a rule that is switched off has to be missed.
const SEEDS_TO_MISS_A_RULE: u64 = 2_000;

fn simulate(seeds: u64, first: u64, mutation: Mutation) -> Simulate {
    Simulate { seeds, first, threads: None, mutation }
}

#[test]
fn a_replay_does_no_harm() {
    let first = std::env::var("BANTER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    match simulate(SEEDS, first, Mutation::None).run_seeds() {
        Ok(passes) => println!("{passes:?}"),
        Err((seed, wrong)) => panic!("{}\n\nBANTER_SEED={seed}: {}", wrong.trace.join("\n"), wrong.what),
    }
}

#[test]
fn each_rule_is_needed() {
    use Mutation::*;
    let rules = [
        NoTimestamps,
        NoSkip,
        NeverOvertaken,
        NoRedo,
        HeadFirst,
        FollowsBeforeHead,
        PositionEarly,
        AmendedAtOnce,
        AnswersThatItCannot,
        StartsAtTheEnd,
    ];
    for rule in rules {
        match simulate(SEEDS_TO_MISS_A_RULE, 1, rule).run_seeds() {
            Ok(passes) => panic!("nothing is wrong without {rule:?} in {} seeds", passes.seeds),
            Err((seed, wrong)) => {
                println!("{rule:?} is missed by seed {seed}: {}", wrong.what.chars().take(300).collect::<String>())
            }
        }
    }
}
