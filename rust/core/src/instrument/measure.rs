//! Ticks on their way into the bars that are cut by them, after everything else has been done for a
//! tick; and the trading days with which those bars begin anew.

use super::tracks::{Stream, Track};
use crate::bars::{Measured, Source};
use crate::columns::Block;
use crate::record::NO_TIME;
use crate::sessions::Sessions;
use crate::store::{SeriesWriter, View};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// Which trading day a stream of ticks has reached.
#[derive(Debug)]
pub(super) struct Restarts {
    sessions: Arc<Sessions>,
    /// When the trading day ends, ns UTC.
    end: i64,
}

impl Restarts {
    pub(super) fn new(sessions: &Arc<Sessions>) -> Self {
        Self { sessions: Arc::clone(sessions), end: NO_TIME + 1 }
    }
}

impl Stream {
    /// Adds a tick, which each track has its own price of, or none (NaN).
    #[inline]
    pub(super) fn measure(
        &mut self,
        ts_event: i64,
        size: f64,
        price: impl Fn(Source) -> f64,
        view: &ArcSwap<View>,
    ) {
        if !self.measures {
            return;
        }
        // What is not believed ends no trading day.
        self.reach(self.watermark.believed(NO_TIME), view);
        let time = self.watermark.believed(ts_event);
        for track in &mut self.tracks {
            let price = price(track.source);
            if !price.is_nan() {
                track.measure(time, price, size, view);
            }
        }
    }

    /// Adds a block of ordinary trades; `time` is the largest event time believed before them.
    #[inline]
    pub(super) fn measure_block(&mut self, time: i64, block: &Block<'_>, view: &ArcSwap<View>) {
        if !self.measures {
            return;
        }
        let last = block.ts_event.last().copied().unwrap_or(NO_TIME);
        let whole = self.restarts.as_ref().is_none_or(|restarts| last < restarts.end);
        for track in self.tracks.iter_mut().filter(|_| whole) {
            track.measure_run(time, block.ts_event, block.price, block.size, view);
        }
        if whole {
            return;
        }
        let rows = block.ts_event.iter().zip(block.price).zip(block.size);
        for ((&ts, &price), &size) in rows {
            let time = time.max(ts);
            self.reach(time, view);
            self.tracks.iter_mut().for_each(|track| track.measure(time, price, size, view));
        }
    }

    /// Begins the bars anew if this is the time of another trading day.
    #[inline]
    fn reach(&mut self, time: i64, view: &ArcSwap<View>) {
        if let Some(restarts) = &mut self.restarts
            && time >= restarts.end
        {
            restarts.end = restarts.sessions.day(time).end;
            self.tracks.iter_mut().for_each(|track| track.restart(view));
        }
    }
}

impl Track {
    /// The bars, and where those closed go.
    fn measured(&mut self) -> impl Iterator<Item = (&mut Measured, &mut SeriesWriter)> {
        let first = self.series.len() - self.measured.len();
        self.measured.iter_mut().zip(&mut self.series[first..])
    }

    #[inline]
    fn measure(&mut self, time: i64, price: f64, size: f64, view: &ArcSwap<View>) {
        let mut cut = self.cut;
        for (measured, series) in self.measured() {
            measured.add(time, price, size, &mut |bar| {
                series.append(&bar.close(), view);
                cut = true;
            });
        }
        self.cut = cut;
    }

    #[inline]
    fn measure_run(
        &mut self,
        time: i64,
        ts: &[i64],
        price: &[f64],
        size: &[f64],
        view: &ArcSwap<View>,
    ) {
        let mut cut = self.cut;
        for (measured, series) in self.measured() {
            measured.add_run(time, ts, price, size, &mut |bar| {
                series.append(&bar.close(), view);
                cut = true;
            });
        }
        self.cut = cut;
    }

    #[cold]
    fn restart(&mut self, view: &ArcSwap<View>) {
        let mut cut = self.cut;
        for (measured, series) in self.measured() {
            measured.restart(&mut |bar| {
                series.append(&bar.close(), view);
                cut = true;
            });
        }
        self.cut = cut;
    }
}
