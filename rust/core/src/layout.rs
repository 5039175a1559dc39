//! Where things stand in an instrument's cell: the block of words that every update replaces and
//! that a snapshot copies whole.

use crate::bars::bar::OpenBar;
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
const LEVELS: usize = DEPTH_COUNT + 1;

/// The variable part: for every track and level, the number of bars appended, the number of bars
/// open, and these.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    tracks: usize,
    /// How many open bars each level has room for.
    slots: Box<[usize]>,
    /// Where each level stands in its track, and how long the track is.
    offsets: Box<[usize]>,
}

impl Layout {
    /// `root_slots` open bars for the levels that ticks enter, one for those rolled up.
    pub(crate) fn new(tracks: usize, roots: &[bool], root_slots: usize) -> Self {
        let slots: Box<[usize]> =
            roots.iter().map(|&root| if root { root_slots } else { 1 }).collect();
        let mut offsets = vec![0];
        for &slots in &slots {
            offsets.push(offsets[offsets.len() - 1] + Self::open_bar(slots));
        }
        Self { tracks, slots, offsets: offsets.into() }
    }

    pub(crate) fn levels(&self) -> usize {
        self.slots.len()
    }

    /// How many open bars a level has room for.
    pub(crate) fn slots(&self, level: usize) -> usize {
        self.slots[level]
    }

    /// Number of words in the cell.
    pub(crate) fn len(&self) -> usize {
        LEVELS + self.tracks * self.offsets[self.slots.len()]
    }

    /// Where a level of a track stands.
    pub(crate) fn level(&self, track: usize, level: usize) -> usize {
        LEVELS + track * self.offsets[self.slots.len()] + self.offsets[level]
    }

    /// Where an open bar stands, from the start of its level.
    pub(crate) fn open_bar(slot: usize) -> usize {
        2 + slot * OpenBar::WORDS
    }
}
