//! What quotes and depth deltas must obey.

use super::Validator;
use super::flags::Flags;
use super::rules::Action;
use crate::reason::Reason;
use crate::record::{Depth, DepthKind, NO_TIME, Quote, Tick};

impl Validator {
    /// Checks a quote. Either side may be absent (NaN), and sizes may be, too.
    ///
    /// # Errors
    /// The first rule that the quote breaks and that rejects.
    #[inline]
    pub fn quote(&mut self, quote: &Quote, closed_until: i64) -> Result<Flags, Reason> {
        self.arrive(quote.ts_event, quote.ts_recv);
        let mut flags = Flags::NONE;
        if quote.ts_event == NO_TIME {
            return Err(Reason::NoTime);
        }
        let mut any = false;
        for price in [quote.bid, quote.ask, quote.last] {
            if !price.is_nan() {
                any = true;
                self.price(price, &mut flags)?;
                self.on_grid(price, &mut flags)?;
            }
        }
        if !any {
            return Err(Reason::NotFinite);
        }
        for size in [quote.bid_size, quote.ask_size] {
            if size < 0.0 || size.is_infinite() {
                flags.apply(self.rules.size, Reason::Size)?;
            }
        }
        if quote.bid >= quote.ask {
            if quote.bid > quote.ask {
                flags.apply(self.rules.crossed, Reason::Crossed)?;
            } else {
                flags.apply(self.rules.locked, Reason::Locked)?;
            }
        }
        if self.rules.one_sided != Action::Off && quote.bid.is_nan() != quote.ask.is_nan() {
            flags.apply(self.rules.one_sided, Reason::OneSided)?;
        }
        let behind_ns = self.quote_behind_ns;
        self.time(quote.ts_event, quote.ts_recv, behind_ns, closed_until, &mut flags)?;
        self.in_hours(quote.ts_event, &mut flags)?;
        if self.memory.is_none() {
            self.band.judge(reference(quote), quote.ts_event, &mut flags)?;
        } else {
            self.remembered(|| Tick::Quote(*quote), quote.ts_event, reference(quote), &mut flags)?;
        }
        Ok(flags)
    }

    /// Checks a depth delta. Levels far from the market are normal, so there is no band, and the same
    /// delta twice is none: deltas add up.
    ///
    /// # Errors
    /// The first rule that the delta breaks and that rejects.
    pub fn depth(&mut self, depth: &Depth) -> Result<Flags, Reason> {
        let mut flags = Flags::NONE;
        if depth.ts_event == NO_TIME {
            return Err(Reason::NoTime);
        }
        if depth.kind == DepthKind::Reset {
            return Ok(flags);
        }
        self.price(depth.price, &mut flags)?;
        if !(depth.size >= 0.0 && depth.size.is_finite()) {
            flags.apply(self.rules.size, Reason::Size)?;
        }
        self.on_grid(depth.price, &mut flags)?;
        let behind_ns = self.quote_behind_ns;
        self.time(depth.ts_event, depth.ts_recv, behind_ns, NO_TIME, &mut flags)?;
        self.in_hours(depth.ts_event, &mut flags)?;
        Ok(flags)
    }
}

/// The price that a quote's band is judged by: the middle, or whatever side there is.
#[inline]
fn reference(quote: &Quote) -> f64 {
    let middle = quote.bid.midpoint(quote.ask);
    if !middle.is_nan() {
        middle
    } else if !quote.bid.is_nan() {
        quote.bid
    } else if !quote.ask.is_nan() {
        quote.ask
    } else {
        quote.last
    }
}
