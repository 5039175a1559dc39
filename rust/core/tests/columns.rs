//! Columns against their rows pushed one after another: the same counters, ring, bars and closing
//! time, over long ordinary runs with here and there a row that breaks a rule, comes late or early,
//! jumps, or begins a new bar.

#![allow(clippy::unwrap_used)]

mod engine_support;

use std::sync::Arc;

use engine_support::*;
use proptest::prelude::*;
use tickwire_core::Spec;
use tickwire_core::bars::{Alignment, Source, Split};
use tickwire_core::columns::TradeColumns;
use tickwire_core::engine::Engine;
use tickwire_core::judged::Fate;
use tickwire_core::record::{NO_TIME, Trade};
use tickwire_core::validate::{Action, Rules};

const SETS: &[&[&str]] = &[
    &["1s", "5s", "1m"],
    &["1m", "1h"],
    &["2s", "3s", "1m"],
    &["1d", "1w"],
    &["1s", "1m", "5t", "9v", "900n", "3r", "2renko"],
    &["1t", "70t", "0.7v", "100000n", "1r", "1renko"],
];

#[derive(Clone, Debug)]
struct Table {
    ts_event: Vec<i64>,
    ts_recv: Option<Vec<i64>>,
    price: Vec<f64>,
    size: Vec<f64>,
    side: Option<Vec<i8>>,
}

impl Table {
    fn columns(&self, from: usize, to: usize) -> TradeColumns<'_> {
        TradeColumns {
            ts_event: &self.ts_event[from..to],
            ts_recv: self.ts_recv.as_ref().map(|column| &column[from..to]),
            price: &self.price[from..to],
            size: &self.size[from..to],
            side: self.side.as_ref().map(|column| &column[from..to]),
        }
    }
}

/// What happens at some row: nothing, nearly always.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Price(f64),
    Leap(f64),
    Size(f64),
    NoTime,
    /// No time from here on.
    NoTimes,
    Back(i64),
    Jump(i64),
    Once(i64),
}

fn odd() -> impl Strategy<Value = Odd> {
    let price = prop::sample::select(vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        -5.0,
        100.1,
        1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
    ]);
    prop_oneof![
        price.prop_map(Odd::Price),
        (0.5..2.0).prop_map(|factor: f64| Odd::Leap((factor * 4.0).round() / 4.0)),
        prop::sample::select(vec![f64::NAN, -1.0, 0.0, f64::INFINITY, 0.1, 1e-300])
            .prop_map(Odd::Size),
        Just(Odd::NoTime),
        Just(Odd::NoTimes),
        (1..120 * SECOND).prop_map(Odd::Back),
        (SECOND..3 * HOUR).prop_map(Odd::Jump),
        (30 * MINUTE..3 * HOUR).prop_map(Odd::Once),
    ]
}

fn table() -> impl Strategy<Value = Table> {
    let rows = 0..900_usize;
    // Often where a block begins, unless cuts have moved it.
    let place = prop_oneof![0..900_usize, (0..14_usize).prop_map(|block| 64 * block)];
    let oddities = prop::collection::vec((place, odd()), 0..6);
    let pace = prop::sample::select(vec![0, 1_000, 10_000_000, 300_000_000]);
    let drawn = (rows, oddities, pace, any::<bool>(), any::<bool>(), any::<u64>());
    drawn.prop_map(|(rows, oddities, pace, arrival, sides, seed)| {
        let mut state = seed | 1;
        let mut below = move |limit: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % limit
        };
        let (mut ts, mut price, mut dated) = (MONDAY, 100.0, true);
        let mut table = Table {
            ts_event: Vec::new(),
            ts_recv: arrival.then(Vec::new),
            price: Vec::new(),
            size: Vec::new(),
            side: sides.then(Vec::new),
        };
        for row in 0..rows {
            ts += below(2 * pace + 1) as i64;
            price += 0.25 * (below(3) as f64 - 1.0);
            let (mut row_ts, mut row_price, mut size) = (ts, price, below(20) as f64 / 4.0);
            for (_, odd) in oddities.iter().filter(|(at, _)| *at == row) {
                match *odd {
                    Odd::Price(odd) => row_price = odd,
                    Odd::Leap(factor) => {
                        price = (price * factor * 4.0).round() / 4.0;
                        row_price = price;
                    }
                    Odd::Size(odd) => size = odd,
                    Odd::NoTime => row_ts = NO_TIME,
                    Odd::NoTimes => dated = false,
                    Odd::Back(by) => row_ts = ts - by,
                    Odd::Jump(by) => {
                        ts += by;
                        row_ts = ts;
                    }
                    Odd::Once(by) => row_ts = ts + by,
                }
            }
            table.ts_event.push(if dated { row_ts } else { NO_TIME });
            table.price.push(row_price);
            table.size.push(size);
            if let Some(column) = &mut table.ts_recv {
                column.push(ts + below(50) as i64 - 5);
            }
            if let Some(column) = &mut table.side {
                column.push(below(3) as i8 - 1);
            }
        }
        table
    })
}

