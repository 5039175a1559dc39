//! The volume that a feed publishes, beside the trades that it has delivered.
//!
//! A hub's quotes carry the contract's volume of the day so far. Counted from the same moment on, it
//! and the sum of the trades' sizes are the same, unless trades were lost. This keeps both numbers;
//! judging their difference is for who knows how far two streams of a feed may be apart in time.
//!
//! A trade counts when it is delivered, whatever the engine makes of it, so that the difference is
//! that of the connection alone. A total that is no number of zero or more is as absent.

use crate::record::{InstrumentId, NO_TIME, Trade};

/// What one feed has heard of one instrument's volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Volumes {
    /// The newest total of the day.
    pub published: f64,
    /// Event time of the quote that brought it (its arrival, if it has none), ns UTC, or [`NO_TIME`].
    pub published_ts: i64,
    /// The total with which counting began.
    pub baseline: f64,
    /// Time of the quote that brought that one, as `published_ts`.
    pub baseline_ts: i64,
    /// Sum of the sizes of the trades delivered since.
    pub traded: f64,
    /// What `traded` was when `published` came.
    pub traded_then: f64,
    /// Number of trades delivered since.
    pub trades: u64,
    /// How often counting has begun anew: with another connection, and with a total below the one
    /// before, which is that of another day.
    pub resets: u64,
}

impl Volumes {
    fn start(total: f64, ts: i64, resets: u64) -> Self {
        Self {
            published: total,
            published_ts: ts,
            baseline: total,
            baseline_ts: ts,
            traded: 0.0,
            traded_then: 0.0,
            trades: 0,
            resets,
        }
    }

    fn publish(&mut self, total: f64, ts: i64) {
        let is_undated = ts == NO_TIME || self.published_ts == NO_TIME;
        if total >= self.published {
            self.published = total;
            self.published_ts = ts;
            self.traded_then = self.traded;
        } else if is_undated || ts > self.published_ts {
            *self = Self::start(total, ts, self.resets + 1);
        }
        // Else it is of a quote that was overtaken by a later one.
    }
}

/// The volumes of the instruments that a feed's quotes name, at the place of their index.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    accounts: Vec<Account>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// None until this connection has published a total.
    volumes: Option<Volumes>,
    /// Resets up to the end of the connection before.
    resets: u64,
}

impl Ledger {
    pub(super) fn publish(&mut self, instrument: InstrumentId, total: f64, ts: i64) {
        if !(total.is_finite() && total >= 0.0) {
            return;
        }
        let index = instrument.0 as usize;
        if index >= self.accounts.len() {
            self.accounts.resize(index + 1, Account::default());
        }
        let account = &mut self.accounts[index];
        match &mut account.volumes {
            Some(volumes) => volumes.publish(total, ts),
            none => *none = Some(Volumes::start(total, ts, account.resets)),
        }
    }

    /// Counts trades, if the instrument has a total to compare them with.
    #[inline]
    pub(super) fn trades(&mut self, instrument: InstrumentId, trades: &[Trade]) {
        let account = self.accounts.get_mut(instrument.0 as usize);
        if let Some(volumes) = account.and_then(|account| account.volumes.as_mut()) {
            for trade in trades {
                if trade.size.is_finite() && trade.size >= 0.0 {
                    volumes.traded += trade.size;
                    volumes.trades += 1;
                }
            }
        }
    }

    /// Another connection begins: every instrument is counted from its first total on.
    pub(super) fn reset(&mut self) {
        for account in &mut self.accounts {
            if let Some(volumes) = account.volumes.take() {
                account.resets = volumes.resets + 1;
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (InstrumentId, Volumes)> {
        let ids = (0..).map(InstrumentId);
        ids.zip(&self.accounts).filter_map(|(id, account)| Some((id, account.volumes?)))
    }
}
