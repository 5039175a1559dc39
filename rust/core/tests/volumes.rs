//! Published volume beside delivered trades: what counts, from when on, and what begins it anew.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use std::sync::Arc;
use tickwire_core::Spec;
use tickwire_core::decode::{Decoder, Protocol, Volumes};
use tickwire_core::engine::Engine;
use tickwire_core::feed::Feed;
use tickwire_core::record::NO_TIME;

const SYMBOLS: [&str; 2] = ["ES", "NQ"];
/// 2024-07-21T13:45:00Z
const BASE: i64 = 1_721_569_500_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn feed() -> Feed {
    feed_of(Protocol::Json)
}

fn feed_of(protocol: Protocol) -> Feed {
    let spec = |symbol: &str| Spec { capacity: 64, ..Spec::new(symbol, 0.25) };
    let engine = Arc::new(Engine::new(SYMBOLS.map(spec).into(), &[]));
    Feed::new(engine, Decoder::new(protocol, 1 << 20))
}

fn record(target: &str, symbol: &str, data: &str) -> String {
    format!("{{\"type\":1,\"target\":\"{target}\",\"arguments\":[\"{symbol}\",{data}]}}\u{1e}")
}

fn push(feed: &mut Feed, target: &str, data: &str) {
    feed.push(record(target, SYMBOLS[0], data).as_bytes(), NO_TIME);
}

