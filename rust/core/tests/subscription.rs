//! What a subscription is given, in which order, what it is told about what it missed, and how it is
//! woken.
#![allow(clippy::unwrap_used)]

mod engine_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use engine_support::*;
use proptest::prelude::*;
use tickwire_core::Spec;
use tickwire_core::bars::{Bar, Source};
use tickwire_core::record::InstrumentId;
use tickwire_core::sessions::Sessions;
use tickwire_core::subscription::{Delivery, Interest, Item, Subscription};

const OTHER: InstrumentId = InstrumentId(1);
/// Long enough for a thread to be scheduled on the slowest machine; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

fn interest() -> Interest {
    Interest {
        instruments: vec![ID],
        levels: vec![],
        source: Source::Trade,
        trades: false,
        quotes: false,
        capacity: 16,
        hours: vec![],
    }
}

fn trades() -> Interest {
    Interest { trades: true, ..interest() }
}

fn second(second: i64) -> tickwire_core::record::Trade {
    live(MONDAY + second * SECOND, 100.0, second as f64)
}

/// Which trades, by their size; bars by timeframe and the second they start.
fn told(items: Vec<Item>) -> Vec<String> {
    items
        .into_iter()
        .map(|item| match item {
            Item::Trade(id, trade) => format!("{}:{}", id.0, trade.size),
            Item::Quote(id, quote) => format!("{}:q{}", id.0, quote.bid),
            Item::Bar(id, timeframe, source, bar) => {
                format!("{}:{source} {timeframe}@{}", id.0, (bar.ts - MONDAY) / SECOND)
            }
        })
        .collect()
}

#[test]
fn only_what_comes_after_it_was_made() {
    let engine = engine(&["1s"]);
    push(&engine, [second(0), second(1)]);
    let mut subscription =
        Subscription::new(&engine, &Interest { levels: vec![0], quotes: true, ..trades() });
    assert!(!subscription.has_news());
    assert_eq!(subscription.poll(), []);
    push(&engine, [second(2)]);
    engine.session().push_quote(ID, &quote(MONDAY, 99.0, 101.0)).unwrap();
    assert!(subscription.has_news());
    assert_eq!(told(subscription.poll()), ["0:q99", "0:trade 1s@1", "0:2"]);
    assert!(!subscription.has_news());
}

#[test]
fn a_bar_comes_as_it_was_closed() {
    let engine = engine(&["1s", "1m"]);
    let mut subscription = Subscription::new(&engine, &Interest { levels: vec![1], ..interest() });
    push(&engine, (0..61).map(second));
    let items = subscription.poll();
    let Item::Bar(id, timeframe, source, bar) = items[0] else { panic!("{items:?}") };
    assert_eq!((id, timeframe, source), (ID, engine.kinds()[1], Source::Trade));
    assert_eq!(Some(bar), engine.snapshot(ID).closed_bar(Source::Trade, 1));
    assert_eq!((bar.ts_end, bar.trades, items.len()), (MONDAY + MINUTE, 60, 1));
}

#[test]
fn streams_are_merged_by_the_time_their_items_became_known() {
    let engine = engine_of(vec![spec("ESZ5"), spec("ESH6")], &["1s", "2s"], 100);
    let mut subscription = Subscription::new(
        &engine,
        &Interest { instruments: vec![ID, OTHER], levels: vec![0, 1], ..trades() },
    );
    let mut session = engine.session();
    for at in 0..3 {
        session.push_trade(ID, &second(at)).unwrap();
        session.push_trade(OTHER, &second(at)).unwrap();
    }
    drop(session);
    assert_eq!(
        told(subscription.poll()),
        [
            "0:0",
            "1:0",
            "0:trade 1s@0",
            "1:trade 1s@0",
            "0:1",
            "1:1",
            "0:trade 1s@1",
            "1:trade 1s@1",
            "0:trade 2s@0",
            "1:trade 2s@0",
            "0:2",
            "1:2"
        ]
    );
}

