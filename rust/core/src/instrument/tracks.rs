//! The bars of one instrument: a stream of ticks, and a track for each source that bars are made of.

use super::measure::Restarts;
use super::revise::Revisions;
use super::{Shared, fault};
use crate::bars::bar::{OpenBar, Print};
use crate::bars::ladder::{Closed, Ladder};
use crate::bars::{Buckets, Empty, Late, Measured, Source, Watermark};
use crate::record::NO_TIME;
use crate::store::{Series, SeriesWriter, View};
use arc_swap::ArcSwap;

/// The bars of one source, and the series that closed ones go to: those of the ladder's timeframes, then
/// those that are cut by their ticks.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) source: Source,
    /// Position among all tracks of the instrument.
    pub(crate) index: usize,
    pub(crate) ladder: Ladder,
    pub(crate) measured: Vec<Measured>,
    pub(crate) series: Vec<SeriesWriter>,
    pub(super) dirty: Dirty,
    /// Whether bars were cut by ticks that readers have not been shown.
    pub(super) cut: bool,
    /// Where late ticks change closed bars.
    pub(crate) revisions: Option<Revisions>,
}

/// How much of a track readers have not been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dirty {
    /// At most the newest open bar of each root, if ticks came.
    Newest,
    /// Open bars of the roots.
    Roots,
    /// Bars closed by time, too, or any were changed otherwise.
    All,
}

/// Trades, or quotes: a watermark, and the tracks that it closes.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) watermark: Watermark,
    pub(crate) tracks: Vec<Track>,
    /// The event time below which a tick is late. A stream without bars has no late ticks.
    pub(super) closed_until: i64,
    /// The closing time at which that moves and bars may close.
    next_close: i64,
    /// Whether there are bars that are cut by ticks.
    pub(super) measures: bool,
    /// Where they begin anew with each trading day.
    pub(super) restarts: Option<Restarts>,
}

impl Stream {
    pub(super) fn new(lateness_ns: i64, tracks: Vec<Track>, restarts: Option<Restarts>) -> Self {
        let watermark = Watermark::new(lateness_ns);
        let measures = tracks.iter().any(|track| !track.measured.is_empty());
        let (closed_until, next_close) = (NO_TIME, NO_TIME + 1);
        Self { watermark, tracks, closed_until, next_close, measures, restarts }
    }

    /// Closes what the closing time has passed.
    #[inline]
    pub(crate) fn close(&mut self, closing_time: i64, view: &ArcSwap<View>) {
        if closing_time >= self.next_close {
            self.close_now(closing_time, view);
        }
    }

    /// Whether a bar that a tick of this time belongs to is closed.
    #[inline]
    pub(super) fn is_late(&self, ts: i64) -> bool {
        ts < self.closed_until
    }

    /// The limit that a late tick of this time is held to: none if it can enter closed bars.
    #[cold]
    pub(super) fn limit(&self, ts: i64, shared: &Shared) -> i64 {
        let (closing_time, view) = (self.watermark.closing_time(), shared.view.load());
        let taken = self.tracks.iter().all(|track| track.takes(ts, closing_time, &view));
        if taken { NO_TIME } else { self.closed_until }
    }

    /// Puts a late tick that can enter closed bars into them; each track has its own price, or none.
    #[cold]
    pub(super) fn revise(
        &mut self,
        ts: i64,
        size: f64,
        price: impl Fn(Source) -> f64,
        shared: &Shared,
    ) {
        let (closing_time, view) = (self.watermark.closing_time(), shared.view.load());
        for track in &mut self.tracks {
            let tick = Print { ts, price: price(track.source), size };
            if !tick.price.is_nan() {
                track.revise(&tick, closing_time, &view);
            }
        }
    }

    #[cold]
    fn close_now(&mut self, closing_time: i64, view: &ArcSwap<View>) {
        self.next_close = i64::MAX;
        for track in &mut self.tracks {
            track.dirty = Dirty::All;
            let Track { ladder, series, revisions, .. } = track;
            ladder
                .close(closing_time, &mut Appender { series, revisions: revisions.as_mut(), view });
            track.forget(closing_time);
            // The same for all, because the timeframes are.
            (self.closed_until, self.next_close) = track.ladder.limits(closing_time);
        }
    }
}

impl Track {
    /// The track at position `index`, of which `series` begins with the series; those stand among all of
    /// the instrument's in that order.
    pub(super) fn new(
        source: Source,
        index: usize,
        buckets: &[Buckets],
        measured: Vec<Measured>,
        series: &[Series],
        retain: &[usize],
        (late, empty): (Late, &Empty),
    ) -> Self {
        let series = (index * retain.len()..)
            .zip(series)
            .zip(retain)
            .map(|((position, series), &retain)| SeriesWriter::new(position, series, retain))
            .collect();
        let ladder = Ladder::new(buckets, empty);
        let revisions = Revisions::new(late, &ladder, buckets.len());
        Self { source, index, ladder, measured, series, dirty: Dirty::All, cut: false, revisions }
    }

    #[inline]
    pub(super) fn add(&mut self, ts: i64, price: f64, size: f64) {
        if !self.ladder.add(ts, price, size) {
            self.dirty = self.dirty.max(Dirty::Roots);
        }
    }

    /// Adds the ticks from the first on that enter one bar; see [`Ladder::add_run`].
    #[inline]
    pub(super) fn add_run(&mut self, ts: &[i64], price: &[f64], size: &[f64]) -> usize {
        let (count, newest) = self.ladder.add_run(ts, price, size);
        if !newest {
            self.dirty = self.dirty.max(Dirty::Roots);
        }
        count
    }

    pub(crate) fn touch(&mut self) {
        self.dirty = Dirty::All;
    }
}

/// Appends closed bars to their series.
struct Appender<'a> {
    series: &'a mut [SeriesWriter],
    revisions: Option<&'a mut Revisions>,
    view: &'a ArcSwap<View>,
}

impl Closed for Appender<'_> {
    fn closed(&mut self, level: usize, bar: &OpenBar) {
        self.series[level].append(&bar.close(), self.view);
        fault::point("closing");
        if let Some(revisions) = &mut self.revisions {
            revisions.remember(level, bar);
        }
    }
}
