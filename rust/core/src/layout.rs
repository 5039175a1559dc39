//! Where things stand in an instrument's cell: the block of words that every update replaces and
//! that a snapshot copies whole.

use crate::bars::bar::OpenBar;
use crate::bars::ladder::Ladder;
use crate::book::Book;
use crate::reason::REASONS;
use crate::record::{Quote, Trade};

pub(crate) const RECEIVED: usize = 0;
pub(crate) const ACCEPTED: usize = 1;
pub(crate) const REJECTED: usize = 2;
pub(crate) const FLAGGED: usize = REJECTED + REASONS;
/// Closing time of the trades' stream, then of the quotes'.
pub(crate) const CLOSING_TIMES: usize = FLAGGED + REASONS;
/// Trades accepted so far, then the newest.
pub(crate) const TRADE_COUNT: usize = CLOSING_TIMES + 2;
pub(crate) const TRADE: usize = TRADE_COUNT + 1;
/// Quotes accepted so far, then the newest.
pub(crate) const QUOTE_COUNT: usize = TRADE + Trade::WORDS;
pub(crate) const QUOTE: usize = QUOTE_COUNT + 1;
/// Depth deltas accepted so far.
pub(crate) const DEPTH_COUNT: usize = QUOTE + Quote::WORDS;
/// Ticks that came a second time, on another connection.
pub(crate) const DUPLICATES: usize = DEPTH_COUNT + 1;
/// Late ticks that have changed closed bars.
pub(crate) const REVISED: usize = DUPLICATES + 1;
/// How far the clock of this machine is ahead of the venue's, ns.
pub(crate) const CLOCK_OFFSET: usize = REVISED + 1;
const LEVELS: usize = CLOCK_OFFSET + 1;

// Behind the levels, once depth has come: the book.

/// The variable part: for every track and level, the number of bars appended, the number of bars
/// open, and these.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    tracks: usize,
    /// How many open bars a level that ticks enter has room for.
    root_slots: usize,
    /// Where each level stands in its track, and how long the track is.
    offsets: Box<[usize]>,
    /// How many levels of each side of the book are shown; none while there is no book.
    book: Option<usize>,
}

impl Layout {
    /// `root_slots` open bars for the levels that ticks enter, one for those rolled up.
    pub(crate) fn new(tracks: usize, roots: &[bool], root_slots: usize) -> Self {
        let mut offsets = vec![0];
        for &root in roots {
            let slots = if root { root_slots } else { 1 };
            offsets.push(offsets[offsets.len() - 1] + Self::open_bar(slots));
        }
        Self { tracks, root_slots, offsets: offsets.into(), book: None }
    }

    /// The same, with room for so many levels of each side of the book, if there is one.
    pub(crate) fn with_book(self, shown: Option<usize>) -> Self {
        Self { book: shown, ..self }
    }

    /// How many levels of the book are shown, and where it stands; none while there is no book.
    pub(crate) fn book(&self) -> Option<(usize, usize)> {
        self.book.map(|shown| (shown, self.level(self.tracks, 0)))
    }

    /// Whether there is room for all open bars.
    pub(crate) fn holds(&self, ladder: &Ladder) -> bool {
        ladder.most_open() <= self.root_slots
    }

    fn track_len(&self) -> usize {
        self.offsets[self.offsets.len() - 1]
    }

    /// Number of words in the cell.
    pub(crate) fn len(&self) -> usize {
        self.level(self.tracks, 0) + self.book.map_or(0, Book::words)
    }

    /// Where a level of a track stands.
    pub(crate) fn level(&self, track: usize, level: usize) -> usize {
        LEVELS + track * self.track_len() + self.offsets[level]
    }

    /// Where an open bar stands, from the start of its level.
    pub(crate) fn open_bar(slot: usize) -> usize {
        2 + slot * OpenBar::WORDS
    }
}