#[test]
fn a_stream_keeps_its_own_order() {
    let engine = engine_of(vec![Spec { lateness_ns: HOUR, ..spec("ES") }], &["1s"], 100);
    let mut subscription = Subscription::new(&engine, &Interest { quotes: true, ..trades() });
    push(&engine, [5, 3, 9, 1].map(second));
    engine.session().push_quote(ID, &quote(MONDAY + 4 * SECOND, 99.0, 101.0)).unwrap();
    assert_eq!(told(subscription.poll()), ["0:q99", "0:5", "0:3", "0:9", "0:1"]);
}

#[test]
fn what_is_not_fetched_in_time_is_shed_and_counted() {
    let engine = engine_of(vec![Spec { capacity: 64, ..spec("ES") }], &["1s"], 100);
    let mut subscription = Subscription::new(&engine, &Interest { levels: vec![0], ..trades() });
    push(&engine, (0..41).map(second));
    // 41 trades and 40 bars.
    let expected = Delivery { published: 81, delivered: 0, pending: 32, shed: 49, filtered: 0 };
    assert_eq!(subscription.delivery(), expected);
    assert_eq!(subscription.poll().len(), 32);
    let expected = Delivery { delivered: 32, pending: 0, ..expected };
    assert_eq!(subscription.delivery(), expected);
    push(&engine, (41..44).map(second));
    assert_eq!(
        told(subscription.poll()),
        ["0:trade 1s@40", "0:41", "0:trade 1s@41", "0:42", "0:trade 1s@42", "0:43"]
    );
    assert_eq!(
        subscription.close(),
        Delivery { published: 87, delivered: 38, pending: 0, shed: 49, filtered: 0 }
    );
}

/// Open in the seconds from one to another, of each pair.
fn hours(spans: &[(i64, i64)]) -> Vec<Arc<Sessions>> {
    let column = |of: fn(&(i64, i64)) -> i64| -> Vec<i64> {
        spans.iter().map(|span| MONDAY + of(span) * SECOND).collect()
    };
    let days = vec![0; spans.len()];
    vec![Arc::new(Sessions::new(&column(|span| span.0), &column(|span| span.1), &days).unwrap())]
}

#[test]
fn what_lies_outside_of_the_hours_is_not_published_to_it() {
    let engine = engine(&["1s"]);
    let interest = Interest { levels: vec![0], hours: hours(&[(2, 4), (6, 7)]), ..trades() };
    let mut subscription = Subscription::new(&engine, &interest);
    push(&engine, (0..9).map(second));
    // 9 trades and 8 bars, of which those of the seconds 2, 3 and 6 count.
    let expected = Delivery { published: 6, delivered: 0, pending: 6, shed: 0, filtered: 11 };
    assert_eq!(subscription.delivery(), expected);
    assert!(subscription.has_news());
    assert_eq!(
        told(subscription.poll()),
        ["0:2", "0:trade 1s@2", "0:3", "0:trade 1s@3", "0:6", "0:trade 1s@6"]
    );
    let expected = Delivery { delivered: 6, pending: 0, ..expected };
    assert_eq!(subscription.delivery(), expected);
    push(&engine, (9..11).map(second));
    assert!(!subscription.has_news());
    assert_eq!(subscription.poll(), []);
    assert_eq!(subscription.close(), Delivery { filtered: 15, ..expected });
}

#[test]
fn what_is_lost_before_it_was_looked_at_is_shed_wherever_it_lies() {
    let engine = engine(&["1s"]);
    let interest = Interest { hours: hours(&[(2, 30)]), ..trades() };
    let mut subscription = Subscription::new(&engine, &interest);
    push(&engine, (0..40).map(second));
    // The newest 16 are those from 24 on.
    let expected = Delivery { published: 30, delivered: 0, pending: 6, shed: 24, filtered: 10 };
    assert_eq!(subscription.delivery(), expected);
    assert_eq!(subscription.poll().len(), 6);
    assert_eq!(subscription.delivery(), Delivery { delivered: 6, pending: 0, ..expected });
}

#[test]
fn what_was_never_fetched_counts_as_never_published_when_it_ends() {
    let engine = engine(&["1s"]);
    let mut subscription = Subscription::new(&engine, &trades());
    push(&engine, (0..3).map(second));
    subscription.poll();
    push(&engine, (3..9).map(second));
    assert_eq!(
        subscription.close(),
        Delivery { published: 3, delivered: 3, ..Delivery::default() }
    );
}

