//! The ring under every interleaving that loom explores (`make loom`).
#![cfg(tickwire_loom)]
#![allow(missing_docs)]

use loom::thread;
use tickwire_core::ring::ring;

/// A record whose words belong together: a mixture of two gives itself away.
fn record(sequence: u64) -> [u64; 2] {
    [sequence, !sequence]
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

/// A reader beside a writer that laps it sees whole records, in order, and knows how many it lost.
#[test]
fn records_are_whole_and_losses_are_told() {
    model(|| {
        let mut writer = ring::<2>(2);
        let reader = writer.reader();
        let writing = thread::spawn(move || {
            for sequence in 0..4 {
                writer.push(record(sequence));
                writer.publish();
            }
        });
        let mut next = 0;
        for _ in 0..2 {
            let mut records = Vec::new();
            let first = reader.read(next, usize::MAX, &mut records);
            assert!(first >= next, "the reader was sent back");
            for (offset, words) in records.iter().enumerate() {
                assert_eq!(*words, record(first + offset as u64), "torn, stale or out of order");
            }
            next = first + records.len() as u64;
        }
        writing.join().expect("the writer does not panic");
        let mut records = Vec::new();
        let first = reader.read(next, usize::MAX, &mut records);
        assert_eq!(first + records.len() as u64, 4, "what was published can be read");
    });
}

/// A batch becomes visible as a whole: nothing of it before its publication.
#[test]
fn a_batch_is_published_at_once() {
    model(|| {
        let mut writer = ring::<2>(4);
        let reader = writer.reader();
        let writing = thread::spawn(move || {
            writer.push(record(0));
            writer.push(record(1));
            writer.publish();
        });
        let mut records = Vec::new();
        let first = reader.read(0, usize::MAX, &mut records);
        assert_eq!(first, 0);
        assert!(records.is_empty() || records == [record(0), record(1)]);
        writing.join().expect("the writer does not panic");
    });
}
