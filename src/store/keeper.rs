//! The one thread that owns a store, and the book and the shelf that it keeps beside it.
//!
//! The law: a change is planned on a book that knows everything the store does, written, and only then put into the book; when
//! another process has written in between, it is planned again. So no change is lost, an alias is given once, and what is
//! answered counts already. Workers wait for this thread without being stopped by it.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Audit, Change, Fault, KeyStore};
use crate::auth::Book;
use crate::config::stored::Shelf;

/// How often it is looked whether another process has written.
const LOOK: Duration = Duration::from_millis(250);
/// How long a change may wait for those before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a change is planned anew.
const TRIES: usize = 50;

type Job = Box<dyn FnOnce(&mut Keeping) + Send>;

/// What a change is, as the book stands; or why there is none, which is `T` too.
pub type Plan<T> = Box<dyn FnMut(&Book) -> (Vec<Change>, T) + Send>;

/// The way to the thread. Clones lead to the same.
#[derive(Clone, Debug)]
pub struct Keeper {
    jobs: Sender<Job>,
}

/// What is kept up to date with a store.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The keys and teams.
    pub book: Arc<Book>,
    /// The entries of the config.
    pub shelf: Arc<Shelf>,
}

/// A store and what is kept beside it.
struct Keeping {
    store: Box<dyn KeyStore>,
    kept: Kept,
    version: u64,
    /// Told when another process has changed entries.
    moved: Box<dyn Fn() + Send>,
}

impl Keeper {
    /// Fills book and shelf from `store`, and starts the thread. `moved` is told when another process has changed entries.
    pub fn start(store: Box<dyn KeyStore>, kept: Kept, moved: Box<dyn Fn() + Send>) -> Result<Self, Fault> {
        let mut keeping = Keeping { store, kept, version: 0, moved: Box::new(|| {}) };
        keeping.catch_up()?;
        keeping.moved = moved;
        let (jobs, work) = channel::<Job>();
        let run = move || {
            let mut faulted = None;
            let mut next = Instant::now() + LOOK;
            loop {
                match work.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Ok(job) => job(&mut keeping),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                // Also when jobs come without end.
                if Instant::now() < next {
                    continue;
                }
                next = Instant::now() + LOOK;
                let fault = keeping.catch_up().err();
                if fault != faulted {
                    match &fault {
                        Some(fault) => log::warn!("the key store cannot be read: {fault}; known keys go on"),
                        None => log::info!("the key store can be read again"),
                    }
                    faulted = fault;
                }
            }
        };
        let started = thread::Builder::new().name("keys".into()).spawn(run);
        started.map_err(|error| Fault::Failed(error.to_string()))?;
        Ok(Self { jobs })
    }

    /// Puts everything that the store has into the book again.
    pub fn read_again(&self) {
        let job: Job = Box::new(|keeping| keeping.version = 0);
        // Without its thread there is nobody who could.
        let _ = self.jobs.send(job);
    }

    /// Makes a change: `plan` says which. What it says besides comes back once the change is durable and counts.
    pub async fn change<T: Send + 'static>(&self, plan: Plan<T>, audit: Audit) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let asked = Instant::now();
        let job: Job = Box::new(move |keeping| {
            // Behind a lock each change waits in vain: who has left is not waited for, and nobody waits for all before him.
            if asked.elapsed() > PATIENCE {
                let _ = answer.send(Err(Fault::Locked));
            } else if !answer.is_closed() {
                let _ = answer.send(keeping.change(plan, &audit));
            }
        });
        let gone = || Fault::Failed("the thread of the key store has ended".into());
        self.jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Keeping {
    /// Puts into book and shelf what others have written.
    fn catch_up(&mut self) -> Result<(), Fault> {
        let (kept, mut moved) = (&self.kept, false);
        // One by one: a store of very many keys never stands in memory twice.
        let version = self.store.since(self.version, &mut |change| {
            moved |= matches!(change, Change::Entry(_) | Change::NoEntry(_));
            kept.apply(change);
        })?;
        if moved {
            (self.moved)();
        }
        // Another file under the same name: nothing in it is newer, and what is known stays.
        if version < self.version {
            return Err(Fault::Replaced);
        }
        self.version = version;
        Ok(())
    }

    fn change<T>(&mut self, mut plan: Plan<T>, audit: &Audit) -> Result<T, Fault> {
        for _ in 0..TRIES {
            self.catch_up()?;
            let (changes, said) = plan(&self.kept.book);
            if changes.is_empty() {
                return Ok(said);
            }
            match self.store.write(self.version, &changes, audit) {
                Err(Fault::Moved) => {}
                Err(fault) => return Err(fault),
                Ok(version) => {
                    self.version = version;
                    changes.into_iter().for_each(|change| self.kept.apply(change));
                    return Ok(said);
                }
            }
        }
        Err(Fault::Moved)
    }
}

impl Kept {
    fn apply(&self, change: Change) {
        let Self { book, shelf } = self;
        match change {
            Change::Key(record) => {
                book.put(*record, false);
            }
            Change::NoKey(id) => {
                book.remove(&id);
            }
            Change::Team(record) => book.put_team(*record),
            Change::NoTeam(id) => {
                book.remove_team(&id);
            }
            Change::Entry(stored) => shelf.put(stored),
            Change::NoEntry(id) => shelf.remove(&id),
        }
    }
}
