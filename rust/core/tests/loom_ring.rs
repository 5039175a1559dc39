//! The ring under every interleaving that loom explores (`make loom`).
#![cfg(tickwire_loom)]

mod loom_support;

use std::sync::Arc;

use loom::thread;
use loom_support::model;
use tickwire_core::cell::Cell;
use tickwire_core::ring::{Ring, Writer, ring};

/// A record whose words belong together: a mixture of two gives itself away.
fn record(sequence: u64) -> [u64; 2] {
    [sequence, !sequence]
}

fn push(writer: &mut Writer<2>, range: std::ops::Range<u64>) {
    range.for_each(|sequence| writer.push(record(sequence)));
    writer.publish();
}

/// Reads on from `next` and returns where that ends.
fn read_on(ring: &Ring<2>, next: u64) -> u64 {
    let mut records = Vec::new();
    let first = ring.read(next, usize::MAX, &mut records);
    assert!(first >= next, "the reader was sent back");
    for (offset, words) in records.iter().enumerate() {
        assert_eq!(*words, record(first + offset as u64), "torn, stale or out of order");
    }
    first + records.len() as u64
}

/// A reader beside a writer that laps it sees whole records, in order, and knows how many it lost.
#[test]
fn records_are_whole_and_losses_are_told() {
    model(3, || {
        let mut writer = ring::<2>(2);
        let reader = writer.reader();
        let writing = thread::spawn(move || {
            for sequence in 0..4 {
                push(&mut writer, sequence..sequence + 1);
            }
        });
        let next = read_on(&reader, 0);
        let next = read_on(&reader, next);
        writing.join().expect("the writer does not panic");
        assert_eq!(read_on(&reader, next), 4, "what was published can be read");
    });
}

/// A batch becomes visible as a whole: nothing of it before its publication.
#[test]
fn a_batch_is_published_at_once() {
    model(3, || {
        let mut writer = ring::<2>(4);
        let reader = writer.reader();
        let writing = thread::spawn(move || push(&mut writer, 0..2));
        let mut records = Vec::new();
        assert_eq!(reader.read(0, usize::MAX, &mut records), 0);
        assert!(records.is_empty() || records == [record(0), record(1)]);
        writing.join().expect("the writer does not panic");
    });
}

/// A batch that overwrites the whole ring: what it may touch is out of sight before it is touched,
/// and what it falls back to when it publishes gives nothing away that is not whole.
#[test]
fn a_batch_that_overwrites_everything_hides_it_first() {
    model(3, || {
        let mut writer = ring::<2>(2);
        let reader = writer.reader();
        push(&mut writer, 0..2);
        let writing = thread::spawn(move || {
            push(&mut writer, 2..5);
            push(&mut writer, 5..6);
        });
        let next = read_on(&reader, 0);
        writing.join().expect("the writer does not panic");
        assert_eq!(read_on(&reader, next), 6);
    });
}

/// The same of records written side by side, which are claimed together.
#[test]
fn records_written_side_by_side_are_hidden_first() {
    model(3, || {
        let mut writer = ring::<2>(2);
        let reader = writer.reader();
        push(&mut writer, 0..1);
        let writing = thread::spawn(move || {
            writer.push_all::<3>(|row| record(1 + row as u64));
            writer.publish();
        });
        let next = read_on(&reader, 0);
        writing.join().expect("the writer does not panic");
        assert_eq!(read_on(&reader, next), 4);
    });
}

/// Readers know nothing of each other.
#[test]
fn two_readers() {
    model(2, || {
        let mut writer = ring::<2>(1);
        let readers = [writer.reader(), writer.reader()];
        let reading = readers.map(|ring| {
            thread::spawn(move || {
                let next = read_on(&ring, 0);
                read_on(&ring, next)
            })
        });
        push(&mut writer, 0..1);
        push(&mut writer, 1..2);
        for thread in reading {
            assert!(thread.join().expect("readers do not panic") <= 2);
        }
    });
}

/// The cell is written after the ring is published: what it counts can be read.
#[test]
fn what_a_cell_counts_is_in_the_ring() {
    model(3, || {
        let mut writer = ring::<2>(2);
        let reader = writer.reader();
        let cell = Arc::new(Cell::new(1));
        let counter = Arc::clone(&cell);
        let writing = thread::spawn(move || {
            for sequence in 0..2 {
                push(&mut writer, sequence..sequence + 1);
                counter.update().set(0, sequence + 1);
            }
        });
        let mut words = Vec::new();
        cell.read(&mut words);
        assert!(read_on(&reader, 0) >= words[0]);
        writing.join().expect("the writer does not panic");
    });
}
