//! Closed bars as frames show them: selection, retention, batches, and that nothing a reader holds
//! ever changes.
#![allow(clippy::unwrap_used)]

mod engine_support;

use arrow_array::{Array, RecordBatch};
use engine_support::*;
use proptest::prelude::*;
use tickwire_core::bars::Source;
use tickwire_core::engine::Engine;

/// One trade in each of these seconds; the price tells which.
fn seconds(range: std::ops::Range<i64>) -> impl Iterator<Item = tickwire_core::record::Trade> {
    range.map(|second| live(MONDAY + second * SECOND, 1.0 + second as f64 * 0.25, second as f64))
}

fn batches(engine: &Engine, last: Option<usize>, since: Option<i64>) -> Vec<RecordBatch> {
    engine.bars(ID, Source::Trade, 0, last, since, false).unwrap()
}

fn opens(batches: &[RecordBatch]) -> Vec<f64> {
    rows(batches).iter().map(|row| row.open).collect()
}

fn expected(range: std::ops::Range<i64>) -> Vec<f64> {
    range.map(|second| 1.0 + second as f64 * 0.25).collect()
}

#[test]
fn a_frame_has_the_columns_it_promises() {
    let engine = engine(&["1s"]);
    push(&engine, seconds(0..3));
    let schema = batches(&engine, None, None)[0].schema();
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()))
        .collect();
    assert_eq!(
        columns,
        [
            "ts Timestamp(ns, \"UTC\") false",
            "open Float64 false",
            "high Float64 false",
            "low Float64 false",
            "close Float64 false",
            "volume Float64 false",
            "vwap Float64 true",
            "trades Int64 false",
            "complete Boolean false",
        ]
    );
    assert_eq!(batches(&engine, None, None)[0].column(6).null_count(), 1, "second 0 has no volume");
}

#[test]
fn an_empty_frame_is_one_empty_batch() {
    let engine = engine(&["1s"]);
    for (last, since) in [(None, None), (Some(5), None), (None, Some(MONDAY)), (Some(0), None)] {
        let batches = batches(&engine, last, since);
        assert_eq!((batches.len(), batches[0].num_rows(), batches[0].num_columns()), (1, 0, 9));
    }
}

#[test]
fn up_to_4096_rows_are_one_batch_however_they_are_stored() {
    let engine = engine(&["1s"]);
    push(&engine, seconds(0..20_000));
    for last in [1, 255, 256, 257, 4_095, 4_096] {
        let batches = batches(&engine, Some(last), None);
        assert_eq!(batches.len(), 1);
        assert_eq!(opens(&batches), expected(19_999 - last as i64..19_999));
    }
    assert_eq!(opens(&batches(&engine, Some(4_097), None)), expected(15_902..19_999));
}

#[test]
fn a_long_history_is_a_handful_of_batches() {
    let engine = engine(&["1s"]);
    for chunk in 0..100 {
        push(&engine, seconds(chunk * 5_000..(chunk + 1) * 5_000));
        let _ = batches(&engine, Some(10), None);
    }
    let batches = batches(&engine, None, None);
    assert!(batches.len() <= 20, "{} batches", batches.len());
    assert_eq!(opens(&batches), expected(0..499_999));
}

#[test]
fn retention_keeps_what_was_asked_for_and_little_more() {
    for retain in [1, 10, 256, 1_000, 5_000, 40_000] {
        for exports in [false, true] {
            let engine = engine_of(vec![spec("ES")], &["1s"], retain);
            for chunk in 0..120 {
                push(&engine, seconds(chunk * 1_000..(chunk + 1) * 1_000));
                if exports {
                    let _ = batches(&engine, None, None);
                }
                let rows = opens(&batches(&engine, None, None));
                let closed = (chunk + 1) * 1_000 - 1;
                assert_eq!(rows, expected(closed - rows.len() as i64..closed));
                assert!(rows.len() >= retain.min(closed as usize), "{} of {retain}", rows.len());
                let most = retain + (retain / 4).max(512);
                assert!(rows.len() <= most, "{} rows, {retain} wanted", rows.len());
            }
        }
    }
}