fn trade(feed: &mut Feed, sizes: &[&str]) {
    let trades = sizes.iter().map(|size| format!(r#"{{"price":100,"volume":{size}}}"#));
    push(feed, "GatewayTrade", &format!("[{}]", trades.collect::<Vec<_>>().join(",")));
}

fn quote(feed: &mut Feed, seconds: i64, volume: &str) {
    let data = format!(
        r#"{{"bestBid":100,"bestAsk":101,"volume":{volume},"timestamp":"2024-07-21T13:45:{seconds:02}Z"}}"#
    );
    push(feed, "GatewayQuote", &data);
}

fn volumes(feed: &Feed) -> Volumes {
    let found: Vec<_> = feed.volumes().collect();
    assert_eq!(found.len(), 1);
    found[0].1
}

#[test]
fn counting_begins_with_the_first_total() {
    let mut feed = feed();
    trade(&mut feed, &["5"]);
    push(&mut feed, "GatewayQuote", r#"{"bestBid":100,"timestamp":"2024-07-21T13:45:00Z"}"#);
    assert_eq!(feed.volumes().count(), 0, "nothing was published");
    quote(&mut feed, 1, "1000");
    let start = Volumes {
        published: 1000.0,
        published_ts: BASE + SECOND,
        baseline: 1000.0,
        baseline_ts: BASE + SECOND,
        traded: 0.0,
        traded_then: 0.0,
        trades: 0,
        resets: 0,
    };
    assert_eq!(volumes(&feed), start);
    // All elements count, whatever the engine makes of them: these have no time. A size below zero does
    // not, nor what cannot be read.
    trade(&mut feed, &["2", "0", "3.5", "-1", "null", "\"4\""]);
    trade(&mut feed, &["8", "1e999"]);
    assert_eq!(volumes(&feed), Volumes { traded: 5.5, trades: 3, ..start });
    quote(&mut feed, 2, "1005.5");
    let after = Volumes {
        published: 1005.5,
        published_ts: BASE + 2 * SECOND,
        traded: 5.5,
        traded_then: 5.5,
        trades: 3,
        ..start
    };
    assert_eq!(volumes(&feed), after);
}

#[test]
fn a_quote_without_a_usable_total_changes_nothing() {
    let mut feed = feed();
    quote(&mut feed, 1, "1000");
    let before = volumes(&feed);
    for total in ["null", "\"2000\"", "-1", "1e999", "{}", "true"] {
        quote(&mut feed, 2, total);
        assert_eq!(volumes(&feed), before, "{total}");
    }
    // Nor does one of a quote that cannot be used, or of another instrument.
    push(&mut feed, "GatewayQuote", r#"{"bestBid":"x","volume":2000}"#);
    feed.push(record("GatewayQuote", "GC", r#"{"bestBid":1,"volume":2000}"#).as_bytes(), NO_TIME);
    assert_eq!(volumes(&feed), before);
    // A quote that has nothing else is one, too.
    push(&mut feed, "GatewayQuote", r#"{"volume":1001}"#);
    assert_eq!(volumes(&feed).published, 1001.0);
}

#[test]
fn a_total_that_falls_is_that_of_another_day() {
    let mut feed = feed();
    quote(&mut feed, 5, "1000");
    trade(&mut feed, &["7"]);
    quote(&mut feed, 4, "990");
    quote(&mut feed, 5, "999");
    assert_eq!(volumes(&feed).published, 1000.0, "quotes that were overtaken");
    quote(&mut feed, 6, "3");
    let day = volumes(&feed);
    assert_eq!((day.baseline, day.published, day.baseline_ts), (3.0, 3.0, BASE + 6 * SECOND));
    assert_eq!((day.traded, day.trades, day.resets), (0.0, 0, 1));
}

#[test]
fn another_connection_begins_anew() {
    let mut feed = feed();
    quote(&mut feed, 1, "1000");
    trade(&mut feed, &["7"]);
    feed.reset();
    assert_eq!(feed.volumes().count(), 0);
    trade(&mut feed, &["7"]);
    quote(&mut feed, 1, "1000");
    trade(&mut feed, &["1"]);
    let anew = volumes(&feed);
    assert_eq!((anew.baseline, anew.traded, anew.trades, anew.resets), (1000.0, 1.0, 1, 1));
    feed.reset();
    feed.reset();
    quote(&mut feed, 1, "1000");
    assert_eq!(volumes(&feed).resets, 2);
}

#[test]
fn a_quote_without_a_time_has_that_of_its_arrival() {
    let mut feed = feed();
    let payload = record("GatewayQuote", SYMBOLS[0], r#"{"bestBid":100,"volume":5}"#);
    feed.push(payload.as_bytes(), BASE);
    assert_eq!(volumes(&feed).baseline_ts, BASE);
    let mut feed = self::feed();
    feed.push(payload.as_bytes(), NO_TIME);
    assert_eq!(volumes(&feed).baseline_ts, NO_TIME);
    feed.push(payload.replace(":5}", ":4}").as_bytes(), NO_TIME);
    assert_eq!(volumes(&feed).resets, 1);
}

#[test]
fn messagepack_counts_the_same() {
    let text = |text: &str| [&[0xa0 | text.len() as u8], text.as_bytes()].concat();
    let object = |fields: &[(&str, u16)]| {
        let mut bytes = vec![0x80 | fields.len() as u8];
        for (name, value) in fields {
            bytes.extend(text(name));
            bytes.push(0xcd);
            bytes.extend(value.to_be_bytes());
        }
        bytes
    };
    let message = |target: &str, fields: &[(&str, u16)]| {
        let body = [
            &[0x96, 1, 0x80, 0xc0][..],
            &text(target),
            &[0x92],
            &text(SYMBOLS[0]),
            &object(fields),
            &[0x90],
        ];
        let body = body.concat();
        [vec![body.len() as u8], body].concat()
    };
    let mut feed = feed_of(Protocol::MessagePack);
    feed.push(&message("GatewayQuote", &[("bestBid", 100), ("volume", 1000)]), BASE);
    feed.push(&message("GatewayTrade", &[("price", 100), ("volume", 300)]), BASE);
    feed.push(&message("GatewayQuote", &[("volume", 1300)]), BASE);
    let volumes = volumes(&feed);
    assert_eq!((volumes.published, volumes.traded_then, volumes.trades), (1300.0, 300.0, 1));
}

#[derive(Clone, Debug)]
enum Step {
    Trades(usize, Vec<u32>),
    Quote(usize),
    Bare(usize),
    Day,
    Reset,
}

proptest! {
    /// A hub whose totals are right: whatever comes in what order, cut anywhere, both counts agree.
    #[test]
    fn of_a_feed_that_loses_nothing_both_counts_agree(
        steps in prop::collection::vec(
            prop_oneof![
                6 => (0..2_usize, prop::collection::vec(0..9_u32, 0..4)).prop_map(|(at, sizes)| Step::Trades(at, sizes)),
                4 => (0..2_usize).prop_map(Step::Quote),
                2 => (0..2_usize).prop_map(Step::Bare),
                1 => Just(Step::Day),
                1 => Just(Step::Reset),
            ],
            0..60,
        ),
        cut in 1..200_usize,
    ) {
        let mut feed = feed();
        let mut totals = [1_000_u32, 2_000];
        // What the feed has heard since it began to count.
        let mut heard: [Option<(u32, u64)>; 2] = [None; 2];
        for (second, step) in steps.into_iter().enumerate() {
            let when = format!("2024-07-21T13:{:02}:{:02}Z", 45 + second / 60, second % 60);
            let payload = match step {
                Step::Trades(at, sizes) => {
                    totals[at] += sizes.iter().sum::<u32>();
                    if let Some((volume, trades)) = &mut heard[at] {
                        *volume += sizes.iter().sum::<u32>();
                        *trades += sizes.len() as u64;
                    }
                    let elements = sizes.iter().map(|size| format!(r#"{{"price":100,"volume":{size},"timestamp":"{when}"}}"#));
                    record("GatewayTrade", SYMBOLS[at], &format!("[{}]", elements.collect::<Vec<_>>().join(",")))
                }
                Step::Quote(at) => {
                    // The first total of a day is below all of the day before.
                    let previous = feed.volumes().find(|(id, _)| id.0 as usize == at);
                    if heard[at].is_none() || previous.is_some_and(|(_, volumes)| volumes.published > f64::from(totals[at])) {
                        heard[at] = Some((0, 0));
                    }
                    record("GatewayQuote", SYMBOLS[at], &format!(r#"{{"bestBid":100,"volume":{},"timestamp":"{when}"}}"#, totals[at]))
                }
                Step::Bare(at) => record("GatewayQuote", SYMBOLS[at], &format!(r#"{{"bestBid":100,"timestamp":"{when}"}}"#)),
                Step::Day => {
                    totals = [0, 0];
                    // Trades before the new day's first total are not counted in it, and the feed goes on
                    // counting them for the old one.
                    continue;
                }
                Step::Reset => {
                    feed.reset();
                    heard = [None; 2];
                    continue;
                }
            };
            for part in payload.as_bytes().chunks(cut) {
                feed.push(part, NO_TIME);
            }
        }
        for (id, volumes) in feed.volumes() {
            let (volume, trades) = heard[id.0 as usize].unwrap();
            prop_assert_eq!((volumes.traded, volumes.trades), (f64::from(volume), trades));
        }
    }

    /// Without another day in between, what was published since is what was delivered until then.
    #[test]
    fn what_is_published_is_what_was_delivered(
        steps in prop::collection::vec((prop::collection::vec(0..9_u32, 0..4), any::<bool>()), 1..40),
    ) {
        let mut feed = feed();
        let mut total = 500_u32;
        quote(&mut feed, 0, "500");
        for (sizes, is_quoted) in steps {
            let texts: Vec<String> = sizes.iter().map(u32::to_string).collect();
            trade(&mut feed, &texts.iter().map(String::as_str).collect::<Vec<_>>());
            total += sizes.iter().sum::<u32>();
            if is_quoted {
                quote(&mut feed, 1, &total.to_string());
            }
            let volumes = volumes(&feed);
            prop_assert_eq!(volumes.published - volumes.baseline, volumes.traded_then);
            prop_assert!(volumes.traded_then <= volumes.traded);
        }
    }
}
