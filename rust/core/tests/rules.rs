//! The rules that have more than one tick in view, or a limit of their own: each by example, that no
//! stream of prices or times locks an instrument out, and that rules can be changed at any moment.

#![allow(clippy::unwrap_used)]

mod engine_support;

use engine_support::{ID, SECOND};
use proptest::prelude::*;
use tickwire_core::Spec;
use tickwire_core::engine::Engine;
use tickwire_core::judged::{Fate, KEPT};
use tickwire_core::reason::Reason;
use tickwire_core::record::{NO_TIME, Quote, Side, Tick, Trade};
use tickwire_core::validate::{Action, Flags, Judge, Rules, Validator};

const T0: i64 = 1_700_000_000 * SECOND;

fn trade(price: f64) -> Trade {
    Trade { ts_event: T0, ts_recv: NO_TIME, price, size: 1.0, side: Side::None }
}

fn quote(bid: f64, ask: f64) -> Quote {
    let nan = f64::NAN;
    Quote { ts_event: T0, ts_recv: NO_TIME, bid, ask, bid_size: nan, ask_size: nan, last: nan }
}

fn flagged(result: Result<Flags, Reason>) -> Result<Vec<Reason>, Reason> {
    result.map(|flags| flags.iter().collect())
}

/// Nothing checked but what the test turns on.
fn quiet() -> Rules {
    let off = Action::Off;
    Rules { grid: off, band: off, size: off, skew: off, crossed: off, ..Rules::default() }
}

fn outcome(action: Action, reason: Reason) -> Result<Vec<Reason>, Reason> {
    match action {
        Action::Reject => Err(reason),
        Action::Flag => Ok(vec![reason]),
        Action::Off => Ok(vec![]),
    }
}

#[test]
fn every_rule_rejects_flags_or_is_off() {
    for action in [Action::Reject, Action::Flag, Action::Off] {
        let limits = Rules { limits: action, price_low: 50.0, price_high: 150.0, ..quiet() };
        let mut validator = Validator::new(limits, 0.25);
        for (price, inside) in [(50.0, true), (150.0, true), (49.75, false), (150.25, false)] {
            let expected = if inside { Ok(vec![]) } else { outcome(action, Reason::Limits) };
            assert_eq!(flagged(validator.trade(&trade(price), NO_TIME)), expected, "{price}");
        }
        let checked = flagged(validator.quote(&quote(49.0, 100.0), NO_TIME));
        assert_eq!(checked, outcome(action, Reason::Limits));

        let mut validator = Validator::new(Rules { zero_size: action, ..quiet() }, 0.25);
        for (size, expected) in [(0.0, outcome(action, Reason::ZeroSize)), (1e-300, Ok(vec![]))] {
            let checked = validator.trade(&Trade { size, ..trade(100.0) }, NO_TIME);
            assert_eq!(flagged(checked), expected);
        }

        let stale = Rules { stale: action, stale_ns: SECOND, stale_quote_ns: 0, ..quiet() };
        let mut validator = Validator::new(stale, 0.25);
        for (ts_recv, old) in [(T0 + SECOND, false), (T0 + SECOND + 1, true), (NO_TIME, false)] {
            let expected = if old { outcome(action, Reason::Stale) } else { Ok(vec![]) };
            let checked = validator.trade(&Trade { ts_recv, ..trade(100.0) }, NO_TIME);
            assert_eq!(flagged(checked), expected);
        }
        let checked = validator.quote(&Quote { ts_recv: T0 + 1, ..quote(99.0, 100.0) }, NO_TIME);
        assert_eq!(flagged(checked), outcome(action, Reason::Stale), "a limit of their own");

        let sides = Rules { locked: action, one_sided: action, ..quiet() };
        let mut validator = Validator::new(sides, 0.25);
        for (bid, ask, expected) in [
            (99.75, 100.0, Ok(vec![])),
            (100.0, 100.0, outcome(action, Reason::Locked)),
            (f64::NAN, 100.0, outcome(action, Reason::OneSided)),
            (100.0, f64::NAN, outcome(action, Reason::OneSided)),
        ] {
            assert_eq!(flagged(validator.quote(&quote(bid, ask), NO_TIME)), expected);
        }

        let mut validator = Validator::new(Rules { duplicate: action, ..quiet() }, 0.25);
        let first = Trade { side: Side::Buy, ..trade(100.0) };
        for (trade, expected) in [
            (first, Ok(vec![])),
            (Trade { ts_recv: T0 + 1, ..first }, outcome(action, Reason::Duplicate)),
            (first, outcome(action, Reason::Duplicate)),
            (Trade { side: Side::Sell, ..first }, Ok(vec![])),
            (Trade { size: 2.0, ..first }, Ok(vec![])),
            (first, Ok(vec![])),
            (Trade { ts_event: T0 + 1, ..first }, Ok(vec![])),
        ] {
            assert_eq!(flagged(validator.trade(&trade, NO_TIME)), expected, "{trade:?}");
        }

        let back = Rules { backwards: action, backwards_ns: SECOND, ..quiet() };
        let mut validator = Validator::new(back, 0.25);
        for (seconds, behind) in [(10, false), (9, false), (8, true), (10, false), (8, true)] {
            let expected = if behind { outcome(action, Reason::Backwards) } else { Ok(vec![]) };
            let tick = Trade { ts_event: T0 + seconds * SECOND, ..trade(100.0) };
            assert_eq!(flagged(validator.trade(&tick, NO_TIME)), expected, "{seconds} s");
        }

        let outsize = Rules { outsize: action, outsize_times: 100.0, ..quiet() };
        let mut validator = Validator::new(outsize, 0.25);
        let mut sized = |size| flagged(validator.trade(&Trade { size, ..trade(100.0) }, NO_TIME));
        assert_eq!(sized(1e6), Ok(vec![]), "nothing is usual yet");
        for _ in 0..40 {
            assert_eq!(sized(2.0), Ok(vec![]));
        }
        assert_eq!(sized(200.0), Ok(vec![]));
        assert_eq!(sized(210.0), outcome(action, Reason::Outsize));
        assert_eq!(sized(0.0), Ok(vec![]));
    }
}

