//! Several members of one group: partitions are shared out, and taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use banter_fleet::kafka::KafkaReaders;
use banter_store::behaviour::assignment::conversations;
use banter_store::behaviour::queue::envelope;
use banter_store::queue::{CommandQueue, PartitionAssignment, PartitionReader};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::{in_time, topic};

const PARTITIONS: u32 = 12;

/// What the workers of all members stored, as a history would: each partition's position, and what was applied.
#[derive(Default)]
struct Stored {
    positions: BTreeMap<u32, u64>,
    applied: BTreeMap<u32, Vec<u64>>,
    /// Which member reads a partition now.
    reading: BTreeMap<u32, usize>,
}

/// A process: its member, and a worker for each partition that it is given.
struct Process {
    owned: watch::Receiver<usize>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

fn process(number: usize, mut member: KafkaReaders, stored: &Arc<Mutex<Stored>>) -> Process {
    let stored = Arc::clone(stored);
    let (count, owned) = watch::channel(0);
    let (stop, mut stopped) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let mut workers = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut stopped => member.close(),
                ended = workers.join_next(), if !workers.is_empty() => {
                    ended.unwrap().unwrap();
                    count.send_modify(|count| *count -= 1);
                    continue;
                }
                assigned = member.next() => {
                    let Some(assigned) = assigned.unwrap() else { return };
                    let partition = assigned.partition();
                    let position = stored.lock().positions.get(&partition).copied().unwrap_or(0);
                    let reader = assigned.start(position).unwrap();
                    workers.spawn(work(number, reader, Arc::clone(&stored)));
                    count.send_modify(|count| *count += 1);
                    continue;
                }
            }
            // Told to stop: all workers end, then the member leaves.
            while let Some(ended) = workers.join_next().await {
                ended.unwrap();
            }
            while member.next().await.unwrap().is_some() {}
            return;
        }
    });
    Process { owned, stop, ended }
}

async fn work(number: usize, mut reader: Box<dyn PartitionReader>, stored: Arc<Mutex<Stored>>) {
    let partition = reader.partition();
    let other = stored.lock().reading.insert(partition, number);
    assert_eq!(other, None, "partition {partition} is read by two");
    while let Some(batch) = reader.next_batch(7).await {
        // A round takes a while, during which the partition may be taken away: it is finished all the same.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut stored = stored.lock();
        for (position, envelope) in batch {
            let before = stored.positions.insert(partition, position).unwrap_or(0);
            assert_eq!(position, before + 1, "partition {partition}");
            stored.applied.entry(partition).or_default().push(envelope.origin.session);
        }
    }
    stored.lock().reading.remove(&partition);
}

/// Until the members own as many partitions as `expected` says.
async fn until_owned(processes: &mut [&mut Process], expected: impl Fn(&[usize]) -> bool) {
    loop {
        let counts: Vec<usize> = processes.iter_mut().map(|process| *process.owned.borrow_and_update()).collect();
        if expected(&counts) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Members come and go while commands are pushed: every partition is read by one at a time, and all commands are applied once, in
/// order, from the stored positions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_shared_out_and_taken_over() {
    let Some(topic) = topic("members", PARTITIONS, false).await else { return };
    in_time(async {
        let stored = Arc::new(Mutex::new(Stored::default()));
        let (stop_pushing, pushing) = oneshot::channel::<()>();
        let queue = topic.queue();
        let seed = topic.seed;
        let pusher = tokio::spawn(async move {
            let conversations = conversations(PARTITIONS, seed);
            let mut pushing = pushing;
            let mut number = 0;
            while matches!(pushing.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                number += 1;
                for id in &conversations {
                    queue.push(envelope(*id, number)).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(queue.drain(Duration::from_secs(60)).await, 0);
            number
        });

        let all = PARTITIONS as usize;
        let mut first = process(1, topic.member(), &stored);
        until_owned(&mut [&mut first], |counts| counts == [all]).await;
        let mut second = process(2, topic.member(), &stored);
        until_owned(&mut [&mut first, &mut second], |counts| counts == [all / 2, all / 2]).await;
        let mut third = process(3, topic.member(), &stored);
        until_owned(&mut [&mut first, &mut second, &mut third], |counts| counts == [all / 3, all / 3, all / 3]).await;

        first.stop.send(()).unwrap();
        first.ended.await.unwrap();
        until_owned(&mut [&mut second, &mut third], |counts| counts == [all / 2, all / 2]).await;
        // As a process that is killed, but for the group, which is told: nothing is closed.
        second.ended.abort();
        let _ = second.ended.await;
        stored.lock().reading.retain(|_, number| *number != 2);
        until_owned(&mut [&mut third], |counts| counts == [all]).await;

        stop_pushing.send(()).unwrap();
        let last = pusher.await.unwrap();
        while stored.lock().positions.values().copied().collect::<BTreeSet<_>>() != BTreeSet::from([last]) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        third.stop.send(()).unwrap();
        third.ended.await.unwrap();
        let stored = stored.lock();
        assert_eq!(stored.applied.len(), all);
        for (partition, numbers) in &stored.applied {
            assert_eq!(*numbers, (1..=last).collect::<Vec<_>>(), "partition {partition}");
        }
        assert!(stored.reading.is_empty());
    })
    .await;
    topic.gone().await;
}
