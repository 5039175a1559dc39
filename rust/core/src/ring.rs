//! A fixed ring of records: one writer that never waits, any number of readers that get copies.
//!
//! # Contract
//! - The capacity is a power of two; the oldest record is overwritten when the ring is full.
//! - Every record has a sequence number, counted from 0 for the life of the ring.
//! - A reader never sees a torn record, never delays the writer, and is told the sequence number of
//!   the first record it got, so a reader that was lapped knows how many it lost.
//! - A record is visible after [`Writer::publish`]. Publishing once per batch keeps the cache line
//!   of the head from bouncing between the writer and a polling reader.
//!
//! It does not wake anybody, and it hands out no view of its memory.
//!
//! # Why it is correct
//! A record is `W` words, each a Relaxed atomic, so a race on a slot is defined behaviour and the
//! only question is whether a reader can *use* a mixture. Two cursors answer it.
//!
//! *Too early.* `head` is stored with Release after the words of every record below it, and a
//! reader loads it with Acquire and copies only records below it. So the words it copies are those
//! of that record or of a later lap, never of an earlier one.
//!
//! *Too late.* Before the writer touches a slot for record `s`, it stores `claim > s` and then
//! executes a Release fence. A reader copies, executes an Acquire fence, then loads `claim`. If any
//! of its loads returned a word of record `s`, the two fences synchronise through that word, so the
//! load of `claim` returns a value above `s`. The reader wanted record `s - capacity` or older; it
//! keeps only records at or above `claim - capacity`, hence discards every record of which it may
//! have seen a later lap.

use crate::sync::{AtomicU64, Ordering, Padded, fence, zeroed_records};
use std::sync::Arc;

/// How many slots a batch claims at a time: readers lose sight of that many of the oldest records
/// while the batch is under way.
const CLAIM: u64 = 32;

/// The shared part of a ring. `W` is the number of words in a record.
#[derive(Debug)]
pub struct Ring<const W: usize> {
    /// One past the newest record that readers may copy.
    head: Padded<AtomicU64>,
    /// One past the newest record whose slot may already be touched.
    claim: Padded<AtomicU64>,
    slots: Box<[[AtomicU64; W]]>,
}

/// The writing end. There is exactly one, and it cannot be cloned.
#[derive(Debug)]
pub struct Writer<const W: usize> {
    ring: Arc<Ring<W>>,
    next: u64,
    claimed: u64,
    published: u64,
}

/// Makes a ring of `capacity` records, rounded up to a power of two.
#[must_use]
pub fn ring<const W: usize>(capacity: usize) -> Writer<W> {
    let capacity = capacity.max(1).next_power_of_two();
    Writer {
        ring: Arc::new(Ring {
            head: Padded(AtomicU64::new(0)),
            claim: Padded(AtomicU64::new(0)),
            slots: zeroed_records(capacity),
        }),
        next: 0,
        claimed: 0,
        published: 0,
    }
}

impl<const W: usize> Writer<W> {
    /// The end that readers share.
    #[must_use]
    pub fn reader(&self) -> Arc<Ring<W>> {
        Arc::clone(&self.ring)
    }

    /// Whether nobody but this writer holds the ring.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.ring) == 1
    }

    /// Sequence number of the next record.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Writes a record. Readers see it after [`publish`](Self::publish).
    #[inline]
    pub fn push(&mut self, record: [u64; W]) {
        if self.next == self.claimed {
            self.claim(CLAIM.min(self.ring.capacity()));
        }
        for (word, value) in self.ring.slot(self.next).iter().zip(record) {
            word.store(value, Ordering::Relaxed);
        }
        self.next += 1;
    }

    /// Writes `N` records; the same as that many times [`push`](Self::push).
    #[inline]
    pub fn push_all<const N: usize>(&mut self, record: impl Fn(usize) -> [u64; W]) {
        let mut done = 0;
        while done < N {
            // As many as stand side by side, and not more than may be claimed at once.
            let first = self.next as usize & (self.ring.slots.len() - 1);
            let side_by_side = self.ring.slots.len() - first;
            let count = side_by_side.min(N - done).min(CLAIM as usize);
            self.claim(count as u64);
            for (row, slot) in (done..).zip(&self.ring.slots[first..first + count]) {
                for (word, value) in slot.iter().zip(record(row)) {
                    word.store(value, Ordering::Relaxed);
                }
            }
            self.next += count as u64;
            done += count;
        }
    }

    /// Says that the slots of the next records are about to be touched.
    #[inline]
    fn claim(&mut self, records: u64) {
        self.claimed = self.claimed.max(self.next + records);
        self.ring.claim.0.store(self.claimed, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    /// The newest record, published or not, and one past its sequence number.
    #[must_use]
    pub fn newest(&self) -> Option<(u64, [u64; W])> {
        let newest = self.next.checked_sub(1)?;
        Some((self.next, self.ring.copy(newest)))
    }

    /// Makes everything written so far visible. Returns whether there was anything new.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.next == self.published {
            return false;
        }
        self.ring.head.0.store(self.next, Ordering::Release);
        // The claim may fall back to what was really written: no slot above it was touched. So
        // between two batches readers see the full capacity.
        self.ring.claim.0.store(self.next, Ordering::Relaxed);
        self.claimed = self.next;
        self.published = self.next;
        true
    }
}

impl<const W: usize> Ring<W> {
    /// Number of records the ring holds.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    #[inline]
    fn slot(&self, sequence: u64) -> &[AtomicU64; W] {
        &self.slots[sequence as usize & (self.slots.len() - 1)]
    }

    #[inline]
    fn copy(&self, sequence: u64) -> [u64; W] {
        let slot = self.slot(sequence);
        std::array::from_fn(|word| slot[word].load(Ordering::Relaxed))
    }

    /// One past the sequence number of the newest visible record.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head.0.load(Ordering::Acquire)
    }

    /// Bytes of memory that have been written at least once.
    #[must_use]
    pub fn touched_bytes(&self) -> usize {
        self.head().min(self.capacity()) as usize * W * size_of::<u64>()
    }

    /// Appends to `out` the visible records from sequence number `from`, at most `most` of them, and
    /// returns the sequence number of the first one appended. It is larger than `from` when the
    /// writer has overwritten records since. Returns `from` and appends nothing when there is
    /// nothing newer.
    pub fn read(&self, from: u64, most: usize, out: &mut Vec<[u64; W]>) -> u64 {
        let kept = out.len();
        let mut from = from;
        loop {
            let head = self.head();
            let first = from.max(head.saturating_sub(self.capacity()));
            if first >= head {
                return from;
            }
            let end = head.min(first.saturating_add(most as u64));
            out.extend((first..end).map(|sequence| self.copy(sequence)));
            fence(Ordering::Acquire);
            let oldest = self.claim.0.load(Ordering::Relaxed).saturating_sub(self.capacity());
            if oldest <= first {
                return first;
            }
            if oldest < end {
                out.drain(kept..kept + (oldest - first) as usize);
                return oldest;
            }
            // Lapped while copying: all of it may be torn. Start again from what is left.
            out.truncate(kept);
            from = oldest;
        }
    }
}
