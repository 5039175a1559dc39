//! Which ticks are believed: every rule by example, and random trades against the rules written down
//! one after another.

mod clock_support;

use clock_support::NaiveClock;
use proptest::prelude::*;
use tickwire_core::reason::Reason;
use tickwire_core::record::{Depth, DepthKind, NO_TIME, Quote, Side, Trade};
use tickwire_core::validate::{Action, Rules, Validator};

const SECOND: i64 = 1_000_000_000;
const T0: i64 = 1_700_000_000 * SECOND;

fn trade(price: f64) -> Trade {
    Trade { ts_event: T0, ts_recv: NO_TIME, price, size: 1.0, side: Side::None }
}

fn quote(bid: f64, ask: f64) -> Quote {
    let nan = f64::NAN;
    Quote { ts_event: T0, ts_recv: NO_TIME, bid, ask, bid_size: nan, ask_size: nan, last: nan }
}

fn validator(rules: Rules) -> Validator {
    Validator::new(rules, 0.25)
}

/// Everything off that can be.
fn lax() -> Rules {
    let off = Action::Off;
    Rules { grid: off, band: off, size: off, skew: off, crossed: off, ..Rules::default() }
}

fn flagged(result: Result<tickwire_core::validate::Flags, Reason>) -> Result<Vec<Reason>, Reason> {
    result.map(|flags| flags.iter().collect())
}

#[test]
fn a_good_trade_passes() {
    let checked = validator(Rules::default()).trade(&trade(100.25), NO_TIME);
    assert_eq!(flagged(checked), Ok(vec![]));
    assert_eq!(checked.map(|flags| flags.is_empty()), Ok(true));
}

#[test]
fn what_is_no_price_is_refused_whatever_the_rules() {
    for (price, reason) in [
        (f64::NAN, Reason::NotFinite),
        (f64::INFINITY, Reason::NotFinite),
        (f64::NEG_INFINITY, Reason::NotFinite),
        (0.0, Reason::NotPositive),
        (-0.0, Reason::NotPositive),
        (-1.0, Reason::NotPositive),
    ] {
        assert_eq!(validator(lax()).trade(&trade(price), NO_TIME), Err(reason), "{price}");
    }
    assert_eq!(flagged(validator(lax()).trade(&trade(5e-324), NO_TIME)), Ok(vec![]));
}

#[test]
fn negative_prices_are_legal_where_the_instrument_says_so() {
    let mut validator = validator(Rules { allow_negative: true, ..Rules::default() });
    for price in [-37.5, 0.0, 12.25] {
        assert_eq!(flagged(validator.trade(&trade(price), NO_TIME)), Ok(vec![]), "{price}");
    }
    assert_eq!(validator.trade(&trade(f64::NEG_INFINITY), NO_TIME), Err(Reason::NotFinite));
}

#[test]
fn sizes() {
    let sized = |action, size| {
        let rules = Rules { size: action, ..Rules::default() };
        flagged(validator(rules).trade(&Trade { size, ..trade(100.0) }, NO_TIME))
    };
    assert_eq!(sized(Action::Reject, 0.0), Ok(vec![]), "zero-size prints are real");
    assert_eq!(sized(Action::Reject, -1.0), Err(Reason::Size));
    assert_eq!(sized(Action::Flag, -1.0), Ok(vec![Reason::Size]));
    assert_eq!(sized(Action::Off, -1.0), Ok(vec![]));
    for action in [Action::Reject, Action::Flag, Action::Off] {
        for size in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(sized(action, size), Err(Reason::Size), "it would poison every sum");
        }
    }
}

