//! One side of a book: its price levels in order.

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The price, as the feed gave it last.
    pub price: f64,
    /// The quantity that rests there; above zero.
    pub size: f64,
}

/// A level where it ranks: the larger the rank, the better.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    rank: i64,
    level: Level,
}

/// The levels of one side, at most `most` of them. Their room is taken once.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// Ascending, so that the best stands at the end: most changes are near it and move little.
    levels: Vec<Ranked>,
    most: usize,
    /// How far from the best the nearest change is that readers have not been shown.
    changed: usize,
}

impl Side {
    pub(super) fn new(most: usize) -> Self {
        Self { levels: Vec::with_capacity(most), most, changed: usize::MAX }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// Rank of the best level.
    #[inline]
    pub(super) fn best(&self) -> Option<i64> {
        self.levels.last().map(|best| best.rank)
    }

    /// The levels, best first.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Level> {
        self.levels.iter().rev().map(|ranked| ranked.level)
    }

    /// Puts a level in, changes it, or takes it out where its size is zero. Returns how many levels had
    /// to go, or could not come in, because there are too many.
    #[inline]
    pub(super) fn set(&mut self, rank: i64, level: Level) -> usize {
        match self.levels.binary_search_by_key(&rank, |ranked| ranked.rank) {
            Ok(at) if level.size > 0.0 => {
                self.levels[at].level = level;
                self.change(self.levels.len() - 1 - at);
            }
            Ok(at) => {
                self.change(self.levels.len() - 1 - at);
                self.levels.remove(at);
            }
            Err(_) if level.size == 0.0 => {}
            Err(0) if self.levels.len() == self.most => return 1,
            Err(at) => {
                let full = self.levels.len() == self.most;
                if full {
                    // What is farthest from the market is worth least.
                    self.levels.remove(0);
                }
                let at = at - usize::from(full);
                self.levels.insert(at, Ranked { rank, level });
                self.change(self.levels.len() - 1 - at);
                return usize::from(full);
            }
        }
        0
    }

    /// Takes out the levels better than `rank`. Returns how many there were.
    #[inline]
    pub(super) fn cut(&mut self, rank: i64) -> usize {
        let before = self.levels.len();
        while self.best().is_some_and(|best| best > rank) {
            self.levels.pop();
            self.change(0);
        }
        before - self.levels.len()
    }

    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.change(0);
    }

    /// Readers are to be shown all of it.
    pub(super) fn touch(&mut self) {
        self.change(0);
    }

    #[inline]
    fn change(&mut self, from_best: usize) {
        self.changed = self.changed.min(from_best);
    }

    /// The levels from the first change on that readers have not been shown, each with its place from
    /// the best; all of them where `anew`.
    pub(super) fn unshown(&mut self, anew: bool) -> impl Iterator<Item = (usize, Level)> {
        let changed = std::mem::replace(&mut self.changed, usize::MAX);
        let first = if anew { 0 } else { changed };
        self.iter().enumerate().skip(first)
    }

    /// Bytes of memory in use.
    pub(super) fn bytes(most: usize) -> usize {
        most * size_of::<Ranked>()
    }
}
