//! What the JSON of the frames of a message costs: `send` decoded, `sent` and `event` encoded, once each for a message.

use std::hint::black_box;

use banter_model::{ConversationId, DeviceId, EventId, Tag, UserId};
use banter_protocol::{ClientFrame, Content, Event, ServerFrame};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Characters of the texts measured: the one of the load runs, and the longest.
const LENGTHS: [usize; 2] = [100, 100_000];
/// An id as they are in use: 19 digits.
const ID: u64 = 1_234_567_890_123_456_789;

fn frames(length: usize) -> Option<(String, ServerFrame, ServerFrame)> {
    let conversation = ConversationId::direct(UserId(ID), UserId(ID + 1))?;
    let text = "a chat message, \\\"quoted\\\"; ".chars().cycle().take(length).collect::<String>();
    let text = text.trim_end_matches('\\');
    let tag = Tag::new(12_345).ok()?;
    let send = format!(r#"{{"type":"send","tag":12345,"conversation":"{conversation}","text":"{text}"}}"#);
    let (seq, ordinal, id, at) = (54_321, 54_320, EventId(ID), 1_790_000_000_000);
    let sent = ServerFrame::Sent { tag, conversation, seq, ordinal, id, at, mentions: Vec::new() };
    let text = text.replace('\\', "");
    let content = Content::Message {
        text,
        reply_to: None,
        mentions: vec![],
        edited_at: None,
        redacted: false,
        reactions: Vec::new(),
        amended_up_to: 0,
    };
    let event = Event { seq, ordinal, id, at, sender: UserId(ID), device: DeviceId(ID), tag: Some(tag), content };
    Some((send, sent, ServerFrame::Event { conversation, event }))
}

fn benchmark(criterion: &mut Criterion) {
    for (length, (send, sent, event)) in LENGTHS.into_iter().filter_map(|length| Some((length, frames(length)?))) {
        let mut group = criterion.benchmark_group(format!("frames of {length} characters"));
        group.throughput(Throughput::Bytes(send.len() as u64));
        assert!(matches!(serde_json::from_slice(send.as_bytes()), Ok(ClientFrame::Send(_))), "a send frame: {send}");
        group.bench_function("decode send", |bencher| {
            bencher.iter(|| serde_json::from_slice::<ClientFrame>(black_box(send.as_bytes())));
        });
        for (name, frame) in [("encode sent", sent), ("encode event", event)] {
            let mut buffer = Vec::with_capacity(2 * length + 512);
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    buffer.clear();
                    serde_json::to_writer(&mut buffer, black_box(&frame)).is_ok()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
