//! Overlaps of two feeds: what is told of them, and every cause of uncertainty by itself.
#![allow(clippy::unwrap_used)]

mod overlap_support;

use std::sync::Arc;

use overlap_support::{
    BASE, MS, SYMBOLS, Tick, apart, counts, engine, engine_with, feeds, join, spec, stream,
};
use tickwire_core::decode::Decoder;
use tickwire_core::engine::Engine;
use tickwire_core::feed::{Feed, Overlapping};
use tickwire_core::overlap::{Leg, Uncertain};
use tickwire_core::reason::Reason;
use tickwire_core::record::{InstrumentId, NO_TIME};

const ID: InstrumentId = InstrumentId(0);

fn trade(at: i64, value: u32) -> Tick {
    Tick::from((0, 0, at, value))
}

fn quote(at: i64, value: u32) -> Tick {
    Tick::from((1, 0, at, value))
}

/// Pushes ticks and says how many were new and how many copies.
fn push(feed: &mut Feed, ticks: &[Tick]) -> (u64, u64) {
    let payload: Vec<u8> = ticks.iter().flat_map(Tick::payload).collect();
    let receipt = feed.push(&payload, ticks.last().map_or(NO_TIME, Tick::ts));
    assert_eq!(receipt.received, receipt.accepted + receipt.rejected);
    (receipt.received, receipt.duplicates)
}

fn span(from: i64, to: i64) -> Vec<Uncertain> {
    vec![Uncertain { instrument: ID, start_ns: BASE + from * MS, end_ns: BASE + to * MS + 1 }]
}

#[test]
fn a_swap_as_it_should_be() {
    let engine = engine();
    let (mut old, mut new) = apart(&engine);
    push(&mut old, &[trade(1, 0), quote(1, 0), trade(2, 0), trade(2, 0)]);
    let overlap = join(&engine, &mut old, &mut new, 100);
    push(&mut old, &[trade(3, 0), trade(3, 0)]);
    // The first quote is a snapshot of the one that stands.
    assert_eq!(push(&mut new, &[quote(1, 0)]), (0, 1));
    overlap.ready();
    assert_eq!(push(&mut new, &[trade(4, 0), trade(4, 0)]), (2, 0));
    assert_eq!(push(&mut old, &[trade(4, 0)]), (0, 1));
    assert!(!overlap.has_contact(), "an identical print might have come before");
    assert_eq!(push(&mut old, &[trade(4, 0), trade(5, 0), trade(6, 1)]), (2, 1));
    assert!(!overlap.has_contact());
    assert_eq!((overlap.unsettled(Leg::New), overlap.outstanding()), (2, 5));
    assert_eq!(push(&mut new, &[trade(5, 0)]), (0, 1));
    assert!(overlap.has_contact());
    assert_eq!(overlap.unsettled(Leg::New), 1);
    // The old one has ended, with a lead.
    assert_eq!(push(&mut new, &[trade(6, 1), trade(7, 0), trade(7, 0)]), (2, 1));
    assert_eq!(overlap.unsettled(Leg::New), 0);
    let report = overlap.report(Leg::New);
    assert!(report.contact && report.uncertain.is_empty(), "{report:?}");
    assert_eq!((report.duplicates, report.shed, report.only_new, report.only_old), (5, 0, 0, 0));
    old.leave(Leg::New);
    new.leave(Leg::New);
    assert_eq!(push(&mut new, &[trade(7, 0)]), (1, 0));
    let counters = engine.counters();
    assert_eq!((counters.received, counters.accepted, counters.duplicates), (13, 13, 5));
}

