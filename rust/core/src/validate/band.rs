//! The band around the last accepted price that the next one must lie in.
//!
//! It follows every accepted price, and re-anchors when the market has really moved: so many
//! successive off-band prices that agree with each other are believed, and so is any price after a
//! long enough silence, or after a break of trading. A gap therefore never locks an instrument out.

use super::flags::Flags;
use super::rules::{Action, Rules};
use crate::reason::Reason;
use crate::record::NO_TIME;

/// See the module documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    low: f64,
    high: f64,
    /// Event time of the last accepted price.
    ts: i64,
    candidate: f64,
    agreed: u32,
    action: Action,
    width: f64,
    floor: f64,
    agree: u32,
    age_ns: i64,
}

impl Band {
    /// A band that holds any price until it has seen the first.
    pub(super) fn new(rules: &Rules, tick_size: f64) -> Self {
        Self {
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            ts: NO_TIME,
            candidate: f64::NAN,
            agreed: 0,
            action: rules.band,
            width: rules.band_width,
            floor: rules.band_ticks * tick_size,
            agree: rules.band_agree,
            age_ns: rules.band_age_ns,
        }
    }

    /// Goes on around the price where another one was, under these rules.
    pub(super) fn resume(&mut self, other: &Self) {
        let around = other.low.midpoint(other.high);
        // A band that holds any price is around none.
        if around.is_finite() {
            self.follow(around, other.ts);
            (self.candidate, self.agreed) = (other.candidate, other.agreed);
        }
    }

    /// Event time of the last accepted price; `NO_TIME` before the first.
    pub(super) fn last(&self) -> i64 {
        self.ts
    }

    /// Holds any price until it has seen another one.
    pub(super) fn open(&mut self) {
        (self.low, self.high) = (f64::NEG_INFINITY, f64::INFINITY);
    }

    #[inline]
    pub(super) fn holds(&self, price: f64) -> bool {
        price >= self.low && price <= self.high
    }

    /// Whether a price that follows another would lie in the band around that one.
    #[inline]
    pub(super) fn allows(&self, before: f64, price: f64) -> bool {
        let half = self.half_width(before);
        (price >= before - half) & (price <= before + half)
    }

    /// Whether there is a band at all.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.action != Action::Off
    }

    /// Judges a price, and follows it if it is believed.
    #[inline]
    pub(super) fn judge(&mut self, price: f64, ts: i64, flags: &mut Flags) -> Result<(), Reason> {
        if self.holds(price) {
            self.follow(price, ts);
            return Ok(());
        }
        self.doubt(price, ts, flags)
    }

    #[cold]
    fn doubt(&mut self, price: f64, ts: i64, flags: &mut Flags) -> Result<(), Reason> {
        let agrees = (price - self.candidate).abs() <= self.half_width(self.candidate);
        self.agreed = if agrees { self.agreed + 1 } else { 1 };
        self.candidate = price;
        let stale = ts.saturating_sub(self.ts) > self.age_ns;
        if stale || self.agreed >= self.agree {
            self.follow(price, ts);
            return Ok(());
        }
        flags.apply(self.action, Reason::Band)
    }

    /// Near zero, and at it, a fraction of the price is no room.
    #[inline]
    fn half_width(&self, price: f64) -> f64 {
        let half = price.abs() * self.width;
        if half > self.floor { half } else { self.floor }
    }

    /// Puts the band around a price.
    #[inline]
    pub(super) fn follow(&mut self, price: f64, ts: i64) {
        if !self.is_on() {
            return;
        }
        let half = self.half_width(price);
        self.low = price - half;
        self.high = price + half;
        self.ts = self.ts.max(ts);
        self.agreed = 0;
    }
}
