//! Real threads on as little room as there can be, so that rings lap their readers, tails fill, parts
//! are copied together and dropped all the time. Everything written follows from its number, so that
//! a reader can tell a torn or a stale value from a good one. `TICKWIRE_LONG` makes it last longer.
#![allow(clippy::unwrap_used)]

mod engine_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use engine_support::*;
use tickwire_core::Spec;
use tickwire_core::bars::{Bar, Source};
use tickwire_core::cell::Cell;
use tickwire_core::engine::Engine;
use tickwire_core::record::{InstrumentId, Trade};
use tickwire_core::ring::ring;
use tickwire_core::snapshot::Snapshot;
use tickwire_core::subscription::{Interest, Item, Subscription};

fn rounds(short: u64) -> u64 {
    if std::env::var_os("TICKWIRE_LONG").is_some() { short * 20 } else { short }
}

/// A different number for each number.
fn scrambled(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 27)
}

fn record(sequence: u64) -> [u64; 5] {
    std::array::from_fn(|word| scrambled(sequence * 5 + word as u64))
}

/// Runs the readers until the writer is done; a panic in any of them fails the test.
fn beside<W: FnOnce() + Send, R: Fn(&AtomicBool) + Sync>(write: W, readers: usize, read: R) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| read(&done));
        }
        scope.spawn(|| {
            write();
            done.store(true, Ordering::Release);
        });
    });
}

#[test]
fn no_reader_of_a_ring_sees_a_torn_record() {
    for capacity in [1, 2, 8, 64, 1_024] {
        let count = rounds(5_000_000);
        let mut writer = ring::<5>(capacity);
        let ring = writer.reader();
        beside(
            || {
                for sequence in 0..count {
                    writer.push(record(sequence));
                    if scrambled(sequence).is_multiple_of(16) {
                        writer.publish();
                    }
                }
                writer.publish();
            },
            2,
            |done| {
                let (mut next, mut seen, mut lost) = (0, 0, 0);
                let mut records = Vec::new();
                loop {
                    let last = done.load(Ordering::Acquire);
                    records.clear();
                    let first = ring.read(next, 7, &mut records);
                    assert!(first >= next);
                    for (offset, words) in records.iter().enumerate() {
                        assert_eq!(*words, record(first + offset as u64));
                    }
                    lost += first - next;
                    seen += records.len() as u64;
                    next = first + records.len() as u64;
                    if last && records.is_empty() {
                        break;
                    }
                }
                assert_eq!((next, seen + lost), (count, count));
            },
        );
    }
}

#[test]
fn no_reader_of_a_cell_sees_words_of_two_updates() {
    let count = rounds(5_000_000);
    let cell = Cell::new(9);
    beside(
        || {
            for value in 1..=count {
                let mut update = cell.update();
                update.set(0, value);
                let words: [u64; 8] =
                    std::array::from_fn(|word| scrambled(value * 8 + word as u64));
                update.set_all(1, &words);
            }
        },
        2,
        |done| {
            let (mut words, mut latest) = (Vec::new(), 0);
            while !done.load(Ordering::Acquire) {
                cell.read(&mut words);
                let value = words[0];
                assert!(value >= latest);
                latest = value;
                let expected = |word: usize| scrambled(value * 8 + word as u64);
                assert!(value == 0 || (0..8).all(|word| words[1 + word] == expected(word)));
            }
        },
    );
}

const STEP: i64 = SECOND / 10;
const RETAIN: usize = 20;
const LEVELS: [&str; 3] = ["1s", "5s", "1m"];

fn tick(number: u64) -> Trade {
    let price = 100.0 + (scrambled(number) % 64) as f64 * 0.25;
    live(MONDAY + number as i64 * STEP, price, (number % 7) as f64)
}

fn tiny(symbol: &str) -> Spec {
    Spec { capacity: 16, ..spec(symbol) }
}

/// What the ticks up to `count` make of the bar that starts at `ts`.
fn expected(ts: i64, ts_end: i64, count: u64) -> Row {
    let number = |ts: i64| ((ts - MONDAY) / STEP) as u64;
    let ticks: Vec<Trade> = (number(ts)..number(ts_end).min(count)).map(tick).collect();
    let volume: f64 = ticks.iter().map(|tick| tick.size).sum();
    let notional: f64 = ticks.iter().map(|tick| tick.size * tick.price).sum();
    let prices = || ticks.iter().map(|tick| tick.price);
    Row {
        ts,
        open: ticks[0].price,
        high: prices().fold(f64::MIN, f64::max),
        low: prices().fold(f64::MAX, f64::min),
        close: ticks[ticks.len() - 1].price,
        volume,
        vwap: (volume > 0.0).then(|| notional / volume),
        trades: ticks.len() as i64,
        complete: true,
    }
}