fn rules() -> impl Strategy<Value = (Rules, f64)> {
    let action = || prop::sample::select(vec![Action::Reject, Action::Flag, Action::Off]);
    let off = || prop_oneof![3 => Just(Action::Off), 1 => action()];
    let tick_size = prop::sample::select(vec![0.25, 0.01, 0.75, 1.0 / 3.0]);
    let usual = (action(), action(), action(), any::<bool>());
    // Those that remember go row by row, so that most tables should be without them.
    let others = (off(), off(), (off(), off(), off(), off()), any::<bool>());
    (usual, others, tick_size).prop_map(
        |((grid, band, size, allow_negative), (limits, zero_size, rest, remember), tick_size)| {
            let rules =
                Rules { grid, band, size, allow_negative, limits, zero_size, ..Rules::default() };
            let rules = Rules { price_low: 60.0, price_high: 200.0, ..rules };
            let (spike, outsize, backwards, duplicate) = rest;
            let remembering = Rules { spike, outsize, backwards, duplicate, ..rules.clone() };
            (if remember { remembering } else { rules }, tick_size)
        },
    )
}

fn same(rowwise: &Engine, columnar: &Engine, levels: usize) -> Result<(), TestCaseError> {
    let (a, b) = (rowwise.snapshot(ID), columnar.snapshot(ID));
    prop_assert_eq!(a.counters(), b.counters());
    prop_assert_eq!(a.closing_time(Source::Trade), b.closing_time(Source::Trade));
    let words = |trade: &Trade| {
        let Trade { ts_event, ts_recv, price, size, side } = *trade;
        (ts_event, ts_recv, price.to_bits(), size.to_bits(), side as i8)
    };
    let ring = |engine: &Engine| {
        let (first, trades) = engine.trades(ID, usize::MAX);
        (first, trades.iter().map(words).collect::<Vec<_>>())
    };
    prop_assert_eq!(ring(rowwise), ring(columnar));
    for fate in [Fate::Rejected, Fate::Flagged] {
        // As text, because NaN is not equal to itself.
        let kept = |engine: &Engine| format!("{:?}", engine.judged(ID, fate, usize::MAX));
        prop_assert_eq!(kept(rowwise), kept(columnar));
    }
    for level in 0..levels {
        prop_assert_eq!(closed(&a, level), closed(&b, level));
        prop_assert_eq!(open(&a, level), open(&b, level));
    }
    Ok(())
}

proptest! {
    // Tables are cheap, and most of what can go wrong needs two things to meet.
    #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn columns_are_their_rows(
        table in table(),
        (rules, tick_size) in rules(),
        timeframes in prop::sample::select(SETS.to_vec()),
        lateness_ns in prop::sample::select(vec![0, SECOND, 90 * SECOND]),
        cuts in prop::collection::vec(0..900_usize, 0..4),
        told_ns in prop::option::of(0..2 * HOUR),
        split in prop::sample::select(vec![Split::Keep, Split::Split]),
        sources in prop::sample::select(vec![vec![Source::Trade], vec![Source::Mid]]),
    ) {
        let traded = sources.contains(&Source::Trade);
        let spec = || Spec {
            rules: rules.clone(),
            tick_size,
            alignment: Alignment::Utc,
            hours: None,
            lateness_ns,
            split,
            sources: sources.clone(),
            capacity: 256,
            ..spec("ES")
        };
        let make = || -> Arc<Engine> { engine_of(vec![spec()], timeframes, 1_000_000) };
        let (rowwise, columnar) = (make(), make());
        let rows = table.ts_event.len();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows)).collect();
        cuts.extend([0, rows]);
        cuts.sort_unstable();
        for (number, part) in cuts.windows(2).enumerate() {
            let columns = table.columns(part[0], part[1]);
            let mut session = rowwise.session();
            for row in 0..columns.len() {
                let _ = session.push_trade(ID, &columns.row(row));
            }
            let expected = session.finish();
            let mut session = columnar.session();
            session.push_trades(ID, &columns);
            prop_assert_eq!(session.finish(), expected);
            if let (0, Some(told_ns)) = (number, told_ns) {
                advance(&rowwise, MONDAY + told_ns);
                advance(&columnar, MONDAY + told_ns);
            }
            same(&rowwise, &columnar, if traded { timeframes.len() } else { 0 })?;
        }
    }
}

#[test]
fn a_jump_at_the_border_of_a_block_waits_for_a_second_tick() {
    let table = Table {
        ts_event: (0..128).map(|row| MONDAY + row + if row < 64 { 0 } else { 2 * HOUR }).collect(),
        ts_recv: None,
        price: vec![100.0; 128],
        size: vec![1.0; 128],
        side: None,
    };
    let (rowwise, columnar) = (engine(&["1d"]), engine(&["1d"]));
    let columns = table.columns(0, 128);
    push(&rowwise, (0..128).map(|row| columns.row(row)));
    columnar.session().push_trades(ID, &columns);
    same(&rowwise, &columnar, 1).unwrap();
}
