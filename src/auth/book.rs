//! Every virtual key and team that is known, whole in memory, with what is counted for them.
//!
//! The law: a look-up asks no store and waits for no writer longer than a pointer takes to change; what is put in counts for the
//! very next request; a key that changes keeps its counters. Keys come from the config, which the key API cannot touch, and
//! from a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use rustc_hash::{FxHashMap, FxHashSet};

use super::digest::{Digest, KeyId, Salt};
use super::key::{KeyRecord, Quota, TeamRecord};
use crate::limit::Counter;

/// Parts of the book, so that a writer stops few readers.
const PARTS: usize = 64;

/// What is counted for one key or team.
#[derive(Clone, Debug, Default)]
struct Counts {
    all: Arc<Counter>,
    /// By model, once there has been a limit on one; most keys never have any.
    models: Option<Models>,
}

type Models = Arc<Mutex<FxHashMap<String, Arc<Counter>>>>;

/// A key with what is counted for it.
#[derive(Debug)]
pub struct Key {
    /// What it may do.
    pub record: KeyRecord,
    /// Whether it stands in the config.
    pub fixed: bool,
    counts: Counts,
}

/// A team with what is counted for it.
#[derive(Debug)]
pub struct Team {
    /// What its keys may do together.
    pub record: TeamRecord,
    counts: Counts,
}

/// All of them.
#[derive(Debug)]
pub struct Book {
    salt: Salt,
    /// How many keys there are, for who asks only whether there is any.
    count: AtomicUsize,
    keys: Vec<RwLock<FxHashMap<KeyId, Arc<Key>>>>,
    /// What is counted for keys that came one after another, by the first.
    lines: Mutex<FxHashMap<KeyId, Counts>>,
    /// Which key has an alias; the last that was given it.
    aliases: RwLock<FxHashMap<String, KeyId>>,
    teams: RwLock<FxHashMap<String, Arc<Team>>>,
}

impl Counts {
    /// Makes room for what `quota` has counted.
    fn make_room(&mut self, quota: &Quota) {
        if !quota.model_requests.is_empty() {
            self.models.get_or_insert_default();
        }
    }

    /// The counter of a model. Only models that have a limit are asked for; without one there is none.
    fn model(&self, model: &str) -> Option<Arc<Counter>> {
        let mut models = self.models.as_ref()?.lock();
        match models.get(model) {
            Some(counter) => Some(Arc::clone(counter)),
            None => Some(Arc::clone(models.entry(model.to_owned()).or_default())),
        }
    }
}

impl Key {
    /// Its requests.
    pub fn counter(&self) -> &Arc<Counter> {
        &self.counts.all
    }

    /// Those for `model`, which has a limit.
    pub fn model(&self, model: &str) -> Option<Arc<Counter>> {
        self.counts.model(model)
    }
}

impl Team {
    /// The requests of its keys.
    pub fn counter(&self) -> &Arc<Counter> {
        &self.counts.all
    }

    /// Those for `model`, which has a limit.
    pub fn model(&self, model: &str) -> Option<Arc<Counter>> {
        self.counts.model(model)
    }
}

impl Book {
    /// An empty book whose ids are made with `salt`.
    pub fn new(salt: Salt) -> Self {
        Self {
            salt,
            count: AtomicUsize::new(0),
            keys: (0..PARTS).map(|_| RwLock::default()).collect(),
            lines: Mutex::default(),
            aliases: RwLock::default(),
            teams: RwLock::default(),
        }
    }

