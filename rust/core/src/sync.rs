//! The only file that names atomics: std's, or loom's when the concurrency models are built
//! (`RUSTFLAGS="--cfg tickwire_loom"`). The same for the locks that the models look into.

#[cfg(not(tickwire_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(tickwire_loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(tickwire_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(tickwire_loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};

/// `len` zero words.
#[cfg(not(tickwire_loom))]
pub(crate) fn zeroed_words(len: usize) -> Box<[AtomicU64]> {
    bytemuck::zeroed_slice_box(len)
}

/// `len` records of zero words. The pages come from the allocator untouched, so a large ring costs
/// memory only as far as it has been filled.
#[cfg(not(tickwire_loom))]
pub(crate) fn zeroed_records<const W: usize>(len: usize) -> Box<[[AtomicU64; W]]> {
    bytemuck::zeroed_slice_box(len)
}

#[cfg(tickwire_loom)]
pub(crate) fn zeroed_words(len: usize) -> Box<[AtomicU64]> {
    (0..len).map(|_| AtomicU64::new(0)).collect()
}

#[cfg(tickwire_loom)]
pub(crate) fn zeroed_records<const W: usize>(len: usize) -> Box<[[AtomicU64; W]]> {
    (0..len).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect()
}

/// One step of waiting for a writer that is between two stores.
#[cfg(not(tickwire_loom))]
pub(crate) fn relax(spins: u32) {
    // A writer that was preempted in the middle needs this core more than we do.
    if spins < 64 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

#[cfg(tickwire_loom)]
pub(crate) fn relax(_spins: u32) {
    loom::thread::yield_now();
}

/// A value on cache lines of its own, so that readers polling it do not slow its neighbours.
/// 128 bytes, because x86 prefetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);
