//! The one thread that owns a store, and the book that it keeps beside it.
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

/// How often it is looked whether another process has written.
const LOOK: Duration = Duration::from_millis(250);
/// How long a change may wait for those before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a change is planned anew.
const TRIES: usize = 50;

type Job = Box<dyn FnOnce(&mut Kept) + Send>;

/// What a change is, as the book stands; or why there is none, which is `T` too.
pub type Plan<T> = Box<dyn FnMut(&Book) -> (Vec<Change>, T) + Send>;

/// The way to the thread. Clones lead to the same.
#[derive(Clone, Debug)]
pub struct Keeper {
    jobs: Sender<Job>,
}

/// A store and its book.
struct Kept {
    store: Box<dyn KeyStore>,
    book: Arc<Book>,
    version: u64,
}

impl Keeper {
    /// Fills `book` from `store`, and starts the thread.
    pub fn start(store: Box<dyn KeyStore>, book: Arc<Book>) -> Result<Self, Fault> {
        let mut kept = Kept { store, book, version: 0 };
        kept.catch_up()?;
        let (jobs, work) = channel::<Job>();
        let run = move || {
            let mut faulted = None;
            let mut next = Instant::now() + LOOK;
            loop {
                match work.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Ok(job) => job(&mut kept),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                // Also when jobs come without end.
                if Instant::now() < next {
                    continue;
                }
                next = Instant::now() + LOOK;
                let fault = kept.catch_up().err();
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
        let job: Job = Box::new(|kept| kept.version = 0);
        // Without its thread there is nobody who could.
        let _ = self.jobs.send(job);
    }

    /// Makes a change: `plan` says which. What it says besides comes back once the change is durable and counts.
    pub async fn change<T: Send + 'static>(&self, plan: Plan<T>, audit: Audit) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let asked = Instant::now();
        let job: Job = Box::new(move |kept| {
            // Behind a lock each change waits in vain: who has left is not waited for, and nobody waits for all before him.
            if asked.elapsed() > PATIENCE {
                let _ = answer.send(Err(Fault::Locked));
            } else if !answer.is_closed() {
                let _ = answer.send(kept.change(plan, &audit));
            }
        });
        let gone = || Fault::Failed("the thread of the key store has ended".into());
        self.jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Kept {
    /// Puts into the book what others have written.
    fn catch_up(&mut self) -> Result<(), Fault> {
        let book = &self.book;
        // One by one: a store of very many keys never stands in memory twice.
        let version = self.store.since(self.version, &mut |change| apply(book, change))?;
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
            let (changes, said) = plan(&self.book);
            if changes.is_empty() {
                return Ok(said);
            }
            match self.store.write(self.version, &changes, audit) {
                Err(Fault::Moved) => {}
                Err(fault) => return Err(fault),
                Ok(version) => {
                    self.version = version;
                    changes.into_iter().for_each(|change| apply(&self.book, change));
                    return Ok(said);
                }
            }
        }
        Err(Fault::Moved)
    }
}

fn apply(book: &Book, change: Change) {
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
    }
}
