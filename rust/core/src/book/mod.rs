//! The order book of one instrument by price level, put together from depth deltas.
//!
//! # Contract
//! - Every delta is applied, in order; nothing is conflated but what readers see of it, which is the
//!   book after each publication. A level's size is the total that rests there: a delta replaces it,
//!   and zero takes the level out.
//! - Levels are told apart by their price in ticks, to a 1,024th of a tick: prices that differ by a
//!   rounding are one level, prices off the grid are levels of their own between those on it.
//! - At most [`MOST_LEVELS`] levels of a side are kept. The farthest from the market go, and are counted.
//! - *Best* deltas say that nothing better is there: better levels of that side are taken out and
//!   counted as pruned.
//! - The book never stands crossed. Where a level comes in beyond levels of the other side, those are
//!   what the feed has left behind: they are taken out and counted as crossed. A locked book, best bid
//!   and best ask at one price, stays.
//! - The book is *complete* once it began with everything that rests: after a reset, which voids it, or
//!   a message that can only be a whole book ([`Book::snapshot`]). Before, and after a gap, it is put
//!   together from what has changed since.
//! - Its best prices are checked against the feed's own. *Best* deltas belong to the same stream: they
//!   are right, and what they contradict is pruned. Quotes are another stream: while the book is complete,
//!   a difference to them that lasts is counted as a disagreement ([`WITHIN_NS`]).
//!
//! In an auction a venue's book may really be crossed. Here it then loses the levels on one side of the
//! overlap until they change or the book is sent anew.
//!
//! It does not say whether a delta may be believed (the validator does), and knows no clock.

mod agreement;
mod session;
mod side;
mod view;

pub use self::agreement::WITHIN_NS;
pub use self::side::Level;
pub use self::view::BookView;

use self::agreement::Agreement;
use self::side::Side;
use crate::record::{Depth, DepthKind, NO_TIME, Quote};

/// Levels of one side that are kept.
pub const MOST_LEVELS: usize = 1_024;

/// Levels that a message must have to be taken for a whole book. The gateway marks none; in the field the
/// first message after a subscription is one, and is large.
pub const LEAST_SNAPSHOT: usize = 10;

/// Parts of a tick that are told apart.
const KEYS_PER_TICK: f64 = 1_024.0;

/// Prices from this key on are too many ticks away from zero to be told apart.
const KEY_LIMIT: f64 = (1_u64 << 52) as f64;

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What became of the deltas of one book.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct BookCounts {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl BookCounts {
            /// The names, in the order of [`to_words`](Self::to_words).
            pub const NAMES: &[&str] = &[$(stringify!($name),)+];
            const WORDS: usize = Self::NAMES.len();

            /// The counts.
            #[must_use]
            pub fn to_words(self) -> [u64; Self::WORDS] {
                [$(self.$name,)+]
            }

            fn from_words(words: &[u64]) -> Self {
                let mut words = words.iter().copied();
                Self { $($name: words.next().unwrap_or_default(),)+ }
            }
        }
    };
}

