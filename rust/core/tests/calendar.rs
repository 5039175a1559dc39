//! Local time and back.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tickwire_core::calendar::{Fold, Gap, Offsets, OffsetsError, Utc};

const MINUTE: i64 = 60 * 1_000_000_000;
const HOUR: i64 = 60 * MINUTE;

/// New York's 2024: from -5 h to -4 h on 10 March at 07:00 UTC, back on 3 November at 06:00 UTC.
const SPRING: i64 = 1_710_054_000_000_000_000;
const AUTUMN: i64 = 1_730_613_600_000_000_000;

fn new_york() -> Offsets {
    Offsets::new(&[SPRING, AUTUMN], &[-5 * HOUR, -4 * HOUR, -5 * HOUR]).unwrap()
}

#[test]
fn an_offset_holds_from_its_transition_on() {
    let zone = new_york();
    for (ts, hours) in [(SPRING - 1, -5), (SPRING, -4), (AUTUMN - 1, -4), (AUTUMN, -5)] {
        assert_eq!(zone.offset(ts), hours * HOUR);
        assert_eq!(zone.local(ts), ts + hours * HOUR);
    }
    assert_eq!(zone.offset(i64::MIN), -5 * HOUR);
    assert_eq!(zone.offset(i64::MAX), -5 * HOUR);
}

#[test]
fn local_times_are_shown_once_twice_or_never() {
    let zone = new_york();
    let (spring, autumn) = (SPRING - 5 * HOUR, AUTUMN - 4 * HOUR);
    assert_eq!(zone.utc(spring - 1), Utc::Once(SPRING - 1));
    assert_eq!(zone.utc(spring), Utc::Never { shifted: SPRING });
    assert_eq!(zone.utc(spring + 30 * MINUTE), Utc::Never { shifted: SPRING + 30 * MINUTE });
    assert_eq!(zone.utc(spring + HOUR), Utc::Once(SPRING));
    assert_eq!(zone.utc(autumn - HOUR - 1), Utc::Once(AUTUMN - HOUR - 1));
    assert_eq!(zone.utc(autumn - HOUR), Utc::Twice { earlier: AUTUMN - HOUR, later: AUTUMN });
    assert_eq!(zone.utc(autumn), Utc::Once(AUTUMN + HOUR));
    assert!(!zone.is_repeated(AUTUMN - 1) && zone.is_repeated(AUTUMN));
    assert!(zone.is_repeated(AUTUMN + HOUR - 1) && !zone.is_repeated(AUTUMN + HOUR));
}

#[test]
fn a_policy_says_what_is_meant() {
    let twice = Utc::Twice { earlier: 1, later: 2 };
    assert_eq!(twice.resolve(Fold::Earlier, Gap::Raise), Some(1));
    assert_eq!(twice.resolve(Fold::Later, Gap::Raise), Some(2));
    assert_eq!(twice.resolve(Fold::Raise, Gap::Shift), None);
    let never = Utc::Never { shifted: 3 };
    assert_eq!(never.resolve(Fold::Raise, Gap::Shift), Some(3));
    assert_eq!(never.resolve(Fold::Later, Gap::Raise), None);
    assert_eq!(Utc::Once(4).resolve(Fold::Raise, Gap::Raise), Some(4));
}

#[test]
fn tables_that_cannot_be_are_refused() {
    let refused = |starts: &[i64], offsets: &[i64]| Offsets::new(starts, offsets).unwrap_err();
    assert_eq!(refused(&[], &[]), OffsetsError::Lengths { starts: 0, offsets: 0 });
    assert_eq!(refused(&[1, 1], &[0, 1, 2]), OffsetsError::Order { row: 1 });
    assert_eq!(refused(&[i64::MAX], &[0, 0]), OffsetsError::Range { row: 0, value: i64::MAX });
    let far = 27 * HOUR;
    assert_eq!(refused(&[1], &[0, far]), OffsetsError::Range { row: 1, value: far });
}

proptest! {
    /// Against every span of the table, one after another.
    #[test]
    fn back_to_utc(
        steps in prop::collection::vec((1_i64..2_000, -56_i64..57), 0..12),
        first in -56_i64..57,
        local in -3_000_i64..15_000,
    ) {
        let mut start = 0;
        let starts: Vec<i64> =
            steps.iter().map(|(step, _)| { start += step; start * 15 * MINUTE }).collect();
        let offsets: Vec<i64> = std::iter::once(first)
            .chain(steps.iter().map(|&(_, quarters)| quarters))
            .map(|quarters| quarters * 15 * MINUTE)
            .collect();
        let zone = Offsets::new(&starts, &offsets).unwrap();
        let local = local * 15 * MINUTE;
        let begins = |span: usize| span.checked_sub(1).map_or(i64::MIN, |row| starts[row]);
        let ends = |span: usize| starts.get(span).copied().unwrap_or(i64::MAX);
        let shown: Vec<i64> = (0..offsets.len())
            .map(|span| (span, local - offsets[span]))
            .filter(|&(span, ts)| begins(span) <= ts && ts < ends(span))
            .map(|(_, ts)| ts)
            .collect();
        match zone.utc(local) {
            Utc::Once(ts) => prop_assert_eq!(shown, vec![ts]),
            Utc::Twice { earlier, later } => {
                prop_assert!(shown.len() > 1);
                prop_assert_eq!((shown[0], shown[shown.len() - 1]), (earlier, later));
            }
            Utc::Never { shifted } => {
                prop_assert!(shown.is_empty());
                // What is shown then is later by as much as was left out.
                let row = starts.iter().position(|&start| start > shifted).unwrap_or(starts.len());
                prop_assert!(row > 0 && zone.local(shifted) > local);
                prop_assert_eq!(zone.local(shifted) - local, offsets[row] - offsets[row - 1]);
            }
        }
    }
}