#[test]
fn a_slow_reader_of_long_bars_is_not_lapped_by_short_ones() {
    let engine = engine(&["1s", "1m"]);
    let interest = Interest { levels: vec![0, 1], capacity: 4, ..interest() };
    let mut subscription = Subscription::new(&engine, &interest);
    push(&engine, (0..241).map(second));
    let minutes = told(subscription.poll()).into_iter().filter(|item| item.contains("1m"));
    assert_eq!(minutes.count(), 4);
}

#[test]
fn subscriptions_do_not_share_their_place() {
    let engine = engine(&["1s"]);
    let mut first = Subscription::new(&engine, &Interest { levels: vec![0], ..interest() });
    push(&engine, [second(0), second(1)]);
    let mut other = Subscription::new(&engine, &Interest { levels: vec![0], ..interest() });
    assert_eq!(told(first.poll()), ["0:trade 1s@0"]);
    push(&engine, [second(2)]);
    assert_eq!(told(first.poll()), ["0:trade 1s@1"]);
    assert_eq!(told(other.poll()), ["0:trade 1s@1"]);
    drop(first);
    push(&engine, [second(3)]);
    assert_eq!(told(other.poll()), ["0:trade 1s@2"]);
}

#[test]
fn each_source_is_a_stream_of_its_own() {
    let sources = vec![Source::Trade, Source::Bid, Source::Ask];
    let engine = engine_of(vec![Spec { sources, ..spec("ES") }], &["1s"], 100);
    let asks = Interest { levels: vec![0], source: Source::Ask, ..interest() };
    let mut subscription = Subscription::new(&engine, &asks);
    let mut session = engine.session();
    session.push_trade(ID, &second(0)).unwrap();
    session.push_quote(ID, &quote(MONDAY, 99.0, 101.0)).unwrap();
    session.advance(MONDAY + SECOND);
    drop(session);
    assert_eq!(told(subscription.poll()), ["0:ask 1s@0"]);
}

#[test]
fn revisions_come_as_items_in_order() {
    let engine = engine(&["1s"]);
    let mut subscription = Subscription::new(&engine, &Interest { levels: vec![0], ..interest() });
    push(&engine, (0..4).map(second));
    engine.session().mark_gap(ID, Some(MONDAY), MONDAY + SECOND).unwrap();
    push(&engine, [second(4)]);
    let bars: Vec<Bar> = subscription
        .poll()
        .into_iter()
        .map(|item| match item {
            Item::Bar(_, _, _, bar) => bar,
            other => panic!("{other:?}"),
        })
        .collect();
    let starts: Vec<i64> = bars.iter().map(|bar| (bar.ts - MONDAY) / SECOND).collect();
    assert_eq!(starts, [0, 1, 2, 0, 3]);
    assert_eq!((bars[3].complete, bars[3].revision), (false, 1));
}

#[test]
fn a_long_batch_can_be_followed_while_it_runs() {
    let engine = engine_of(vec![Spec { capacity: 1 << 14, ..spec("ES") }], &["1h"], 100);
    let mut subscription = Subscription::new(&engine, &Interest { capacity: 1 << 14, ..trades() });
    let mut session = engine.session();
    let mut fetched = 0;
    for tick in 0..50_000 {
        session.push_trade(ID, &live(MONDAY + tick, 100.0, 1.0)).unwrap();
        if tick % 1_000 == 0 {
            fetched += subscription.poll().len();
        }
    }
    drop(session);
    fetched += subscription.poll().len();
    let delivery = subscription.delivery();
    assert_eq!((fetched, delivery.delivered, delivery.shed), (50_000, 50_000, 0));
}

