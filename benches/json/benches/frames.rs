//! The frames of a message through each library. The ratio is what counts; `docs/decisions/0008-json.md` has it.

use std::hint::black_box;

use banter_bench_json::{Frames, frames};
use banter_protocol::ClientFrame;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn benchmark(criterion: &mut Criterion) {
    for length in [100, 2_000, 100_000] {
        let Frames { send, sent, event } = frames(length);
        let by_serde: ClientFrame = serde_json::from_slice(send.as_bytes()).expect("a frame");
        assert_eq!(sonic_rs::from_slice::<ClientFrame>(send.as_bytes()).expect("a frame"), by_serde);
        let mut group = criterion.benchmark_group(format!("decode send, {length} characters"));
        group.throughput(Throughput::Bytes(send.len() as u64));
        // All start from bytes of their own, as the gateway's read buffer is: simd-json changes them.
        let bytes = || send.clone().into_bytes();
        group.bench_function("serde_json", |bencher| {
            bencher.iter_batched_ref(bytes, |bytes| serde_json::from_slice::<ClientFrame>(bytes).is_ok(), BatchSize::SmallInput);
        });
        let mut buffers = simd_json::Buffers::new(1 << 20);
        group.bench_function("simd-json", |bencher| {
            bencher.iter_batched_ref(
                bytes,
                |bytes| simd_json::serde::from_slice_with_buffers::<ClientFrame>(bytes, &mut buffers).is_ok(),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("sonic-rs", |bencher| {
            bencher.iter_batched_ref(bytes, |bytes| sonic_rs::from_slice::<ClientFrame>(bytes).is_ok(), BatchSize::SmallInput);
        });
        group.finish();
        for (name, frame) in [("sent", &sent), ("event", &event)] {
            let mut group = criterion.benchmark_group(format!("encode {name}, {length} characters"));
            let mut buffer: Vec<u8> = Vec::with_capacity(2 * length + 512);
            let expected = serde_json::to_vec(frame).expect("a frame");
            assert_eq!(sonic_rs::to_vec(frame).expect("a frame"), expected);
            assert_eq!(simd_json::serde::to_vec(frame).expect("a frame"), expected);
            group.bench_function("serde_json", |bencher| {
                bencher.iter(|| {
                    buffer.clear();
                    serde_json::to_writer(&mut buffer, black_box(frame)).is_ok()
                });
            });
            group.bench_function("simd-json", |bencher| {
                bencher.iter(|| {
                    buffer.clear();
                    simd_json::serde::to_writer(&mut buffer, black_box(frame)).is_ok()
                });
            });
            group.bench_function("sonic-rs", |bencher| {
                bencher.iter(|| {
                    buffer.clear();
                    sonic_rs::to_writer(&mut buffer, black_box(frame)).is_ok()
                });
            });
            group.finish();
        }
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
