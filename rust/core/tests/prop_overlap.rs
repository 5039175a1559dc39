//! Two feeds into one engine against a naive model, and against the truth they both deliver a part of.
#![allow(clippy::unwrap_used)]

mod overlap_support;

use overlap_support::scene::scenes;
use overlap_support::{Tick, apart, counts, differences, engine, feeds, join, merge, stream};
use proptest::prelude::*;
use tickwire_core::overlap::Leg;

/// All ways to interleave `old` ticks with `new` ones.
fn interleavings(old: usize, new: usize) -> impl Iterator<Item = Vec<bool>> {
    let length = old + new;
    (0_u32..1 << length)
        .filter(move |bits| bits.count_ones() as usize == old)
        .map(move |bits| (0..length).map(|place| bits >> place & 1 == 1).collect())
}

fn few_ticks() -> impl Strategy<Value = Vec<Tick>> {
    prop::collection::vec((0_u8..3, 0_u32..2, 0_i64..3, 0_u32..2), 0..24)
        .prop_map(|ticks| ticks.into_iter().map(Tick::from).collect())
}

proptest! {
    /// The engine holds of every tick the larger of the two counts, after every push.
    #[test]
    fn each_tick_enters_as_often_as_the_one_that_has_it_more_often(
        old in few_ticks(),
        new in few_ticks(),
        choice in prop::collection::vec(any::<bool>(), 0..48),
    ) {
        let engine = engine();
        let (overlap, mut old_feed, mut new_feed) = feeds(&engine, 1_000);
        let (mut of_old, mut of_new) = (Vec::new(), Vec::new());
        for (leg, tick) in merge(&old, &new, choice) {
            let (feed, seen, other) = match leg {
                Leg::Old => (&mut old_feed, &mut of_old, &of_new),
                Leg::New => (&mut new_feed, &mut of_new, &of_old),
            };
            seen.push(tick);
            let occurrence = |ticks: &[Tick]| ticks.iter().filter(|&&other| other == tick).count();
            let is_copy = occurrence(seen) <= occurrence(other);
            let receipt = feed.push(&tick.payload(), tick.ts());
            prop_assert_eq!((receipt.received, receipt.duplicates), (u64::from(!is_copy), u64::from(is_copy)));
            prop_assert_eq!(receipt.received, receipt.accepted + receipt.rejected);
        }
        let counters = engine.counters();
        prop_assert_eq!(counters.received + counters.duplicates, (old.len() + new.len()) as u64);
        prop_assert_eq!(counters.duplicates, overlap.duplicates());
        let of_old = counts(&of_old);
        let of_new = counts(&of_new);
        let mut larger = of_old.clone();
        for (tick, count) in of_new {
            larger.entry(tick).and_modify(|most| *most = count.max(*most)).or_insert(count);
        }
        larger.retain(|tick, _| tick.kind < 2);
        prop_assert_eq!(counts(&stream(&engine)), larger);
    }

    /// However they lag, end and lose ticks: what is wrong with the engine's ticks is reported.
    #[test]
    fn what_is_missing_or_doubled_is_reported(scene in scenes()) {
        let outcome = scene.play();
        prop_assert!(outcome.unreported.is_empty(), "{outcome:?}");
    }
}

/// A short run with everything that is hard: equal prints at one time, and again later.
const SHORT: [(u8, u32, i64, u32); 5] =
    [(0, 0, 10, 0), (0, 0, 10, 0), (0, 0, 11, 1), (0, 0, 11, 1), (0, 0, 12, 0)];

#[test]
fn every_interleaving_of_two_short_runs() {
    let truth = SHORT.map(Tick::from);
    let (mut contacts, mut others) = (0, 0);
    for begin in 0..=2 {
        for start in begin..truth.len() {
            for end in start..=truth.len() {
                let (old, new) = (&truth[begin..end], &truth[start..]);
                for choice in interleavings(old.len(), new.len()) {
                    let engine = engine();
                    let (mut alone, mut other) = apart(&engine);
                    for tick in &truth[..begin] {
                        alone.push(&tick.payload(), tick.ts());
                    }
                    let overlap = join(&engine, &mut alone, &mut other, 1_000);
                    overlap.ready();
                    for (leg, tick) in merge(old, new, choice.iter().copied()) {
                        let feed = if leg == Leg::Old { &mut alone } else { &mut other };
                        feed.push(&tick.payload(), tick.ts());
                    }
                    let report = overlap.report(Leg::New);
                    let wrong = differences(&stream(&engine), &truth);
                    let case = format!("{begin} {start} {end} {choice:?}: {wrong:?} {report:?}");
                    // Where the old one reaches to the end, nothing is in doubt.
                    let is_whole = end == truth.len();
                    assert!(wrong.is_empty() || !report.contact, "{case}");
                    assert!(
                        !is_whole || (wrong.is_empty() && report.uncertain.is_empty()),
                        "{case}"
                    );
                    assert!(!is_whole || overlap.unsettled(Leg::New) == 0, "{case}");
                    contacts += usize::from(report.contact);
                    others += usize::from(!wrong.is_empty());
                }
            }
        }
    }
    assert!(contacts > 500 && others > 10, "{contacts} with contact, {others} wrong");
}
