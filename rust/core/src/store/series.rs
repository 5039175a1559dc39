//! One timeframe of one price source: parts of closed bars, and the tail they grow from.

use super::chunk::{Chunk, Columns};
use super::tail::Tail;
use crate::bars::{Bar, Buckets};
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// Frames of up to this many rows are always one contiguous batch: one takes a frame library a few
/// microseconds, a hundred nearly a millisecond.
const ONE_BATCH: usize = 4_096;
/// Rows of the first tail, and of the largest.
pub(super) const TAIL: Range<usize> = 256..4_096;
/// Rows of the largest part.
const PART: usize = 262_144;

#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A full tail, as it is.
    Sealed(Arc<Tail>),
    /// Columns in Arrow form.
    Chunk(Arc<Chunk>),
}

impl Part {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Sealed(tail) => tail.len(),
            Self::Chunk(chunk) => chunk.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Sealed(tail) => tail.touched_bytes(),
            Self::Chunk(chunk) => chunk.bytes(),
        }
    }

    /// Number of leading rows before `ts`.
    pub(super) fn rows_before(&self, ts: i64) -> usize {
        match self {
            Self::Sealed(tail) => rows_before(tail, tail.len(), ts),
            Self::Chunk(chunk) => chunk.ts().partition_point(|&row| row < ts),
        }
    }

    /// The label of the newest row.
    pub(super) fn newest(&self) -> i64 {
        match self {
            Self::Sealed(tail) => tail.ts(tail.len() - 1),
            Self::Chunk(chunk) => chunk.ts()[chunk.len() - 1],
        }
    }

    pub(super) fn copy_to(&self, rows: Range<usize>, out: &mut Columns) {
        match self {
            Self::Sealed(tail) => tail.copy_to(rows.start, rows.end, out),
            Self::Chunk(chunk) => chunk.copy_to(rows, out),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sealed(a), Self::Sealed(b)) => Arc::ptr_eq(a, b),
            (Self::Chunk(a), Self::Chunk(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

fn rows_before(tail: &Tail, len: usize, ts: i64) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = usize::midpoint(low, high);
        if tail.ts(middle) < ts { low = middle + 1 } else { high = middle }
    }
    low
}

/// What readers see of one series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// What the ends of the bars follow from; without it they are kept.
    pub(crate) buckets: Option<Buckets>,
    pub(super) parts: Arc<[Part]>,
    pub(super) tail: Arc<Tail>,
    /// How many bars had been appended, ever, before the tail's first.
    pub(super) appended_before: u64,
    /// Whether retention has dropped anything.
    pub(super) dropped: bool,
}

impl Series {
    pub(crate) fn new(buckets: Option<Buckets>, retain: usize) -> Self {
        let tail = Arc::new(Tail::new(TAIL.start.min(retain.max(1)), buckets.is_none()));
        Self { buckets, parts: Arc::new([]), tail, appended_before: 0, dropped: false }
    }

    fn part_rows(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Bytes of memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(Part::bytes).sum::<usize>() + self.tail.touched_bytes()
    }

    /// How many rows a reader sees whose cut was made when `appended` bars had been appended.
    fn visible_rows(&self, appended: u64) -> usize {
        // Loaded once: the writer may be appending.
        let tail = self.tail.len();
        let newer = (self.appended_before + tail as u64).saturating_sub(appended);
        (self.part_rows() + tail).saturating_sub(newer as usize)
    }

