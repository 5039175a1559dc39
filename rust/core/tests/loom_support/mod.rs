//! How the models are explored.
//!
//! Loom overlooks that a store competes with another thread's load if its own thread loads the same
//! word in between, as the writers of a cell and of a tail do. It finds these from the other side,
//! when the writer's thread runs first: that is why the models spawn the reader.

/// Every interleaving with at most so many preemptions; more finds nothing new here and takes hours.
pub(crate) fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}
