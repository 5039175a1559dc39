//! What the engine moves: trades, quotes and depth deltas.
//!
//! Times are int64 nanoseconds since the Unix epoch, UTC. Prices and sizes are `f64`. A field that
//! a feed did not give is [`NO_TIME`] for a time and NaN for a number.

/// The time of a record whose feed gave none.
pub const NO_TIME: i64 = i64::MIN;

/// Index of an instrument inside one engine, in the order the engine was given them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstrumentId(pub u32);

/// Who crossed the spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum Side {
    /// The seller was the aggressor.
    Sell = -1,
    /// The feed does not say.
    #[default]
    None = 0,
    /// The buyer was the aggressor.
    Buy = 1,
}

impl Side {
    /// `1` buy, `-1` sell, anything else none.
    #[must_use]
    pub fn from_sign(sign: i8) -> Self {
        match sign {
            1 => Self::Buy,
            -1 => Self::Sell,
            _ => Self::None,
        }
    }
}

/// One print.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Venue time, ns UTC, or [`NO_TIME`].
    pub ts_event: i64,
    /// Arrival here, ns UTC, or [`NO_TIME`].
    pub ts_recv: i64,
    /// Price of the print.
    pub price: f64,
    /// Quantity; zero-size prints are real.
    pub size: f64,
    /// Aggressor.
    pub side: Side,
}

/// Top of the book. A side that is absent is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// Venue time, ns UTC, or [`NO_TIME`].
    pub ts_event: i64,
    /// Arrival here, ns UTC, or [`NO_TIME`].
    pub ts_recv: i64,
    /// Best bid.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
    /// Quantity at the best bid, NaN where the feed has none.
    pub bid_size: f64,
    /// Quantity at the best ask, NaN where the feed has none.
    pub ask_size: f64,
    /// Last traded price as the quote stream reports it, NaN where it does not.
    pub last: f64,
}

/// One delta of the order book. Deltas are applied in order and never conflated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depth {
    /// Venue time, ns UTC, or [`NO_TIME`].
    pub ts_event: i64,
    /// Arrival here, ns UTC, or [`NO_TIME`].
    pub ts_recv: i64,
    /// Price of the level.
    pub price: f64,
    /// What rests at the level now; zero for nothing.
    pub size: f64,
    /// What the delta does.
    pub kind: DepthKind,
}

/// Meaning of a [`Depth`] delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthKind {
    /// A level of the ask side.
    Ask,
    /// A level of the bid side.
    Bid,
    /// The best level of the ask side: nothing better is there.
    BestAsk,
    /// The best level of the bid side: nothing better is there.
    BestBid,
    /// The whole book is void; price and size mean nothing.
    Reset,
    /// Anything else the vendor sends (trades, session extremes, new codes).
    Other(u8),
}

/// A tick of any kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tick {
    /// A print.
    Trade(Trade),
    /// A top of the book.
    Quote(Quote),
    /// A delta of the order book.
    Depth(Depth),
}

impl Tick {
    /// "trade", "quote" or "depth".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trade(_) => "trade",
            Self::Quote(_) => "quote",
            Self::Depth(_) => "depth",
        }
    }

    /// Event time and arrival time, ns UTC, each [`NO_TIME`] where there is none.
    #[must_use]
    pub fn times(&self) -> (i64, i64) {
        match self {
            Self::Trade(trade) => (trade.ts_event, trade.ts_recv),
            Self::Quote(quote) => (quote.ts_event, quote.ts_recv),
            Self::Depth(depth) => (depth.ts_event, depth.ts_recv),
        }
    }

    /// Whether both say the same; when they arrived does not matter. What is absent equals what is.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
        match (self, other) {
            (Self::Trade(a), Self::Trade(b)) => {
                (a.ts_event, a.side) == (b.ts_event, b.side)
                    && same(a.price, b.price)
                    && same(a.size, b.size)
            }
            (Self::Quote(a), Self::Quote(b)) => {
                let numbers = |quote: &Quote| {
                    [quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.last]
                };
                a.ts_event == b.ts_event
                    && numbers(a).into_iter().zip(numbers(b)).all(|(a, b)| same(a, b))
            }
            (Self::Depth(a), Self::Depth(b)) => {
                (a.ts_event, a.kind) == (b.ts_event, b.kind)
                    && same(a.price, b.price)
                    && same(a.size, b.size)
            }
            _ => false,
        }
    }
}

impl Trade {
    /// Number of words of [`to_words`](Self::to_words).
    pub(crate) const WORDS: usize = 5;

    #[inline]
    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.ts_event as u64,
            self.ts_recv as u64,
            self.price.to_bits(),
            self.size.to_bits(),
            self.side as i8 as u64,
        ]
    }

    pub(crate) fn from_words(words: &[u64]) -> Self {
        Self {
            ts_event: words[0] as i64,
            ts_recv: words[1] as i64,
            price: f64::from_bits(words[2]),
            size: f64::from_bits(words[3]),
            side: Side::from_sign(words[4] as i8),
        }
    }
}

impl Quote {
    /// Number of words of [`to_words`](Self::to_words).
    pub(crate) const WORDS: usize = 7;

    #[inline]
    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.ts_event as u64,
            self.ts_recv as u64,
            self.bid.to_bits(),
            self.ask.to_bits(),
            self.bid_size.to_bits(),
            self.ask_size.to_bits(),
            self.last.to_bits(),
        ]
    }

    pub(crate) fn from_words(words: &[u64]) -> Self {
        let number = |index: usize| f64::from_bits(words[index]);
        Self {
            ts_event: words[0] as i64,
            ts_recv: words[1] as i64,
            bid: number(2),
            ask: number(3),
            bid_size: number(4),
            ask_size: number(5),
            last: number(6),
        }
    }
}

impl DepthKind {
    /// A number of its own for every kind; those below 256 are the vendor's.
    pub(crate) fn to_word(self) -> u64 {
        match self {
            Self::Other(code) => u64::from(code),
            Self::Ask => 0x100,
            Self::Bid => 0x101,
            Self::Reset => 0x102,
            Self::BestAsk => 0x103,
            Self::BestBid => 0x104,
        }
    }

    fn from_word(word: u64) -> Self {
        match word {
            0x100 => Self::Ask,
            0x101 => Self::Bid,
            0x102 => Self::Reset,
            0x103 => Self::BestAsk,
            0x104 => Self::BestBid,
            code => Self::Other(code as u8),
        }
    }
}

impl Depth {
    /// Number of words of [`to_words`](Self::to_words).
    pub(crate) const WORDS: usize = 5;

    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.ts_event as u64,
            self.ts_recv as u64,
            self.price.to_bits(),
            self.size.to_bits(),
            self.kind.to_word(),
        ]
    }

    pub(crate) fn from_words(words: &[u64]) -> Self {
        Self {
            ts_event: words[0] as i64,
            ts_recv: words[1] as i64,
            price: f64::from_bits(words[2]),
            size: f64::from_bits(words[3]),
            kind: DepthKind::from_word(words[4]),
        }
    }
}