counts! {
    /// Deltas that the book was given.
    updates,
    /// Deltas among them that say nothing of a level: prints, session extremes, unknown codes.
    other,
    /// Deltas of a level that were refused, or cannot be placed: that level may be out of date.
    missed,
    /// Levels that went, or never came in, because a side had too many.
    dropped,
    /// Levels that were better than what the feed called its best.
    pruned,
    /// Levels that the other side had passed.
    crossed,
    /// Lasting differences between the best prices of the complete book and those of the quotes.
    disagreements,
    /// Resets by the feed.
    resets,
    /// Messages that were taken for a whole book.
    snapshots,
    /// Times the book became incomplete.
    gaps,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Book {
    keys_per_price: f64,
    bids: Side,
    asks: Side,
    is_complete: bool,
    /// When the book was whole the last time: an arrival, or an event time where that is unknown.
    whole_at: i64,
    /// Event time of the newest delta, and when it came.
    ts_event: i64,
    came: i64,
    agreement: Agreement,
    counts: BookCounts,
    /// Whether anything happened that readers have not been shown.
    is_dirty: bool,
}

impl Book {
    /// An empty, incomplete book.
    #[must_use]
    pub fn new(tick_size: f64) -> Self {
        Self {
            keys_per_price: KEYS_PER_TICK / tick_size,
            bids: Side::new(MOST_LEVELS),
            asks: Side::new(MOST_LEVELS),
            is_complete: false,
            whole_at: NO_TIME,
            ts_event: NO_TIME,
            came: NO_TIME,
            agreement: Agreement::NEW,
            counts: BookCounts::default(),
            is_dirty: true,
        }
    }

    /// Bytes of memory that a book takes.
    #[must_use]
    pub fn bytes() -> usize {
        size_of::<Self>() + 2 * Side::bytes(MOST_LEVELS)
    }

    /// Whether the book began with everything that rests.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// What became of the deltas so far.
    #[must_use]
    pub fn counts(&self) -> BookCounts {
        self.counts
    }

    /// The bids, best first.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = Level> {
        self.bids.iter()
    }

    /// The asks, best first.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = Level> {
        self.asks.iter()
    }

    /// Applies a delta.
    #[inline]
    pub fn apply(&mut self, depth: &Depth) {
        self.is_dirty = true;
        self.counts.updates += 1;
        self.ts_event = depth.ts_event;
        self.came = came(depth.ts_recv, depth.ts_event);
        let (is_bid, is_best) = match depth.kind {
            DepthKind::Bid => (true, false),
            DepthKind::BestBid => (true, true),
            DepthKind::Ask => (false, false),
            DepthKind::BestAsk => (false, true),
            DepthKind::Reset => {
                self.counts.resets += 1;
                self.begin(depth);
                return;
            }
            DepthKind::Other(_) => {
                self.counts.other += 1;
                return;
            }
        };
        match self.key(depth.price) {
            Some(key) if (0.0..=f64::MAX).contains(&depth.size) => {
                self.set(key, is_bid, is_best, Level { price: depth.price, size: depth.size });
                self.compare(self.came);
            }
            _ => self.counts.missed += 1,
        }
    }

    #[inline]
    fn set(&mut self, key: i64, is_bid: bool, is_best: bool, level: Level) {
        let (own, other, rank) = if is_bid {
            (&mut self.bids, &mut self.asks, key)
        } else {
            (&mut self.asks, &mut self.bids, -key)
        };
        if level.size > 0.0 {
            if is_best {
                self.counts.pruned += own.cut(rank) as u64;
            }
            self.counts.crossed += other.cut(-rank) as u64;
        }
        self.counts.dropped += own.set(rank, level) as u64;
    }

    /// Applies a delta, or takes note of one that was refused.
    #[inline]
    pub(crate) fn follow(&mut self, depth: &Depth, is_good: bool) {
        if is_good { self.apply(depth) } else { self.miss(depth) }
    }

    /// Takes note of a delta that was refused before it came here.
    #[cold]
    pub fn miss(&mut self, depth: &Depth) {
        self.is_dirty = true;
        match depth.kind {
            DepthKind::Other(_) => {}
            // What it was to void is known to be wrong.
            DepthKind::Reset => self.gap(None),
            _ => self.counts.missed += 1,
        }
    }

    /// A message with these deltas follows. It is a whole book, and this one begins anew with it, if this
    /// one is incomplete and every delta has a level of its own: at least [`LEAST_SNAPSHOT`] of them and no
    /// fewer than were put together so far, on both sides, neither empty nor crossed.
    pub fn snapshot(&mut self, message: &[Depth]) {
        if !self.is_complete
            && message.len() >= LEAST_SNAPSHOT.max(self.bids.len() + self.asks.len())
            && self.is_whole(message)
        {
            self.counts.snapshots += 1;
            self.begin(&message[0]);
        }
    }

    fn is_whole(&self, message: &[Depth]) -> bool {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        for delta in message {
            let side = match delta.kind {
                DepthKind::Bid | DepthKind::BestBid if delta.size > 0.0 => &mut bids,
                DepthKind::Ask | DepthKind::BestAsk if delta.size > 0.0 => &mut asks,
                _ => return false,
            };
            side.extend(self.key(delta.price));
        }
        bids.sort_unstable();
        asks.sort_unstable();
        let (Some(best_bid), Some(best_ask)) = (bids.last(), asks.first()) else { return false };
        let apart = |keys: &[i64]| keys.windows(2).all(|pair| pair[0] < pair[1]);
        best_bid <= best_ask && apart(&bids) && apart(&asks)
    }

    fn begin(&mut self, first: &Depth) {
        self.clear();
        self.is_complete = true;
        self.whole_at = came(first.ts_recv, first.ts_event);
    }

    fn clear(&mut self) {
        self.is_dirty = true;
        self.bids.clear();
        self.asks.clear();
        self.agreement.forget();
    }

    /// Deltas were lost, since the time given (ns UTC) or up to now: what the book holds is void, unless
    /// it was whole later than that.
    pub fn gap(&mut self, since: Option<i64>) {
        if since.is_some_and(|since| self.whole_at >= since) {
            return;
        }
        self.counts.gaps += u64::from(self.is_complete);
        self.is_complete = false;
        self.clear();
    }

    /// Takes the place of `before`: the same book, as another connection has brought it from its own
    /// beginning. What was counted before stays.
    pub fn succeed(&mut self, before: &Self) {
        self.agreement = before.agreement;
        self.counts = before.counts;
        // Nothing that the connection before may have lost concerns it.
        self.whole_at = self.came;
        self.bids.touch();
        self.asks.touch();
        self.is_dirty = true;
    }

    /// Compares the best prices with those of a quote.
    #[inline]
    pub fn quote(&mut self, quote: &Quote) {
        let (bid, ask) = (self.key(quote.bid), self.key(quote.ask));
        self.agreement.quote(bid, ask);
        self.compare(came(quote.ts_recv, quote.ts_event));
    }

    #[inline]
    fn compare(&mut self, now: i64) {
        if self.is_complete {
            let best = [self.bids.best(), self.asks.best().map(|rank| -rank)];
            if self.agreement.check(best, now) {
                self.counts.disagreements += 1;
                self.is_dirty = true;
            }
        }
    }

    /// Where a price ranks, unless it is no number or out of all proportion.
    #[inline]
    fn key(&self, price: f64) -> Option<i64> {
        let scaled = price * self.keys_per_price;
        // Half away from zero, without a call to round.
        (scaled.abs() < KEY_LIMIT).then(|| (scaled + 0.5_f64.copysign(scaled)) as i64)
    }
}

/// When a tick came: its arrival, or its event time where that is not known.
#[inline]
fn came(ts_recv: i64, ts_event: i64) -> i64 {
    if ts_recv == NO_TIME { ts_event } else { ts_recv }
}
