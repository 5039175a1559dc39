//! Depth deltas and books, as a writer's session brings them to an instrument.

use super::Book;
use crate::engine::Session;
use crate::reason::Reason;
use crate::record::{Depth, InstrumentId};

impl Session<'_> {
    /// Applies a depth delta.
    ///
    /// # Errors
    /// Why it was rejected.
    pub fn push_depth(&mut self, id: InstrumentId, depth: &Depth) -> Result<(), Reason> {
        self.update(id, |writer, shared| writer.depth(shared, depth))
    }

    /// Counts a depth delta, of which the book hears otherwise.
    pub(crate) fn count_depth(&mut self, id: InstrumentId, depth: &Depth) -> Result<(), Reason> {
        self.update(id, |writer, shared| {
            let depth = writer.dated_depth(shared, depth);
            writer.count_depth(shared, &depth)
        })
    }

    /// Applies a depth delta that was counted otherwise: to `book`, or else to the instrument's.
    pub(crate) fn follow_depth(
        &mut self,
        id: InstrumentId,
        depth: &Depth,
        book: Option<&mut Book>,
    ) {
        self.update(id, |writer, shared| {
            let depth = writer.dated_depth(shared, depth);
            let judged = writer.check_depth(&depth);
            match book {
                Some(book) => book.follow(&depth, judged.is_ok()),
                None => writer.follow_depth(shared, &depth, judged),
            }
        });
    }

    /// Puts another connection's book in the place of the instrument's.
    pub(crate) fn replace_book(&mut self, id: InstrumentId, book: Book) {
        self.update(id, |writer, shared| writer.replace_book(shared, book));
    }

    /// An empty book for an instrument.
    pub(crate) fn new_book(&self, id: InstrumentId) -> Book {
        Book::new(self.engine.spec(id).tick_size)
    }

    /// Says that depth deltas were lost, since the time given (ns UTC) or up to now: the book is not
    /// complete until it is sent anew.
    pub fn lose_book(&mut self, id: InstrumentId, since: Option<i64>) {
        self.update(id, |writer, _| writer.lose_book(since));
    }
}
