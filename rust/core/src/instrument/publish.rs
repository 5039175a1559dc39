//! The publication: what an instrument's writer did becomes visible to readers, all of it at once.

use super::tracks::{Dirty, Track};
use super::{Shared, Writer, fault, roots};
use crate::bars::bar::OpenBar;
use crate::cell::{Cell, Update};
use crate::layout::{self, Layout};
use crate::record::NO_TIME;
use crate::ring;
use crate::store::{Series, SeriesWriter, View};
use std::sync::Arc;

/// What a publication showed to readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) ticks: bool,
    pub(crate) bars: bool,
}

impl Writer {
    fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.trades.tracks.iter().chain(&self.quotes.tracks)
    }

    /// Shows readers everything since the last publication, at once.
    pub(crate) fn publish(&mut self, shared: &Shared) -> Activity {
        let mut activity = Activity::default();
        if !std::mem::take(&mut self.dirty) {
            return activity;
        }
        if self.stopped.is_some() {
            return self.publish_stopped();
        }
        if std::mem::take(&mut self.amended) {
            self.install_revisions(shared);
        }
        if !self
            .tracks()
            .all(|track| track.dirty < Dirty::Roots || self.layout.holds(&track.ladder))
        {
            self.grow(shared);
        }
        // A new cell knows nothing yet.
        let anew = self.install.is_some();
        if anew {
            self.cell = Arc::new(Cell::new(self.layout.len()));
            self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks).for_each(Track::touch);
        }
        fault::point("publication");
        // The rings first: a cut that shows n trades must find them in the ring.
        let trades = self.trade_ring.as_mut().is_some_and(ring::Writer::publish);
        let quotes = self.quote_ring.as_mut().is_some_and(ring::Writer::publish);
        activity.ticks = trades || quotes;
        for track in self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks) {
            if std::mem::take(&mut track.cut) || track.dirty == Dirty::All {
                track.series.iter_mut().for_each(SeriesWriter::publish);
                activity.bars = true;
            }
        }
        let mut update = self.cell.update();
        let (accepted, rejected) = self.counts();
        update.set(layout::RECEIVED, accepted + rejected);
        update.set(layout::ACCEPTED, accepted);
        update.set(layout::DEPTH_COUNT, self.depth_count);
        update.set(layout::DUPLICATES, self.duplicates);
        update.set(layout::REVISED, self.revised);
        update.set(layout::CLOCK_OFFSET, self.clock_offset().unwrap_or(NO_TIME) as u64);
        update.set(layout::CLOSING_TIMES, self.trades.watermark.closing_time() as u64);
        update.set(layout::CLOSING_TIMES + 1, self.quotes.watermark.closing_time() as u64);
        if std::mem::take(&mut self.judged) || anew {
            self.kept_rejected.publish();
            self.kept_flagged.publish();
            update.set_all(layout::REJECTED, &self.rejected);
            update.set_all(layout::FLAGGED, &self.flagged);
        }
        if (trades || anew)
            && let Some((count, words)) = self.trade_ring.as_ref().and_then(ring::Writer::newest)
        {
            update.set(layout::TRADE_COUNT, count);
            update.set_all(layout::TRADE, &words);
        }
        if (quotes || anew)
            && let Some((count, words)) = self.quote_ring.as_ref().and_then(ring::Writer::newest)
        {
            update.set(layout::QUOTE_COUNT, count);
            update.set_all(layout::QUOTE, &words);
        }
        if let (Some(book), Some((shown, at))) = (&mut self.book, self.layout.book()) {
            book.show(shown, anew, at, &mut update);
        }
        for (stream, ticks) in [(&mut self.trades, trades), (&mut self.quotes, quotes)] {
            for track in &mut stream.tracks {
                track.publish(ticks, &self.layout, &mut update);
            }
        }
        drop(update);
        if let Some(changed) = self.install.take() {
            shared.view.rcu(|view| {
                let mut view = View::clone(view);
                for (index, series) in &changed {
                    view.series[*index] = series.clone();
                }
                view.cell = Arc::clone(&self.cell);
                view.layout = self.layout.clone();
                view
            });
        }
        if activity.bars {
            for track in self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks) {
                track.series.iter_mut().for_each(|series| series.drop_oldest(&shared.view));
            }
        }
        activity
    }

    /// How far the clock of this machine is ahead of the venue's, by the trades or else the quotes.
    fn clock_offset(&self) -> Option<i64> {
        self.trade_checks.clock_offset_ns().or_else(|| self.quote_checks.clock_offset_ns())
    }

    /// Has the closed bars that late ticks have changed shown by this publication.
    #[cold]
    fn install_revisions(&mut self, shared: &Shared) {
        let view = shared.view.load();
        let tracks = self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks);
        let changed = tracks.flat_map(|track| track.publish_revisions(&view)).collect();
        self.install(changed);
    }

    /// Makes room for more open bars than the cell was made for.
    #[cold]
    fn grow(&mut self, shared: &Shared) {
        let most = self.tracks().map(|track| track.ladder.most_open()).fold(1, usize::max);
        let roots = roots(&shared.buckets, shared.kinds.len());
        self.layout = Layout::new(self.tracks().count(), &roots, most.next_power_of_two())
            .with_book(self.layout.book().map(|(shown, _)| shown));
        self.install.get_or_insert_default();
    }

    /// Replaces series at the next publication.
    pub(crate) fn install(&mut self, changed: Vec<(usize, Series)>) {
        for track in self.trades.tracks.iter_mut().chain(&mut self.quotes.tracks) {
            for writer in &mut track.series {
                if let Some((_, series)) =
                    changed.iter().find(|(index, _)| *index == writer.index())
                {
                    writer.adopt(series);
                }
            }
        }
        self.install.get_or_insert_default().extend(changed);
        self.dirty = true;
    }
}

impl Track {
    /// Writes what readers have not been shown into the cell.
    fn publish(&mut self, ticks: bool, layout: &Layout, update: &mut Update<'_>) {
        let dirty = std::mem::replace(&mut self.dirty, Dirty::Newest);
        let timeframes = self.series.len() - self.measured.len();
        let mut show = |level: usize, open: &[OpenBar]| {
            let at = layout.level(self.index, level);
            let unchanged = if dirty == Dirty::Newest { open.len().saturating_sub(1) } else { 0 };
            update.set(at, self.series[level].appended());
            update.set(at + 1, open.len() as u64);
            for (slot, bar) in open.iter().enumerate().skip(unchanged) {
                update.set_all(at + Layout::open_bar(slot), &bar.to_words());
            }
        };
        let ladder = &self.ladder;
        match dirty {
            Dirty::Newest if !ticks => return,
            Dirty::Newest | Dirty::Roots => {
                ladder.roots().iter().for_each(|&level| show(level, ladder.open(level)));
            }
            Dirty::All => (0..timeframes).for_each(|level| show(level, ladder.open(level))),
        }
        for (level, measured) in (timeframes..).zip(&self.measured) {
            show(level, measured.open().map_or(&[], std::slice::from_ref));
        }
    }
}
