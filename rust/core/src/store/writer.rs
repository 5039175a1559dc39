//! The writing end of a series: closed bars appended one by one.

use super::View;
use super::series::{Series, TAIL};
use super::tail::Tail;
use crate::bars::Bar;
use crate::ring;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The writing end of a series.
#[derive(Debug)]
pub(crate) struct SeriesWriter {
    index: usize,
    tail: Arc<Tail>,
    /// Bars appended, ever.
    appended: u64,
    retain: usize,
    /// Whether parts were added since the last publication.
    sealed: bool,
    /// A ring per subscription.
    pub(crate) events: Vec<ring::Writer<{ Bar::WORDS }>>,
}

impl SeriesWriter {
    pub(crate) fn new(index: usize, series: &Series, retain: usize) -> Self {
        let tail = Arc::clone(&series.tail);
        Self { index, tail, appended: 0, retain, sealed: false, events: Vec::new() }
    }

    /// Position in the view.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    pub(crate) fn retain(&self) -> usize {
        self.retain
    }

    /// Appends a closed bar, newer than all before it.
    pub(crate) fn append(&mut self, bar: &Bar, view: &ArcSwap<View>) {
        if self.tail.is_full() {
            self.seal(view);
        }
        self.tail.push(bar);
        self.appended += 1;
        self.announce(bar);
    }

    /// Tells subscribers of a bar; they see it after [`publish`](Self::publish).
    pub(crate) fn announce(&mut self, bar: &Bar) {
        for ring in &mut self.events {
            ring.push(bar.to_words());
        }
    }

    pub(crate) fn publish(&mut self) {
        self.events.retain_mut(|ring| {
            ring.publish();
            !ring.is_abandoned()
        });
    }

    /// The full tail becomes a part; a new one, twice as long up to a limit, takes its place.
    fn seal(&mut self, view: &ArcSwap<View>) {
        let most = (self.retain / 8).clamp(TAIL.start, TAIL.end);
        let tail = Arc::new(self.tail.like((self.tail.capacity() * 2).min(most)));
        view.rcu(|view| {
            let series = view.series[self.index].sealed(Arc::clone(&tail), self.appended);
            view.with_series(self.index, series)
        });
        self.tail = tail;
        self.sealed = true;
    }

    /// Drops the oldest parts that are not needed. Only after the cell has been published: until
    /// then readers count the rows to retain from an older bar than the newest.
    pub(crate) fn drop_oldest(&mut self, view: &ArcSwap<View>) {
        if std::mem::take(&mut self.sealed) {
            view.rcu(|view| {
                view.with_series(self.index, view.series[self.index].retained(self.retain))
            });
        }
    }

    /// Takes up a series that was changed other than by appending.
    pub(crate) fn adopt(&mut self, series: &Series) {
        self.tail = Arc::clone(&series.tail);
        self.appended = series.appended();
    }
}
