//! Waking whoever waits for news, at most once per publication and only if somebody waits.
//!
//! A reader *arms* its signal, looks once more for news, and only then sleeps. A writer publishes
//! and then looks whether the signal is armed. Both have a sequentially consistent fence between
//! their store and their load, so at least one of them sees what the other did: no wake-up is lost.

use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering, fence};
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// See the module documentation.
#[derive(Default)]
pub struct Signal {
    armed: AtomicBool,
    raised: Mutex<bool>,
    changed: Condvar,
    hook: Mutex<Option<Hook>>,
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("armed", &self.armed).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Signal {
    /// Asks to be woken by the next publication. Look for news after this and before waiting.
    pub fn arm(&self) {
        *lock(&self.raised) = false;
        self.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Sets what is called, on the writer's thread and outside all locks, when an armed signal is
    /// raised.
    pub fn set_hook(&self, hook: impl Fn() + Send + Sync + 'static) {
        // What it replaces is dropped after the lock: dropping may run foreign code.
        let old = lock(&self.hook).replace(Arc::new(hook));
        drop(old);
    }

    /// Forgets the hook.
    pub fn clear_hook(&self) {
        let old = lock(&self.hook).take();
        drop(old);
    }

    /// Waits until the armed signal is raised, or the time is over. Returns whether it was raised.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        // A time too far off to be told is never reached.
        let deadline = Instant::now().checked_add(timeout);
        let mut raised = lock(&self.raised);
        while !*raised {
            let left = deadline.map_or(timeout, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            raised =
                self.changed.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Wakes whoever armed the signal. Call it after publishing and a sequentially consistent fence.
    pub fn raise(&self) {
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            *lock(&self.raised) = true;
            self.changed.notify_all();
            let hook = lock(&self.hook).clone();
            if let Some(hook) = hook {
                hook();
            }
        }
    }
}

/// What a subscription wants to be woken for.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) signal: Weak<Signal>,
    pub(crate) ticks: bool,
    pub(crate) bars: bool,
}

/// The watches on one instrument.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    list: ArcSwap<Vec<Watch>>,
    /// Whether there ever were any: most instruments have none, and looking at the list costs more
    /// than the rest of a publication.
    any: AtomicBool,
}

impl Watchers {
    /// Adds a watch, and forgets those whose subscription is gone. Only under the writer-side lock of
    /// the instrument: that is what makes it known to all later calls of [`raise`](Self::raise).
    pub(crate) fn add(&self, watch: &Watch) {
        self.any.store(true, Ordering::Relaxed);
        self.list.rcu(|watches| {
            let alive = watches.iter().filter(|watch| watch.signal.strong_count() > 0);
            alive.chain([watch]).cloned().collect::<Vec<_>>()
        });
    }

    /// Raises the signals that want to know of this kind of news.
    pub(crate) fn raise(&self, ticks: bool, bars: bool) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        fence(Ordering::SeqCst);
        for watch in self.list.load().iter() {
            if (ticks && watch.ticks || bars && watch.bars)
                && let Some(signal) = watch.signal.upgrade()
            {
                signal.raise();
            }
        }
    }
}
