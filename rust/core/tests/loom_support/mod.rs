//! How the models are explored.

/// Every interleaving with at most so many preemptions; more finds nothing new here and takes hours.
pub(crate) fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}
