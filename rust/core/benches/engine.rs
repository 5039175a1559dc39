//! The batch path beside a plain loop over the same columns, and the single push.
//!
//! The loop does what the engine does to a trade, as one would write it for one instrument with
//! nobody looking on: checks (finite, positive, size, grid, late, band), five words into a ring of
//! 65,536, bars of eight timeframes built from the smallest, closed into vectors, which are its
//! results. It has no lock, no atomics, no counters by reason, no allowance for late or doubtful
//! ticks, and sums plainly. The engine's time includes reading all closed bars. Before anything is
//! timed both must have made the same bars.

use std::hint::black_box;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use cpu_time::ProcessTime;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tickwire_core::Spec;
use tickwire_core::bars::{Kind, Source};
use tickwire_core::columns::TradeColumns;
use tickwire_core::engine::Engine;
use tickwire_core::record::{InstrumentId, NO_TIME, Trade};

const TRADES: usize = 10_000_000;
const TIMEFRAMES: [&str; 8] = ["1s", "5s", "15s", "30s", "1m", "5m", "15m", "1h"];
const SECONDS: [i64; 8] = [1, 5, 15, 30, 60, 300, 900, 3_600];
const TICK_SIZE: f64 = 0.25;
const CAPACITY: usize = 65_536;
const ID: InstrumentId = InstrumentId(0);

/// Trades in columns, as a caller has them.
struct Columns {
    ts: Vec<i64>,
    price: Vec<f64>,
    size: Vec<f64>,
}

impl Columns {
    /// A random walk on the grid with so many trades per second on average.
    fn random(len: usize, per_second: u64) -> Self {
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) % below
        };
        let mut columns = Self { ts: Vec::new(), price: Vec::new(), size: Vec::new() };
        let (mut ts, mut ticks) = (1_700_000_000_000_000_000_i64, 20_000_i64);
        for _ in 0..len {
            ts += random(2_000_000_000 / per_second) as i64;
            ticks = (ticks + random(3) as i64 - 1).max(4_000);
            columns.ts.push(ts);
            columns.price.push(ticks as f64 * TICK_SIZE);
            columns.size.push(1.0 + random(20) as f64);
        }
        columns
    }

    fn trades(&self) -> TradeColumns<'_> {
        TradeColumns {
            ts_event: &self.ts,
            ts_recv: None,
            price: &self.price,
            size: &self.size,
            side: None,
        }
    }
}

#[derive(Clone, Copy)]
struct PlainBar {
    start: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    notional: f64,
    count: i64,
}

#[derive(Debug, Default, PartialEq)]
struct Closed {
    ts: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
    vwap: Vec<f64>,
    count: Vec<i64>,
}

impl Closed {
    fn push(&mut self, bar: &PlainBar) {
        self.ts.push(bar.start);
        self.open.push(bar.open);
        self.high.push(bar.high);
        self.low.push(bar.low);
        self.close.push(bar.close);
        self.volume.push(bar.volume);
        self.vwap.push(bar.notional / bar.volume);
        self.count.push(bar.count);
    }
}

fn bucket(ts: i64, level: usize) -> i64 {
    let length = SECONDS[level] * 1_000_000_000;
    ts - ts.rem_euclid(length)
}

/// Closes a bar, and those above it that cannot grow any more.
fn close(open: &mut [Option<PlainBar>; 8], closed: &mut [Closed; 8], level: usize, now: i64) {
    let Some(bar) = open[level].take() else { return };
    closed[level].push(&bar);
    let Some(above) = (level + 1 < SECONDS.len()).then_some(level + 1) else { return };
    match &mut open[above] {
        Some(larger) => {
            larger.high = larger.high.max(bar.high);
            larger.low = larger.low.min(bar.low);
            larger.close = bar.close;
            larger.volume += bar.volume;
            larger.notional += bar.notional;
            larger.count += bar.count;
        }
        empty => *empty = Some(PlainBar { start: bucket(bar.start, above), ..bar }),
    }
    if open[above].is_some_and(|larger| bucket(now, above) != larger.start) {
        close(open, closed, above, now);
    }
}

fn plain(columns: &Columns) -> ([Closed; 8], Box<[[u64; 5]]>, u64) {
    let mut closed: [Closed; 8] = Default::default();
    let mut open: [Option<PlainBar>; 8] = [None; 8];
    let mut ring = vec![[0_u64; 5]; CAPACITY].into_boxed_slice();
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    let (mut accepted, mut rejected) = (0_usize, 0_u64);
    for ((&ts, &price), &size) in columns.ts.iter().zip(&columns.price).zip(&columns.size) {
        let scaled = price / TICK_SIZE;
        let fits = price.is_finite()
            && price > 0.0
            && size >= 0.0
            && size.is_finite()
            && (scaled - scaled.round_ties_even()).abs() < 1e-9
            && open[0].is_none_or(|bar| ts >= bar.start)
            && price >= low
            && price <= high;
        if !fits {
            rejected += 1;
            continue;
        }
        (low, high) = (price * 0.9, price * 1.1);
        ring[accepted & (CAPACITY - 1)] =
            [ts as u64, NO_TIME as u64, price.to_bits(), size.to_bits(), 0];
        accepted += 1;
        if open[0].is_some_and(|bar| ts >= bar.start + SECONDS[0] * 1_000_000_000) {
            close(&mut open, &mut closed, 0, ts);
        }
        match &mut open[0] {
            Some(bar) => {
                // Not f64::max, which minds NaN and is slower.
                bar.high = if price > bar.high { price } else { bar.high };
                bar.low = if price < bar.low { price } else { bar.low };
                bar.close = price;
                bar.volume += size;
                bar.notional += price * size;
                bar.count += 1;
            }
            empty => {
                *empty = Some(PlainBar {
                    start: bucket(ts, 0),
                    open: price,
                    high: price,
                    low: price,
                    close: price,
                    volume: size,
                    notional: price * size,
                    count: 1,
                });
            }
        }
    }
    (closed, ring, rejected)
}

