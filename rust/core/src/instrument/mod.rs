//! One instrument: what its one writer changes, and what any number of readers see.
//!
//! Every tick, whatever path it came by, goes through [`Writer::trade`], [`Writer::quote`] or
//! [`Writer::depth`]: it is checked first, and after that nothing can fail. Readers see the outcome
//! after [`Writer::publish`], all of it at once.

mod apply;
mod depth;
mod failure;
mod fault;
mod measure;
mod publish;
mod revise;
mod sizes;
mod tracks;

use measure::Restarts;
pub use sizes::NoSizes;
pub(crate) use tracks::Stream;
use tracks::Track;

use crate::bars::{Alignment, Buckets, Empty, Kind, Late, Measured, Source, Split, parent};
use crate::book::Book;
use crate::cell::Cell;
use crate::ids::Ids;
use crate::judged::{Keep, Shown};
use crate::layout::Layout;
use crate::reason::REASONS;
use crate::record::{Quote, Trade};
use crate::ring::{self, Ring};
use crate::sessions::Sessions;
use crate::signal::Watchers;
use crate::store::{Series, View};
use crate::validate::{Rules, Validator};
use arc_swap::ArcSwap;
use arrow_schema::ArrowError;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};

/// What an engine is told about an instrument.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The full contract id.
    pub symbol: String,
    /// Smallest price step.
    pub tick_size: f64,
    /// What the prices, sizes and times must obey, until other rules are set.
    pub rules: Rules,
    /// Which prices bars are made of.
    pub sources: Vec<Source>,
    /// What bars are aligned to.
    pub alignment: Alignment,
    /// When it trades, if that is known.
    pub hours: Option<Arc<Sessions>>,
    /// How long a bar waits for late ticks, ns.
    pub lateness_ns: i64,
    /// What becomes of a tick of which a bar is already closed.
    pub late: Late,
    /// What becomes of a bar without ticks.
    pub empty: Empty,
    /// What becomes of a trade that reaches the end of a volume or notional bar.
    pub split: Split,
    /// With the trading days of these hours bars by trades, volume, notional and range begin anew.
    pub restart: Option<Arc<Sessions>>,
    /// Whether a tick without event time is stamped with its arrival time.
    pub stamp_arrival: bool,
    /// Number of ticks each ring holds.
    pub capacity: usize,
    /// Levels of each side of the order book that readers are shown.
    pub book_levels: usize,
}

impl Spec {
    /// An instrument with the default rules and bars of trades by UTC: no lateness, late ticks rejected,
    /// empty bars left out, small rings.
    #[must_use]
    pub fn new(symbol: &str, tick_size: f64) -> Self {
        Self {
            symbol: symbol.to_owned(),
            tick_size,
            rules: Rules::default(),
            sources: vec![Source::Trade],
            alignment: Alignment::Utc,
            hours: None,
            lateness_ns: 0,
            late: Late::Reject,
            empty: Empty::Skip,
            split: Split::Keep,
            restart: None,
            stamp_arrival: false,
            capacity: 1 << 10,
            book_levels: 10,
        }
    }
}

/// Which of all kinds of bars are lengths of time that are fed by ticks.
fn roots(buckets: &[Buckets], kinds: usize) -> Vec<bool> {
    let is_root = |level: usize| level < buckets.len() && parent(buckets, level).is_none();
    (0..kinds).map(is_root).collect()
}

pub(crate) type TradeRing = Ring<{ Trade::WORDS }>;
pub(crate) type QuoteRing = Ring<{ Quote::WORDS }>;

/// The part that readers use, without locks.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) spec: Spec,
    /// The kinds of bars, in order: lengths of time first, ascending.
    pub(crate) kinds: Arc<[Kind]>,
    /// Those of the lengths of time.
    pub(crate) buckets: Arc<[Buckets]>,
    pub(crate) view: ArcSwap<View>,
    /// Made when the first trade comes.
    pub(crate) trades: OnceLock<Arc<TradeRing>>,
    pub(crate) quotes: OnceLock<Arc<QuoteRing>>,
    /// The newest ticks that were rejected, and those that were flagged.
    pub(crate) rejected: Shown,
    pub(crate) flagged: Shown,
    pub(crate) watchers: Watchers,
    /// Bars to retain, per kind.
    pub(crate) retain: Arc<[usize]>,
}

impl Shared {
    /// Copies the small parts of a series into large ones, where that is worthwhile. Readers do it
    /// before an export, because they profit from it and a tick must not wait for it.
    pub(crate) fn compact(&self, index: usize) -> Result<(), ArrowError> {
        loop {
            let view = self.view.load_full();
            let original = &view.series[index];
            let retain = self.retain[index % self.retain.len()];
            // Where closed bars are changed, the newest stay in parts that are quickly copied.
            let short = usize::from(self.spec.late != Late::Reject);
            let Some(compacted) = original.compacted(retain, short)? else { return Ok(()) };
            let mut adopted = false;
            self.view.rcu(|view| {
                let series = view.series[index].adopt(original, &compacted);
                adopted = series.is_some();
                series.map_or_else(
                    || Arc::clone(view),
                    |series| Arc::new(view.with_series(index, series)),
                )
            });
            // The parts were changed meanwhile, so the next reader may go on.
            if !adopted {
                return Ok(());
            }
        }
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) shared: Shared,
    writer: Mutex<Writer>,
}

