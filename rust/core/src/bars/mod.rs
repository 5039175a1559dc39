//! Time bars over many timeframes at once.

pub(crate) mod bar;
mod buckets;
pub(crate) mod flats;
pub(crate) mod gaps;
pub(crate) mod ladder;
pub(crate) mod late;
mod local;
mod session;
mod source;
mod timeframe;
pub(crate) mod watermark;

pub use bar::Bar;
pub(crate) use buckets::parent;
pub use buckets::{Alignment, Buckets};
pub use flats::Empty;
pub use late::Late;
pub use source::{Source, SourceError};
pub use timeframe::{Timeframe, TimeframeError, Unit};
pub(crate) use watermark::Watermark;