#[test]
fn every_kind_of_tick_and_partial_quotes() {
    let engine = engine();
    let (_, mut old, mut new) = feeds(&engine, 100);
    let record = |target: &str, data: &str| {
        let symbol = SYMBOLS[0];
        format!("{{\"type\":1,\"target\":\"{target}\",\"arguments\":[\"{symbol}\",{data}]}}\u{1e}")
    };
    let when = "2024-07-21T13:45:00Z";
    let whole = format!(r#"{{"bestBid":1,"bestAsk":2,"lastPrice":2,"timestamp":"{when}"}}"#);
    let partial = format!(r#"{{"bestBid":1.5,"timestamp":"{when}"}}"#);
    let after_both = format!(r#"{{"bestBid":1.5,"bestAsk":2,"lastPrice":2,"timestamp":"{when}"}}"#);
    let receive = |feed: &mut Feed, payload: &str| {
        let receipt = feed.push(payload.as_bytes(), BASE);
        (receipt.received, receipt.duplicates)
    };
    assert_eq!(receive(&mut old, &record("GatewayQuote", &whole)), (1, 0));
    assert_eq!(receive(&mut old, &record("GatewayQuote", &partial)), (1, 0));
    // To the new connection the hub sends all of the second quote: the same tick in other words.
    assert_eq!(receive(&mut new, &record("GatewayQuote", &after_both)), (0, 1));

    let depth = |kind: u8| {
        record(
            "GatewayDepth",
            &format!(r#"[{{"timestamp":"{when}","type":{kind},"price":1,"volume":1}}]"#),
        )
    };
    for kind in [1, 2, 3, 6] {
        assert_eq!(receive(&mut new, &depth(kind)), (1, 0));
    }
    for kind in [6, 3, 2, 1] {
        assert_eq!(receive(&mut old, &depth(kind)), (0, 1));
    }
    let trade = |code: &str| {
        record("GatewayTrade", &format!(r#"[{{"timestamp":"{when}","price":1,"volume":1{code}}}]"#))
    };
    for code in ["", r#","type":0"#, r#","type":1"#] {
        assert_eq!(receive(&mut old, &trade(code)), (1, 0));
    }
    assert_eq!(receive(&mut new, &trade(r#","type":1"#)), (0, 1));

    // What has no identity counts on both.
    let broken = record("GatewayTrade", r#"[{"price":1}]"#);
    let unknown = broken.replace(SYMBOLS[0], "CON.F.US.GCE.Z25");
    for payload in [&broken, &unknown, "nonsense\u{1e}"] {
        assert_eq!(receive(&mut old, payload), (1, 0));
        assert_eq!(receive(&mut new, payload), (1, 0));
    }
    assert_eq!(new.push(b"{\"type\":6}\x1e", BASE).control.len(), 1);
}

#[test]
fn a_tick_that_is_refused_is_refused_once() {
    let engine = engine();
    let (overlap, mut old, mut new) = feeds(&engine, 100);
    // Ten minutes ahead of its arrival.
    let ahead = trade(600_000 - 1, 0).payload();
    for feed in [&mut old, &mut new] {
        feed.push(&ahead, BASE);
        push(feed, &[trade(1, 0)]);
    }
    let counters = engine.counters();
    assert_eq!((counters.received, counters.duplicates), (2, 2));
    assert_eq!(counters.rejected[Reason::Skew as usize], 1);
    // Neither does its time say how far a connection has come, nor is anything uncertain about it.
    push(&mut old, &[trade(2, 0)]);
    old.push(&trade(600_000 - 2, 0).payload(), BASE);
    assert_eq!(overlap.unsettled(Leg::New), 1);
    assert_eq!(overlap.report(Leg::New).uncertain, span(2, 2));
}

#[test]
fn a_feed_is_in_one_overlap_at_a_time() {
    let engine = engine();
    let (overlap, old, mut new) = feeds(&engine, 100);
    assert!(old.is_overlapping() && new.is_overlapping());
    assert_eq!(new.join(&overlap, Leg::Old), Err(Overlapping));
    new.leave(Leg::New);
    assert!(!new.is_overlapping());
    let (_, mut third) = apart(&engine);
    join(&engine, &mut new, &mut third, 100);
}

#[test]
fn what_the_engine_holds_is_not_taken_twice() {
    let engine = engine();
    let (mut old, mut new) = apart(&engine);
    let early: Vec<Tick> = (0..3_000).map(|at| trade(at, 0)).collect();
    push(&mut old, &early);
    let overlap = join(&engine, &mut old, &mut new, 100);
    // A server that runs behind sends once more what came before: what is remembered, and older.
    assert_eq!(push(&mut new, &early[1_000..]), (0, 2_000));
    overlap.ready();
    assert_eq!(push(&mut new, &[trade(2_999, 0), trade(3_000, 0)]), (2, 0), "two more prints");
    assert_eq!(push(&mut old, &[trade(2_999, 0), trade(3_000, 0), trade(3_001, 0)]), (1, 2));
    push(&mut new, &[trade(3_001, 0)]);
    assert!(overlap.has_contact());
    // From then on an early print is a late one, and new.
    assert_eq!(push(&mut new, &[trade(5, 1)]), (1, 0));
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_told() {
    let engine = engine();
    let (overlap, mut old, mut new) = feeds(&engine, 1_000);
    let ticks: Vec<Tick> = (0..50_000).map(|at| trade(at, at as u32 % 7)).collect();
    push(&mut old, &ticks);
    assert!(overlap.outstanding() <= 1_000);
    assert!(overlap.memory_bytes() < 1_000_000, "{}", overlap.memory_bytes());
    let report = overlap.report(Leg::New);
    assert_eq!(report.shed + overlap.outstanding() as u64, 50_000);
    assert_eq!(report.uncertain, span(0, 49_999));
    // They come again, and are taken for new but for those that are remembered.
    let (again, copies) = push(&mut new, &ticks[49_500..]);
    assert_eq!((again, copies), (0, 500));
    assert!(push(&mut new, &ticks[..10]).0 == 10);
}

#[test]
fn two_connections_in_step_need_no_memory() {
    let engine = engine();
    let (overlap, mut old, mut new) = feeds(&engine, 1_000);
    overlap.ready();
    for at in 0..20_000 {
        for feed in [&mut old, &mut new] {
            push(feed, &[trade(at, 0), quote(at, 1)]);
        }
        assert_eq!(overlap.outstanding(), 0);
    }
    let report = overlap.report(Leg::Old);
    assert_eq!((report.duplicates, report.shed), (40_000, 0));
    assert!(report.uncertain.is_empty());
}

#[test]
fn what_each_loses_the_other_brings() {
    let engine = engine();
    let (overlap, mut old, mut new) = feeds(&engine, 1_000);
    overlap.ready();
    let ticks: Vec<Tick> = (0..4_000).map(|at| trade(at / 4 * 600, (at % 2) as u32)).collect();
    for (place, tick) in ticks.iter().enumerate() {
        if place % 10 != 3 {
            push(&mut old, &[*tick]);
        }
        if place % 10 != 8 {
            push(&mut new, &[*tick]);
        }
    }
    assert_eq!(counts(&stream(&engine)), counts(&ticks));
    let report = overlap.report(Leg::New);
    assert!(report.contact);
    // Those of the last second may still come.
    let (behind, ahead) = (overlap.unsettled(Leg::New), overlap.unsettled(Leg::Old));
    assert!(behind <= 1 && ahead <= 1);
    assert_eq!((report.only_old, report.only_new), (400 - behind, 400 - ahead));
}

#[test]
fn no_contact_is_made_by_what_proves_nothing() {
    let engine = engine();
    let (overlap, mut old, mut new) = feeds(&engine, 1_000);
    let both = |old: &mut Feed, new: &mut Feed, ticks: &[Tick]| {
        push(old, ticks);
        push(new, ticks);
    };
    both(&mut old, &mut new, &[trade(1, 0), trade(2, 0), trade(3, 0)]);
    assert!(!overlap.has_contact(), "not all subscriptions are there");
    overlap.ready();
    let depth = |at| Tick::from((2, 0, at, 0));
    both(
        &mut old,
        &mut new,
        &[depth(4), depth(5), Tick::from((1, 0, 6, 0)), Tick::from((1, 1, 7, 0))],
    );
    assert!(!overlap.has_contact(), "snapshots");
    both(&mut old, &mut new, &[trade(8, 0), trade(8, 1), trade(3, 2)]);
    assert!(!overlap.has_contact(), "one time, and a late tick");
    both(&mut old, &mut new, &[trade(9, 0)]);
    assert!(overlap.has_contact());
    // The new connection failed, and another one takes its place: all of it again.
    new.reset();
    assert!(!overlap.has_contact());
    both(&mut old, &mut new, &[trade(10, 0), trade(11, 0), trade(12, 0)]);
    assert!(!overlap.has_contact());
    overlap.ready();
    both(&mut old, &mut new, &[trade(13, 0), trade(14, 0)]);
    assert!(overlap.has_contact());
}

#[test]
fn a_tick_after_its_bar_is_uncertain() {
    let engine = engine_with(&["1s"]);
    let (overlap, mut old, mut new) = feeds(&engine, 1_000);
    push(&mut old, &[trade(100, 0)]);
    overlap.ready();
    // The old connection lags; the new one begins two seconds later, and closes the bar.
    push(&mut new, &[trade(2_500, 0), trade(2_600, 0)]);
    assert_eq!(push(&mut old, &[trade(300, 0), trade(700, 0), trade(2_500, 0)]), (2, 1));
    assert_eq!(engine.counters().rejected[Reason::Late as usize], 2);
    assert_eq!(overlap.report(Leg::New).uncertain, span(300, 700));
}

#[test]
fn a_print_lost_beside_the_start_is_uncertain_where_losses_are_seen() {
    for loses in [false, true] {
        let engine = engine();
        let (overlap, mut old, mut new) = feeds(&engine, 1_000);
        // Two prints; the new connection begins between them, and the old one loses the second.
        push(&mut old, &[trade(5, 0)]);
        overlap.ready();
        push(&mut new, &[trade(5, 0)]);
        push(&mut new, &[trade(6, 0)]);
        if !loses {
            push(&mut old, &[trade(6, 0)]);
        }
        for feed in [&mut old, &mut new] {
            push(feed, &[trade(2_000, 0), trade(2_001, 0)]);
        }
        let report = overlap.report(Leg::New);
        assert_eq!(report.only_new, u64::from(loses));
        assert_eq!(report.uncertain, if loses { span(5, 5) } else { Vec::new() });
    }
}

#[test]
fn ticks_without_a_time_are_uncertain() {
    let mut spec = spec(SYMBOLS[0]);
    spec.stamp_arrival = true;
    let engine = Arc::new(Engine::new(vec![spec], &[]));
    let feed = || Feed::new(Arc::clone(&engine), Decoder::default());
    let (mut old, mut new) = (feed(), feed());
    let overlap = join(&engine, &mut old, &mut new, 100);
    let symbol = SYMBOLS[0];
    let payload = format!(
        "{{\"type\":1,\"target\":\"GatewayTrade\",\"arguments\":[\"{symbol}\",[{{\"price\":1,\"volume\":1}},{{\"price\":1,\"volume\":1}}]]}}\u{1e}"
    );
    assert_eq!(old.push(payload.as_bytes(), BASE).accepted, 2);
    let receipt = new.push(payload.as_bytes(), BASE + MS);
    assert_eq!((receipt.received, receipt.duplicates), (0, 2));
    assert_eq!(overlap.report(Leg::New).uncertain, span(0, 1));
}

#[test]
fn the_old_connection_may_be_the_one_that_stays() {
    let engine = engine();
    let (overlap, mut old, mut new) = feeds(&engine, 100);
    overlap.ready();
    push(&mut new, &[trade(1, 0), trade(2, 0), trade(3, 0)]);
    push(&mut old, &[trade(1, 0)]);
    assert_eq!((overlap.unsettled(Leg::Old), overlap.unsettled(Leg::New)), (2, 0));
    assert_eq!(overlap.report(Leg::Old).uncertain, span(2, 3));
    assert_eq!(push(&mut old, &[trade(2, 0), trade(3, 0)]), (0, 2));
    assert!(overlap.report(Leg::Old).uncertain.is_empty());
}

#[test]
fn two_threads_feed_at_once() {
    let engine = engine();
    let (overlap, mut old, mut new) = feeds(&engine, 100_000);
    overlap.ready();
    let ticks: Vec<Tick> = (0..20_000_i64)
        .map(|at| Tick::from(((at % 3) as u8, (at % 2) as u32, at / 8, 0)))
        .collect();
    std::thread::scope(|scope| {
        for (feed, chunk) in [(&mut old, 7), (&mut new, 11)] {
            let ticks = &ticks;
            scope.spawn(move || {
                for part in ticks.chunks(chunk) {
                    push(feed, part);
                }
            });
        }
    });
    let counters = engine.counters();
    assert_eq!((counters.accepted, counters.duplicates), (20_000, 20_000));
    assert_eq!((overlap.duplicates(), overlap.outstanding()), (20_000, 0));
    let held = ticks.into_iter().filter(|tick| tick.kind < 2).collect::<Vec<_>>();
    // A ring holds the newest.
    assert!(stream(&engine).iter().all(|tick| held.contains(tick)));
}
