//! Depth deltas on their way into the book: checked and counted like any tick, then applied.
//!
//! The two are apart because a delta that two overlapping connections bring is counted once, while each
//! connection's deltas make a book of their own.

use super::{Shared, Writer};
use crate::book::Book;
use crate::reason::Reason;
use crate::record::{Depth, NO_TIME, Tick};
use crate::validate::Flags;

impl Writer {
    /// Checks a depth delta, counts it and applies it to the book.
    pub(crate) fn depth(&mut self, shared: &Shared, depth: &Depth) -> Result<(), Reason> {
        let depth = self.dated_depth(shared, depth);
        let judged = self.count_depth(shared, &depth);
        self.follow_depth(shared, &depth, judged);
        judged
    }

    /// A depth delta with the event time that the instrument's stamp gives it.
    pub(crate) fn dated_depth(&self, shared: &Shared, depth: &Depth) -> Depth {
        let is_stamped = depth.ts_event == NO_TIME && shared.spec.stamp_arrival;
        Depth { ts_event: if is_stamped { depth.ts_recv } else { depth.ts_event }, ..*depth }
    }

    /// Whether a depth delta may be believed; nothing is counted.
    pub(crate) fn check_depth(&mut self, depth: &Depth) -> Result<(), Reason> {
        self.quote_checks.depth(depth).map(drop)
    }

    /// Checks and counts a depth delta, of which the book hears otherwise.
    pub(crate) fn count_depth(&mut self, shared: &Shared, depth: &Depth) -> Result<(), Reason> {
        if self.is_stopped() {
            return self.refuse_stopped();
        }
        self.dirty = true;
        match self.quote_checks.depth(depth) {
            Ok(Flags::NONE) => {}
            checked => self.judge(shared, checked, Tick::Depth(*depth))?,
        }
        self.depth_count += 1;
        Ok(())
    }

    /// Applies a depth delta to the book, as far as it may be believed; it was counted otherwise.
    pub(crate) fn follow_depth(
        &mut self,
        shared: &Shared,
        depth: &Depth,
        judged: Result<(), Reason>,
    ) {
        if !self.is_stopped() {
            self.dirty = true;
            self.book(shared).follow(depth, judged.is_ok());
        }
    }

    /// Puts another connection's book in the place of this one's.
    pub(crate) fn replace_book(&mut self, shared: &Shared, mut book: Book) {
        if !self.is_stopped() {
            self.dirty = true;
            let before = self.book(shared);
            book.succeed(before);
            *before = book;
        }
    }

    /// The deltas of a large depth message follow; see [`Book::snapshot`].
    #[cold]
    pub(crate) fn begin_book(&mut self, shared: &Shared, message: &[Depth]) {
        if !self.is_stopped() {
            self.dirty = true;
            self.book(shared).snapshot(message);
        }
    }

    /// Says that depth deltas were lost; see [`Book::gap`].
    pub(crate) fn lose_book(&mut self, since: Option<i64>) {
        if let Some(book) = &mut self.book {
            self.dirty = true;
            book.gap(since);
        }
    }

    /// The book; the first call makes it, and room in the cell for what readers are shown.
    #[inline]
    fn book(&mut self, shared: &Shared) -> &mut Book {
        let Self { book, layout, install, .. } = self;
        book.get_or_insert_with(|| {
            *layout = layout.clone().with_book(Some(shared.spec.book_levels));
            install.get_or_insert_default();
            Box::new(Book::new(shared.spec.tick_size))
        })
    }
}
