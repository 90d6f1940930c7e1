//! A server killed at any moment: what it had acknowledged is there, whole and in order.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use banter_model::{ConversationId, GroupId, UserId};
use banter_store::behaviour::history::{head, message, row};
use banter_store::behaviour::{Random, seed};
use banter_store::history::{Advance, MentionChange, Order, PageSize};
use banter_store::{History, HistoryBatch};

use crate::open;

const FOLDER: &str = "BANTER_TEST_CRASH_FOLDER";
const PARTITIONS: u32 = 4;
const KILLS: u32 = 12;
const READER: UserId = UserId(9);

fn conversation(partition: u32) -> ConversationId {
    ConversationId::Group(GroupId(u64::from(partition) + 1))
}

/// How many events batch `number` of a partition has: 1 to 20.
fn events_in(partition: u32, number: u64) -> u64 {
    1 + Random::new(u64::from(partition) << 32 | number).below(20)
}

/// Batch `number` of a partition, whose log has `before` events.
fn batch(partition: u32, number: u64, before: u64) -> HistoryBatch {
    let id = conversation(partition);
    let mut random = Random::new(number << 8 | u64::from(partition));
    let last = before + events_in(partition, number);
    let mut text = || {
        // What does not compress; now and then much of it, so that journals and tables fill.
        let length = if random.below(40) == 0 { 50_000 } else { 100 };
        (0..length).map(|_| char::from(b'!' + random.below(90) as u8)).collect::<String>()
    };
    HistoryBatch {
        partition,
        position: number,
        events: (before + 1..=last).map(|seq| row(id, number, message(seq, &text()))).collect(),
        heads: vec![(id, head(last))],
        mentions: vec![MentionChange { user: READER, conversation: id, seq: last, added: true, position: number }],
        ..HistoryBatch::default()
    }
}

/// What the child runs: commits batches of all partitions at once until it is killed, and says what was acknowledged.
#[test]
#[ignore = "the child of `what_was_acknowledged_survives_a_kill`"]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { panic!("{FOLDER} is not set") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let history = Arc::new(open(Path::new(&folder)));
        let out = Arc::new(Mutex::new(std::io::stdout()));
        let mut workers = tokio::task::JoinSet::new();
        for partition in 0..PARTITIONS {
            let (history, out) = (Arc::clone(&history), Arc::clone(&out));
            workers.spawn(async move {
                let id = conversation(partition);
                let mut last = history.heads(&[id]).await.unwrap()[0].as_ref().map_or(0, |head| head.seq);
                for number in history.position(partition).await.unwrap() + 1.. {
                    history.commit(batch(partition, number, last)).await.unwrap();
                    last += events_in(partition, number);
                    writeln!(out.lock().unwrap(), "\nstored {partition} {number}").unwrap();
                    let delivered =
                        history.advance(READER, id, Advance { delivered: last, ..Advance::default() }, number).await.unwrap();
                    writeln!(out.lock().unwrap(), "\ndelivered {partition} {}", delivered.delivered).unwrap();
                }
            });
        }
        workers.join_next().await.unwrap().unwrap();
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let (mut stored, mut delivered) = ([0_u64; PARTITIONS as usize], [0_u64; PARTITIONS as usize]);
    for kill in 1..=KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after a random number of answers, wherever it is by then.
        let answers = 1 + random.below(300);
        let mut heard = 0;
        for line in lines {
            // The line under way at the kill may be cut.
            let Ok(line) = line else { break };
            let words: Vec<&str> = line.split(' ').collect();
            let [what @ ("stored" | "delivered"), partition, number] = words[..] else { continue };
            let (Ok(partition), Ok(number)) = (partition.parse::<usize>(), number.parse::<u64>()) else { continue };
            let known = if what == "stored" { &mut stored } else { &mut delivered };
            // A number that was cut is a smaller one.
            known[partition] = known[partition].max(number);
            heard += 1;
            if heard == answers {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= answers, "the child ended by itself before kill {kill}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(verify(folder.path(), &mut stored, &mut delivered, kill));
    }
    assert!(stored.iter().all(|number| *number > 0), "a partition never stored anything: {stored:?}");
}

/// Checks what is there, and takes it for acknowledged from here on: it was seen.
async fn verify(folder: &Path, stored: &mut [u64], delivered: &mut [u64], kill: u32) {
    let history = open(folder);
    for partition in 0..PARTITIONS {
        let id = conversation(partition);
        let (acknowledged, read) = (stored[partition as usize], delivered[partition as usize]);
        let position = history.position(partition).await.unwrap();
        assert!(
            position == acknowledged || position == acknowledged + 1,
            "kill {kill}, partition {partition}: {acknowledged} batches were acknowledged and {position} are there"
        );
        let (mut last, mut mentions) = (0, Vec::new());
        for number in 1..=position {
            let batch = batch(partition, number, last);
            let expected: Vec<_> = batch.events.into_iter().map(|row| row.event).collect();
            let size = PageSize { events: 100, bytes: usize::MAX };
            let first = last + 1;
            last += expected.len() as u64;
            let events = history.events(id, first, last, Order::OldestFirst, size).await.unwrap();
            assert!(events == expected, "kill {kill}: batch {number} of partition {partition} is not whole");
            mentions.push(last);
        }
        let after = history.events(id, last + 1, u64::MAX, Order::OldestFirst, PageSize::LARGEST).await.unwrap();
        assert!(after.is_empty(), "kill {kill}, partition {partition}: part of a batch is there");
        assert_eq!(history.heads(&[id]).await.unwrap(), [(position > 0).then(|| head(last))], "kill {kill}");
        assert_eq!(history.mentions(READER, id, 0, usize::MAX).await.unwrap(), mentions, "kill {kill}");
        let progress = history.progress(READER, id).await.unwrap();
        assert!(progress.delivered >= read && progress.delivered <= last, "kill {kill}: {progress:?}, {read} acknowledged");
        stored[partition as usize] = position;
        delivered[partition as usize] = progress.delivered;
    }
}