/// All of a snapshot follows from the number of trades it shows.
fn check(snapshot: &Snapshot) -> u64 {
    let count = snapshot.trade_count();
    let Some(newest) = count.checked_sub(1) else { return 0 };
    assert_eq!(snapshot.trade(), Some(tick(newest)));
    assert_eq!(snapshot.counters().trades, count);
    let received = snapshot.counters().received;
    assert_eq!(received, snapshot.counters().accepted + snapshot.counters().rejected_total());
    let now = tick(newest).ts_event;
    for (level, buckets) in snapshot.buckets().iter().enumerate() {
        let current = buckets.bucket(now);
        let rows = closed(snapshot, level);
        let own: Vec<_> = rows.iter().filter(|row| row.ts >= MONDAY).collect();
        assert!(rows.is_sorted_by(|a, b| a.ts < b.ts));
        let length = current.1 - current.0;
        let closed = (current.0 - MONDAY) / length;
        assert!(
            own.len() >= RETAIN.min(closed as usize),
            "{} of {closed} {}",
            own.len(),
            buckets.timeframe()
        );
        for (index, row) in own.iter().rev().enumerate() {
            assert_eq!(row.ts, current.0 - (index as i64 + 1) * length, "a bar is missing");
            // All would take most of the time; these are where tails, parts and the cut meet.
            if index < 3 || index + 3 > own.len() {
                let expected = expected(row.ts, row.ts + length, count);
                assert_eq!(Row { complete: true, ..(*row).clone() }, expected);
            }
        }
        let open = open(snapshot, level);
        let expected = Row { complete: false, ..expected(current.0, current.1, count) };
        assert_eq!(open, [expected]);
    }
    count
}

/// Sessions of all lengths.
fn write(engine: &Engine, id: InstrumentId, count: u64) {
    let mut number = 0;
    while number < count {
        let mut session = engine.session();
        for _ in 0..1 + scrambled(number) % 400 {
            session.push_trade(id, &tick(number)).unwrap();
            number += 1;
        }
        drop(session);
        if scrambled(number).is_multiple_of(8) {
            thread::yield_now();
        }
    }
}

#[test]
fn every_snapshot_is_one_cut() {
    let engine = engine_of(vec![tiny("ES")], &LEVELS, RETAIN);
    beside(
        || write(&engine, ID, rounds(3_000_000)),
        2,
        |done| {
            let mut latest = 0;
            while !done.load(Ordering::Acquire) {
                let count = check(&engine.snapshot(ID));
                assert!(count >= latest, "time went back");
                latest = count;
                for level in 0..LEVELS.len() {
                    // Compacts, beside the writer and the other reader.
                    let _ = engine.bars(ID, Source::Trade, level, None, None, true).unwrap();
                }
                let (first, trades) = engine.trades(ID, 10);
                for (offset, trade) in trades.iter().enumerate() {
                    assert_eq!(*trade, tick(first + offset as u64));
                }
                assert!(trades.is_empty() || first + 10 >= latest, "older than what was seen");
            }
        },
    );
}

#[test]
fn history_and_gaps_beside_ticks_and_readers() {
    let engine = engine_of(vec![tiny("ES")], &LEVELS, RETAIN);
    beside(
        || {
            let finished = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut round = 0;
                    while !finished.load(Ordering::Acquire) {
                        round += 1;
                        let bar = Bar {
                            ts: MONDAY - round * SECOND,
                            ..expected(MONDAY, MONDAY + SECOND, 10).to_bar()
                        };
                        let mut session = engine.session();
                        session.push_bars(ID, Source::Trade, 0, vec![bar], round % 2 == 0).unwrap();
                        let now =
                            engine.snapshot(ID).trade().map_or(MONDAY, |trade| trade.ts_event);
                        session.mark_gap(ID, Some(now - 3 * SECOND), now - 2 * SECOND).unwrap();
                        drop(session);
                        thread::yield_now();
                    }
                });
                write(&engine, ID, rounds(5_000_000));
                finished.store(true, Ordering::Release);
            });
        },
        1,
        |done| {
            while !done.load(Ordering::Acquire) {
                check(&engine.snapshot(ID));
                let _ = engine.bars(ID, Source::Trade, 0, None, None, true).unwrap();
            }
        },
    );
}