#[test]
fn retention_of_history_is_the_same() {
    for retain in [10, 1_000, 5_000] {
        let engine = engine_of(vec![spec("ES")], &["1s"], retain);
        let whole = engine_of(vec![spec("ES")], &["1s"], 1_000_000);
        push(&whole, seconds(0..30_001));
        let snapshot = whole.snapshot(ID);
        let all = closed(&snapshot, 0);
        let bars = all.iter().map(Row::to_bar).collect();
        let outcome = engine.session().push_bars(ID, Source::Trade, 0, bars, false).unwrap();
        assert_eq!(outcome.inserted, 30_000);
        let kept = rows(&batches(&engine, None, None));
        assert_eq!(kept, all[30_000 - kept.len()..]);
        assert!(kept.len() >= retain && kept.len() <= retain + (retain / 4).max(512));
    }
}

#[test]
fn a_frame_that_was_handed_out_never_changes() {
    let engine = engine_of(vec![spec("ES")], &["1s"], 300);
    push(&engine, seconds(0..700));
    let kept = batches(&engine, None, None);
    let before = rows(&kept);
    push(&engine, seconds(700..5_000));
    let _ = batches(&engine, None, None);
    engine.session().mark_gap(ID, Some(MONDAY), MONDAY + HOUR).unwrap();
    assert_eq!(rows(&kept), before);
    assert!(before.iter().all(|row| row.complete));
}

#[test]
fn exporting_copies_nothing_that_it_can_share() {
    let engine = engine(&["1s"]);
    push(&engine, seconds(0..200_000));
    let first = batches(&engine, None, None);
    push(&engine, seconds(200_000..200_010));
    let second = batches(&engine, None, None);
    assert!(first[0].num_rows() > 10_000);
    assert_eq!(
        first[0].column(1).to_data().buffers()[0].as_ptr(),
        second[0].column(1).to_data().buffers()[0].as_ptr()
    );
}

#[test]
fn memory_follows_the_rows_that_are_kept() {
    let engine = engine_of(vec![spec("ES")], &["1s"], 10_000);
    let mut most = 0;
    for chunk in 0..100 {
        push(&engine, seconds(chunk * 1_000..(chunk + 1) * 1_000));
        let rows = opens(&batches(&engine, None, None)).len();
        let bytes = engine.memory().bars;
        assert!((60 * rows..100 * rows).contains(&bytes), "{bytes} bytes for {rows} rows");
        most = most.max(bytes);
    }
    assert!(most < 13_000 * 100);
}

proptest! {
    /// `last`, `since` and `partial` against slicing all rows, with parts, tails, compaction and
    /// retention anywhere.
    #[test]
    fn a_selection_is_a_slice_of_everything(
        retain in prop_oneof![1_usize..2_000, Just(100_000)],
        chunks in prop::collection::vec((1_i64..2_500, any::<bool>()), 1..8),
        queries in prop::collection::vec(
            (
                prop::option::of(prop_oneof![0_usize..10, 0_usize..12_000]),
                prop::option::of(-100_i64..12_000),
                any::<bool>(),
            ),
            1..12,
        ),
    ) {
        let engine = engine_of(vec![spec("ES")], &["1s"], retain);
        let mut second = 0;
        for (length, export) in chunks {
            push(&engine, seconds(second..second + length));
            second += length;
            if export {
                let _ = batches(&engine, None, None);
            }
        }
        let snapshot = engine.snapshot(ID);
        let all = closed(&snapshot, 0);
        prop_assert!(all.len() >= retain.min(second as usize - 1));
        for (last, since, partial) in queries {
            let mut wanted = all.clone();
            if partial {
                wanted.extend(open(&snapshot, 0));
            }
            let since = since.map(|second| MONDAY + second * SECOND);
            wanted.retain(|row| since.is_none_or(|since| row.ts >= since));
            let skipped = last.map_or(0, |last| wanted.len().saturating_sub(last));
            let got = snapshot.batches(Source::Trade, 0, last, since, partial).unwrap();
            prop_assert_eq!(rows(&got), &wanted[skipped..]);
            prop_assert!(!got.is_empty());
            prop_assert!(got.len() == 1 || wanted.len() - skipped > 4_096);
            let exported = engine.bars(ID, Source::Trade, 0, last, since, partial).unwrap();
            prop_assert_eq!(rows(&exported), &wanted[skipped..]);
        }
    }
}
