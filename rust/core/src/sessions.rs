//! Trading hours as a table of spans, grouped into trading days.
//!
//! # Contract
//! - [`Sessions`] knows when a market trades, and which trading day each span of trading belongs to.
//!   It knows no zones, no holidays and no rules: whoever makes the table has worked those out.
//! - A trading day lasts from its first open to the first open of the next one, so that days tile
//!   time. What is closed of it lies at its end, and between its spans.
//! - Before the first day of the table and after the last, a trading day begins every 24 hours.

use crate::lookup::Lookup;

const DAY: i64 = 86_400 * 1_000_000_000;
/// Moments of tables are no farther from the epoch.
const LIMIT: i64 = i64::MAX - DAY;

/// A table that cannot be one of sessions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionsError {
    /// Columns of different lengths, or empty ones.
    #[error(
        "got {opens} opens, {closes} closes and {days} days, expected as many of each, and some"
    )]
    Lengths {
        /// Number of opens.
        opens: usize,
        /// Number of closes.
        closes: usize,
        /// Number of days.
        days: usize,
    },
    /// A span that does not end after it begins, or not before the next one does.
    #[error(
        "row {row}: got a span of trading that does not end after its open and before the next one"
    )]
    Spans {
        /// Position of the span.
        row: usize,
    },
    /// A trading day before that of the span before.
    #[error("row {row}: got day {day}, before that of the span before it")]
    Days {
        /// Position of the span.
        row: usize,
        /// What was got.
        day: i64,
    },
}

/// A trading day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradingDay {
    /// Its date, in days since 1970-01-01.
    pub date: i64,
    /// When it first opens, ns UTC.
    pub open: i64,
    /// When it last closes, ns UTC.
    pub close: i64,
    /// When the next one first opens, ns UTC.
    pub end: i64,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Sessions {
    opens: Lookup,
    closes: Box<[i64]>,
    /// Of trading days: first opens, last closes, dates.
    day_opens: Lookup,
    day_closes: Box<[i64]>,
    dates: Box<[i64]>,
}

impl Sessions {
    /// A table of spans of trading, ascending and apart, ns UTC, each with the date of the trading day
    /// that it belongs to, in days since 1970-01-01.
    ///
    /// # Errors
    /// What cannot be such a table.
    pub fn new(opens: &[i64], closes: &[i64], days: &[i64]) -> Result<Self, SessionsError> {
        if opens.is_empty() || opens.len() != closes.len() || opens.len() != days.len() {
            let (opens, closes, days) = (opens.len(), closes.len(), days.len());
            return Err(SessionsError::Lengths { opens, closes, days });
        }
        let (mut day_opens, mut day_closes, mut dates) = (Vec::new(), Vec::new(), Vec::new());
        for (row, ((&open, &close), &day)) in opens.iter().zip(closes).zip(days).enumerate() {
            let next = opens.get(row + 1).copied().unwrap_or(LIMIT);
            if open < -LIMIT || open >= close || close > next {
                return Err(SessionsError::Spans { row });
            }
            match (dates.last().copied(), day_closes.last_mut()) {
                (Some(date), _) if day < date => return Err(SessionsError::Days { row, day }),
                (Some(date), Some(last)) if day == date => *last = close,
                _ => {
                    day_opens.push(open);
                    day_closes.push(close);
                    dates.push(day);
                }
            }
        }
        Ok(Self {
            opens: Lookup::new(opens),
            closes: closes.into(),
            day_opens: Lookup::new(day_opens),
            day_closes: day_closes.into(),
            dates: dates.into(),
        })
    }

    /// The span of trading `[open, close)` that holds `ts`, ns UTC, if the market is open then.
    #[inline]
    #[must_use]
    pub fn span(&self, ts: i64) -> Option<(i64, i64)> {
        let row = self.opens.count(ts).checked_sub(1)?;
        (ts < self.closes[row]).then(|| (self.opens.times()[row], self.closes[row]))
    }

    /// The first moment from `ts` on at which the market is open, ns UTC. Where the table ends, it is
    /// always open.
    #[must_use]
    pub fn next_open(&self, ts: i64) -> i64 {
        let opens = self.opens.times();
        let count = self.opens.count(ts);
        let inside = count > 0 && ts < self.closes[count - 1];
        if inside || count == 0 || count == opens.len() { ts } else { opens[count] }
    }

    /// The trading day that holds `ts`, ns UTC.
    #[must_use]
    pub fn day(&self, ts: i64) -> TradingDay {
        let opens = self.day_opens.times();
        let count = self.day_opens.count(ts);
        let row = count.saturating_sub(1);
        let open = opens[row];
        let known = TradingDay {
            date: self.dates[row],
            open,
            close: self.day_closes[row],
            end: opens.get(row + 1).copied().unwrap_or(open + DAY.max(self.day_closes[row] - open)),
        };
        if count > 0 && ts < known.end {
            return known;
        }
        // Outside of the table.
        let from = if count > 0 { known.end } else { open };
        let days = (i128::from(ts) - i128::from(from)).div_euclid(DAY.into());
        let begin = |days: i128| {
            let ts = i128::from(from) + days * i128::from(DAY);
            ts.clamp(i64::MIN.into(), i64::MAX.into()) as i64
        };
        let (open, end) = (begin(days), begin(days + 1));
        let date = known.date + days as i64 + i64::from(count > 0);
        TradingDay { date, open, close: end, end }
    }

    /// The first open of the first trading day that is not before `date`, ns UTC.
    #[must_use]
    pub fn first_open(&self, date: i64) -> i64 {
        let row = self.dates.partition_point(|&known| known < date);
        let (first, last) = (self.dates[0], self.dates[self.dates.len() - 1]);
        let opens = self.day_opens.times();
        match opens.get(row) {
            Some(&open) if date >= first => open,
            Some(&open) => open.saturating_sub((first - date).saturating_mul(DAY)),
            None => {
                let end = self.day(opens[opens.len() - 1]).end;
                end.saturating_add((date - last - 1).saturating_mul(DAY))
            }
        }
    }
}