    /// The rows `since..` (at most the `last` of them) that belong to a cut, and `extra` bars after
    /// them, as Arrow batches.
    pub(crate) fn batches(
        &self,
        appended: u64,
        last: Option<usize>,
        since: Option<i64>,
        extra: &[Bar],
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        let end = self.visible_rows(appended);
        let mut start = since.map_or(0, |ts| self.rows_before(ts).min(end));
        if let Some(last) = last {
            start = start.max(end.saturating_sub(last.saturating_sub(extra.len())));
        }
        let shared =
            if end - start + extra.len() <= ONE_BATCH { 0 } else { self.part_rows().min(end) };
        let mut batches = Vec::new();
        let mut offset = 0;
        for part in self.parts.iter().take_while(|_| shared > 0) {
            let rows =
                start.clamp(offset, offset + part.len())..shared.clamp(offset, offset + part.len());
            if !rows.is_empty() {
                let rows = rows.start - offset..rows.end - offset;
                batches.push(match part {
                    Part::Chunk(chunk) => chunk.batch.slice(rows.start, rows.len()),
                    Part::Sealed(_) => {
                        let mut columns = Columns::with_capacity(rows.len(), self.buckets.as_ref());
                        part.copy_to(rows, &mut columns);
                        columns.into_chunk()?.batch
                    }
                });
            }
            offset += part.len();
        }
        let rows = end - start.max(shared).min(end) + extra.len();
        let mut columns = Columns::with_capacity(rows, self.buckets.as_ref());
        self.copy_rows(start.max(shared)..end, &mut columns);
        for bar in extra.iter().skip(extra.len().saturating_sub(last.unwrap_or(usize::MAX))) {
            columns.push(bar);
        }
        if columns.len() > 0 || batches.is_empty() {
            batches.push(columns.into_chunk()?.batch);
        }
        Ok(batches)
    }

    /// Number of leading rows before `ts`.
    pub(super) fn rows_before(&self, ts: i64) -> usize {
        let mut rows = 0;
        for part in self.parts.iter() {
            let before = part.rows_before(ts);
            rows += before;
            if before < part.len() {
                return rows;
            }
        }
        rows + rows_before(&self.tail, self.tail.len(), ts)
    }

    pub(super) fn copy_rows(&self, rows: Range<usize>, out: &mut Columns) {
        let mut offset = 0;
        for part in self.parts.iter() {
            let end = offset + part.len();
            let wanted = rows.start.clamp(offset, end)..rows.end.clamp(offset, end);
            if !wanted.is_empty() {
                part.copy_to(wanted.start - offset..wanted.end - offset, out);
            }
            offset = end;
        }
        let end = offset + self.tail.len();
        let wanted = rows.start.clamp(offset, end)..rows.end.clamp(offset, end);
        self.tail.copy_to(wanted.start - offset, wanted.end - offset, out);
    }

    /// The newest bar of a cut.
    pub(crate) fn last(&self, appended: u64) -> Option<Bar> {
        let end = self.visible_rows(appended);
        self.bars(end.saturating_sub(1)..end).pop()
    }

    /// All bars with `from <= ts < to`. For the writer, to whom every row is visible.
    pub(crate) fn range(&self, from: i64, to: i64) -> Vec<Bar> {
        self.between(from, to).1
    }

    /// The same, and the row of the first of them.
    pub(crate) fn between(&self, from: i64, to: i64) -> (usize, Vec<Bar>) {
        let first = self.rows_before(from);
        (first, self.bars(first..self.rows_before(to)))
    }

    fn bars(&self, rows: Range<usize>) -> Vec<Bar> {
        let mut columns = Columns::of(self.buckets.as_ref());
        self.copy_rows(rows, &mut columns);
        (0..columns.len()).map(|row| columns.bar(row, self.buckets.as_ref())).collect()
    }

    /// For bars that end with their last tick and begin after the end of the one before: those in which
    /// data is missing if it is missing in `[start, end)`, and the row of the first of them. For the
    /// writer, to whom every row is visible.
    pub(crate) fn across(&self, start: i64, end: i64) -> (usize, Vec<Bar>) {
        let first = self.rows_before(start).saturating_sub(1);
        // Of the bars labelled later, the first one may have begun with a tick that is missing.
        let last = (self.rows_before(end) + 1).min(self.part_rows() + self.tail.len());
        let bars = self.bars(first..last);
        let before = bars.iter().take_while(|bar| bar.ts_end < start).count();
        let begins = |row: usize| row == 0 || bars[row - 1].ts_end < end;
        let count = (before..bars.len()).take_while(|&row| begins(row)).count();
        (first + before, bars[before..before + count].to_vec())
    }

