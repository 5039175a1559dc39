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
    fn rows_before(&self, ts: i64) -> usize {
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
    pub(crate) buckets: Buckets,
    parts: Arc<[Part]>,
    tail: Arc<Tail>,
    /// How many bars had been appended, ever, before the tail's first.
    appended_before: u64,
    /// Whether retention has dropped anything.
    dropped: bool,
}

impl Series {
    pub(crate) fn new(buckets: Buckets, retain: usize) -> Self {
        let tail = Arc::new(Tail::new(TAIL.start.min(retain.max(1))));
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
                        let mut columns = Columns::with_capacity(rows.len());
                        part.copy_to(rows, &mut columns);
                        columns.into_chunk()?.batch
                    }
                });
            }
            offset += part.len();
        }
        let mut columns = Columns::with_capacity(end - start.max(shared).min(end) + extra.len());
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
        let mut columns = Columns::default();
        self.copy_rows(end.saturating_sub(1)..end, &mut columns);
        (columns.len() > 0).then(|| columns.bar(0, &self.buckets))
    }

    /// All bars with `from <= ts < to`. For the writer, to whom every row is visible.
    pub(crate) fn range(&self, from: i64, to: i64) -> Vec<Bar> {
        let mut columns = Columns::default();
        self.copy_rows(self.rows_before(from)..self.rows_before(to), &mut columns);
        (0..columns.len()).map(|row| columns.bar(row, &self.buckets)).collect()
    }

    /// The same series with bars (ascending, distinct) put in, in place of those of equal label, in
    /// parts small enough for `retain`; none is dropped. Costs in proportion to the parts between the
    /// first and the last of them.
    pub(crate) fn with_bars(&self, bars: &[Bar], retain: usize) -> Result<Self, ArrowError> {
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
            return Ok(self.clone());
        };
        // Everything from the part that holds the first bar to the one that holds the last.
        let begin =
            self.parts.iter().take_while(|part| part.rows_before(first.ts) == part.len()).count();
        let stop =
            self.parts.iter().take_while(|part| part.rows_before(last.ts) == part.len()).count();
        let stop = (stop + 1).min(self.parts.len()).max(begin);
        let touches_tail =
            self.parts[begin..].iter().all(|part| part.rows_before(last.ts) == part.len());
        let mut old = Columns::default();
        for part in &self.parts[begin..stop] {
            part.copy_to(0..part.len(), &mut old);
        }
        let mut series = self.clone();
        if touches_tail {
            self.tail.copy_to(0, self.tail.len(), &mut old);
            series.appended_before += self.tail.len() as u64;
            series.tail = Arc::new(Tail::new(self.tail.capacity()));
        }
        let mut parts = self.parts[..begin].to_vec();
        for columns in merge(&old, bars, &self.buckets, largest_part(retain)) {
            parts.push(Part::Chunk(Arc::new(columns.into_chunk()?)));
        }
        if !touches_tail {
            parts.extend_from_slice(&self.parts[stop..]);
        }
        series.parts = parts.into();
        Ok(series)
    }

    pub(super) fn tail(&self) -> &Arc<Tail> {
        &self.tail
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn with_parts(&self, parts: Vec<Part>, tail: Arc<Tail>) -> Self {
        Self { parts: parts.into(), tail, ..self.clone() }
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
        let mut columns = Columns::with_capacity(several.iter().map(Part::len).sum());
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
fn largest_part(retain: usize) -> usize {
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

/// Old rows and new bars in order of time, in pieces of at most `rows`; a new bar takes the place of
/// an old row of its label.
fn merge(old: &Columns, new: &[Bar], buckets: &Buckets, rows: usize) -> Vec<Columns> {
    let mut left = old.len() + new.len();
    let mut pieces: Vec<Columns> = Vec::new();
    let mut push = |bar: &Bar| {
        if pieces.last().is_none_or(|piece| piece.len() == rows) {
            pieces.push(Columns::with_capacity(left.min(rows)));
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(bar);
        }
        left -= 1;
    };
    let mut row = 0;
    for bar in new {
        while row < old.len() && old.ts[row] < bar.ts {
            push(&old.bar(row, buckets));
            row += 1;
        }
        row += usize::from(row < old.len() && old.ts[row] == bar.ts);
        push(bar);
    }
    for row in row..old.len() {
        push(&old.bar(row, buckets));
    }
    pieces
}
