//! Which price bars are made of.

use crate::record::Quote;
use std::fmt;
use std::str::FromStr;

/// Which price bars are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Prints.
    Trade,
    /// The best bid.
    Bid,
    /// The best ask.
    Ask,
    /// The middle of the best bid and the best ask.
    Mid,
    /// The last traded price as the quote stream reports it.
    Last,
}

/// Text that is not a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("got source {0:?}, expected \"trade\", \"bid\", \"ask\", \"mid\" or \"last\"")]
pub struct SourceError(String);

impl Source {
    /// Every source.
    pub const ALL: [Self; 5] = [Self::Trade, Self::Bid, Self::Ask, Self::Mid, Self::Last];

    /// The name users write.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Bid => "bid",
            Self::Ask => "ask",
            Self::Mid => "mid",
            Self::Last => "last",
        }
    }

    /// The price this source takes from a quote; NaN where the quote has none.
    #[inline]
    pub(crate) fn of_quote(self, quote: &Quote) -> f64 {
        match self {
            Self::Trade => f64::NAN,
            Self::Bid => quote.bid,
            Self::Ask => quote.ask,
            Self::Mid => quote.bid.midpoint(quote.ask),
            Self::Last => quote.last,
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|source| source.name() == text);
        found.ok_or_else(|| SourceError(text.to_owned()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
