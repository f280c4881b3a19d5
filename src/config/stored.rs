//! Entries of `pass_through_endpoints` that the API has made.
//!
//! The law: such an entry reads no file, and of variables those alone that `tollgate.api_secrets` names, so that who may make entries
//! does not read this machine's secrets by it; one that cannot be served is left out, and said, and the rest is served.
//!
//! It does not know where they outlive the process.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::env::Environ;
use crate::secret::Secret;

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// What it is known by.
    pub id: String,
    /// The entry, as JSON. Its headers may hold secrets.
    pub body: Secret,
}

/// All of them, in the order of their ids.
#[derive(Debug, Default)]
pub struct Shelf {
    entries: Mutex<BTreeMap<String, Arc<Stored>>>,
    /// Those that are not served, and why.
    aside: Mutex<BTreeMap<String, String>>,
}

impl Shelf {
    /// Each entry.
    pub fn all(&self) -> Vec<Arc<Stored>> {
        self.entries.lock().values().cloned().collect()
    }

    /// The entry of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Stored>> {
        self.entries.lock().get(id).cloned()
    }

    /// The entry is as this from now on.
    pub fn put(&self, stored: Stored) {
        self.entries.lock().insert(stored.id.clone(), Arc::new(stored));
    }

    /// There is no such entry any more.
    pub fn remove(&self, id: &str) {
        self.entries.lock().remove(id);
    }

    /// These are not served, and why.
    pub fn set_aside(&self, aside: BTreeMap<String, String>) {
        *self.aside.lock() = aside;
    }

    /// Why an entry is not served.
    pub fn why_not(&self, id: &str) -> Option<String> {
        self.aside.lock().get(id).cloned()
    }
}

/// What an entry of the API may read.
pub(super) struct Granted<'a> {
    pub(super) below: &'a dyn Environ,
    pub(super) variables: &'a [String],
}

impl Environ for Granted<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.below.variable(name)
    }

    fn grants(&self, name: &str) -> bool {
        self.variables.iter().any(|granted| granted == name)
    }

    fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(Error::new(ErrorKind::PermissionDenied, "an entry that the API makes reads no files"))
    }
}
