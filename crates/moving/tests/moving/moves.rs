//! What arrives is what was there.

use banter_model::fold::{self, Outcome};
use banter_model::{Conversation, Head, Roster};
use banter_moving::record::{Kind, Record};
use banter_moving::{MoveError, Queue, import, migrate};
use banter_store::History;
use banter_store::behaviour::{Random, seed};
use banter_store::history::movable::{ConversationRecord, HistoryRecord, MovableHistory};

use super::installations::{PARTITIONS, embedded, fill, is_half_moved, lines, quiet, with_postgres};
use super::random::{Made, installation};

fn random() -> Random {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    Random::new(seed)
}

/// Random installation, export, import, export: the same lines. And straight across: the same again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_and_in_and_out_is_the_same() {
    let mut random = random();
    for size in [0, 1, 2, 5, 40] {
        let from = embedded().await;
        let made = installation(&mut random, size.max(1), PARTITIONS);
        let records = if size == 0 { &made.records[..1] } else { &made.records };
        fill(&from.installation, records).await;
        let first = lines(&from.installation, from.folder.path(), "export").await;
        assert_eq!(first.len(), records.len() + 1, "a line for each, and the end");
        for record in records {
            assert!(first.contains(&record.line()), "{record:?}");
        }
        let (imported, across) = (embedded().await, embedded().await);
        let tallies = import(&from.folder.path().join("export"), &imported.installation, &quiet).await.unwrap();
        assert_eq!(tallies.count(), records.len() as u64);
        assert_eq!(migrate(&from.installation, &across.installation, &quiet).await.unwrap(), tallies);
        for to in [imported, across] {
            assert_eq!(lines(&to.installation, to.folder.path(), "export").await, first);
            assert!(!is_half_moved(&*to.history).await);
        }
    }
}

/// Into PostgreSQL and out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_move_between_databases() {
    let Some(between) = with_postgres().await else { return };
    let mut random = random();
    let (from, to) = (embedded().await, embedded().await);
    fill(&from.installation, &installation(&mut random, 300, PARTITIONS).records).await;
    migrate(&from.installation, &between.installation, &quiet).await.unwrap();
    migrate(&between.installation, &to.installation, &quiet).await.unwrap();
    let first = lines(&from.installation, from.folder.path(), "export").await;
    assert_eq!(lines(&between.installation, between.folder.path(), "export").await, first);
    assert_eq!(lines(&to.installation, to.folder.path(), "export").await, first);
}

/// What a device sends again after the move gets the answer that it would have got before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resends_are_recognised_after_the_move() {
    let mut random = random();
    let (from, to) = (embedded().await, embedded().await);
    let Made { records, commands } = installation(&mut random, 20, PARTITIONS);
    fill(&from.installation, &records).await;
    migrate(&from.installation, &to.installation, &quiet).await.unwrap();
    let mut recognised = 0;
    for (command, seq) in commands.into_iter().filter(|(command, _)| command.tag.is_some()) {
        let (id, device) = (command.conversation, command.device);
        let mut conversation = to.history.conversation(id).await.unwrap().unwrap();
        match fold::apply(&mut conversation, u64::MAX, command, None) {
            Outcome::Duplicate { tag, at_most, .. } => {
                let event = to.history.find_tag(id, device, tag, at_most).await.unwrap();
                assert_eq!(event.map(|event| event.seq), Some(seq));
                recognised += 1;
            }
            // So far back that the device is told to look for itself, before the move as after it.
            Outcome::Refused(refusal) => assert_eq!(refusal, banter_model::Refusal::StaleTag),
            Outcome::Applied { .. } => panic!("{seq} of {id} would be there twice"),
        }
    }
    assert!(recognised > 100, "{recognised}");
}

/// Another number of partitions: every position that is given from now on is greater than every one of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_go_on_after_the_greatest() {
    let mut random = random();
    let (from, to) = (embedded().await, embedded().await);
    let mut source = from.installation.clone();
    source.queue = Queue::AfterHistory { partitions: 3 };
    fill(&from.installation, &installation(&mut random, 10, 3).records).await;
    let mut highest = 0;
    for partition in 0..3 {
        highest = highest.max(from.history.position(partition).await.unwrap());
    }
    assert!(highest > 0);
    migrate(&source, &to.installation, &quiet).await.unwrap();
    for partition in 0..PARTITIONS {
        assert_eq!(to.history.position(partition).await.unwrap(), highest);
    }
    let without = |lines: Vec<String>| -> Vec<String> {
        let own = [r#"{"installation":"#, r#"{"position":"#, r#"{"end":"#];
        lines.into_iter().filter(|line| !own.iter().any(|own| line.starts_with(own))).collect()
    };
    let first = without(lines(&source, from.folder.path(), "export").await);
    assert_eq!(without(lines(&to.installation, to.folder.path(), "export").await), first);
    // The same on the way in from a file.
    let imported = embedded().await;
    import(&from.folder.path().join("export"), &imported.installation, &quiet).await.unwrap();
    assert_eq!(imported.history.position(PARTITIONS - 1).await.unwrap(), highest);
}

