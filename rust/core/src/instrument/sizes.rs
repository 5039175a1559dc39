//! Bars that need sizes, which quotes have not.

use super::Spec;
use crate::bars::{Kind, Source};

/// Quotes have no sizes that bars could be filled with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{symbol}: got timeframe \"{kind}\" with source {source_name:?}, but quotes carry no volume; make \
     volume and notional bars in an engine whose source is \"trade\""
)]
pub struct NoSizes {
    symbol: String,
    source_name: &'static str,
    kind: Kind,
}

impl Spec {
    /// Whether all these kinds of bars can be made.
    ///
    /// # Errors
    /// The first kind that needs sizes, where bars are made of quotes.
    pub fn check(&self, kinds: &[Kind]) -> Result<(), NoSizes> {
        let quotes = self.sources.iter().find(|source| **source != Source::Trade);
        let kind = kinds.iter().find(|kind| kind.needs_sizes());
        match (quotes, kind) {
            (Some(&source), Some(&kind)) => {
                Err(NoSizes { symbol: self.symbol.clone(), source_name: source.name(), kind })
            }
            _ => Ok(()),
        }
    }
}
