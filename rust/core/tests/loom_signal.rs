//! Waking under every interleaving that loom explores (`make loom`). Its condition variable never
//! times out, so a lost wake-up shows as a deadlock.
#![cfg(tickwire_loom)]

mod loom_support;

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use loom_support::model;
use tickwire_core::model::Watchers;
use tickwire_core::signal::Signal;

const FOREVER: Duration = Duration::MAX;

/// Publishes news as a session does: first the news, then the watchers.
fn publish(news: &AtomicU64, watchers: &Watchers, value: u64) {
    // Relaxed, so that the fences alone have to make it known.
    news.store(value, Ordering::Relaxed);
    watchers.raise();
}

/// Waits for news as a subscription does: arm, look again, wait.
fn wait_for(news: &AtomicU64, signal: &Signal, value: u64) {
    while news.load(Ordering::Relaxed) < value {
        signal.arm();
        if news.load(Ordering::Relaxed) < value {
            assert!(signal.wait(FOREVER));
        }
    }
}

#[test]
fn no_wake_up_is_lost() {
    model(3, || {
        let (news, signal) = (Arc::new(AtomicU64::new(0)), Arc::new(Signal::default()));
        let watchers = Watchers::default();
        watchers.add(&signal);
        let published = Arc::clone(&news);
        let writing = thread::spawn(move || {
            publish(&published, &watchers, 1);
            publish(&published, &watchers, 2);
        });
        wait_for(&news, &signal, 1);
        wait_for(&news, &signal, 2);
        writing.join().expect("the writer does not panic");
    });
}

/// Two writers of different instruments raise the same signal.
#[test]
fn no_wake_up_is_lost_between_two_writers() {
    model(2, || {
        let signal = Arc::new(Signal::default());
        let writers: [_; 2] = std::array::from_fn(|_| {
            let (news, signal) = (Arc::new(AtomicU64::new(0)), Arc::clone(&signal));
            let shared = Arc::clone(&news);
            let writing = thread::spawn(move || {
                let watchers = Watchers::default();
                watchers.add(&signal);
                publish(&shared, &watchers, 1);
            });
            (news, writing)
        });
        for (news, _) in &writers {
            wait_for(news, &signal, 1);
        }
        for (_, writing) in writers {
            writing.join().expect("writers do not panic");
        }
    });
}

/// An armed signal calls its hook once, however often it is raised.
#[test]
fn a_hook_is_called_once_for_each_arming() {
    model(3, || {
        let (news, signal) = (Arc::new(AtomicU64::new(0)), Arc::new(Signal::default()));
        let calls = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&calls);
        signal.set_hook(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let watchers = Watchers::default();
        watchers.add(&signal);
        let published = Arc::clone(&news);
        let writing = thread::spawn(move || {
            publish(&published, &watchers, 1);
            publish(&published, &watchers, 2);
        });
        signal.arm();
        let seen = news.load(Ordering::Relaxed);
        writing.join().expect("the writer does not panic");
        let calls = calls.load(Ordering::Relaxed);
        assert!(calls <= 1, "woken twice");
        assert!(seen == 2 || calls == 1, "news {seen} was all, and nobody called");
    });
}