#[test]
fn prices_on_the_grid_pass_and_others_do_not() {
    let on = |tick_size: f64, price: f64| {
        let rules = Rules { grid: Action::Reject, band: Action::Off, ..Rules::default() };
        Validator::new(rules, tick_size).trade(&trade(price), NO_TIME).is_ok()
    };
    for (tick_size, steps) in [
        (0.25, 4.0),
        (0.01, 100.0),
        (0.05, 20.0),
        (0.1, 10.0),
        (0.001, 1_000.0),
        (0.000_05, 20_000.0),
        (1e-8, 1e8),
        (0.03125, 32.0),
        (0.007_812_5, 128.0),
        (1.0, 1.0),
        (5.0, 0.2),
        (25.0, 0.04),
        (0.3, 1.0 / 0.3),
    ] {
        for count in [1_u32, 3, 7, 99, 1_001, 123_457] {
            let exact = f64::from(count) / steps;
            for price in [exact, exact.next_up(), exact.next_down(), f64::from(count) * tick_size] {
                assert!(on(tick_size, price), "{price} is {count} times {tick_size}");
            }
            for off in [0.5, 0.1, 0.01, -0.01] {
                let price = (f64::from(count) + off) / steps;
                assert!(!on(tick_size, price), "{price} is no multiple of {tick_size}");
            }
        }
    }
    assert!(on(0.25, 1e15) && on(0.25, 4e15), "where every number is on the grid");
}

#[test]
fn a_tick_size_that_is_no_decimal_and_no_binary_fraction_has_no_grid() {
    for tick_size in
        [1.0 / 3.0, 1.0 / 7.0, std::f64::consts::PI, f64::NAN, 0.0, -0.25, f64::INFINITY]
    {
        let rules = Rules { grid: Action::Reject, band: Action::Off, ..Rules::default() };
        let mut validator = Validator::new(rules, tick_size);
        for price in [100.0, 100.0 / 3.0, 0.123_456_7] {
            assert!(validator.trade(&trade(price), NO_TIME).is_ok(), "{price} with {tick_size}");
        }
    }
}

#[test]
fn off_the_grid_is_flagged_by_default() {
    let mut validator = validator(Rules::default());
    assert_eq!(flagged(validator.trade(&trade(100.1), NO_TIME)), Ok(vec![Reason::Grid]));
}

#[test]
fn times() {
    let at = |rules: &Rules, ts_event, ts_recv, closed_until| {
        let trade = Trade { ts_event, ts_recv, ..trade(100.0) };
        flagged(validator(rules.clone()).trade(&trade, closed_until))
    };
    let rules = Rules::default();
    assert_eq!(at(&rules, NO_TIME, T0, NO_TIME), Err(Reason::NoTime));
    assert_eq!(at(&rules, T0, T0 - 5 * SECOND, NO_TIME), Ok(vec![]), "as far ahead as allowed");
    assert_eq!(at(&rules, T0, T0 - 5 * SECOND - 1, NO_TIME), Err(Reason::Skew));
    let flag = Rules { skew: Action::Flag, ..Rules::default() };
    assert_eq!(at(&flag, T0, T0 - 6 * SECOND, NO_TIME), Ok(vec![Reason::Skew]));
    assert_eq!(at(&rules, T0, NO_TIME + 1, NO_TIME), Err(Reason::Skew), "no overflow");
    assert_eq!(at(&rules, T0, T0, T0), Ok(vec![]));
    assert_eq!(at(&rules, T0, T0, T0 + 1), Err(Reason::Late));
    assert_eq!(at(&lax(), T0, NO_TIME, T0 + 1), Err(Reason::Late), "no rule lets a late tick in");
}

#[test]
fn a_price_off_the_band_is_refused_until_others_agree() {
    let mut validator = validator(Rules::default());
    let mut check = |price| flagged(validator.trade(&trade(price), NO_TIME));
    assert_eq!(check(100.0), Ok(vec![]), "the first is believed");
    assert_eq!(check(149.75), Ok(vec![]), "the least band is 200 ticks");
    assert_eq!(check(300.0), Err(Reason::Band));
    assert_eq!(check(301.0), Err(Reason::Band));
    assert_eq!(check(150.0), Ok(vec![]), "the band stands");
    assert_eq!(check(300.0), Err(Reason::Band), "and counting begins anew");
    assert_eq!(check(500.0), Err(Reason::Band), "no agreement");
    assert_eq!(check(501.0), Err(Reason::Band));
    assert_eq!(check(502.0), Ok(vec![]), "the third that agrees moves the band");
    assert_eq!(check(500.0), Ok(vec![]));
    assert_eq!(check(150.0), Err(Reason::Band));
}

