//! Whether a tick may be believed.
//!
//! A [`Validator`] belongs to one instrument and one stream. It decides on a tick without changing
//! anything but what it remembers of the ticks before, and never looks at a clock: event time and
//! arrival time are the tick's own.
//!
//! It does not know bars: whether a tick is late is the caller's to say. A [`Judge`] is both streams
//! of an instrument without any bars.

mod band;
mod flags;
mod hours;
mod judge;
mod memory;
mod quote;
mod rules;
mod spike;
mod typical;

pub use flags::Flags;
pub use judge::{Judge, Verdict};
pub use rules::{Action, Rules};

use crate::clock::ClockOffset;
use crate::columns::{BLOCK, Block};
use crate::grid::Grid;
use crate::reason::Reason;
use crate::record::{NO_TIME, Tick, Trade};
use crate::sessions::Sessions;
use band::Band;
use hours::Hours;
use memory::Memory;
use std::sync::Arc;

/// The least number above zero.
const LEAST: f64 = f64::from_bits(1);

/// Checks the ticks of one stream of one instrument.
#[derive(Clone, Debug)]
pub struct Validator {
    rules: Rules,
    tick_size: f64,
    grid: Option<Grid>,
    /// The least and the largest price that need no closer look.
    price_low: f64,
    price_high: f64,
    /// The least size of a trade that needs no closer look.
    size_low: f64,
    /// How far event time may be ahead of arrival time, and a trade's and a quote's behind it.
    ahead_ns: i64,
    behind_ns: i64,
    quote_behind_ns: i64,
    hours: Hours,
    clock: ClockOffset,
    /// How far this machine's clock is behind the venue's; it is no fault of a tick.
    clock_behind_ns: i64,
    band: Band,
    memory: Option<Box<Memory>>,
}

impl Validator {
    /// A validator for an instrument with this tick size (in price units).
    #[must_use]
    pub fn new(rules: Rules, tick_size: f64) -> Self {
        let grid = if rules.grid == Action::Off { None } else { Grid::new(tick_size) };
        let least = if rules.allow_negative { f64::MIN } else { LEAST };
        let (low, high) = match rules.limits {
            Action::Off => (f64::NEG_INFINITY, f64::INFINITY),
            _ => (rules.price_low, rules.price_high),
        };
        // What is not checked is no reason for a closer look.
        let limit = |action, limit_ns| if action == Action::Off { i64::MAX } else { limit_ns };
        Self {
            tick_size,
            grid,
            price_low: least.max(low),
            price_high: f64::MAX.min(high),
            size_low: if rules.zero_size == Action::Off { 0.0 } else { LEAST },
            ahead_ns: limit(rules.skew, rules.skew_ns),
            behind_ns: limit(rules.stale, rules.stale_ns),
            quote_behind_ns: limit(rules.stale, rules.stale_quote_ns),
            hours: Hours::new(None, rules.session),
            clock: ClockOffset::new(),
            clock_behind_ns: 0,
            band: Band::new(&rules, tick_size),
            memory: Memory::new(&rules, tick_size),
            rules,
        }
    }

    /// Knows when the instrument trades: what the rule `session` asks for, and breaks, after which
    /// the band is put around the next price, wherever that is.
    #[must_use]
    pub fn with_hours(self, hours: Option<Arc<Sessions>>) -> Self {
        Self { hours: Hours::new(hours, self.rules.session), ..self }
    }

    /// Goes on under other rules. What was learned of the market stays, as far as they ask for it.
    pub fn set_rules(&mut self, rules: Rules) {
        let Self { hours, band, memory, tick_size, .. } = self;
        let mut next = Self::new(rules, *tick_size);
        next.hours.resume(hours);
        next.band.resume(band);
        next.clock = self.clock.clone();
        next.clock_behind_ns = self.clock_behind_ns;
        if let (Some(memory), Some(other)) = (&mut next.memory, memory.take()) {
            memory.resume(*other);
        }
        *self = next;
    }

    /// Takes note of when a tick came. Where this machine's clock is behind the venue's, ticks may come
    /// that much before they happen.
    #[inline]
    fn arrive(&mut self, ts_event: i64, ts_recv: i64) {
        let known = ts_recv != NO_TIME && ts_event != NO_TIME;
        if known && self.clock.sample(ts_event, ts_recv) {
            self.clock_behind_ns = self.clock.get().unwrap_or(0).min(0).saturating_neg();
        }
    }

    /// How far the clock of this machine is ahead of the venue's, ns, as far as arrivals can tell.
    #[must_use]
    pub fn clock_offset_ns(&self) -> Option<i64> {
        self.clock.get()
    }

    /// The latest time that the venue's clock may have shown at an arrival.
    #[inline]
    pub(crate) fn venue_time(&self, ts_recv: i64) -> i64 {
        self.clock.venue_time(ts_recv)
    }

    /// The ticks of the spike found last, oldest first; see [`Flags::has_reverted`].
    #[must_use]
    pub fn spike(&self) -> &[Tick] {
        self.memory.as_ref().map_or(&[], |memory| memory.spike())
    }

    /// Checks a trade. `closed_until` is the event time below which it would be late, ns.
    ///
    /// # Errors
    /// The first rule that the trade breaks and that rejects.
    #[inline]
    pub fn trade(&mut self, trade: &Trade, closed_until: i64) -> Result<Flags, Reason> {
        self.arrive(trade.ts_event, trade.ts_recv);
        // Nearly every trade breaks no rule. What becomes of one that does is worked out apart.
        let ordinary = trade.price >= self.price_low
            && trade.price <= self.price_high
            && self.band.holds(trade.price)
            && trade.size >= self.size_low
            && trade.size <= f64::MAX
            && self.grid.is_none_or(|grid| grid.holds(trade.price))
            && trade.ts_event != NO_TIME
            && trade.ts_event >= closed_until
            && self.hours.holds(trade.ts_event)
            && self.is_timely(trade.ts_event, trade.ts_recv, self.behind_ns);
        if !ordinary {
            return self.questionable_trade(trade, closed_until);
        }
        if self.memory.is_some() {
            return self.ordinary_trade(trade);
        }
        self.band.follow(trade.price, trade.ts_event);
        Ok(Flags::NONE)
    }

