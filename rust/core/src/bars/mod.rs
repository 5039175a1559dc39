//! Time bars over many timeframes at once.

pub(crate) mod bar;
mod gaps;
pub(crate) mod ladder;
mod source;
mod timeframe;
pub(crate) mod watermark;

pub use bar::Bar;
pub use source::{Source, SourceError};
pub use timeframe::{Timeframe, TimeframeError, Unit};
pub(crate) use watermark::Watermark;
