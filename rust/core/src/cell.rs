//! A block of words that one writer replaces and any number of readers copy whole (a seqlock).
//!
//! # Contract
//! - A reader gets all words as they were after some one update, never a mixture of two.
//! - The writer never waits. A reader retries while an update is under way.
//!
//! # Why it is correct
//! `version` is odd while an update is under way. The writer stores the odd value, executes a
//! Release fence, stores words (Relaxed) and stores the even value with Release. A reader loads
//! `version` with Acquire (even, so the words of that update are visible), copies, executes an
//! Acquire fence and loads `version` again. If it copied any word of a later update, the fences
//! synchronise through that word and the second load returns at least that update's odd value, so
//! the versions differ and the copy is thrown away.

use crate::sync::{AtomicU64, Ordering, fence, relax, zeroed_words};

/// See the module documentation.
#[derive(Debug)]
pub struct Cell {
    version: AtomicU64,
    words: Box<[AtomicU64]>,
}

/// An update under way; it ends when dropped.
#[derive(Debug)]
pub struct Update<'a> {
    cell: &'a Cell,
    version: u64,
}

impl Cell {
    /// A cell of `len` zero words.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self { version: AtomicU64::new(0), words: zeroed_words(len) }
    }

    /// Number of words.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether the cell has no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Begins an update. Only the cell's one writer may call it: two updates at the same time
    /// would be undetected by readers (though still free of undefined behaviour).
    #[inline]
    pub fn update(&self) -> Update<'_> {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        Update { cell: self, version }
    }

    /// Copies all words into `out`, which is resized to fit.
    pub fn read(&self, out: &mut Vec<u64>) {
        let mut spins = 0;
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before & 1 == 0 {
                out.clear();
                out.extend(self.words.iter().map(|word| word.load(Ordering::Relaxed)));
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return;
                }
            }
            spins += 1;
            relax(spins);
        }
    }
}

impl Update<'_> {
    /// Replaces one word.
    #[inline]
    pub fn set(&mut self, index: usize, value: u64) {
        self.cell.words[index].store(value, Ordering::Relaxed);
    }

    /// Replaces a run of words beginning at `index`.
    #[inline]
    pub fn set_all(&mut self, index: usize, values: &[u64]) {
        for (word, value) in self.cell.words[index..index + values.len()].iter().zip(values) {
            word.store(*value, Ordering::Relaxed);
        }
    }
}

impl Drop for Update<'_> {
    fn drop(&mut self) {
        self.cell.version.store(self.version + 2, Ordering::Release);
    }
}