#[test]
fn an_old_band_is_not_held_against_a_price() {
    let mut validator = validator(Rules::default());
    let mut check = |seconds, price| {
        let trade = Trade { ts_event: T0 + seconds * SECOND, ..trade(price) };
        flagged(validator.trade(&trade, NO_TIME))
    };
    assert_eq!(check(0, 100.0), Ok(vec![]));
    assert_eq!(check(60, 300.0), Err(Reason::Band));
    assert_eq!(check(61, 300.0), Ok(vec![]), "after a session break");
    assert_eq!(check(62, 100.0), Err(Reason::Band));
}

#[test]
fn flagged_off_band_prices_do_not_move_the_band() {
    let mut validator = validator(Rules { band: Action::Flag, ..Rules::default() });
    let mut check = |price| flagged(validator.trade(&trade(price), NO_TIME));
    assert_eq!(check(100.0), Ok(vec![]));
    assert_eq!(check(300.0), Ok(vec![Reason::Band]));
    assert_eq!(check(100.0), Ok(vec![]));
}

#[test]
fn ticks_that_break_another_rule_do_not_move_the_band() {
    let rules = Rules { grid: Action::Reject, ..Rules::default() };
    let mut validator = Validator::new(rules, 0.25);
    assert!(validator.trade(&trade(100.0), NO_TIME).is_ok());
    for _ in 0..5 {
        assert_eq!(validator.trade(&trade(300.1), NO_TIME), Err(Reason::Grid));
        assert_eq!(validator.trade(&trade(300.0), T0 + 1), Err(Reason::Late));
    }
    assert_eq!(validator.trade(&trade(300.0), NO_TIME), Err(Reason::Band));
}

#[test]
fn the_band_works_around_zero() {
    let rules = Rules { allow_negative: true, band_ticks: 4.0, ..Rules::default() };
    let mut validator = Validator::new(rules, 0.25);
    let mut check = |price| flagged(validator.trade(&trade(price), NO_TIME));
    assert_eq!(check(0.25), Ok(vec![]));
    assert_eq!(check(-0.75), Ok(vec![]), "four ticks, though ten percent is next to nothing");
    assert_eq!(check(-20.0), Err(Reason::Band));
    assert_eq!(check(-20.5), Err(Reason::Band));
    assert_eq!(check(-21.0), Ok(vec![]));
}

#[test]
fn quotes_may_lack_anything_but_a_price() {
    let nan = f64::NAN;
    let mut validator = validator(Rules::default());
    let mut check = |quote: Quote| flagged(validator.quote(&quote, NO_TIME));
    assert_eq!(check(quote(100.0, 100.25)), Ok(vec![]));
    assert_eq!(check(quote(100.0, nan)), Ok(vec![]));
    assert_eq!(check(quote(nan, 100.25)), Ok(vec![]));
    assert_eq!(check(Quote { last: 100.0, ..quote(nan, nan) }), Ok(vec![]));
    assert_eq!(check(quote(nan, nan)), Err(Reason::NotFinite));
    assert_eq!(check(Quote { bid_size: 3.0, ask_size: 0.0, ..quote(100.0, 100.25) }), Ok(vec![]));
}

