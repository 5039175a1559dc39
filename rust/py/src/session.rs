//! Sessions begun from Python: when the GIL is kept, and when it is released.

use pyo3::prelude::*;
use tickwire_core::engine::{Engine, Receipt, Session};
use tickwire_core::reason::Reason;
use tickwire_core::record::InstrumentId;

/// Runs a session: with the GIL if that is quick, else without.
pub(crate) fn write<T: Send>(
    engine: &Engine,
    py: Python<'_>,
    quick: bool,
    work: impl FnOnce(&mut Session<'_>) -> T + Send,
) -> (T, Receipt) {
    let run = || {
        let mut session = engine.session();
        let outcome = work(&mut session);
        (outcome, session.finish())
    };
    if quick { run() } else { py.detach(run) }
}

/// Applies one tick and says whether it was accepted. The GIL is kept unless another thread is
/// writing to the instrument.
#[inline]
pub(crate) fn write_tick(
    engine: &Engine,
    py: Python<'_>,
    id: Option<InstrumentId>,
    tick: impl FnOnce(&mut Session<'_>, InstrumentId) -> Result<(), Reason> + Send,
) -> bool {
    let Some(id) = id else {
        engine.session().refuse(None, Reason::UnknownInstrument);
        return false;
    };
    // The session ends without a receipt: for one tick the outcome is all there is to say.
    match engine.try_session(id) {
        Some(mut session) => tick(&mut session, id).is_ok(),
        None => py.detach(|| tick(&mut engine.session(), id).is_ok()),
    }
}
