//! The ring's contract, step by step and against a model. What threads do to it is in `threads.rs`
//! and `loom_ring.rs`.

use proptest::prelude::*;
use tickwire_core::ring::{Ring, Writer, ring};

fn record(sequence: u64) -> [u64; 3] {
    [sequence, !sequence, sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15)]
}

fn filled(capacity: usize, records: u64) -> Writer<3> {
    let mut writer = ring(capacity);
    (0..records).for_each(|sequence| writer.push(record(sequence)));
    writer.publish();
    writer
}

fn read(ring: &Ring<3>, from: u64, most: usize) -> (u64, Vec<[u64; 3]>) {
    let mut records = Vec::new();
    let first = ring.read(from, most, &mut records);
    (first, records)
}

fn records(range: std::ops::Range<u64>) -> Vec<[u64; 3]> {
    range.map(record).collect()
}

#[test]
fn capacity_is_a_power_of_two() {
    for (asked, got) in [(0, 1), (1, 1), (2, 2), (3, 4), (64, 64), (65, 128)] {
        assert_eq!(ring::<3>(asked).reader().capacity(), got);
    }
}

#[test]
fn nothing_is_seen_before_it_is_published() {
    let mut writer = ring::<3>(8);
    let reader = writer.reader();
    assert!(!writer.publish(), "nothing was new");
    writer.push(record(0));
    assert_eq!((writer.next(), reader.head()), (1, 0));
    assert_eq!(read(&reader, 0, usize::MAX), (0, vec![]));
    assert!(writer.publish());
    assert_eq!(reader.head(), 1);
    assert_eq!(read(&reader, 0, usize::MAX), (0, records(0..1)));
    assert!(!writer.publish(), "once is enough");
}

#[test]
fn a_full_ring_holds_exactly_its_capacity() {
    for capacity in [1, 2, 32, 64] {
        let writer = filled(capacity, 3 * capacity as u64 + 1);
        let (first, last) = (2 * capacity as u64 + 1, 3 * capacity as u64 + 1);
        assert_eq!(read(&writer.reader(), 0, usize::MAX), (first, records(first..last)));
    }
}

#[test]
fn a_reader_gets_at_most_what_it_asks_for() {
    let writer = filled(8, 20);
    let reader = writer.reader();
    assert_eq!(read(&reader, 14, 2), (14, records(14..16)));
    assert_eq!(read(&reader, 14, 0), (14, vec![]));
    assert_eq!(read(&reader, 3, 2), (12, records(12..14)), "and what it lost does not count");
}

#[test]
fn a_reader_that_is_ahead_stays_where_it_is() {
    let writer = filled(8, 20);
    assert_eq!(read(&writer.reader(), 20, usize::MAX), (20, vec![]));
    assert_eq!(read(&writer.reader(), 25, usize::MAX), (25, vec![]));
}

#[test]
fn records_are_appended_to_what_the_caller_has() {
    let writer = filled(8, 20);
    let mut kept = vec![record(99)];
    assert_eq!(writer.reader().read(0, 1, &mut kept), 12);
    assert_eq!(kept, [record(99), record(12)]);
}

#[test]
fn a_batch_under_way_hides_the_records_whose_slots_it_may_touch() {
    let mut writer = filled(64, 64);
    let reader = writer.reader();
    writer.push(record(64));
    let (first, seen) = read(&reader, 0, usize::MAX);
    assert!(first > 0, "the slot of record 0 has been overwritten");
    assert_eq!(seen, records(first..64));
    writer.publish();
    assert_eq!(read(&reader, 0, usize::MAX), (1, records(1..65)), "between batches, all of it");
}

#[test]
fn many_at_once_are_the_same_as_one_by_one() {
    for capacity in [1, 2, 16, 64, 128] {
        for before in [0, 1, 31, 100, 1_000] {
            let mut writer = filled(capacity, before);
            writer.push(record(before));
            writer.push_all::<64>(|row| record(before + 1 + row as u64));
            writer.push(record(before + 65));
            assert_eq!(writer.next(), before + 66);
            let reader = writer.reader();
            let (first, seen) = read(&reader, 0, usize::MAX);
            assert_eq!(seen, records(first..first + seen.len() as u64), "a mixture");
            writer.publish();
            let oldest = (before + 66).saturating_sub(capacity as u64);
            assert_eq!(read(&reader, 0, usize::MAX), (oldest, records(oldest..before + 66)));
        }
    }
}

#[test]
fn a_batch_longer_than_the_ring_lets_nobody_see_a_mixture() {
    let mut writer = filled(8, 8);
    let reader = writer.reader();
    for sequence in 8..100 {
        writer.push(record(sequence));
        let (first, seen) = read(&reader, 0, usize::MAX);
        assert_eq!(seen, records(first..8.max(first)));
    }
    writer.publish();
    assert_eq!(read(&reader, 0, usize::MAX), (92, records(92..100)));
}

#[test]
fn the_writer_knows_its_newest_record() {
    let mut writer = ring::<3>(2);
    assert_eq!(writer.newest(), None);
    for sequence in 0..5 {
        writer.push(record(sequence));
        assert_eq!(writer.newest(), Some((sequence + 1, record(sequence))));
    }
}

#[test]
fn memory_counts_once_it_is_touched() {
    let mut writer = ring::<3>(8);
    let reader = writer.reader();
    for (sequence, bytes) in [24, 48, 72, 96, 120, 144, 168, 192, 192, 192].into_iter().enumerate()
    {
        writer.push(record(sequence as u64));
        writer.publish();
        assert_eq!(reader.touched_bytes(), bytes);
    }
}

#[test]
fn the_writer_knows_when_nobody_reads_any_more() {
    let writer = ring::<3>(8);
    let readers = (writer.reader(), writer.reader());
    assert!(!writer.is_abandoned());
    drop(readers.0);
    assert!(!writer.is_abandoned());
    drop(readers.1);
    assert!(writer.is_abandoned());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Publish,
    Read(usize),
}

proptest! {
    /// Several readers at their own pace: every record is delivered in order, or was told lost, and
    /// none is lost that the ring still holds.
    #[test]
    fn delivered_or_told_lost(
        capacity in 1_usize..70,
        steps in prop::collection::vec(
            prop_oneof![
                (1_u64..100).prop_map(Step::Push),
                Just(Step::Publish),
                (0_usize..100).prop_map(Step::Read),
            ],
            1..60,
        ),
    ) {
        let mut writer = ring::<3>(capacity);
        let reader = writer.reader();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Push(count) => (0..count).for_each(|_| writer.push(record(writer.next()))),
                Step::Publish => drop(writer.publish()),
                Step::Read(most) => {
                    let unpublished = writer.next() - reader.head();
                    let (first, seen) = read(&reader, next, most);
                    let end = first + seen.len() as u64;
                    prop_assert_eq!(&seen, &records(first..end));
                    prop_assert!(first >= next);
                    if unpublished == 0 {
                        prop_assert_eq!(first, next.max(reader.head().saturating_sub(reader.capacity())));
                        prop_assert_eq!(end, reader.head().min(first + most as u64));
                    }
                    next = end;
                }
            }
        }
    }
}
