//! Decode, validate, buffer and aggregate market ticks.
//!
//! Pure Rust: no sockets, no Python, no logging, no wall clock. Whatever depends on "now" is told
//! the time by the caller.
#![forbid(unsafe_code)]

pub mod aggregator;
pub mod bars;
pub mod book;
pub mod calendar;
pub mod cell;
mod clock;
pub mod columns;
pub mod decode;
pub mod engine;
pub mod feed;
mod grid;
mod history;
pub mod ids;
mod instrument;
pub mod judged;
mod layout;
mod lookup;
#[cfg(tickwire_loom)]
#[doc(hidden)]
pub mod model;
pub mod overlap;
pub mod reason;
pub mod record;
pub mod ring;
pub mod sessions;
pub mod signal;
pub mod snapshot;
mod store;
pub mod subscription;
mod sync;
pub mod validate;
pub mod websocket;

pub use history::{History, HistoryError, Revised};
pub use instrument::{NoSizes, Spec};
