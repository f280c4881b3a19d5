//! Tests of the store on files of their own.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::auth::{Book, Digest, KeyRecord};
use crate::store::{Keeper, Kept, Plan};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tollgate-store-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        Self(std::env::temp_dir().join(name))
    }

    fn file(&self) -> PathBuf {
        self.0.join("state/tollgate.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The version that is, and what has changed since `version`.
fn since(store: &mut Sqlite, version: u64) -> Result<(u64, Vec<Change>), Fault> {
    let mut changes = Vec::new();
    let now = store.since(version, &mut |change| changes.push(change))?;
    Ok((now, changes))
}

fn audit() -> Audit {
    Audit { who: "master".into(), what: "/key/generate", at: 7 }
}

fn record(salt: &Salt, key: &str) -> KeyRecord {
    KeyRecord::new(salt.id(&Digest::of(key.as_bytes())), "sk-...last".into(), 5)
}

#[test]
fn what_is_written_is_there_for_the_next_and_no_key_is_in_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let key = "sk-canary-0123456789";
    let (mut store, salt) = Sqlite::open(&folder.file(), None).expect("open");
    let mut one = record(&salt, key);
    one.quota.requests = Some(3);
    one.quota.model_requests.insert("m".into(), 4);
    one.alias = Some("first".into());
    one.metadata.insert("a".into(), true.into());
    let put = Change::Key(Box::new(one.clone()));
    assert_eq!(store.write(0, std::slice::from_ref(&put), &audit()), Ok(1));
    assert_eq!(store.write(0, std::slice::from_ref(&put), &audit()), Err(Fault::Moved));
    let (mut other, same) = Sqlite::open(&folder.file(), None).expect("open");
    assert_eq!(same.check_value(), salt.check_value());
    assert_eq!(since(&mut other, 0), Ok((1, vec![put])));
    assert_eq!(other.write(1, &[Change::NoKey(one.id)], &audit()), Ok(2));
    assert_eq!(since(&mut store, 1), Ok((2, vec![Change::NoKey(one.id)])));
    assert_eq!(since(&mut store, 2), Ok((2, vec![])));
    let sha: String = {
        use sha2::Digest as _;
        sha2::Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    for entry in fs::read_dir(folder.0.join("state")).expect("folder") {
        let path = entry.expect("entry").path();
        let bytes = fs::read(&path).expect("bytes");
        for secret in [key.as_bytes(), sha.as_bytes()] {
            assert!(memchr::memmem::find(&bytes, secret).is_none(), "{}", path.display());
        }
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn another_salt_is_refused() {
    let folder = Folder::new();
    let (store, _) = Sqlite::open(&folder.file(), Some(Salt::new(*b"one"))).expect("open");
    drop(store);
    assert_eq!(Sqlite::open(&folder.file(), Some(Salt::new(*b"other"))).err(), Some(Fault::OtherSalt));
    assert_eq!(Sqlite::open(&folder.file(), None).err(), Some(Fault::OtherSalt));
    assert!(!folder.file().with_extension("salt").exists(), "none is made for a store that has one");
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.join("state")).expect("folder");
    fs::write(folder.file(), "this is no database, and long enough to be seen as none".repeat(40)).expect("write");
    assert_eq!(Sqlite::open(&folder.file(), None).err(), Some(Fault::Corrupt));
}

#[test]
fn a_locked_store_recovers() {
    let folder = Folder::new();
    let (mut store, salt) = Sqlite::open(&folder.file(), None).expect("open");
    let holder = Connection::open(folder.file()).expect("open");
    holder.execute_batch("BEGIN IMMEDIATE").expect("lock");
    let put = [Change::Key(Box::new(record(&salt, "sk-one-0123456789")))];
    assert_eq!(store.write(0, &put, &audit()), Err(Fault::Locked));
    assert_eq!(since(&mut store, 0), Ok((0, vec![])), "reading goes on");
    holder.execute_batch("ROLLBACK").expect("unlock");
    assert_eq!(store.write(0, &put, &audit()), Ok(1));
}

#[test]
fn a_full_store_keeps_what_it_has() {
    let folder = Folder::new();
    let (mut store, salt) = Sqlite::open(&folder.file(), None).expect("open");
    let mut large = record(&salt, "sk-one-0123456789");
    large.metadata.insert("a".into(), "x".repeat(1 << 20).into());
    let pages = |store: &mut Sqlite, most: &str| {
        store.with(|open| open.query_row(most, [], |_| Ok(())).map_err(fault)).expect("pragma");
    };
    pages(&mut store, "PRAGMA max_page_count=20");
    assert_eq!(store.write(0, &[Change::Key(Box::new(large.clone()))], &audit()), Err(Fault::Full));
    assert_eq!(since(&mut store, 0), Ok((0, vec![])));
    assert_eq!(store.write(0, &[Change::Key(Box::new(large))], &audit()), Ok(1), "opened anew");
}

#[test]
fn two_processes_on_one_file_lose_no_change_and_see_each_other() {
    let folder = Folder::new();
    let keepers: Vec<(Keeper, Arc<Book>)> = (0..2)
        .map(|_| {
            let (store, salt) = Sqlite::open(&folder.file(), None).expect("open");
            let book = Arc::new(Book::new(salt));
            {
                let kept = Kept { book: Arc::clone(&book), shelf: Arc::default() };
                (Keeper::start(Box::new(store), kept, Box::new(|| {})).expect("start"), book)
            }
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    runtime.block_on(async {
        let put = |keeper: Keeper, name: String| async move {
            let plan: Plan<()> = Box::new(move |book| {
                let id = book.id(&Digest::of(name.as_bytes()));
                (vec![Change::Key(Box::new(KeyRecord::new(id, name.clone(), 0)))], ())
            });
            keeper.change(plan, audit()).await
        };
        let mut all = tokio::task::JoinSet::new();
        for number in 0..20 {
            all.spawn(put(keepers[number % 2].0.clone(), format!("sk-{number:016}")));
        }
        while let Some(done) = all.join_next().await {
            assert_eq!(done.expect("task"), Ok(()));
        }
    });
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while keepers.iter().any(|(_, book)| book.keys().len() < 20) {
        assert!(std::time::Instant::now() < end, "a change of one does not reach the other");
        std::thread::yield_now();
    }
    let (mut store, _) = Sqlite::open(&folder.file(), None).expect("open");
    assert_eq!(since(&mut store, 0).expect("read").0, 20, "each change is a version of its own");
}
