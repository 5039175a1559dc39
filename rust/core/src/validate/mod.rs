//! Whether a tick may be believed.
//!
//! A [`Validator`] belongs to one instrument and one stream. It decides on a tick without changing
//! anything but its own price band, and never looks at a clock: event time and arrival time are
//! the tick's own.
//!
//! It does not look for duplicates (prints that look alike are real) and does not know bars: whether
//! a tick is late is the caller's to say.

mod band;
mod flags;
mod rules;

pub use flags::Flags;
pub use rules::{Action, Rules};

use crate::columns::{BLOCK, Block};
use crate::grid::Grid;
use crate::reason::Reason;
use crate::record::{Depth, DepthKind, NO_TIME, Quote, Trade};
use band::Band;

/// Checks the ticks of one stream of one instrument.
#[derive(Clone, Debug)]
pub struct Validator {
    rules: Rules,
    grid: Option<Grid>,
    /// The least legal price.
    least: f64,
    band: Band,
}

impl Validator {
    /// A validator for an instrument with this tick size (in price units).
    #[must_use]
    pub fn new(rules: Rules, tick_size: f64) -> Self {
        let grid = if rules.grid == Action::Off { None } else { Grid::new(tick_size) };
        let band = Band::new(&rules, tick_size);
        // The least number above zero.
        let least = if rules.allow_negative { f64::MIN } else { f64::from_bits(1) };
        Self { rules, grid, least, band }
    }

    /// Checks a trade. `closed_until` is the event time below which it would be late, ns.
    ///
    /// # Errors
    /// The first rule that the trade breaks and that rejects.
    #[inline]
    pub fn trade(&mut self, trade: &Trade, closed_until: i64) -> Result<Flags, Reason> {
        // Nearly every trade breaks no rule. What becomes of one that does is worked out apart.
        let ordinary = trade.price >= self.least
            && trade.price <= f64::MAX
            && self.band.holds(trade.price)
            && trade.size >= 0.0
            && trade.size <= f64::MAX
            && self.grid.is_none_or(|grid| grid.holds(trade.price))
            && trade.ts_event != NO_TIME
            && trade.ts_event >= closed_until
            && !self.is_ahead(trade.ts_event, trade.ts_recv);
        if ordinary {
            self.band.follow(trade.price, trade.ts_event);
            return Ok(Flags::NONE);
        }
        self.questionable_trade(trade, closed_until)
    }

    #[cold]
    fn questionable_trade(&mut self, trade: &Trade, closed_until: i64) -> Result<Flags, Reason> {
        let mut flags = Flags::NONE;
        if trade.ts_event == NO_TIME {
            return Err(Reason::NoTime);
        }
        self.price(trade.price)?;
        if !(trade.size >= 0.0 && trade.size.is_finite()) {
            // A size that is no number would poison every later volume, so no rule can let it pass.
            if !trade.size.is_finite() {
                return Err(Reason::Size);
            }
            flags.apply(self.rules.size, Reason::Size)?;
        }
        self.on_grid(trade.price, &mut flags)?;
        self.time(trade.ts_event, trade.ts_recv, closed_until, &mut flags)?;
        self.band.judge(trade.price, trade.ts_event, &mut flags)?;
        Ok(flags)
    }

    /// Whether every trade of a block breaks no rule but, perhaps, being late; if so, the band
    /// follows it. A block that does not is not looked into: its trades go through
    /// [`trade`](Self::trade) one by one.
    #[inline]
    pub(crate) fn block(&mut self, block: &Block<'_>) -> bool {
        // No grid is a grid of anything: zero times any price lies on it.
        let scale = match self.grid {
            None => 0.0,
            Some(Grid { scale, step: 1 }) => scale,
            Some(_) => return false,
        };
        let mut good = self.band.holds(block.price[0]);
        for (&price, &size) in block.price.iter().zip(block.size) {
            let on_grid = Grid { scale, step: 1 }.holds(price);
            good &= (self.least..=f64::MAX).contains(&price)
                & (0.0..=f64::MAX).contains(&size)
                & on_grid;
        }
        if self.band.is_on() {
            for pair in block.price.windows(2) {
                good &= self.band.allows(pair[0], pair[1]);
            }
        }
        if good {
            self.band.follow(block.price[BLOCK - 1], block.ts_event[BLOCK - 1]);
        }
        good
    }

    /// Checks a quote. Either side may be absent (NaN), and sizes may be, too.
    ///
    /// # Errors
    /// The first rule that the quote breaks and that rejects.
    #[inline]
    pub fn quote(&mut self, quote: &Quote, closed_until: i64) -> Result<Flags, Reason> {
        let mut flags = Flags::NONE;
        if quote.ts_event == NO_TIME {
            return Err(Reason::NoTime);
        }
        let mut any = false;
        for price in [quote.bid, quote.ask, quote.last] {
            if !price.is_nan() {
                any = true;
                self.price(price)?;
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
        if quote.bid > quote.ask {
            flags.apply(self.rules.crossed, Reason::Crossed)?;
        }
        self.time(quote.ts_event, quote.ts_recv, closed_until, &mut flags)?;
        self.band.judge(reference(quote), quote.ts_event, &mut flags)?;
        Ok(flags)
    }

    /// Checks a depth delta. Levels far from the market are normal, so there is no band.
    ///
    /// # Errors
    /// The first rule that the delta breaks and that rejects.
    pub fn depth(&self, depth: &Depth) -> Result<Flags, Reason> {
        let mut flags = Flags::NONE;
        if depth.ts_event == NO_TIME {
            return Err(Reason::NoTime);
        }
        if depth.kind == DepthKind::Reset {
            return Ok(flags);
        }
        self.price(depth.price)?;
        if !(depth.size >= 0.0 && depth.size.is_finite()) {
            flags.apply(self.rules.size, Reason::Size)?;
        }
        self.on_grid(depth.price, &mut flags)?;
        self.time(depth.ts_event, depth.ts_recv, NO_TIME, &mut flags)?;
        Ok(flags)
    }

    #[inline]
    fn price(&self, price: f64) -> Result<(), Reason> {
        if !price.is_finite() {
            Err(Reason::NotFinite)
        } else if price < self.least {
            Err(Reason::NotPositive)
        } else {
            Ok(())
        }
    }

    #[inline]
    fn on_grid(&self, price: f64, flags: &mut Flags) -> Result<(), Reason> {
        match self.grid {
            Some(grid) if !grid.holds(price) => flags.apply(self.rules.grid, Reason::Grid),
            _ => Ok(()),
        }
    }

    #[inline]
    fn is_ahead(&self, event: i64, recv: i64) -> bool {
        recv != NO_TIME && event.saturating_sub(recv) > self.rules.skew_ns
    }

    #[inline]
    fn time(
        &self,
        event: i64,
        recv: i64,
        closed_until: i64,
        flags: &mut Flags,
    ) -> Result<(), Reason> {
        if self.is_ahead(event, recv) {
            flags.apply(self.rules.skew, Reason::Skew)?;
        }
        if event < closed_until {
            return Err(Reason::Late);
        }
        Ok(())
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
