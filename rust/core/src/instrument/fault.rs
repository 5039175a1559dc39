//! Places in the middle of an update where a test can have it panic.

#[cfg(test)]
thread_local! {
    static ARMED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Has this thread panic at the place of this name, once.
#[cfg(test)]
pub(crate) fn arm(place: &'static str) {
    ARMED.set(Some(place));
}

/// Panics if this is where a test wants it to; otherwise there is nothing here.
#[inline]
pub(crate) fn point(_place: &'static str) {
    #[cfg(test)]
    if ARMED.get() == Some(_place) {
        ARMED.set(None);
        panic!("a fault was injected at {_place}");
    }
}
