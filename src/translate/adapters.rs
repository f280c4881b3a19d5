//! The adapters that a process has, by id.
//!
//! The law: an id means one adapter; the built-in ones are always there and cannot be replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Adapter;
use super::anthropic::Anthropic;

/// The id of the adapter for Anthropic's Messages.
pub const ANTHROPIC: &str = "anthropic";

/// Adapters by id.
#[derive(Clone, Debug)]
pub struct Adapters {
    by_id: BTreeMap<String, Arc<dyn Adapter>>,
}

/// The id is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken(pub String);

impl Default for Adapters {
    fn default() -> Self {
        let anthropic: Arc<dyn Adapter> = Arc::new(Anthropic);
        Self { by_id: BTreeMap::from([(ANTHROPIC.to_owned(), anthropic)]) }
    }
}

impl Adapters {
    /// Adds one, which a target names as `adapter:ID`.
    ///
    /// # Errors
    /// There is one of this id.
    pub fn register(&mut self, id: &str, adapter: impl Adapter + 'static) -> Result<(), Taken> {
        if self.by_id.contains_key(id) {
            return Err(Taken(id.to_owned()));
        }
        self.by_id.insert(id.to_owned(), Arc::new(adapter));
        Ok(())
    }

    /// The adapter of this id.
    pub fn find(&self, id: &str) -> Option<&Arc<dyn Adapter>> {
        self.by_id.get(id)
    }

    /// The ids of those that are not built in.
    pub fn further(&self) -> impl Iterator<Item = &str> {
        self.ids().filter(|id| *id != ANTHROPIC)
    }

    /// All ids, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }
}
