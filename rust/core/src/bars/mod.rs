//! Bars over many timeframes at once: those cut by time, and those cut by their ticks.

pub(crate) mod bar;
mod buckets;
pub(crate) mod flats;
pub(crate) mod gaps;
mod kind;
pub(crate) mod ladder;
pub(crate) mod late;
mod local;
mod measured;
mod session;
mod source;
mod timeframe;
pub(crate) mod watermark;

pub use bar::Bar;
pub use buckets::{Alignment, Buckets};
pub(crate) use buckets::{parent, still_open};
pub use flats::Empty;
pub use kind::{Amount, Kind, KindError, Measure};
pub use late::Late;
pub(crate) use measured::Measured;
pub use measured::Split;
pub use source::{Source, SourceError};
pub use timeframe::{Timeframe, TimeframeError, Unit};
pub(crate) use watermark::Watermark;