    /// How many bars were appended, ever, and put into the tail. For the writer.
    pub(super) fn appended(&self) -> u64 {
        self.appended_before + self.tail.len() as u64
    }

    /// Whether a bar of this label may have been dropped by retention.
    pub(crate) fn may_have_dropped(&self, ts: i64) -> bool {
        self.dropped && self.rows_before(ts.saturating_add(1)) == 0
    }

    /// The series with its full tail as a part; `appended` bars had been appended, ever, when that
    /// was replaced by a new one.
    pub(super) fn sealed(&self, tail: Arc<Tail>, appended: u64) -> Self {
        let sealed = Part::Sealed(Arc::clone(&self.tail));
        let parts = self.parts.iter().cloned().chain([sealed]).collect();
        Self { parts, tail, appended_before: appended, ..self.clone() }
    }

    /// The series without the oldest parts that are not needed to keep `retain` rows.
    pub(crate) fn retained(&self, retain: usize) -> Self {
        let mut rows = self.part_rows() + self.tail.len();
        let dropped = self.parts.iter().take_while(|part| {
            let needed = rows - part.len() < retain;
            rows -= part.len();
            !needed
        });
        let count = dropped.count();
        let parts = self.parts[count..].into();
        Self { parts, dropped: self.dropped || count > 0, ..self.clone() }
    }

    /// The series with a run of its small parts copied together into a large one, oldest first, if
    /// that is worthwhile. To be asked again until it is not, so that the memory of one run is free
    /// before the next is copied. The `short` newest parts stay as they are.
    pub(crate) fn compacted(
        &self,
        retain: usize,
        short: usize,
    ) -> Result<Option<Self>, ArrowError> {
        let older = self.parts.len().saturating_sub(short);
        let mut groups = groups(&self.parts[..older], largest_part(retain)).into_iter();
        let small = groups.find(|group| !matches!(self.parts[group.clone()], [Part::Chunk(_)]));
        let Some(group) = small else { return Ok(None) };
        let several = &self.parts[group.clone()];
        let mut columns =
            Columns::with_capacity(several.iter().map(Part::len).sum(), self.buckets.as_ref());
        for part in several {
            part.copy_to(0..part.len(), &mut columns);
        }
        let mut parts = self.parts.to_vec();
        parts.splice(group, [Part::Chunk(Arc::new(columns.into_chunk()?))]);
        Ok(Some(Self { parts: parts.into(), ..self.clone() }))
    }

    /// Puts the compacted parts of an older state of this series in place of the originals, if they
    /// still stand at its front.
    pub(crate) fn adopt(&self, original: &Self, compacted: &Self) -> Option<Self> {
        let unchanged = original.parts.len() <= self.parts.len()
            && original.parts.iter().zip(self.parts.iter()).all(|(a, b)| a.is_same(b));
        unchanged.then(|| {
            let newer = &self.parts[original.parts.len()..];
            let parts = compacted.parts.iter().chain(newer).cloned().collect();
            Self { parts, ..self.clone() }
        })
    }
}

/// Rows of the largest part where so many rows are to be retained: parts are dropped as a whole, and
/// the tail comes on top.
pub(super) fn largest_part(retain: usize) -> usize {
    (retain / 8).clamp(TAIL.start, PART)
}

/// Which neighbouring parts to copy together, so that sizes at least double towards the older end:
/// every row is copied a logarithmic number of times, and a logarithmic number of parts remains.
fn groups(parts: &[Part], largest: usize) -> Vec<Range<usize>> {
    let mut groups: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        groups.push((index..index + 1, part.len()));
        while let [.., (before, rows), (range, newer)] = &groups[..]
            && *rows < 2 * newer
            && rows + newer <= largest
        {
            let joined = (before.start..range.end, rows + newer);
            groups.truncate(groups.len() - 2);
            groups.push(joined);
        }
    }
    groups.into_iter().map(|(range, _)| range).collect()
}
