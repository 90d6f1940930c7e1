//! The heart of the promise: whatever dies, what was acknowledged stands, once, in its place, and everybody sees the same.
//! `docs/durability.md` says what is checked, and how to run it for longer.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use banter_load::Common;
use banter_load::chaos::Chaos;

/// The server's binary beside this test's; built if it is not there.
fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        // target/<profile>/deps/durability-...
        let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        let binary = profile.join("banter");
        if !binary.is_file() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--bin", "banter"]).current_dir(env!("CARGO_MANIFEST_DIR"));
            if profile.ends_with("release") {
                cargo.arg("--release");
            }
            assert!(cargo.status().unwrap().success(), "the server does not build");
        }
        assert!(binary.is_file(), "there is no {}", binary.display());
        binary
    };
    BINARY.get_or_init(find).clone()
}

fn survives(chaos: Chaos) {
    // One run at a time: the three would only slow each other down.
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let common = Common { server: Some(binary()), ..Common::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(chaos.try_run(&common)).unwrap_or_else(|error| panic!("{error:#}"));
    println!("{:#}", serde_json::Value::Object(outcome.figures));
    let violations: Vec<String> = outcome.violations.iter().take(20).map(ToString::to_string).collect();
    let (seed, count, kept) = (outcome.seed, outcome.violations.len(), outcome.kept);
    assert!(violations.is_empty(), "seed {seed}: {count} violations, kept in {kept:?}\n{}", violations.join("\n"));
}

#[test]
fn twenty_kills() {
    survives(Chaos { users: 8, groups: 4, kills: 20, seconds: 1.0, rate: 120.0, ..Chaos::default() });
}

#[test]
fn ten_kills_behind_a_faulty_network() {
    survives(Chaos { users: 8, groups: 4, kills: 10, seconds: 2.0, rate: 120.0, proxy: true, ..Chaos::default() });
}

#[test]
fn five_kills_where_websocket_is_blocked() {
    survives(Chaos { users: 8, groups: 4, kills: 5, seconds: 3.0, rate: 120.0, polling_only: true, ..Chaos::default() });
}