fn engine() -> Engine {
    engine_of(&TIMEFRAMES)
}

fn engine_of(kinds: &[&str]) -> Engine {
    let spec = Spec { capacity: CAPACITY, ..Spec::new("CON.F.US.EP.U25", TICK_SIZE) };
    let kind = |text: &&str| (text.parse::<Kind>().expect("a timeframe"), TRADES);
    Engine::new(vec![spec], &kinds.iter().map(kind).collect::<Vec<_>>())
}

/// Pushes the columns and reads all closed bars; returns how many those are.
fn batch(engine: &Engine, columns: &Columns) -> usize {
    let mut session = engine.session();
    session.push_trades(ID, &columns.trades());
    let receipt = session.finish();
    assert_eq!((receipt.accepted, receipt.rejected), (columns.ts.len() as u64, 0));
    let read = |level| engine.bars(ID, Source::Trade, level, None, None, false).expect("a frame");
    let rows = |level| read(level).iter().map(RecordBatch::num_rows).sum::<usize>();
    (0..engine.kinds().len()).map(rows).sum()
}

fn bars(engine: &Engine, level: usize) -> Closed {
    let mut all = Closed::default();
    let batches = engine.bars(ID, Source::Trade, level, None, None, false).expect("a frame");
    for batch in batches {
        all.ts.extend(batch.column(0).as_primitive::<TimestampNanosecondType>().values());
        let Closed { open, high, low, close, volume, vwap, .. } = &mut all;
        for (index, column) in [open, high, low, close, volume, vwap].into_iter().enumerate() {
            column.extend(batch.column(1 + index).as_primitive::<Float64Type>().values());
        }
        all.count.extend(batch.column(7).as_primitive::<Int64Type>().values());
    }
    all
}

/// CPU time of one run, dropping left out: wall time would measure the neighbours.
fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = ProcessTime::now();
    let kept = black_box(work());
    let time = start.elapsed();
    drop(kept);
    time
}

fn batches(criterion: &mut Criterion) {
    for per_second in [100, 10] {
        let columns = Columns::random(TRADES, per_second);
        let (expected, _, rejected) = plain(&columns);
        assert_eq!(rejected, 0);
        let checked = engine();
        let count = batch(&checked, &columns);
        assert_eq!(count, expected.iter().map(|bars| bars.ts.len()).sum::<usize>());
        for (level, expected) in expected.iter().enumerate() {
            assert!(*expected == bars(&checked, level), "{} bars differ", TIMEFRAMES[level]);
        }

        // In turns, because the machine's speed drifts; the best of each, because noise adds.
        let (mut loops, mut engines) = (Duration::MAX, Duration::MAX);
        for _ in 0..15 {
            loops = loops.min(timed(|| plain(&columns)));
            let fresh = engine();
            engines = engines.min(timed(|| batch(&fresh, &columns)));
        }
        let each = |time: Duration| time.as_nanos() as f64 / TRADES as f64;
        let (plainly, ours) = (each(loops), each(engines));
        println!(
            "{per_second} trades/s: engine {ours:.2} ns, plain loop {plainly:.2} ns, ratio {:.2}",
            ours / plainly
        );

        let mut group = criterion.benchmark_group(format!("batch/{per_second} trades per second"));
        group.throughput(Throughput::Elements(TRADES as u64)).sample_size(10);
        group.bench_function("plain loop", |bencher| {
            bencher.iter_with_large_drop(|| plain(&columns))
        });
        group.bench_function("engine", |bencher| {
            bencher.iter_batched_ref(
                engine,
                |engine| batch(engine, &columns),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

/// Bars that are cut by their ticks beside time bars, about as many of each kind.
fn kinds(_: &mut Criterion) {
    const EACH: usize = 2_000_000;
    let columns = Columns::random(EACH, 100);
    let names = ["1s", "100t", "1050v", "5e6n", "12r", "10renko"];
    let mut best = [Duration::MAX; 6];
    let mut counts = [0; 6];
    for _ in 0..9 {
        for (index, name) in names.iter().enumerate() {
            let fresh = engine_of(&[name]);
            let run = || counts[index] = batch(&fresh, &columns);
            best[index] = best[index].min(timed(run));
        }
    }
    for ((name, time), count) in names.iter().zip(best).zip(counts) {
        let each = time.as_nanos() as f64 / EACH as f64;
        let ratio = time.as_secs_f64() / best[0].as_secs_f64();
        println!("{name}: {each:.2} ns a trade, {count} bars, {ratio:.2} times the time bars");
    }
}

fn single(criterion: &mut Criterion) {
    let columns = Columns::random(65_536, 100);
    let engine = engine();
    let (mut row, mut ts_event) = (0, columns.ts[0]);
    criterion.bench_function("session of one trade", |bencher| {
        bencher.iter(|| {
            row = (row + 1) % columns.ts.len();
            ts_event += 10_000_000;
            let mut session = engine.session();
            let _ = session.push_trade(ID, &Trade { ts_event, ..columns.trades().row(row) });
            session.finish()
        });
    });
    assert_eq!(engine.counters().rejected_total(), 0);
}

criterion_group!(benches, kinds, batches, single);
criterion_main!(benches);
