//! A reader that stands still in the middle of a read does not hold the writer up: among the
//! interleavings that loom explores are such in which the writer does all of its work meanwhile.
#![cfg(tickwire_loom)]

mod loom_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loom::thread;
use loom_support::model;
use tickwire_core::cell::Cell;
use tickwire_core::ring::ring;

/// Runs `write` beside a thread that reads once, in every interleaving, and returns in how many of
/// them the reader was inside its read from the writer's first step to its last. The notes are
/// atomics that loom does not know of, so they add no interleavings; one thread runs at a time.
fn readers_that_stood_still<Read, Write>(
    make: impl Fn() -> (Read, Write) + Send + Sync + 'static,
) -> usize
where
    Read: FnOnce() + 'static,
    Write: FnOnce(),
{
    let stood_still = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&stood_still);
    model(3, move || {
        let (read, write) = make();
        let reading_now = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&reading_now);
        let reader = thread::spawn(move || {
            note.store(true, Ordering::SeqCst);
            read();
            note.store(false, Ordering::SeqCst);
        });
        // The reader may begin.
        thread::yield_now();
        let before = reading_now.load(Ordering::SeqCst);
        write();
        if before && reading_now.load(Ordering::SeqCst) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        reader.join().expect("the reader does not panic");
    });
    stood_still.load(Ordering::SeqCst)
}

#[test]
fn of_a_ring() {
    let count = readers_that_stood_still(|| {
        let mut writer = ring::<2>(2);
        writer.push([0, !0]);
        writer.publish();
        let reader = writer.reader();
        let read = move || {
            let mut records = Vec::new();
            reader.read(0, usize::MAX, &mut records);
            assert!(records.iter().all(|[word, inverse]| *word == !inverse), "torn");
        };
        let write = move || {
            // More than the ring holds: the slot that is being read is written, too.
            for sequence in 1..4 {
                writer.push([sequence, !sequence]);
                writer.publish();
            }
        };
        (read, write)
    });
    assert!(count > 0, "the writer never overtook a reader");
}

#[test]
fn of_a_cell() {
    let count = readers_that_stood_still(|| {
        let cell = Arc::new(Cell::new(2));
        let shared = Arc::clone(&cell);
        let read = move || {
            let mut words = Vec::new();
            shared.read(&mut words);
            assert_eq!(words[0], words[1], "words of two updates");
        };
        let write = move || (1..=2).for_each(|value| cell.update().set_all(0, &[value, value]));
        (read, write)
    });
    assert!(count > 0, "the writer never overtook a reader");
}
