//! Both streams of one instrument, judged without keeping any tick or making any bar.

use super::{Flags, Rules, Validator};
use crate::reason::Reason;
use crate::record::{NO_TIME, Quote, Tick, Trade};
use crate::sessions::Sessions;
use crate::snapshot::Counters;
use std::sync::Arc;

/// What was found of a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Why it is refused, if it is.
    pub rejected: Option<Reason>,
    /// What is said of it if it is not.
    pub flags: Flags,
}

/// Judges and counts the ticks of one instrument. Without bars, nothing is late.
#[derive(Clone, Debug)]
pub struct Judge {
    trades: Validator,
    quotes: Validator,
    stamp_arrival: bool,
    counters: Counters,
}

impl Judge {
    /// A judge for an instrument with this tick size. `stamp_arrival`: a tick without event time is
    /// judged by its arrival time.
    #[must_use]
    pub fn new(rules: &Rules, tick_size: f64, stamp_arrival: bool) -> Self {
        let validator = || Validator::new(rules.clone(), tick_size);
        Self {
            trades: validator(),
            quotes: validator(),
            stamp_arrival,
            counters: Counters::default(),
        }
    }

    /// Knows when the instrument trades; see [`Validator::with_hours`].
    #[must_use]
    pub fn with_hours(self, hours: Option<Arc<Sessions>>) -> Self {
        let quotes = self.quotes.with_hours(hours.clone());
        Self { trades: self.trades.with_hours(hours), quotes, ..self }
    }

    /// Goes on under other rules; see [`Validator::set_rules`].
    pub fn set_rules(&mut self, rules: &Rules) {
        self.trades.set_rules(rules.clone());
        self.quotes.set_rules(rules.clone());
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How far the clock of this machine is ahead of the venue's, ns, as far as arrivals can tell: by
    /// those of trades, or else of quotes.
    #[must_use]
    pub fn clock_offset_ns(&self) -> Option<i64> {
        self.trades.clock_offset_ns().or_else(|| self.quotes.clock_offset_ns())
    }

    /// Judges a trade. Its verdict, and the ticks of a spike that it brings to light.
    #[inline]
    pub fn trade(&mut self, trade: &Trade) -> (Verdict, &[Tick]) {
        let ts_event = self.stamp(trade.ts_event, trade.ts_recv);
        let checked = self.trades.trade(&Trade { ts_event, ..*trade }, NO_TIME);
        self.counters.trades += u64::from(checked.is_ok());
        count(&mut self.counters, checked, &self.trades)
    }

    /// Judges a quote; see [`trade`](Self::trade).
    #[inline]
    pub fn quote(&mut self, quote: &Quote) -> (Verdict, &[Tick]) {
        let ts_event = self.stamp(quote.ts_event, quote.ts_recv);
        let checked = self.quotes.quote(&Quote { ts_event, ..*quote }, NO_TIME);
        self.counters.quotes += u64::from(checked.is_ok());
        count(&mut self.counters, checked, &self.quotes)
    }

    #[inline]
    fn stamp(&self, ts_event: i64, ts_recv: i64) -> i64 {
        if ts_event == NO_TIME && self.stamp_arrival { ts_recv } else { ts_event }
    }
}

#[inline]
fn count<'a>(
    counters: &mut Counters,
    checked: Result<Flags, Reason>,
    validator: &'a Validator,
) -> (Verdict, &'a [Tick]) {
    counters.received += 1;
    let flags = match checked {
        Ok(flags) => flags,
        Err(reason) => {
            counters.rejected[reason as usize] += 1;
            return (Verdict { rejected: Some(reason), flags: Flags::NONE }, &[]);
        }
    };
    counters.accepted += 1;
    if flags.is_empty() {
        return (Verdict { rejected: None, flags }, &[]);
    }
    flags.iter().for_each(|reason| counters.flagged[reason as usize] += 1);
    let spike = if flags.has_reverted() { validator.spike() } else { &[] };
    counters.flagged[Reason::Spike as usize] += spike.len() as u64;
    (Verdict { rejected: None, flags }, spike)
}
