//! Whether the book and the quotes say the same of the best prices.
//!
//! The two are streams of their own, and one is always a little behind the other: a difference is
//! normal, one that lasts is not. A difference begins with the tick of either stream after which the
//! best prices are not the same, and ends with the one after which they are. It is one disagreement
//! if a tick of either comes more than [`WITHIN_NS`] after it began and it still stands. Times are those of
//! arrival, or event times where those are not known.

use crate::record::NO_TIME;

/// How long the two streams may be apart, ns.
pub const WITHIN_NS: i64 = 500_000_000;

/// See the module documentation. Prices are given as keys, ascending with price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreement {
    /// Best bid and ask as the newest quote has them; `None` where it has none.
    quoted: [Option<i64>; 2],
    /// When the difference began.
    since: i64,
    is_counted: bool,
}

impl Agreement {
    pub(super) const NEW: Self = Self { quoted: [None; 2], since: NO_TIME, is_counted: false };

    /// Takes note of a quote.
    #[inline]
    pub(super) fn quote(&mut self, bid: Option<i64>, ask: Option<i64>) {
        self.quoted = [bid, ask];
    }

    /// No difference stands.
    pub(super) fn forget(&mut self) {
        self.since = NO_TIME;
        self.is_counted = false;
    }

    /// Compares, after a tick that came at `now`. Returns whether a disagreement is to be counted.
    #[inline]
    pub(super) fn check(&mut self, best: [Option<i64>; 2], now: i64) -> bool {
        let differs = |quoted: Option<i64>, best: Option<i64>| quoted.is_some() && quoted != best;
        if !(differs(self.quoted[0], best[0]) || differs(self.quoted[1], best[1])) {
            self.forget();
            return false;
        }
        if self.since == NO_TIME {
            self.since = now;
        }
        if self.is_counted || now.saturating_sub(self.since) <= WITHIN_NS {
            return false;
        }
        self.is_counted = true;
        true
    }
}