    /// What is left to ask of a trade that is ordinary in itself.
    fn ordinary_trade(&mut self, trade: &Trade) -> Result<Flags, Reason> {
        let mut flags = Flags::NONE;
        if let Some(memory) = &mut self.memory {
            memory.size(trade.size, &mut flags)?;
        }
        self.remembered(|| Tick::Trade(*trade), trade.ts_event, trade.price, &mut flags)?;
        Ok(flags)
    }

    #[cold]
    fn questionable_trade(&mut self, trade: &Trade, closed_until: i64) -> Result<Flags, Reason> {
        let mut flags = Flags::NONE;
        if trade.ts_event == NO_TIME {
            return Err(Reason::NoTime);
        }
        self.price(trade.price, &mut flags)?;
        if !trade.size.is_finite() {
            // A size that is no number would poison every later volume, so no rule can let it pass.
            return Err(Reason::Size);
        }
        if trade.size < 0.0 {
            flags.apply(self.rules.size, Reason::Size)?;
        } else if trade.size == 0.0 {
            flags.apply(self.rules.zero_size, Reason::ZeroSize)?;
        }
        if let Some(memory) = &mut self.memory {
            memory.size(trade.size, &mut flags)?;
        }
        self.on_grid(trade.price, &mut flags)?;
        self.time(trade.ts_event, trade.ts_recv, self.behind_ns, closed_until, &mut flags)?;
        self.in_hours(trade.ts_event, &mut flags)?;
        self.remembered(|| Tick::Trade(*trade), trade.ts_event, trade.price, &mut flags)?;
        Ok(flags)
    }

    /// Whether every trade of a block breaks no rule but, perhaps, being late; if so, the band
    /// follows it. A block that does not is not looked into: its trades go through
    /// [`trade`](Self::trade) one by one.
    #[inline]
    pub(crate) fn block(&mut self, block: &Block<'_>) -> bool {
        if self.memory.is_some() {
            return false;
        }
        // No grid is a grid of anything: zero times any price lies on it.
        let scale = match self.grid {
            None => 0.0,
            Some(Grid { scale, step: 1 }) => scale,
            Some(_) => return false,
        };
        // Times of a block ascend.
        let mut good = self.band.holds(block.price[0])
            && self.hours.holds(block.ts_event[0])
            && self.hours.holds(block.ts_event[BLOCK - 1]);
        for (&price, &size) in block.price.iter().zip(block.size) {
            let on_grid = Grid { scale, step: 1 }.holds(price);
            good &= (self.price_low..=self.price_high).contains(&price)
                & (self.size_low..=f64::MAX).contains(&size)
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

    fn price(&self, price: f64, flags: &mut Flags) -> Result<(), Reason> {
        if price >= self.price_low && price <= self.price_high {
            Ok(())
        } else if !price.is_finite() {
            Err(Reason::NotFinite)
        } else if price <= 0.0 && !self.rules.allow_negative {
            Err(Reason::NotPositive)
        } else {
            flags.apply(self.rules.limits, Reason::Limits)
        }
    }

    #[inline]
    fn on_grid(&self, price: f64, flags: &mut Flags) -> Result<(), Reason> {
        match self.grid {
            Some(grid) if !grid.holds(price) => flags.apply(self.rules.grid, Reason::Grid),
            _ => Ok(()),
        }
    }

    /// Whether event time is neither too far ahead of arrival time nor too far behind it.
    #[inline]
    fn is_timely(&self, event: i64, recv: i64, behind_ns: i64) -> bool {
        let ahead_ns = self.ahead_ns.saturating_add(self.clock_behind_ns);
        recv == NO_TIME || (-behind_ns..=ahead_ns).contains(&event.saturating_sub(recv))
    }

    #[inline]
    fn time(
        &self,
        event: i64,
        recv: i64,
        behind_ns: i64,
        closed_until: i64,
        flags: &mut Flags,
    ) -> Result<(), Reason> {
        if !self.is_timely(event, recv, behind_ns) {
            if event > recv {
                flags.apply(self.rules.skew, Reason::Skew)?;
            } else {
                flags.apply(self.rules.stale, Reason::Stale)?;
            }
        }
        if event < closed_until {
            return Err(Reason::Late);
        }
        Ok(())
    }

    /// Whether a time lies in the trading hours. The first one after a break opens the band.
    #[inline]
    fn in_hours(&mut self, ts: i64, flags: &mut Flags) -> Result<(), Reason> {
        if !self.hours.holds(ts) && self.hours.enter(ts, self.band.last(), flags)? {
            self.band.open();
        }
        Ok(())
    }

    /// The checks that remember come last: they take note of ticks that passed the others.
    #[inline]
    fn remembered(
        &mut self,
        tick: impl Fn() -> Tick,
        ts: i64,
        price: f64,
        flags: &mut Flags,
    ) -> Result<(), Reason> {
        if let Some(memory) = &mut self.memory {
            memory.time(ts, flags)?;
            memory.sameness(&tick, flags)?;
        }
        self.band.judge(price, ts, flags)?;
        if let Some(memory) = &mut self.memory {
            memory.accept(tick, ts, price, flags);
        }
        Ok(())
    }
}
