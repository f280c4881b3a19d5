//! The series of one name, within a bound that all names share.
//!
//! The law: a series that is not known is made only while the bound allows it; after that it is one whose labels all say `other`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use prometheus::core::{MetricVec, MetricVecBuilder};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What a label says when there are too many.
const OTHER: &str = "other";
/// Stands between the labels of a key.
const BETWEEN: u8 = 0x1f;

/// How many more series may be made.
#[derive(Debug)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self(AtomicUsize::new(most))
    }

    fn take(&self, many: usize) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(many)).is_ok()
    }
}

/// A metric in force, and those of its series that are known.
pub(super) struct Family<V: HasMetric> {
    vec: V,
    known: RwLock<FxHashMap<Box<[u8]>, V::Metric>>,
    /// What is counted under `other`, once there is anything.
    rest: OnceLock<Option<V::Metric>>,
    labels: usize,
    /// How many series one set of labels is.
    cost: usize,
    budget: Arc<Budget>,
}

/// A vector of metrics.
pub(super) trait HasMetric {
    /// What it is a vector of.
    type Metric: Clone;

    /// The metric of these labels.
    fn metric(&self, labels: &[&str]) -> Option<Self::Metric>;
}

impl<B: MetricVecBuilder> HasMetric for MetricVec<B>
where
    B::M: Clone,
{
    type Metric = B::M;

    fn metric(&self, labels: &[&str]) -> Option<B::M> {
        self.get_metric_with_label_values(labels).ok()
    }
}

impl<V: HasMetric> Family<V> {
    /// A family whose sets of `labels` labels are `cost` series each. Room for the rest is taken at once.
    pub(super) fn new(vec: V, cost: usize, labels: usize, budget: &Arc<Budget>) -> Self {
        budget.take(cost);
        Self { vec, known: RwLock::default(), rest: OnceLock::new(), labels, cost, budget: Arc::clone(budget) }
    }

    /// The metric of these labels; of the rest where there are too many.
    pub(super) fn metric(&self, labels: &[&str]) -> Option<V::Metric> {
        let mut key: SmallVec<[u8; 96]> = SmallVec::new();
        for label in labels {
            key.extend_from_slice(label.as_bytes());
            key.push(BETWEEN);
        }
        if let Some(metric) = self.known.read().get(key.as_slice()) {
            return Some(metric.clone());
        }
        let mut known = self.known.write();
        if let Some(metric) = known.get(key.as_slice()) {
            return Some(metric.clone());
        }
        let made = self.budget.take(self.cost).then(|| self.vec.metric(labels)).flatten();
        match made {
            Some(metric) => {
                known.insert(key.as_slice().into(), metric.clone());
                Some(metric)
            }
            None => self.rest.get_or_init(|| self.vec.metric(&vec![OTHER; self.labels])).clone(),
        }
    }
}
