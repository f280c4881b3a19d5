//! Another config for the process that runs.
//!
//! The law: reloads are made one after another, in the order in which they were asked for; a file that has a problem changes
//! nothing, and who asked hears the same words as from `tollgate check`; a good one is in force whole, at one moment, with a number
//! that is one higher. A request ends with the snapshot it began with.
//!
//! Reading a file is the caller's business (`source`), and so is what a snapshot does not hold (`tune`). `queue` holds who waits, `watch`
//! sees files change.

mod queue;
#[cfg(test)]
mod tests;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use queue::{Answer, Queue};
use watch::Watch;

use crate::config::noted::{Stamp, Texts};
use crate::config::{Config, Diff};
use crate::snapshot::{Draft, Snapshot};

/// A config that can be put in force.
pub struct Candidate {
    /// The config.
    pub config: Config,
    /// It, compiled.
    pub draft: Draft,
    /// What it has to say besides.
    pub warnings: Vec<String>,
    /// The files that it was read from, those of its secrets among them.
    pub files: Vec<(PathBuf, Stamp)>,
    /// The texts of its own files.
    pub texts: Texts,
}

/// What is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The file, as it is now. Nothing is pinned any more.
    File,
    /// The config of this number that was kept; pinned, until somebody wishes for the file.
    Kept(u64),
    /// What is in force, with the entries that the API has made since.
    Entries,
}

/// Reads the config, to follow the snapshot that is in force: the file, or these texts of it; or every problem that it has.
pub type Source = Box<dyn Fn(&Snapshot, Option<&Texts>) -> Result<Candidate, Vec<String>> + Send + Sync>;
/// Puts in force what a snapshot does not hold. Whether a key was taken out of the config.
pub type Tune = Box<dyn Fn(&Config, bool) + Send + Sync>;

/// Who is told of reloads.
pub trait Observer: Send + Sync {
    /// One begins.
    fn begins(&self);
    /// The file is in force, and these are its texts.
    fn keeps(&self, texts: &Texts);
    /// The texts of the config of this number; or why there are none.
    fn kept(&self, number: u64) -> Result<Texts, String>;
    /// It has ended so.
    fn ended(&self, outcome: &Outcome);
}

/// What has come of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is in force.
    Applied {
        /// How many have been, this one included.
        generation: u64,
        /// What it changed, and what it could not.
        diff: Diff,
        /// What it has to say besides.
        warnings: Vec<String>,
        /// The number of the config that is in force instead of the file.
        pinned: Option<u64>,
    },
    /// The file has problems; what was in force still is.
    Refused {
        /// The generation that stays.
        generation: u64,
        /// The problems.
        problems: Vec<String>,
    },
}

/// The way to the reloader. Clones lead to the same.
#[derive(Clone, Debug)]
pub struct Reloads {
    ask: mpsc::UnboundedSender<(Wish, Answer)>,
    standing: Arc<Standing>,
}

/// What is in force.
#[derive(Debug)]
struct Standing {
    generation: AtomicU64,
    /// The number of the config that is pinned; 0: none is.
    pinned: AtomicU64,
    /// The texts of its files.
    texts: ArcSwap<Texts>,
}

/// What is asked for, for who makes the reloads.
#[derive(Debug)]
pub struct Asked {
    asked: mpsc::UnboundedReceiver<(Wish, Answer)>,
    reloads: Reloads,
}

/// A way to ask for reloads of the config with these `texts`, and its end.
pub fn channel(texts: Texts) -> (Reloads, Asked) {
    let (ask, asked) = mpsc::unbounded_channel();
    let texts = ArcSwap::from_pointee(texts);
    let standing = Arc::new(Standing { generation: AtomicU64::new(1), pinned: AtomicU64::new(0), texts });
    let reloads = Reloads { ask, standing };
    (reloads.clone(), Asked { asked, reloads })
}

/// Makes the reloads that are asked for.
pub struct Reloader {
    queue: Queue,
    standing: Arc<Standing>,
    in_force: Arc<ArcSwap<Snapshot>>,
    source: Source,
    tune: Tune,
    config: Config,
    watch: Watch,
    observer: Box<dyn Observer>,
}

impl Asked {
    /// The way here.
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }
}

impl Reloads {
    /// Asks for a reload, and waits for what comes of it. None: the process is about to end.
    pub async fn ask(&self, wish: Wish) -> Option<Outcome> {
        let (answer, answered) = oneshot::channel();
        self.ask.send((wish, answer)).ok()?;
        answered.await.ok()
    }

    /// Asks for a reload that nobody waits for.
    pub fn notify(&self, wish: Wish) {
        let (answer, _) = oneshot::channel();
        // A process that is about to end has no use for it.
        let _ = self.ask.send((wish, answer));
    }

    /// The texts of the config that is in force.
    pub fn texts(&self) -> Arc<Texts> {
        self.standing.texts.load_full()
    }

    /// How many configs have been in force.
    pub fn generation(&self) -> u64 {
        self.standing.generation.load(Ordering::Acquire)
    }

    /// The number of the kept config that is in force instead of the file.
    pub fn pinned(&self) -> Option<u64> {
        self.standing.pinned()
    }
}

impl Standing {
    fn pinned(&self) -> Option<u64> {
        Some(self.pinned.load(Ordering::Acquire)).filter(|number| *number > 0)
    }
}

