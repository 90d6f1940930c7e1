//! What the fold of a batch costs: the part of a worker's round that is the model's.

use std::collections::HashMap;
use std::hint::black_box;

use banter_model::{Action, Command, Conversation, ConversationId, DeviceId, EventId, Outcome, Tag, UserId, fold};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// Conversations that write at the same time, as in `banter-load pairs`.
const PAIRS: u64 = 100;
/// Messages of each that are in the batch.
const MESSAGES: u64 = 16;
/// Events of each conversation before the batch, so that tag windows are full.
const BEFORE: u64 = 200;

fn command(pair: u64, number: u64) -> Option<Command> {
    let (sender, other) = (UserId(pair * 2 + 1), UserId(pair * 2 + 2));
    Some(Command {
        conversation: ConversationId::direct(sender, other)?,
        sender,
        device: DeviceId(sender.0),
        tag: Some(Tag::new(number).ok()?),
        id: EventId((number * PAIRS + pair) << 22),
        action: Action::Send { text: "x".repeat(100), reply_to: None, mentions: Vec::new() },
    })
}

/// Folds `commands`, from `position` on; returns how many were applied.
fn fold_all(conversations: &mut HashMap<ConversationId, Conversation>, position: u64, commands: Vec<Command>) -> usize {
    let outcomes = commands.into_iter().zip(position..).map(|(command, position)| {
        let id = command.conversation;
        let conversation = conversations.entry(id).or_insert_with(|| Conversation::new(id));
        black_box(fold::apply(conversation, position, command, None))
    });
    outcomes.filter(|outcome| matches!(outcome, Outcome::Applied { .. })).count()
}

fn commands(numbers: std::ops::RangeInclusive<u64>) -> Vec<Command> {
    numbers.flat_map(|number| (0..PAIRS).filter_map(move |pair| command(pair, number))).collect()
}

fn benchmark(criterion: &mut Criterion) {
    let mut conversations = HashMap::new();
    let before = fold_all(&mut conversations, 1, commands(1..=BEFORE));
    let batch = commands(BEFORE + 1..=BEFORE + MESSAGES);
    assert_eq!(before as u64, BEFORE * PAIRS, "everything before is applied");
    assert_eq!(fold_all(&mut conversations.clone(), before as u64 + 1, batch.clone()), batch.len(), "so is the batch");
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(batch.len() as u64));
    group.bench_function("batch of 100 pairs, 16 messages each", |bencher| {
        let fresh = || (conversations.clone(), batch.clone());
        bencher.iter_batched(
            fresh,
            |(mut conversations, batch)| {
                let applied = fold_all(&mut conversations, before as u64 + 1, batch);
                // Given back, so that dropping them is not measured.
                (conversations, applied)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
