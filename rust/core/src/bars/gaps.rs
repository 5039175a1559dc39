//! Spans of time whose data is missing.
//!
//! Spans that touch are one. There is a bound to how many are kept; beyond it the two oldest are
//! taken together with what lies between them, so that what is said to be whole always is.

/// Spans of one timeframe.
const MOST: usize = 1_024;

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    /// `[start, end)` ns UTC, ascending, apart from each other.
    spans: Vec<(i64, i64)>,
}

impl Gaps {
    /// Says that everything in `[start, end)` is missing.
    pub(crate) fn add(&mut self, start: i64, end: i64) {
        if start >= end {
            return;
        }
        let first = self.spans.partition_point(|span| span.1 < start);
        let after = self.spans.partition_point(|span| span.0 <= end);
        let joined = self.spans[first..after]
            .iter()
            .fold((start, end), |whole, span| (whole.0.min(span.0), whole.1.max(span.1)));
        self.spans.splice(first..after, [joined]);
        if self.spans.len() > MOST {
            let oldest = self.spans.remove(0);
            self.spans[0].0 = oldest.0;
        }
    }

    /// Says that nothing in `[start, end)` is missing any more; whether anything was.
    pub(crate) fn remove(&mut self, start: i64, end: i64) -> bool {
        if !self.overlaps(start, end) {
            return false;
        }
        let first = self.spans.partition_point(|span| span.1 <= start);
        let after = self.spans.partition_point(|span| span.0 < end);
        let left = (self.spans[first].0, start);
        let right = (end, self.spans[after - 1].1);
        let rest = [left, right].into_iter().filter(|span| span.0 < span.1);
        self.spans.splice(first..after, rest);
        true
    }

    /// Whether anything in `[start, end)` is missing.
    pub(crate) fn overlaps(&self, start: i64, end: i64) -> bool {
        let first = self.spans.partition_point(|span| span.1 <= start);
        start < end && self.spans.get(first).is_some_and(|span| span.0 < end)
    }
}

#[cfg(test)]
mod tests {
    use super::{Gaps, MOST};

    /// Every instant by itself.
    #[derive(Default)]
    struct Naive([bool; 24]);

    #[test]
    fn the_same_as_instant_by_instant() {
        // A linear congruential generator is random enough, and the same everywhere.
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..2_000 {
            let (mut gaps, mut naive) = (Gaps::default(), Naive::default());
            for _ in 0..12 {
                let (start, end) = (random(24) as usize, random(25) as usize);
                let range = start..end.max(start);
                let (from, to) = (start as i64, end as i64);
                let was = naive.0[range.clone()].contains(&true);
                assert_eq!(gaps.overlaps(from, to), was);
                if random(2) == 0 {
                    gaps.add(from, to);
                    naive.0[range].fill(true);
                } else {
                    assert_eq!(gaps.remove(from, to), was);
                    naive.0[range].fill(false);
                }
                let spans = &gaps.spans;
                assert!(spans.iter().all(|span| span.0 < span.1), "{spans:?}");
                assert!(spans.windows(2).all(|pair| pair[0].1 < pair[1].0), "{spans:?}");
                for instant in 0..24 {
                    let missing = gaps.overlaps(instant, instant + 1);
                    assert_eq!(missing, naive.0[instant as usize], "{instant} of {spans:?}");
                }
            }
        }
    }

    #[test]
    fn too_many_are_fewer_and_never_less() {
        let mut gaps = Gaps::default();
        for index in 0..3 * MOST as i64 {
            gaps.add(10 * index, 10 * index + 1);
        }
        assert_eq!(gaps.spans.len(), MOST);
        assert!((0..3 * MOST as i64).all(|index| gaps.overlaps(10 * index, 10 * index + 1)));
        assert!(gaps.overlaps(5, 6), "between the oldest");
        assert!(!gaps.overlaps(30 * MOST as i64 - 5, 30 * MOST as i64));
    }
}