/// The state behind the writer-side lock.
#[derive(Debug)]
pub(crate) struct Writer {
    rejected: [u64; REASONS],
    rejected_total: u64,
    flagged: [u64; REASONS],
    kept_rejected: Keep,
    kept_flagged: Keep,
    depth_count: u64,
    duplicates: u64,
    /// Late ticks that have changed closed bars.
    revised: u64,
    /// Which numbered trades and quotes have come.
    pub(crate) trade_ids: Ids,
    pub(crate) quote_ids: Ids,
    trade_checks: Validator,
    quote_checks: Validator,
    pub(crate) trades: Stream,
    pub(crate) quotes: Stream,
    trade_ring: Option<ring::Writer<{ Trade::WORDS }>>,
    quote_ring: Option<ring::Writer<{ Quote::WORDS }>>,
    /// Made when the first depth delta comes.
    book: Option<Box<Book>>,
    cell: Arc<Cell>,
    layout: Layout,
    /// Whether anything happened that readers have not been shown, and whether a tick was rejected
    /// or flagged.
    dirty: bool,
    judged: bool,
    /// Whether an update is under way. Found so under a poisoned lock, half of one was done.
    pub(crate) busy: bool,
    /// Ticks accepted before an update failed, if one has.
    stopped: Option<u64>,
    /// Whether closed bars were changed since the last publication.
    amended: bool,
    /// Series changed other than by appending. They become visible together with a new cell, so
    /// that no reader can combine either with its predecessor.
    install: Option<Vec<(usize, Series)>>,
}

impl Instrument {
    pub(crate) fn new(spec: Spec, kinds: Arc<[Kind]>, retain: Arc<[usize]>) -> Self {
        let times = kinds.iter().filter_map(|kind| kind.timeframe());
        let buckets: Arc<[Buckets]> =
            times.map(|timeframe| Buckets::new(timeframe, &spec.alignment)).collect();
        let layout = Layout::new(spec.sources.len(), &roots(&buckets, kinds.len()), 2);
        let cell = Arc::new(Cell::new(layout.len()));
        let levels = || (0..kinds.len()).map(|level| buckets.get(level)).zip(retain.iter());
        let series: Box<[Series]> = spec
            .sources
            .iter()
            .flat_map(|_| levels().map(|(buckets, &retain)| Series::new(buckets.cloned(), retain)))
            .collect();
        let measured = || {
            let measure = |kind: &Kind| match *kind {
                Kind::Time(_) => None,
                Kind::Measured(measure) => Some(Measured::new(measure, spec.tick_size, spec.split)),
            };
            kinds.iter().filter_map(measure).collect()
        };
        let policies = (spec.late, &spec.empty);
        let stream = |wanted: fn(Source) -> bool| {
            let tracks = spec
                .sources
                .iter()
                .enumerate()
                .filter(|(_, source)| wanted(**source))
                .map(|(index, &source)| {
                    let series = &series[index * kinds.len()..];
                    Track::new(source, index, &buckets, measured(), series, &retain, policies)
                })
                .collect();
            Stream::new(spec.lateness_ns, tracks, spec.restart.as_ref().map(Restarts::new))
        };
        let checks =
            || Validator::new(spec.rules.clone(), spec.tick_size).with_hours(spec.hours.clone());
        let mut writer = Writer {
            rejected: [0; REASONS],
            rejected_total: 0,
            flagged: [0; REASONS],
            kept_rejected: Keep::default(),
            kept_flagged: Keep::default(),
            depth_count: 0,
            duplicates: 0,
            revised: 0,
            trade_ids: Ids::default(),
            quote_ids: Ids::default(),
            trade_checks: checks(),
            quote_checks: checks(),
            trades: stream(|source| source == Source::Trade),
            quotes: stream(|source| source != Source::Trade),
            trade_ring: None,
            quote_ring: None,
            book: None,
            cell: Arc::clone(&cell),
            layout: layout.clone(),
            dirty: true,
            judged: false,
            busy: false,
            stopped: None,
            amended: false,
            install: None,
        };
        let shared = Shared {
            spec,
            kinds: Arc::clone(&kinds),
            buckets,
            view: ArcSwap::from_pointee(View { series, cell, layout }),
            trades: OnceLock::new(),
            quotes: OnceLock::new(),
            rejected: Shown::default(),
            flagged: Shown::default(),
            watchers: Watchers::default(),
            retain,
        };
        writer.publish(&shared);
        Self { shared, writer: Mutex::new(writer) }
    }

    /// The writer, if no other thread is writing.
    pub(crate) fn try_write(&self) -> Option<MutexGuard<'_, Writer>> {
        match self.writer.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(poisoned)) => Some(self.recover(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The writer, once no other thread is writing.
    pub(crate) fn write(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|poisoned| self.recover(poisoned.into_inner()))
    }
}
