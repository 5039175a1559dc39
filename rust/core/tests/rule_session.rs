//! The rule of the trading hours, and the price band after a break: by example, and random trades
//! against both written down naively.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use tickwire_core::reason::Reason;
use tickwire_core::record::{Depth, DepthKind, NO_TIME, Quote, Side, Trade};
use tickwire_core::sessions::Sessions;
use tickwire_core::validate::{Action, Flags, Rules, Validator};

const SECOND: i64 = 1_000_000_000;
const T0: i64 = 1_700_000_000 * SECOND;
/// Two days: a morning and an afternoon that touch, and after a break a night.
const SPANS: [(i64, i64); 4] = [(0, 40), (40, 100), (130, 170), (1_000, 1_100)];

fn trade(second: i64, price: f64) -> Trade {
    let ts_event = T0 + second * SECOND;
    Trade { ts_event, ts_recv: NO_TIME, price, size: 1.0, side: Side::None }
}

fn hours() -> Option<Arc<Sessions>> {
    let column = |of: fn(&(i64, i64)) -> i64| -> Vec<i64> {
        SPANS.iter().map(|span| T0 + of(span) * SECOND).collect()
    };
    let table = Sessions::new(&column(|span| span.0), &column(|span| span.1), &[0, 0, 1, 1]);
    Some(Arc::new(table.unwrap()))
}

/// Nothing is checked but hours and band, which no silence makes worthless.
fn rules(session: Action, band: Action) -> Rules {
    let off = Action::Off;
    let base = Rules { grid: off, size: off, skew: off, crossed: off, ..Rules::default() };
    Rules { session, band, band_age_ns: i64::MAX, ..base }
}

fn validator(session: Action, band: Action) -> Validator {
    Validator::new(rules(session, band), 0.25).with_hours(hours())
}

fn flagged(result: Result<Flags, Reason>) -> Result<Vec<Reason>, Reason> {
    result.map(|flags| flags.iter().collect())
}

fn outcome(action: Action) -> Result<Vec<Reason>, Reason> {
    match action {
        Action::Reject => Err(Reason::Session),
        Action::Flag => Ok(vec![Reason::Session]),
        Action::Off => Ok(vec![]),
    }
}

#[test]
fn ticks_outside_are_rejected_flagged_or_let_through() {
    for action in [Action::Reject, Action::Flag, Action::Off] {
        let mut validator = validator(action, Action::Off);
        for (second, inside) in [
            (-1, false),
            (0, true),
            (99, true),
            (100, false),
            (129, false),
            (130, true),
            (50, true),
            (1_099, true),
            (1_100, false),
            (-500, false),
        ] {
            let expected = if inside { Ok(vec![]) } else { outcome(action) };
            let Trade { ts_event, .. } = trade(second, 100.0);
            let checked = validator.trade(&trade(second, 100.0), NO_TIME);
            assert_eq!(flagged(checked), expected, "trade at {second}");
            let (ts_recv, nan) = (NO_TIME, f64::NAN);
            let quote = Quote {
                ts_event,
                ts_recv,
                bid: 99.0,
                ask: 100.0,
                bid_size: nan,
                ask_size: nan,
                last: nan,
            };
            let checked = validator.quote(&quote, NO_TIME);
            assert_eq!(flagged(checked), expected, "quote at {second}");
            let kind = DepthKind::Bid;
            let depth = Depth { ts_event, ts_recv, price: 100.0, size: 1.0, kind };
            assert_eq!(flagged(validator.depth(&depth)), expected, "depth at {second}");
        }
    }
}

#[test]
fn without_hours_nothing_is_outside() {
    let mut validator = Validator::new(rules(Action::Reject, Action::Off), 0.25);
    for second in [-500, 110, 5_000] {
        assert_eq!(flagged(validator.trade(&trade(second, 100.0), NO_TIME)), Ok(vec![]));
    }
}

#[test]
fn the_band_is_put_anew_after_a_break_and_not_before() {
    // At a time, a price of some hundreds, whether it is believed.
    let steps = [
        (10, 100.0, true),
        (30, 300.0, false),
        // Hours that touch are no break.
        (40, 300.0, false),
        (60, 101.0, true),
        // Outside it is no other market yet.
        (110, 300.0, false),
        (130, 300.0, true),
        (131, 101.0, false),
        (132, 301.0, true),
        // Back in the hours before, and forward again: the break is over.
        (90, 302.0, true),
        (133, 900.0, false),
        (1_050, 900.0, true),
    ];
    let mut validator = validator(Action::Off, Action::Reject);
    for (second, price, believed) in steps {
        let checked = validator.trade(&trade(second, price), NO_TIME);
        assert_eq!(checked.is_ok(), believed, "{price} at {second}");
    }
}

#[test]
fn hours_survive_other_rules() {
    let mut validator = validator(Action::Off, Action::Reject);
    assert!(validator.trade(&trade(10, 100.0), NO_TIME).is_ok());
    validator.set_rules(rules(Action::Reject, Action::Reject));
    assert_eq!(validator.trade(&trade(110, 100.0), NO_TIME), Err(Reason::Session));
    assert_eq!(validator.trade(&trade(20, 300.0), NO_TIME), Err(Reason::Band));
    assert!(validator.trade(&trade(130, 300.0), NO_TIME).is_ok());
}

/// Whether a break of trading lies between two seconds, of which the second one is inside.
fn breaks(from: i64, to: i64) -> bool {
    (from..to).any(|second| !SPANS.iter().any(|span| (span.0..span.1).contains(&second)))
}

proptest! {
    #[test]
    fn the_same_as_written_down(
        trades in prop::collection::vec((-20_i64..1_200, 0_usize..4), 1..60),
        session in prop::sample::select(vec![Action::Reject, Action::Flag, Action::Off]),
        agree in 2_u32..5,
    ) {
        let rules = Rules { band_agree: agree, ..rules(session, Action::Reject) };
        let mut validator = Validator::new(rules, 0.25).with_hours(hours());
        // The price that the band is around, the newest second believed, the hours of the last trade
        // that lay in any, and how many prices in doubt have agreed with each other.
        let mut anchor: Option<f64> = None;
        let mut newest = i64::MIN;
        let mut entered: Option<(i64, i64)> = None;
        let (mut candidate, mut agreed) = (f64::NAN, 0);
        for (second, price) in trades {
            let price = [100.0, 105.0, 300.0, 900.0][price];
            let span = SPANS.into_iter().find(|span| (span.0..span.1).contains(&second));
            let expected = if span.is_none() && session == Action::Reject {
                Err(Reason::Session)
            } else {
                if span.is_some() && span != entered {
                    if anchor.is_some() && breaks(newest, second) {
                        anchor = None;
                    }
                    entered = span;
                }
                let near = |other: f64| (price - other).abs() <= (other * 0.1).max(50.0);
                let mut believed = anchor.is_none_or(near);
                if !believed {
                    agreed = if near(candidate) { agreed + 1 } else { 1 };
                    candidate = price;
                    believed = agreed >= agree;
                }
                if believed {
                    (anchor, newest, agreed) = (Some(price), newest.max(second), 0);
                    Ok(if span.is_none() && session == Action::Flag { vec![Reason::Session] } else { vec![] })
                } else {
                    Err(Reason::Band)
                }
            };
            prop_assert_eq!(flagged(validator.trade(&trade(second, price), NO_TIME)), expected);
        }
    }
}