    /// One whose ids need not outlive the process.
    pub fn passing() -> Self {
        let salt = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat();
        Self::new(Salt::new(salt))
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

    /// The key that `text` names: by itself, by its id, or by the digest that LiteLLM's scripts hold.
    pub fn named(&self, text: &str) -> Option<Arc<Key>> {
        let by_id = || self.get(&KeyId::parse(text)?);
        let by_digest = || self.get(&self.id(&Digest::parse(text)?));
        self.find(text.as_bytes()).or_else(by_id).or_else(by_digest)
    }

    /// The key that has this alias.
    pub fn aliased(&self, alias: &str) -> Option<Arc<Key>> {
        let id = *self.aliases.read().get(alias)?;
        self.get(&id)
    }

    /// The team of this id.
    pub fn team(&self, id: &str) -> Option<Arc<Team>> {
        self.teams.read().get(id).cloned()
    }

    /// Puts a key in, or changes it. A key of the config is not changed by one that is not: false.
    pub fn put(&self, record: KeyRecord, fixed: bool) -> bool {
        let Some(part) = self.part(&record.id) else { return false };
        // Held to the end, so that writers come one after another; readers never ask for it.
        let mut lines = self.lines.lock();
        let before = self.get(&record.id);
        if before.as_ref().is_some_and(|key| key.fixed) && !fixed {
            return false;
        }
        let counts = self.counts(&mut lines, &record, before.as_deref());
        let key = Arc::new(Key { record, fixed, counts });
        part.write().insert(key.record.id, Arc::clone(&key));
        if before.is_none() {
            self.count.fetch_add(1, Ordering::Release);
        }
        self.rename(before.as_deref(), Some(&key));
        true
    }

    /// What is counted for a key: what was, or what is counted for its line, whichever key of it came first.
    fn counts(&self, lines: &mut FxHashMap<KeyId, Counts>, record: &KeyRecord, before: Option<&Key>) -> Counts {
        let first = record.line.unwrap_or(record.id);
        let begun = || before.map(|key| key.counts.clone()).or_else(|| self.get(&first).map(|key| key.counts.clone()));
        if record.line.is_some() && !lines.contains_key(&first) {
            lines.insert(first, begun().unwrap_or_default());
        }
        match lines.get_mut(&first) {
            Some(line) => {
                line.make_room(&record.quota);
                line.clone()
            }
            None => {
                let mut counts = begun().unwrap_or_default();
                counts.make_room(&record.quota);
                counts
            }
        }
    }

    /// Makes `records` the keys of the config, in place of those that are. Whether one was taken out, under whose id a store may
    /// have another.
    pub fn fix(&self, records: Vec<KeyRecord>) -> bool {
        let wanted: FxHashSet<KeyId> = records.iter().map(|record| record.id).collect();
        let gone: Vec<KeyId> = self
            .keys()
            .iter()
            .filter(|key| key.fixed && !wanted.contains(&key.record.id))
            .map(|key| key.record.id)
            .collect();
        for record in records {
            self.put(record, true);
        }
        for id in &gone {
            self.take(id, true);
        }
        !gone.is_empty()
    }

    /// Takes a key out, unless it stands in the config.
    pub fn remove(&self, id: &KeyId) -> bool {
        self.take(id, false)
    }

    fn take(&self, id: &KeyId, fixed: bool) -> bool {
        let Some(part) = self.part(id) else { return false };
        let mut part = part.write();
        if part.get(id).is_none_or(|key| key.fixed != fixed) {
            return false;
        }
        let gone = part.remove(id);
        drop(part);
        self.count.fetch_sub(1, Ordering::Release);
        self.rename(gone.as_deref(), None);
        true
    }

    /// Keeps the aliases true after a key has changed from `before` to `after`.
    fn rename(&self, before: Option<&Key>, after: Option<&Arc<Key>>) {
        let alias =
            |key: Option<&Key>| key.and_then(|key| key.record.alias.clone().map(|alias| (alias, key.record.id)));
        let (old, new) = (alias(before), alias(after.map(|key| &**key)));
        if old == new {
            return;
        }
        let mut aliases = self.aliases.write();
        if let Some((alias, id)) = old
            && aliases.get(&alias) == Some(&id)
        {
            aliases.remove(&alias);
        }
        if let Some((alias, id)) = new {
            aliases.insert(alias, id);
        }
    }

    /// Puts a team in, or changes it.
    pub fn put_team(&self, record: TeamRecord) {
        let mut teams = self.teams.write();
        let mut counts = teams.get(&record.id).map(|team| team.counts.clone()).unwrap_or_default();
        counts.make_room(&record.quota);
        teams.insert(record.id.clone(), Arc::new(Team { record, counts }));
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
    use sha2::Digest as _;

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
        assert!(again.record.blocked && Arc::ptr_eq(again.counter(), found.counter()));
        assert!(book.remove(&one.id) && book.is_empty());
    }

    #[test]
    fn a_key_has_three_names_and_an_alias() {
        let book = Book::new(Salt::new(*b"salt"));
        let text = "sk-one-0123456789";
        let digest = Digest::of(text.as_bytes());
        let one = KeyRecord { alias: Some("first".into()), ..record(&book, text) };
        book.put(one.clone(), false);
        let hex = sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for name in [text, &hex, &book.id(&digest).hex()] {
            assert_eq!(book.named(name).expect("found").record.id, one.id);
        }
        assert!(book.named("first").is_none() && book.named("").is_none());
        assert_eq!(book.aliased("first").expect("found").record.id, one.id);
        book.put(KeyRecord { alias: Some("second".into()), ..one.clone() }, false);
        assert!(book.aliased("first").is_none() && book.aliased("second").is_some());
        book.remove(&one.id);
        assert!(book.aliased("second").is_none());
    }

    #[test]
    fn who_takes_a_keys_place_goes_on_counting() {
        let book = Book::new(Salt::new(*b"salt"));
        let (one, two) = (record(&book, "sk-one-0123456789"), record(&book, "sk-two-0123456789"));
        let two = KeyRecord { line: Some(one.id), ..two };
        let three = KeyRecord { line: Some(one.id), ..record(&book, "sk-three-0123456789") };
        let counter = |id| Arc::clone(book.get(id).expect("there").counter());
        // A store gives them in any order.
        for order in [[&one, &two, &three], [&three, &one, &two]] {
            assert!(order.into_iter().all(|key| book.put(key.clone(), false)));
            let [first, second, third] = [&one, &two, &three].map(|key| counter(&key.id));
            assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&first, &third));
            assert!(book.remove(&one.id));
            book.put(KeyRecord { blocked: true, ..two.clone() }, false);
            assert!(Arc::ptr_eq(&counter(&two.id), &third));
            assert!(book.remove(&two.id) && book.remove(&three.id));
        }
    }

    #[test]
    fn keys_of_the_config_stay() {
        let book = Book::new(Salt::new(*b"salt"));
        let one = record(&book, "sk-one-0123456789");
        assert!(book.put(one.clone(), true));
        assert!(!book.put(KeyRecord { blocked: true, ..one.clone() }, false) && !book.remove(&one.id));
        assert!(!book.get(&one.id).expect("there").record.blocked);
        let two = record(&book, "sk-two-0123456789");
        assert!(book.fix(vec![two.clone()]), "the other is taken out");
        assert!(book.get(&one.id).is_none() && book.get(&two.id).expect("there").fixed);
        assert!(!book.fix(vec![two]));
    }
}
