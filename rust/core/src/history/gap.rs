//! Gaps, and the closed bars that are not complete because of them.

use super::HistoryError;
use crate::instrument::{Shared, Writer};

impl Writer {
    /// Says that data is missing in `[start, end)`, or before `end`: see
    /// [`Session::mark_gap`](crate::engine::Session::mark_gap).
    pub(super) fn mark_gap(
        &mut self,
        shared: &Shared,
        start: Option<i64>,
        end: i64,
    ) -> Result<(), HistoryError> {
        if self.is_stopped() {
            return Ok(());
        }
        let view = shared.view.load_full();
        let mut changed = Vec::new();
        for stream in [&mut self.trades, &mut self.quotes] {
            for track in &mut stream.tracks {
                track.measured.iter_mut().for_each(|measured| measured.mark_gap(end));
                // Joining says nothing of bars that closed before: those are history.
                let Some(start) = track.ladder.mark_gap(start, end) else { continue };
                for writer in &mut track.series {
                    let series = &view.series[writer.index()];
                    let (row, mut spanned) = match &series.buckets {
                        Some(buckets) => series.between(buckets.bucket(start).0, end),
                        None => series.across(start, end),
                    };
                    let mut marked = false;
                    for bar in spanned.iter_mut().filter(|bar| bar.complete) {
                        bar.complete = false;
                        bar.revision += 1;
                        writer.announce(bar);
                        marked = true;
                    }
                    if marked {
                        let marked = series.with_rows(row, &spanned, writer.retain())?;
                        changed.push((writer.index(), marked));
                    }
                }
                track.touch();
            }
        }
        if !changed.is_empty() {
            self.install(changed);
        }
        Ok(())
    }
}
