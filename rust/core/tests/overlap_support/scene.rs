//! A market, and two connections that each deliver a part of it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tickwire_core::overlap::{Leg, Report};

use super::{Tick, apart, engine, in_uncertain, join, merge, stream};

/// Values from here on are those of late ticks.
const LATE: u32 = 100;

/// What happens. All places are indices into the truth.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    truth: Vec<Tick>,
    /// Where the old connection stands when the overlap begins.
    begin: usize,
    /// Where the new connection's streams begin, by instrument. A place before `begin` is that of a
    /// server that runs behind.
    starts: [usize; 2],
    /// Where the old connection ends, if the overlap does not end before.
    end: usize,
    /// Which ticks a connection loses, and which connection.
    lost: BTreeMap<usize, Leg>,
    /// Which connection delivers next.
    choice: Vec<bool>,
    /// After how many ticks of the two the overlap is ended in favour of the new connection.
    over: usize,
    capacity: usize,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) report: Report,
    /// How many the engine has too many or too few of a tick that no report concerns.
    pub(crate) unreported: BTreeMap<Tick, i64>,
    pub(crate) wrong: usize,
}

pub(crate) fn scenes() -> impl Strategy<Value = Scene> {
    (4_usize..40).prop_flat_map(|length| {
        let place = 0..=length;
        let lost = (0..length, prop_oneof![Just(Leg::Old), Just(Leg::New)]);
        (
            prop::collection::vec((0_u8..2, 0_u32..2, steps(), 0_u32..2, 0_u8..20), length),
            (place.clone(), place.clone(), place.clone(), place),
            prop_oneof![Just(0..=0_usize), Just(0..=4)].prop_flat_map(move |count| {
                prop::collection::btree_map(lost.0.clone(), lost.1.clone(), count)
            }),
            prop::collection::vec(any::<bool>(), 2 * length),
            0..2 * length,
            prop_oneof![3 => Just(1_000_usize), 1 => 4_usize..16],
        )
            .prop_map(|(steps, (begin, one, two, end), lost, choice, over, capacity)| {
                Scene {
                    truth: ticks(&steps, lost.is_empty()),
                    begin,
                    starts: [one, two],
                    end: end.max(begin),
                    lost,
                    choice,
                    over,
                    capacity,
                }
            })
    })
}

/// Milliseconds from one tick to the next.
fn steps() -> impl Strategy<Value = i64> {
    prop_oneof![10 => 0_i64..2, 1 => Just(1_500)]
}

/// Ticks in order of time, many of them alike; and here and there one that is late, but not where
/// ticks are lost: how far a connection has come shows in those that are not late.
fn ticks(steps: &[(u8, u32, i64, u32, u8)], may_be_late: bool) -> Vec<Tick> {
    let mut at = 50;
    let one = |(index, &(kind, instrument, step, value, lateness)): (usize, &_)| {
        at += step;
        match lateness {
            0 if may_be_late => Tick::from((kind, instrument, at - 20, LATE + index as u32)),
            _ => Tick::from((kind, instrument, at, value)),
        }
    };
    steps.iter().enumerate().map(one).collect()
}

impl Scene {
    /// Whether the hub sends this tick on a connection.
    fn sends(&self, index: usize, leg: Leg) -> bool {
        match leg {
            Leg::Old => index < self.end,
            Leg::New => index >= self.starts[self.truth[index].instrument as usize],
        }
    }

    /// What a connection delivers. The first tick of a stream is on time: before one, nobody could know
    /// how far a connection has come.
    fn run(&self, leg: Leg) -> Vec<usize> {
        let mut opened = Vec::new();
        (0..self.truth.len())
            .filter(|&index| {
                let tick = &self.truth[index];
                let is_lost = self.lost.get(&index) == Some(&leg) && index >= self.begin;
                let is_late = tick.value >= LATE && !opened.contains(&tick.stream());
                let delivers = self.sends(index, leg) && !is_lost && !is_late;
                if delivers {
                    opened.push(tick.stream());
                }
                delivers
            })
            .collect()
    }

    pub(crate) fn play(&self) -> Outcome {
        let engine = engine();
        let (mut old, mut new) = apart(&engine);
        let mut delivered = vec![[false; 2]; self.truth.len()];
        let mut of_old = self.run(Leg::Old);
        let rest = of_old.split_off(of_old.partition_point(|&index| index < self.begin));
        for index in of_old {
            old.push(&self.truth[index].payload(), self.truth[index].ts());
            delivered[index][Leg::Old as usize] = true;
        }
        let overlap = join(&engine, &mut old, &mut new, self.capacity);
        let ready = self.starts.into_iter().max().unwrap_or_default();
        let mut report = None;
        let turns = merge(&rest, &self.run(Leg::New), self.choice.iter().copied());
        for (turn, (leg, index)) in turns.into_iter().enumerate() {
            if turn == self.over {
                old.leave(Leg::New);
                new.leave(Leg::New);
                report = Some(overlap.report(Leg::New));
            }
            if leg == Leg::Old && report.is_some() {
                continue;
            }
            // Late or early, but never before all subscriptions are there.
            if leg == Leg::New && index >= ready {
                overlap.ready();
            }
            let feed = if leg == Leg::Old { &mut old } else { &mut new };
            feed.push(&self.truth[index].payload(), self.truth[index].ts());
            delivered[index][leg as usize] = true;
        }
        let report = report.unwrap_or_else(|| overlap.report(Leg::New));
        let differences = self.differences(&stream(&engine), &delivered);
        let wrong = differences.len();
        let mut unreported = differences;
        // Without contact nothing is known of what lies between the two connections, nor of what a
        // server that runs behind brings once more.
        let runs_behind = self.starts.into_iter().any(|start| start < self.begin);
        unreported.retain(|tick, difference| {
            let is_between = !report.contact && (*difference < 0 || runs_behind);
            !is_between && !in_uncertain(&report, tick)
        });
        Outcome { report, unreported, wrong }
    }

    /// How many of each tick are too many or too few, where anybody could tell.
    fn differences(&self, found: &[Tick], delivered: &[[bool; 2]]) -> BTreeMap<Tick, i64> {
        let mut counts = super::counts(found);
        for (index, tick) in self.truth.iter().enumerate() {
            // What a hub sends to nobody is missing if that is between the connections. What the only
            // connection there is loses is nobody's to find.
            let is_between = !self.sends(index, Leg::New) && tick.value < LATE;
            let is_wanted =
                delivered[index] != [false; 2] || (is_between && !self.lost.contains_key(&index));
            *counts.entry(*tick).or_default() -= i64::from(is_wanted);
        }
        counts.retain(|tick, count| *count > 0 || (*count < 0 && !self.is_hidden(tick, delivered)));
        counts
    }

    /// Whether one connection lost one such tick, and the other did not deliver an identical one: what
    /// both have is then fewer than there were, and nothing shows it.
    fn is_hidden(&self, tick: &Tick, delivered: &[[bool; 2]]) -> bool {
        let same = || (0..self.truth.len()).filter(|&index| self.truth[index] == *tick);
        same().any(|index| {
            self.lost.get(&index).is_some_and(|&leg| {
                same().any(|other| {
                    delivered[other][leg as usize] && !delivered[other][leg.other() as usize]
                })
            })
        })
    }
}
