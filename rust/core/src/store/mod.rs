//! Closed bars in columns, of one instrument: written by one writer, read without locks.
//!
//! # Contract
//! - A [`Series`] is one timeframe of one price source. Its newest bars stand in a [`Tail`] that the
//!   writer appends to while readers copy from it; older ones in immutable parts.
//! - A [`View`] holds all series of an instrument. It is replaced as a whole whenever more than an
//!   append happens (a full tail, history, a revision), so readers never see half of such a change.
//! - An append costs the same however long the history is: a full tail becomes a part as it is.
//!   Copying many small parts into few large ones is done by readers, who profit from it.
//! - Retention drops whole parts; up to a quarter more bars than asked for may be kept, or 512 where
//!   that is more. Every cut shows as many as asked for, if there were so many.
//!
//! It does not say how many bars of a tail belong to a consistent cut: the snapshot does.

mod chunk;
mod replace;
mod revised;
mod series;
mod tail;
pub(crate) mod ticks;
mod writer;

#[cfg(tickwire_loom)]
pub(crate) use chunk::Columns;
pub(crate) use series::Series;
#[cfg(tickwire_loom)]
pub(crate) use tail::Tail;
pub(crate) use writer::SeriesWriter;

use crate::cell::Cell;
use crate::layout::Layout;
use std::sync::Arc;

/// What readers of an instrument see; see the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) series: Box<[Series]>,
    /// Everything that changes with every tick. A view whose bars changed other than by appending
    /// has a new cell, so whoever finds the same view before and after reading it has a consistent
    /// cut.
    pub(crate) cell: Arc<Cell>,
    pub(crate) layout: Layout,
}

impl View {
    /// The same view with one series changed.
    pub(crate) fn with_series(&self, index: usize, series: Series) -> Self {
        let mut view = self.clone();
        view.series[index] = series;
        view
    }
}
