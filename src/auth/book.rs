//! Every virtual key and team that is known, whole in memory, with what is counted for them.
//!
//! The law: a look-up asks no store and waits for no writer longer than a pointer takes to change; what is put in counts for the
//! very next request; a key that changes keeps its counters. Keys come from the config, which the key API cannot touch, and
//! from a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::digest::{Digest, KeyId, Salt};
use super::key::{KeyRecord, TeamRecord};
use crate::limit::Counter;

/// Parts of the book, so that a writer stops few readers.
const PARTS: usize = 64;
/// Models of one key that are counted apart. Their names come from requests, and more could be made up.
const MOST_MODELS: usize = 64;

/// A key with what is counted for it.
#[derive(Debug)]
pub struct Key {
    /// What it may do.
    pub record: KeyRecord,
    /// Whether it stands in the config.
    pub fixed: bool,
    /// Its requests.
    pub counter: Arc<Counter>,
    models: Arc<Mutex<FxHashMap<String, Arc<Counter>>>>,
}

/// A team with what is counted for it.
#[derive(Debug)]
pub struct Team {
    /// What its keys may do together.
    pub record: TeamRecord,
    /// Their requests.
    pub counter: Arc<Counter>,
}

/// All of them.
#[derive(Debug)]
pub struct Book {
    salt: Salt,
    /// How many keys there are, for who asks only whether there is any.
    count: AtomicUsize,
    keys: Vec<RwLock<FxHashMap<KeyId, Arc<Key>>>>,
    teams: RwLock<FxHashMap<String, Arc<Team>>>,
}

impl Key {
    fn new(record: KeyRecord, fixed: bool, before: Option<&Arc<Key>>) -> Self {
        Self {
            record,
            fixed,
            counter: before.map(|key| Arc::clone(&key.counter)).unwrap_or_default(),
            models: before.map(|key| Arc::clone(&key.models)).unwrap_or_default(),
        }
    }

    /// What is counted for `model`; none: more models are named than are counted apart.
    pub fn model(&self, model: &str) -> Option<Arc<Counter>> {
        let mut models = self.models.lock();
        if let Some(counter) = models.get(model) {
            return Some(Arc::clone(counter));
        }
        (models.len() < MOST_MODELS).then(|| Arc::clone(models.entry(model.to_owned()).or_default()))
    }
}

impl Book {
    /// An empty book whose ids are made with `salt`.
    pub fn new(salt: Salt) -> Self {
        Self {
            salt,
            count: AtomicUsize::new(0),
            keys: (0..PARTS).map(|_| RwLock::default()).collect(),
            teams: RwLock::default(),
        }
    }

    /// The id of the key whose digest this is.
    pub fn id(&self, digest: &Digest) -> KeyId {
        self.salt.id(digest)
    }

    /// Whose key `token` is.
    pub fn find(&self, token: &[u8]) -> Option<Arc<Key>> {
        self.get(&self.id(&Digest::of(token)))
    }

    /// The key of this id.
    pub fn get(&self, id: &KeyId) -> Option<Arc<Key>> {
        self.part(id)?.read().get(id).cloned()
    }

    /// The team of this id.
    pub fn team(&self, id: &str) -> Option<Arc<Team>> {
        self.teams.read().get(id).cloned()
    }

    /// Puts a key in, or changes it. A key of the config is not changed by one that is not: false.
    pub fn put(&self, record: KeyRecord, fixed: bool) -> bool {
        let Some(part) = self.part(&record.id) else { return false };
        let mut part = part.write();
        let before = part.get(&record.id);
        if before.is_some_and(|key| key.fixed) && !fixed {
            return false;
        }
        let key = Arc::new(Key::new(record, fixed, before));
        if part.insert(key.record.id, key).is_none() {
            self.count.fetch_add(1, Ordering::Release);
        }
        true
    }

    /// Takes a key out, unless it stands in the config.
    pub fn remove(&self, id: &KeyId) -> bool {
        let Some(part) = self.part(id) else { return false };
        let mut part = part.write();
        let gone = part.get(id).is_some_and(|key| !key.fixed);
        if gone && part.remove(id).is_some() {
            self.count.fetch_sub(1, Ordering::Release);
        }
        gone
    }

    /// Puts a team in, or changes it.
    pub fn put_team(&self, record: TeamRecord) {
        let mut teams = self.teams.write();
        let counter = teams.get(&record.id).map(|team| Arc::clone(&team.counter)).unwrap_or_default();
        teams.insert(record.id.clone(), Arc::new(Team { record, counter }));
    }

    /// Takes a team out.
    pub fn remove_team(&self, id: &str) -> bool {
        self.teams.write().remove(id).is_some()
    }

    /// Every key, in no order.
    pub fn keys(&self) -> Vec<Arc<Key>> {
        self.keys.iter().flat_map(|part| part.read().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Every team, in no order.
    pub fn teams(&self) -> Vec<Arc<Team>> {
        self.teams.read().values().cloned().collect()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    fn part(&self, id: &KeyId) -> Option<&RwLock<FxHashMap<KeyId, Arc<Key>>>> {
        self.keys.get(usize::try_from(id.spread() % PARTS as u64).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::key::shown_name;

    fn record(book: &Book, key: &str) -> KeyRecord {
        KeyRecord::new(book.id(&Digest::of(key.as_bytes())), shown_name(key), 0)
    }

    #[test]
    fn what_is_put_in_is_found_by_its_key_alone() {
        let book = Book::new(Salt::new(*b"salt"));
        let one = record(&book, "sk-one-0123456789");
        assert!(book.is_empty() && book.find(b"sk-one-0123456789").is_none());
        assert!(book.put(one.clone(), false));
        let found = book.find(b"sk-one-0123456789").expect("found");
        assert_eq!(found.record.name, "sk-...6789");
        assert!(book.find(one.id.hex().as_bytes()).is_none(), "an id opens nothing");
        let changed = KeyRecord { blocked: true, ..one.clone() };
        assert!(book.put(changed, false));
        let again = book.find(b"sk-one-0123456789").expect("found");
        assert!(again.record.blocked && Arc::ptr_eq(&again.counter, &found.counter));
        assert!(book.remove(&one.id) && book.is_empty());
    }

    #[test]
    fn keys_of_the_config_stay() {
        let book = Book::new(Salt::new(*b"salt"));
        let one = record(&book, "sk-one-0123456789");
        assert!(book.put(one.clone(), true));
        assert!(!book.put(KeyRecord { blocked: true, ..one.clone() }, false) && !book.remove(&one.id));
        assert!(!book.get(&one.id).expect("there").record.blocked);
    }
}
