//! What handing one frame to a group of 100 costs: from the hub into 100 outboxes, and out of them as their connections would take it.

use std::hint::black_box;
use std::sync::Arc;

use banter_model::{ConversationId, DeviceId, EventId, UserId};
use banter_protocol::{Content, Event, ServerFrame};
use banter_server::gateway::hub::Hub;
use banter_server::gateway::session::{Session, Transport};
use banter_server::metrics::Metrics;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Members of the group, one session each.
const MEMBERS: u64 = 100;
/// Sessions that have nothing to do with it, so that the table is not all in the nearest cache.
const OTHERS: u64 = 100_000;
/// An id as they are in use.
const ID: u64 = 1_234_567_890_123_456_789;

fn open(hub: &Hub, user: UserId) -> Arc<Session> {
    let session = Arc::new(Session::new(hub.next_number(), user, DeviceId(user.0), Transport::Socket, 0));
    hub.register(session.clone());
    session
}

/// A message of 100 characters.
fn frame() -> Option<ServerFrame> {
    let content = Content::Message {
        text: "x".repeat(100),
        reply_to: None,
        mentions: Vec::new(),
        edited_at: None,
        redacted: false,
        reactions: Vec::new(),
        amended_up_to: 0,
    };
    let event = Event {
        seq: 54_321,
        ordinal: 54_320,
        id: EventId(ID),
        at: 1_790_000_000_000,
        sender: UserId(ID),
        device: DeviceId(ID),
        tag: None,
        content,
    };
    Some(ServerFrame::Event { conversation: ConversationId::direct(UserId(ID), UserId(ID + 1))?, event })
}

fn benchmark(criterion: &mut Criterion) {
    let hub = Hub::new(Arc::new(Metrics::default()));
    // Ids are far apart, as those of people who signed up at different times are.
    let sessions: Vec<_> = (1..=OTHERS + MEMBERS).map(|number| open(&hub, UserId(number << 22))).collect();
    let members: Vec<_> = sessions.iter().step_by((OTHERS / MEMBERS) as usize).take(MEMBERS as usize).cloned().collect();
    let Some(frame) = frame() else { return };
    let mut group = criterion.benchmark_group("fan-out to 100 sessions");
    group.throughput(Throughput::Elements(MEMBERS));
    group.bench_function("encode once, queue, take", |bencher| {
        bencher.iter(|| {
            let encoded = hub.encode(black_box(&frame));
            for member in &members {
                hub.send_encoded(member.user, &encoded, None);
            }
            let taken: usize = members.iter().map(|member| member.take(64).0.len()).sum();
            assert_eq!(taken, members.len());
        });
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
