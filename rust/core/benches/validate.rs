//! What judging a trade costs, one by one as in a batch that has arrival times: with the rules that need
//! nothing but the trade and the band on, and with all of them. No ring and no bars.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ProcessTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickwire_core::record::{NO_TIME, Side, Trade};
use tickwire_core::validate::{Action, Rules, Validator};

const TRADES: usize = 1_000_000;
const TICK_SIZE: f64 = 0.25;

/// A random walk on the grid, each trade a millisecond on its way.
fn walk() -> Vec<Trade> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) % below
    };
    let (mut ts_event, mut ticks) = (1_700_000_000_000_000_000_i64, 20_000_i64);
    let trade = |_| {
        ts_event += random(20_000_000) as i64;
        ticks = (ticks + random(3) as i64 - 1).max(4_000);
        Trade {
            ts_event,
            ts_recv: ts_event + 1_000_000,
            price: ticks as f64 * TICK_SIZE,
            size: 1.0 + random(20) as f64,
            side: Side::Buy,
        }
    };
    (0..TRADES).map(trade).collect()
}

/// Grid, limits, band, size, time and skew, all of them rejecting.
fn per_tick() -> Rules {
    Rules { grid: Action::Reject, price_low: 1.0, price_high: 1e6, ..Rules::default() }
}

fn all() -> Rules {
    let on = Action::Reject;
    Rules {
        spike: Action::Flag,
        zero_size: on,
        outsize: on,
        stale: on,
        backwards: on,
        duplicate: on,
        ..per_tick()
    }
}

fn judge(validator: &mut Validator, trades: &[Trade]) -> usize {
    trades.iter().filter(|trade| validator.trade(black_box(trade), NO_TIME).is_ok()).count()
}

fn validate(criterion: &mut Criterion) {
    let trades = walk();
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Elements(TRADES as u64)).sample_size(10);
    for (name, rules) in [("per-tick rules", per_tick()), ("all rules", all())] {
        // The best of several, in CPU time: noise only adds.
        let mut best = Duration::MAX;
        for _ in 0..15 {
            let mut validator = Validator::new(rules.clone(), TICK_SIZE);
            let start = ProcessTime::now();
            assert_eq!(judge(&mut validator, &trades), TRADES);
            best = best.min(start.elapsed());
        }
        println!("{name}: {:.2} ns a trade", best.as_nanos() as f64 / TRADES as f64);
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || Validator::new(rules.clone(), TICK_SIZE),
                |validator| judge(validator, &trades),
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, validate);
criterion_main!(benches);