/// Thirty-one moves of a tick, so that it is known what is usual; ends at 100.
fn settled(rules: Rules) -> Judge {
    let mut judge = Judge::new(&rules, 0.25, false);
    for row in 0..40 {
        let (verdict, spike) = judge.trade(&trade(100.0 + 0.25 * f64::from(row % 2)));
        assert!(verdict.rejected.is_none() && spike.is_empty());
    }
    assert!(judge.trade(&trade(100.0)).1.is_empty());
    judge
}

/// How long a spike each price shows its predecessors to have been.
fn spikes(rules: Rules, prices: &[f64]) -> Vec<usize> {
    let mut judge = settled(rules);
    prices.iter().map(|&price| judge.trade(&trade(price)).1.len()).collect()
}

#[test]
fn a_spike_is_named_when_the_price_is_back() {
    let rules = Rules { spike: Action::Flag, spike_moves: 20.0, spike_ticks: 2, ..quiet() };
    assert_eq!(spikes(rules.clone(), &[110.0, 100.25, 100.0]), [0, 1, 0]);
    assert_eq!(spikes(rules.clone(), &[90.0, 89.0, 99.0]), [0, 0, 2], "down as well as up");
    assert_eq!(
        spikes(rules.clone(), &[110.0, 109.0, 109.5, 100.0]),
        [0; 4],
        "the market has moved"
    );
    assert_eq!(spikes(rules.clone(), &[105.0, 100.0]), [0; 2], "twenty moves are none too many");
    assert_eq!(spikes(rules.clone(), &[105.25, 102.75, 102.5]), [0, 0, 2], "more than half of it");
    assert_eq!(spikes(Rules { spike: Action::Off, ..rules }, &[110.0, 100.0]), [0; 2]);
}

#[test]
fn spikes_are_counted_and_kept_with_their_ticks() {
    let rules = Rules { spike: Action::Flag, ..quiet() };
    let engine = engine(rules);
    let mut session = engine.session();
    let mut push = |price, second| {
        let tick = Trade { ts_event: T0 + second * SECOND, ..trade(price) };
        assert!(session.push_trade(ID, &tick).is_ok());
        Tick::Trade(tick)
    };
    for second in 0..40 {
        push(100.0 + 0.25 * f64::from(second as i32 % 2), second);
    }
    let odd = push(130.0, 40);
    push(100.0, 41);
    drop(session);
    let kept = engine.judged(ID, Fate::Flagged, usize::MAX);
    assert_eq!(kept.iter().map(|judged| judged.tick).collect::<Vec<_>>(), [odd]);
    assert_eq!(kept[0].reason, Reason::Spike);
    let counters = engine.counters();
    assert_eq!((counters.accepted, counters.flagged[Reason::Spike as usize]), (42, 1));
}

fn engine(rules: Rules) -> Engine {
    let spec = Spec { rules, ..engine_support::spec("ES") };
    Engine::new(vec![spec], &[])
}