#[test]
fn every_field_of_a_quote_is_checked() {
    let good = quote(100.0, 100.25);
    let check = |quote: Quote| flagged(validator(Rules::default()).quote(&quote, T0));
    assert_eq!(check(Quote { ts_event: NO_TIME, ..good }), Err(Reason::NoTime));
    assert_eq!(check(Quote { ts_event: T0 - 1, ..good }), Err(Reason::Late));
    assert_eq!(check(Quote { ts_recv: T0 - 6 * SECOND, ..good }), Err(Reason::Skew));
    for bad in [f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(check(Quote { bid: bad, ..good }), Err(Reason::NotFinite));
        assert_eq!(check(Quote { ask: bad, ..good }), Err(Reason::NotFinite));
        assert_eq!(check(Quote { last: bad, ..good }), Err(Reason::NotFinite));
        assert_eq!(check(Quote { bid_size: bad, ..good }), Err(Reason::Size));
        assert_eq!(check(Quote { ask_size: bad, ..good }), Err(Reason::Size));
    }
    assert_eq!(check(Quote { bid: 0.0, ..good }), Err(Reason::NotPositive));
    assert_eq!(check(Quote { ask_size: -1.0, ..good }), Err(Reason::Size));
    assert_eq!(check(Quote { last: 100.1, ..good }), Ok(vec![Reason::Grid]));
    assert_eq!(check(quote(100.25, 100.0)), Ok(vec![Reason::Crossed]));
    assert_eq!(check(quote(100.0, 100.0)), Ok(vec![]), "locked is not crossed");
}

#[test]
fn quotes_are_judged_by_their_middle_or_what_side_there_is() {
    let mut validator = validator(Rules { band_ticks: 1.0, ..Rules::default() });
    let mut check = |quote: Quote| flagged(validator.quote(&quote, NO_TIME));
    assert_eq!(check(quote(100.0, 100.0)), Ok(vec![]));
    assert_eq!(check(quote(85.0, 115.0)), Ok(vec![]), "wide, but around the same price");
    assert_eq!(check(quote(f64::NAN, 115.0)), Err(Reason::Band));
    assert_eq!(check(quote(85.0, f64::NAN)), Err(Reason::Band));
}

#[test]
fn the_largest_prices_do_not_overflow() {
    let rules = Rules { allow_negative: true, grid: Action::Off, ..Rules::default() };
    let mut validator = Validator::new(rules, 0.25);
    assert_eq!(flagged(validator.quote(&quote(f64::MAX, f64::MAX), NO_TIME)), Ok(vec![]));
    assert_eq!(flagged(validator.quote(&quote(f64::MAX, f64::MAX), NO_TIME)), Ok(vec![]));
    assert_eq!(validator.trade(&trade(f64::INFINITY), NO_TIME), Err(Reason::NotFinite));
}

#[test]
fn depth_deltas_have_no_band() {
    let depth = |price, size, kind| Depth { ts_event: T0, ts_recv: NO_TIME, price, size, kind };
    let mut validator = validator(Rules::default());
    assert!(validator.quote(&quote(100.0, 100.25), NO_TIME).is_ok());
    let mut check = |depth: Depth| flagged(validator.depth(&depth));
    let bid = depth(100.0, 3.0, DepthKind::Bid);
    assert_eq!(check(depth(9_000.0, 1.0, DepthKind::Ask)), Ok(vec![]));
    assert_eq!(check(depth(f64::NAN, f64::NAN, DepthKind::Reset)), Ok(vec![]));
    assert_eq!(check(depth(100.1, 1.0, DepthKind::Bid)), Ok(vec![Reason::Grid]));
    assert_eq!(check(depth(f64::NAN, 1.0, DepthKind::Bid)), Err(Reason::NotFinite));
    assert_eq!(check(depth(100.0, -1.0, DepthKind::Bid)), Err(Reason::Size));
    assert_eq!(check(Depth { ts_event: NO_TIME, ..bid }), Err(Reason::NoTime));
    assert_eq!(check(Depth { ts_recv: T0 - 6 * SECOND, ..bid }), Err(Reason::Skew));
}

/// The rules for trades, one after another, with exact arithmetic for the grid.
struct Model {
    rules: Rules,
    band: Option<(f64, i64)>,
    candidate: f64,
    agreed: u32,
    clock: NaiveClock,
}