#[test]
fn an_armed_signal_is_raised_once_by_what_it_waits_for() {
    let engine = engine_of(vec![spec("ESZ5"), spec("ESH6")], &["1s"], 100);
    let subscription = Subscription::new(&engine, &Interest { levels: vec![0], ..interest() });
    let raised = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&raised);
    subscription.signal().set_hook(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let count = || raised.load(Ordering::SeqCst);
    push(&engine, [second(0), second(1)]);
    assert_eq!(count(), 0, "nobody has asked");
    subscription.signal().arm();
    push(&engine, [second(1)]);
    assert_eq!(count(), 0, "a tick is not a bar");
    engine.session().push_trade(OTHER, &second(9)).unwrap();
    advance(&engine, MONDAY + SECOND);
    assert_eq!(count(), 0, "nothing new closed, and the other instrument is none of its business");
    push(&engine, [second(2), second(3)]);
    assert_eq!(count(), 1);
    push(&engine, [second(4)]);
    assert_eq!(count(), 1, "once is enough");
    subscription.signal().arm();
    subscription.signal().clear_hook();
    push(&engine, [second(5)]);
    assert_eq!(count(), 1);
    assert!(subscription.signal().wait(PATIENCE), "the signal itself was raised");
}

#[test]
fn a_hook_may_use_the_engine() {
    let engine = engine(&["1s"]);
    let subscription = Subscription::new(&engine, &trades());
    let inside = Arc::clone(&engine);
    subscription.signal().set_hook(move || {
        assert_eq!(inside.snapshot(ID).trade_count(), 1, "it shows what it was raised for");
        push(&inside, [second(7)]);
    });
    subscription.signal().arm();
    push(&engine, [second(0)]);
    assert_eq!(engine.snapshot(ID).trade_count(), 2);
}

#[test]
fn waiting_ends_when_the_time_is_over_or_something_came() {
    let engine = engine(&["1s"]);
    let subscription = Subscription::new(&engine, &trades());
    subscription.signal().arm();
    assert!(!subscription.signal().wait(Duration::ZERO));
    assert!(!subscription.signal().wait(Duration::from_millis(1)));
    push(&engine, [second(0)]);
    assert!(subscription.signal().wait(Duration::ZERO));
    assert!(subscription.signal().wait(Duration::MAX), "and stays so until it is armed again");
    subscription.signal().arm();
    assert!(!subscription.signal().wait(Duration::ZERO));
}

#[test]
fn a_waiting_thread_is_woken() {
    let engine = engine(&["1s"]);
    let mut subscription = Subscription::new(&engine, &trades());
    let writer = Arc::clone(&engine);
    let (asked, ask) = std::sync::mpsc::channel::<i64>();
    let writing = std::thread::spawn(move || {
        while let Ok(at) = ask.recv() {
            push(&writer, [second(at)]);
        }
    });
    for at in 0..2_000 {
        subscription.signal().arm();
        assert_eq!(subscription.poll(), []);
        asked.send(at).unwrap();
        assert!(subscription.signal().wait(PATIENCE));
        assert_eq!(told(subscription.poll()), [format!("0:{at}")]);
    }
    drop(asked);
    writing.join().unwrap();
}

proptest! {
    /// The account is right at every moment, whatever is published, polled and lost.
    #[test]
    fn published_is_delivered_pending_and_shed(
        capacity in 1_usize..40,
        ring in 1_usize..40,
        steps in prop::collection::vec((0_i64..60, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let engine = engine_of(vec![Spec { capacity: ring, ..spec("ES") }], &["1s", "5s"], 100);
        push(&engine, (0..7).map(second));
        let interest = Interest { levels: vec![0, 1], capacity, quotes: true, ..trades() };
        let mut subscription = Subscription::new(&engine, &interest);
        let (mut at, mut fetched, mut published) = (7, 0, 0);
        for (count, poll, quotes) in steps {
            if quotes {
                engine.session().push_quote(ID, &quote(MONDAY, 99.0, 101.0)).unwrap();
                published += 1;
            }
            push(&engine, (at..at + count).map(second));
            if count > 0 {
                // The trades, a second each, and the bars that closed.
                published += 2 * count + (at + count - 1) / 5 - (at - 1) / 5;
            }
            at += count;
            let delivery = subscription.delivery();
            prop_assert_eq!(delivery.published, published as u64);
            prop_assert_eq!(delivery.published, delivery.delivered + delivery.pending + delivery.shed);
            prop_assert_eq!(delivery.delivered, fetched);
            prop_assert_eq!(subscription.has_news(), delivery.pending > 0);
            if poll {
                let items = subscription.poll();
                prop_assert_eq!(items.len() as u64, delivery.pending);
                fetched += delivery.pending;
                prop_assert_eq!(subscription.delivery().shed, delivery.shed);
            }
        }
    }
}
