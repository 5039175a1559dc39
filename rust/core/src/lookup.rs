//! Where a time stands among ascending ones, in constant time for times spread about evenly.
//!
//! Transitions of a time zone and openings of a market come at about even distances. So the whole of
//! their time is cut into cells of equal length, about one for each, and each cell knows the first
//! place to look at; what is left is a step or two. Nothing is remembered between calls: threads
//! share a table, and a jump costs what its neighbour costs.

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    times: Box<[i64]>,
    /// Of each cell, how many of the times are before its start.
    cells: Box<[u32]>,
    /// Cells are `1 << shift` ns long.
    shift: u32,
}

impl Lookup {
    /// A look-up among ascending times, of which there are fewer than 2^32.
    pub(crate) fn new(times: impl Into<Box<[i64]>>) -> Self {
        let times = times.into();
        let span = match *times {
            [first, .., last] => last.wrapping_sub(first) as u64,
            _ => 0,
        };
        let each = span / times.len().max(1) as u64;
        let shift = (u64::BITS - each.leading_zeros()).min(u64::BITS - 1);
        let mut cells = Vec::with_capacity((span >> shift) as usize + 1);
        let mut before = 0;
        for cell in 0..=span >> shift {
            while before < times.len()
                && (times[before].wrapping_sub(times[0]) as u64) < cell << shift
            {
                before += 1;
            }
            cells.push(before as u32);
        }
        Self { times, cells: cells.into(), shift }
    }

    /// The times.
    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    /// How many of the times are at or before `ts`.
    #[inline]
    pub(crate) fn count(&self, ts: i64) -> usize {
        let Some(&first) = self.times.first() else { return 0 };
        if ts < first {
            return 0;
        }
        let cell = (ts.wrapping_sub(first) as u64 >> self.shift) as usize;
        let mut count = match self.cells.get(cell) {
            Some(&count) => count as usize,
            None => return self.times.len(),
        };
        while count < self.times.len() && self.times[count] <= ts {
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::Lookup;

    #[test]
    fn the_same_as_a_search() {
        let tables: [Vec<i64>; 7] = [
            vec![],
            vec![5],
            vec![i64::MIN, i64::MAX],
            vec![-3, -2, -1, 0, 1],
            vec![0, 1, 2, 1_000_000, 1_000_001],
            (0..500).map(|n| n * n * n - 7_000_000).collect(),
            (0..3_000).map(|n| n * 86_400_000_000_000 + n % 7).collect(),
        ];
        for times in tables {
            let lookup = Lookup::new(times.as_slice());
            let near = times.iter().flat_map(|&time| {
                [time.saturating_sub(1), time, time.saturating_add(1), time / 2 + 40]
            });
            for ts in near.chain([i64::MIN, -1, 0, 1, i64::MAX]) {
                assert_eq!(lookup.count(ts), times.partition_point(|&time| time <= ts), "{ts}");
            }
        }
    }
}