impl Model {
    fn trade(&mut self, trade: &Trade, closed_until: i64) -> Result<Vec<Reason>, Reason> {
        self.clock.arrive(trade.ts_event, trade.ts_recv);
        // Where the clock of arrivals is behind, ticks come before they happen.
        let behind_ns = -self.clock.offset().min(0);
        let mut flags = Vec::new();
        let mut broken = |action, reason| match action {
            Action::Reject => Err(reason),
            Action::Flag => {
                flags.push(reason);
                Ok(())
            }
            Action::Off => Ok(()),
        };
        if trade.ts_event == NO_TIME {
            return Err(Reason::NoTime);
        }
        if !trade.price.is_finite() {
            return Err(Reason::NotFinite);
        }
        if trade.price <= 0.0 && !self.rules.allow_negative {
            return Err(Reason::NotPositive);
        }
        if !trade.size.is_finite() {
            return Err(Reason::Size);
        }
        if trade.size < 0.0 {
            broken(self.rules.size, Reason::Size)?;
        }
        if trade.price * 4.0 != (trade.price * 4.0).trunc() {
            broken(self.rules.grid, Reason::Grid)?;
        }
        let ahead = i128::from(trade.ts_event) - i128::from(trade.ts_recv);
        if trade.ts_recv != NO_TIME && ahead > i128::from(self.rules.skew_ns + behind_ns) {
            broken(self.rules.skew, Reason::Skew)?;
        }
        if trade.ts_event < closed_until {
            return Err(Reason::Late);
        }
        let width =
            |price: f64| (self.rules.band_width * price.abs()).max(self.rules.band_ticks * 0.25);
        let mut at = trade.ts_event;
        if let Some((price, ts)) = self.band {
            at = at.max(ts);
            if trade.price < price - width(price) || trade.price > price + width(price) {
                let agrees = (trade.price - self.candidate).abs() <= width(self.candidate);
                self.agreed = if agrees { self.agreed + 1 } else { 1 };
                self.candidate = trade.price;
                let stale = trade.ts_event - ts > self.rules.band_age_ns;
                if !stale && self.agreed < self.rules.band_agree {
                    return broken(self.rules.band, Reason::Band).map(|()| flags);
                }
            }
        }
        self.agreed = 0;
        if self.rules.band != Action::Off {
            self.band = Some((trade.price, at));
        }
        Ok(flags)
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![Action::Reject, Action::Flag, Action::Off])
}

fn trades() -> impl Strategy<Value = Vec<(Trade, i64)>> {
    let price = prop_oneof![
        10 => (380_i32..420).prop_map(|quarters| f64::from(quarters) * 0.25),
        3 => (-100_i32..2_000).prop_map(|quarters| f64::from(quarters) * 0.25),
        1 => (900_i32..1_200).prop_map(|eighths| f64::from(eighths) * 0.125),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1e200]),
    ];
    let size = prop_oneof![
        10 => (0_u32..10).prop_map(f64::from),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -1.0, -0.0]),
    ];
    let time =
        prop_oneof![10 => T0..T0 + 20 * SECOND, 1 => T0..T0 + 300 * SECOND, 1 => Just(NO_TIME)];
    let recv = prop_oneof![3 => Just(NO_TIME), 1 => T0 - 5 * SECOND..T0 + 40 * SECOND];
    let until = prop_oneof![3 => Just(NO_TIME), 1 => T0..T0 + 10 * SECOND];
    let trade =
        (price, size, time, recv, until).prop_map(|(price, size, ts_event, ts_recv, until)| {
            (Trade { ts_event, ts_recv, price, size, side: Side::Buy }, until)
        });
    prop::collection::vec(trade, 1..60)
}

proptest! {
    #[test]
    fn same_as_the_rules_one_after_another(
        (grid, band, size, skew) in (action(), action(), action(), action()),
        allow_negative: bool,
        band_ticks in 1_u8..50,
        trades in trades(),
    ) {
        let band_ticks = f64::from(band_ticks);
        let rules = Rules { grid, band, size, skew, allow_negative, band_ticks, ..Rules::default() };
        let mut validator = validator(rules.clone());
        let mut model = Model { rules, band: None, candidate: f64::NAN, agreed: 0, clock: NaiveClock::default() };
        for (trade, until) in trades {
            let expected = model.trade(&trade, until);
            prop_assert_eq!(flagged(validator.trade(&trade, until)), expected, "{:?}", trade);
        }
    }
}