#[test]
fn the_newest_rejected_ticks_are_kept_with_their_reason() {
    let engine = engine(Rules { grid: Action::Reject, ..quiet() });
    assert!(engine.judged(ID, Fate::Rejected, 10).is_empty());
    let mut session = engine.session();
    for row in 0..1_000 {
        let price = 100.1 + f64::from(row);
        assert_eq!(session.push_trade(ID, &trade(price)), Err(Reason::Grid));
    }
    assert_eq!(session.push_quote(ID, &quote(f64::NAN, f64::NAN)), Err(Reason::NotFinite));
    drop(session);
    let kept = engine.judged(ID, Fate::Rejected, usize::MAX);
    assert_eq!(kept.len(), KEPT);
    let (last, before) = (&kept[KEPT - 1], &kept[KEPT - 2]);
    assert_eq!((last.reason, last.tick.kind()), (Reason::NotFinite, "quote"));
    assert_eq!((before.reason, before.tick), (Reason::Grid, Tick::Trade(trade(100.1 + 999.0))));
    let two = engine.judged(ID, Fate::Rejected, 2);
    assert_eq!(
        format!("{two:?}"),
        format!("{:?}", &kept[KEPT - 2..]),
        "NaN is not equal to itself"
    );
    assert!(engine.judged(ID, Fate::Flagged, 10).is_empty());
    assert!(engine.memory().rings > 0);
}

#[test]
fn what_was_learned_of_the_market_survives_other_rules() {
    let rules = Rules { band: Action::Reject, ..quiet() };
    let mut validator = Validator::new(rules.clone(), 0.25);
    let check = |validator: &mut Validator, price| validator.trade(&trade(price), NO_TIME);
    assert!(check(&mut validator, 1_000.0).is_ok());
    assert_eq!(check(&mut validator, 1_200.0), Err(Reason::Band));
    validator.set_rules(Rules { band_width: 0.3, ..rules.clone() });
    assert!(check(&mut validator, 1_200.0).is_ok(), "a wider band around the same price");
    validator.set_rules(Rules { band: Action::Off, ..rules.clone() });
    assert!(check(&mut validator, 5_000.0).is_ok());
    validator.set_rules(rules);
    assert!(check(&mut validator, 1_000.0).is_ok(), "it has seen no price since it is on again");
    assert_eq!(check(&mut validator, 5_000.0), Err(Reason::Band));

    let mut judge = settled(Rules { spike: Action::Flag, ..quiet() });
    assert!(judge.trade(&trade(130.0)).1.is_empty());
    judge.set_rules(&Rules { spike: Action::Flag, grid: Action::Flag, ..quiet() });
    assert_eq!(judge.trade(&trade(100.0)).1.len(), 1, "suspected before, found after");
}

#[test]
fn rules_change_between_two_ticks_of_an_engine() {
    let engine = engine(Rules { grid: Action::Reject, ..quiet() });
    let mut session = engine.session();
    assert_eq!(session.push_trade(ID, &trade(100.1)), Err(Reason::Grid));
    session.set_rules(ID, &quiet());
    assert_eq!(session.push_trade(ID, &trade(100.1)), Ok(()));
    session.set_rules(ID, &Rules { grid: Action::Flag, ..quiet() });
    assert_eq!(session.push_trade(ID, &trade(100.1)), Ok(()));
    drop(session);
    let counters = engine.counters();
    assert_eq!(counters.rejected[Reason::Grid as usize], 1);
    assert_eq!(counters.flagged[Reason::Grid as usize], 1);
}

proptest! {
    /// Whatever the prices and times were, as many ticks as `band_agree` that agree are enough.
    #[test]
    fn no_gap_locks_an_instrument_out(
        agree in 1_u32..5,
        quotes: bool,
        before in prop::collection::vec((-4_000..4_000_i32, -100..100_i64), 0..40),
        (price, step) in (-4_000..4_000_i32, -1..2_i32),
        back in 0..1_000_i64,
    ) {
        let rules = Rules {
            band: Action::Reject,
            backwards: Action::Reject,
            allow_negative: true,
            band_ticks: 4.0,
            band_agree: agree,
            band_age_ns: i64::MAX,
            ..quiet()
        };
        let mut validator = Validator::new(rules, 0.25);
        let mut check = |quarters: i32, ts_event| {
            let price = f64::from(quarters) * 0.25;
            if quotes {
                validator.quote(&Quote { ts_event, ..quote(price, price + 0.25) }, NO_TIME)
            } else {
                validator.trade(&Trade { ts_event, ..trade(price) }, NO_TIME)
            }
        };
        let mut ts = T0;
        for (quarters, seconds) in before {
            ts += seconds * SECOND;
            let _ = check(quarters, ts);
        }
        // First the time is believed, then the price: each takes so many ticks at most.
        ts -= back * SECOND;
        let outcomes: Vec<_> = (0..2 * agree as i32).map(|n| check(price + n * step, ts)).collect();
        prop_assert!(outcomes[2 * agree as usize - 1].is_ok(), "{:?}", outcomes);
    }
}