/// A topic says itself where it is; one that would give positions again is refused before it is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_its_own_has_to_be_ahead() {
    let mut random = random();
    let from = embedded().await;
    fill(&from.installation, &installation(&mut random, 10, PARTITIONS).records).await;
    let behind = embedded().await;
    let mut target = behind.installation.clone();
    target.queue = Queue::After(vec![1 << 48, 3, 1 << 48]);
    match migrate(&from.installation, &target, &quiet).await {
        Err(error @ MoveError::QueueBehind { partition: 1, begins: 3, .. }) => {
            assert!(error.to_string().contains("(`queue.epoch`) to 1"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(is_half_moved(&*behind.history).await, "nobody serves it");
    // A topic in a later epoch, and the same move goes on.
    let starts = [1 << 48, 1 << 48 | 12, 5 << 48];
    target.queue = Queue::After(starts.to_vec());
    migrate(&from.installation, &target, &quiet).await.unwrap();
    for (partition, start) in (0..).zip(starts) {
        assert_eq!(behind.history.position(partition).await.unwrap(), start);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_empty_is_left_alone() {
    let mut random = random();
    let (from, to) = (embedded().await, embedded().await);
    fill(&from.installation, &installation(&mut random, 3, PARTITIONS).records).await;
    fill(&to.installation, &installation(&mut random, 3, PARTITIONS).records).await;
    let before = lines(&to.installation, to.folder.path(), "before").await;
    let refused = migrate(&from.installation, &to.installation, &quiet).await;
    assert!(matches!(refused, Err(MoveError::NotEmpty)), "{refused:?}");
    assert!(!is_half_moved(&*to.history).await);
    assert_eq!(lines(&to.installation, to.folder.path(), "after").await, before);
}

/// A source that has changed since the move began does not end up half old and half new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_source_does_not_go_on_with_a_move() {
    let mut random = random();
    let (from, to) = (embedded().await, embedded().await);
    fill(&from.installation, &installation(&mut random, 10, PARTITIONS).records).await;
    let life = super::mortal::Life::new(12, 0);
    assert!(migrate(&from.installation, &life.of(&to.installation), &quiet).await.is_err());
    assert!(is_half_moved(&*to.history).await);
    let until = from.installation.identity.ids_until().await.unwrap();
    from.installation.identity.take_ids_until(until + 1).await.unwrap();
    let refused = migrate(&from.installation, &to.installation, &quiet).await;
    assert!(matches!(refused, Err(MoveError::OtherMove)), "{refused:?}");
}

/// Something that changed without anybody having noted it is found when all is compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_arrive_as_it_is_is_found() {
    let mut random = random();
    let from = embedded().await;
    let made = installation(&mut random, 10, PARTITIONS).records;
    fill(&from.installation, &made).await;
    let to = embedded().await;
    // A target that already has a mention which nobody sent.
    let stray = made.iter().rev().find_map(|record| match record {
        Record::History(HistoryRecord::Mention(mention)) => Some(*mention),
        _ => None,
    });
    let mut stray = stray.unwrap();
    stray.seq += 1_000;
    to.history.restore(vec![HistoryRecord::Mention(stray)]).await.unwrap();
    match migrate(&from.installation, &to.installation, &quiet).await {
        Err(MoveError::Different(kinds)) => assert_eq!(kinds, [Kind::Mention]),
        other => panic!("{other:?}"),
    }
    assert!(is_half_moved(&*to.history).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_key_is_not_replaced() {
    let mut random = random();
    let (from, to) = (embedded().await, embedded().await);
    fill(&from.installation, &installation(&mut random, 1, PARTITIONS).records).await;
    to.installation.identity.take_secret_key(&[7; 32]).await.unwrap();
    let refused = migrate(&from.installation, &to.installation, &quiet).await;
    assert!(matches!(refused, Err(MoveError::OtherSecretKey)), "{refused:?}");
}

/// Ids go on after those of the source, and never back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_go_on_after_those_of_the_source() {
    let mut random = random();
    let (from, to) = (embedded().await, embedded().await);
    fill(&from.installation, &installation(&mut random, 1, PARTITIONS).records).await;
    migrate(&from.installation, &to.installation, &quiet).await.unwrap();
    let until = from.installation.identity.ids_until().await.unwrap();
    assert_eq!(to.installation.identity.ids_until().await.unwrap(), until);
    to.installation.identity.take_ids_until(until - 1).await.unwrap();
    assert_eq!(to.installation.identity.ids_until().await.unwrap(), until);
}

/// Logs with a gap, and conversations whose queue was not applied to its end, are told for what they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_not_whole_is_told() {
    let mut random = random();
    for (position, told) in [(0, "are there: the source is damaged"), (9, "let its workers apply")] {
        let (from, to) = (embedded().await, embedded().await);
        fill(&from.installation, &installation(&mut random, 1, PARTITIONS).records[..1]).await;
        let id = banter_model::ConversationId::Group(banter_model::GroupId(5));
        let conversation = Conversation { id, head: Head { seq: 2, position, ..Head::default() }, roster: Roster::default() };
        let Conversation { id: conversation, head, roster } = conversation;
        let record = HistoryRecord::Conversation(ConversationRecord { conversation, head, roster });
        from.history.restore(vec![record]).await.unwrap();
        let error = migrate(&from.installation, &to.installation, &quiet).await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(is_half_moved(&*to.history).await);
    }
}
