//! `tickwire._core`: convert arguments, release the GIL, call the core, convert the result.
//! No market rule lives here.

mod aggregator;
mod book;
mod calendar;
mod columns;
mod counts;
mod engine;
mod errors;
mod feed;
mod frame;
mod judged;
mod names;
mod overlap;
mod records;
mod session;
mod sessions;
mod snapshot;
mod specs;
mod subscription;
mod symbols;
mod validator;
mod volumes;
mod websocket;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("debug_build", cfg!(debug_assertions))?;
    module.add_function(wrap_pyfunction!(specs::timeframe_name, module)?)?;
    module.add_class::<engine::PyEngine>()?;
    module.add_class::<aggregator::PyAggregator>()?;
    module.add_class::<calendar::Zone>()?;
    module.add_class::<sessions::Sessions>()?;
    module.add_class::<feed::Feed>()?;
    module.add_class::<overlap::Overlap>()?;
    module.add_class::<overlap::OverlapReport>()?;
    module.add_class::<subscription::Subscription>()?;
    module.add_class::<snapshot::Snapshot>()?;
    module.add_class::<book::Book>()?;
    module.add_class::<frame::ArrowStream>()?;
    module.add_class::<records::Bar>()?;
    module.add_class::<records::Trade>()?;
    module.add_class::<records::Quote>()?;
    module.add_class::<records::Receipt>()?;
    module.add_class::<validator::PyValidator>()?;
    module.add_class::<validator::Verdict>()?;
    module.add_class::<volumes::Volumes>()?;
    module.add_class::<websocket::WebSocket>()?;
    module.add_class::<websocket::Received>()?;
    module.add_function(wrap_pyfunction!(judged::judged, module)?)?;
    module.add_function(wrap_pyfunction!(judged::set_rules, module)?)?;
    Ok(())
}