#[test]
fn a_subscription_accounts_for_everything() {
    let engine = engine_of(vec![tiny("ES")], &LEVELS, RETAIN);
    let count = rounds(10_000_000);
    let subscribe = || {
        let interest = Interest {
            instruments: vec![ID],
            levels: vec![0, 1, 2],
            source: Source::Trade,
            trades: true,
            quotes: false,
            hours: Vec::new(),
            capacity: 8,
        };
        Subscription::new(&engine, &interest)
    };
    // Made before the first tick, so that the published can be counted.
    let subscriptions = std::sync::Mutex::new(vec![subscribe(), subscribe()]);
    beside(
        || {
            write(&engine, ID, count);
        },
        2,
        |done| {
            let mut subscription = subscriptions.lock().unwrap().pop().unwrap();
            let mut fetched = 0;
            let mut latest = [i64::MIN; 4];
            loop {
                let last = done.load(Ordering::Acquire);
                let items = subscription.poll();
                fetched += items.len() as u64;
                for item in &items {
                    let (stream, ts) = match item {
                        Item::Trade(_, trade) => {
                            let number = ((trade.ts_event - MONDAY) / STEP) as u64;
                            assert_eq!(*trade, tick(number));
                            (3, trade.ts_event)
                        }
                        Item::Bar(_, timeframe, _, bar) => {
                            assert_eq!(Row::from(bar), expected(bar.ts, bar.ts_end, u64::MAX));
                            let known = engine.kinds();
                            (known.iter().position(|one| one == timeframe).unwrap(), bar.ts)
                        }
                        Item::Quote(..) => panic!("there are no quotes"),
                    };
                    assert!(ts > latest[stream], "twice, or out of order");
                    latest[stream] = ts;
                }
                if last && items.is_empty() {
                    break;
                }
                subscription.signal().arm();
                if !subscription.has_news() && !last {
                    // Woken by the next publication; the limit only ends the test.
                    let _ = subscription.signal().wait(std::time::Duration::from_millis(20));
                }
            }
            let delivery = subscription.delivery();
            let counted = engine.snapshot(ID);
            let last = tick(counted.trade_count() - 1).ts_event;
            let closed = |timeframe: &tickwire_core::bars::Timeframe| {
                let (start, end) = timeframe.bucket(last);
                ((start - MONDAY) / (end - start)) as u64
            };
            let bars: u64 = engine.timeframes().iter().map(closed).sum();
            assert_eq!(delivery.published, counted.trade_count() + bars);
            assert_eq!((delivery.delivered, delivery.pending), (fetched, 0));
            assert_eq!(delivery.published, delivery.delivered + delivery.shed);
        },
    );
}

#[test]
fn writers_lose_no_count_and_do_not_lock_each_other_out() {
    let engine = engine_of(vec![tiny("ESZ5"), tiny("ESH6"), tiny("ESM6")], &LEVELS, RETAIN);
    let count = rounds(2_000_000);
    thread::scope(|scope| {
        // Every writer goes through all instruments, each in an order of its own.
        for writer in 0..4_u64 {
            let engine = Arc::clone(&engine);
            scope.spawn(move || {
                for number in 0..count / 100 {
                    let mut session = engine.session();
                    for step in 0..100 {
                        let id = InstrumentId((scrambled(number * 4 + writer + step) % 3) as u32);
                        let good = !scrambled(number + step).is_multiple_of(10);
                        let trade = live(MONDAY, if good { 100.0 } else { -1.0 }, 1.0);
                        assert_eq!(session.push_trade(id, &trade).is_ok(), good);
                    }
                    let receipt = session.finish();
                    assert_eq!(receipt.received, 100);
                    assert_eq!(receipt.received, receipt.accepted + receipt.rejected);
                }
            });
        }
    });
    let counters = engine.counters();
    assert_eq!(counters.received, 4 * (count / 100) * 100);
    assert_eq!(counters.received, counters.accepted + counters.rejected_total());
    let volume = |id| engine.snapshot(id).open_bars(Source::Trade, 2)[0].volume;
    assert_eq!(engine.ids().map(volume).sum::<f64>(), counters.accepted as f64);
}