impl Reloader {
    /// One for what `in_force` holds, which was compiled from `config`.
    pub fn new(
        asked: Asked,
        config: Config,
        in_force: Arc<ArcSwap<Snapshot>>,
        source: Source,
        tune: Tune,
        observer: Box<dyn Observer>,
    ) -> Self {
        let (Asked { asked, reloads }, watch) = (asked, Watch::default());
        Self { queue: Queue::new(asked), standing: reloads.standing, in_force, source, tune, config, watch, observer }
    }

    /// The same, which sees these files change, where the config wants that.
    pub fn watching(mut self, files: Vec<(PathBuf, Stamp)>) -> Self {
        self.watch = Watch::new(files);
        self
    }

    /// Works until nobody can ask any more.
    pub async fn run(mut self) {
        loop {
            let asked = tokio::select! {
                asked = self.queue.next() => match asked {
                    Some(asked) => Some(asked),
                    None => return,
                },
                // What is pinned stays, whatever becomes of the file.
                () = sleep(watch::LOOK), if self.config.watch && self.standing.pinned().is_none() => None,
            };
            let (wish, answers) = asked.unwrap_or((Wish::File, Vec::new()));
            // Files take time that requests should not wait for.
            let made = tokio::task::spawn_blocking(move || {
                let wanted = !answers.is_empty() || self.watch.look();
                let outcome = wanted.then(|| {
                    self.observer.begins();
                    // A fault of ours must not be the last reload: the next file may be one that it does not meet.
                    let reloaded = catch_unwind(AssertUnwindSafe(|| self.reload(wish)));
                    reloaded.unwrap_or_else(|_| Outcome::Refused {
                        generation: self.standing.generation.load(Ordering::Acquire),
                        problems: vec!["Tollgate itself has failed; restart it to be sure of what is in force".into()],
                    })
                });
                (self, outcome, answers)
            });
            let Ok((reloader, outcome, answers)) = made.await else { return };
            self = reloader;
            let Some(outcome) = outcome else { continue };
            outcome.log();
            self.observer.ended(&outcome);
            for answer in answers {
                let _ = answer.send(outcome.clone());
            }
        }
    }

    fn reload(&mut self, wish: Wish) -> Outcome {
        let generation = self.standing.generation.load(Ordering::Acquire);
        let candidate = match self.candidate(wish) {
            Ok(candidate) => candidate,
            Err(problems) => return Outcome::Refused { generation, problems },
        };
        let diff = Diff::between(&self.config, &candidate.config);
        let (snapshot, taken) = candidate.draft.publish();
        self.in_force.store(Arc::new(snapshot));
        (self.tune)(&candidate.config, taken);
        // What needs a restart is as it was: the next reload says so again.
        let Config { listen, admin, store, network, .. } = std::mem::replace(&mut self.config, candidate.config);
        self.config.admin = admin;
        (self.config.listen, self.config.store, self.config.network.ca_pem) = (listen, store, network.ca_pem);
        let pinned = match wish {
            Wish::File => None,
            Wish::Kept(number) => Some(number),
            Wish::Entries => self.standing.pinned(),
        };
        self.standing.pinned.store(pinned.unwrap_or(0), Ordering::Release);
        if wish == Wish::File {
            self.observer.keeps(&candidate.texts);
        }
        if wish != Wish::Entries {
            self.watch = Watch::new(candidate.files);
            self.standing.texts.store(Arc::new(candidate.texts));
        }
        let generation = self.standing.generation.fetch_add(1, Ordering::AcqRel) + 1;
        Outcome::Applied { generation, diff, warnings: candidate.warnings, pinned }
    }

    fn candidate(&mut self, wish: Wish) -> Result<Candidate, Vec<String>> {
        match wish {
            Wish::File => {
                // A file with problems is not read again until it changes once more.
                self.watch.again();
                (self.source)(&self.in_force.load(), None)
            }
            Wish::Kept(number) => {
                let texts = self.observer.kept(number).map_err(|problem| vec![problem])?;
                (self.source)(&self.in_force.load(), Some(&texts))
            }
            Wish::Entries => (self.source)(&self.in_force.load(), Some(&self.standing.texts.load())),
        }
    }
}

impl Outcome {
    /// Whether the file is in force.
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied { .. })
    }

    /// As an answer of the API.
    pub fn value(&self) -> Value {
        match self {
            Self::Applied { generation, diff, warnings, pinned } => json!({
                "status": if diff.is_empty() { "unchanged" } else { "applied" }, "generation": generation,
                "applied": diff.applied, "needs_restart": diff.restart, "warnings": warnings, "pinned": pinned,
            }),
            Self::Refused { generation, problems } => {
                json!({ "status": "refused", "generation": generation, "problems": problems })
            }
        }
    }

    /// In a line.
    pub fn summary(&self) -> String {
        match self {
            Self::Applied { generation, diff, pinned, .. } => {
                let mut parts = vec![format!("generation {generation}")];
                parts.push(match diff.applied.len() {
                    0 => "nothing changed".into(),
                    _ => diff.applied.join(", "),
                });
                if !diff.restart.is_empty() {
                    parts.push(format!("needs a restart: {}", diff.restart.join(", ")));
                }
                if let Some(number) = pinned {
                    parts.push(format!("config {number} of the history is pinned until the next reload"));
                }
                format!("reloaded: {}", parts.join("; "))
            }
            Self::Refused { generation, problems } => {
                format!("not reloaded, generation {generation} stays: {}", problems.join("; "))
            }
        }
    }

    fn log(&self) {
        match self {
            Self::Applied { warnings, .. } => {
                log::info!("{}", self.summary());
                warnings.iter().for_each(|warning| log::warn!("{warning}"));
            }
            Self::Refused { .. } => log::error!("{}", self.summary()),
        }
    }
}
