//! The config of a process that runs, read again: the file as it is now or as it was, and the entries that the API has made.
//!
//! The law: a problem of the file refuses all of it, in the words of `check`; one of an entry leaves that entry out, which is said. What
//! an entry would do is judged by what is in force with it, before it is kept.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::load::look;
use crate::admin::Judge;
use crate::auth::Book;
use crate::config::env::Process;
use crate::config::error::Report;
use crate::config::noted::{Noted, Stamp, Texts};
use crate::config::stored::{Shelf, Stored};
use crate::config::{self, Config, Overrides};
use crate::reload::{Candidate, Reloads};
use crate::snapshot::{self, Draft, Snapshot};
use crate::translate::Adapters;

/// What the config consists of.
#[derive(Clone)]
pub(super) struct Sources {
    /// The file.
    pub(super) path: PathBuf,
    /// What beats it.
    pub(super) overrides: Overrides,
    /// What translates other schemas.
    pub(super) adapters: Adapters,
    /// What is added to it.
    pub(super) shelf: Arc<Shelf>,
}

/// What came of reading it.
struct Read {
    made: Option<(Config, Draft)>,
    report: Report,
    files: Vec<(PathBuf, Stamp)>,
    texts: Texts,
}

impl Sources {
    /// Reads all of it, the file's texts as `kept` where they are, to follow `before`; or every problem.
    pub(super) fn again(&self, before: &Snapshot, kept: Option<&Texts>) -> Result<Candidate, Vec<String>> {
        let book = before.keyring.book().cloned().unwrap_or_else(|| Arc::new(Book::passing()));
        let mut stored = self.shelf.all();
        let mut aside = BTreeMap::new();
        loop {
            let Read { made, mut report, files, texts } = self.read(&stored, kept, &book, Some(before))?;
            let bad = of_entries(&report, &stored);
            if !bad.is_empty() {
                stored.retain(|entry| !bad.contains_key(&entry.id));
                aside.extend(bad);
                continue;
            }
            report.sort();
            let Some((config, draft)) = made.filter(|_| report.is_clean()) else {
                return Err(report.problems.iter().map(ToString::to_string).collect());
            };
            let left_out = aside.values().map(|problem| format!("{problem}; it is not served"));
            let warnings = report.notices.iter().map(ToString::to_string).chain(left_out).collect();
            self.shelf.set_aside(aside);
            return Ok(Candidate { config, draft, warnings, files, texts });
        }
    }

    /// A config and its snapshot, with the entries that were made before this start.
    pub(super) fn added_to(
        &self,
        (config, snapshot): (Config, Snapshot),
        texts: &Texts,
    ) -> Result<(Config, Snapshot), String> {
        if self.shelf.all().is_empty() {
            return Ok((config, snapshot));
        }
        let candidate = self.again(&snapshot, Some(texts)).map_err(|problems| problems.join("\n"))?;
        let made = candidate.warnings.iter().filter(|warning| warning.ends_with("it is not served"));
        made.for_each(|warning| log::warn!("{warning}"));
        Ok((candidate.config, candidate.draft.publish().0))
    }

    /// Who says which entries could not be served with what is in force.
    pub(super) fn judge(self, reloads: Reloads, book: Arc<Book>) -> Judge {
        Arc::new(move |stored| match self.read(&stored, Some(&reloads.texts()), &book, None) {
            Ok(read) => of_entries(&read.report, &stored),
            Err(problems) => stored.iter().map(|entry| (entry.id.clone(), problems.join("; "))).collect(),
        })
    }

    fn read(
        &self,
        stored: &[Arc<Stored>],
        kept: Option<&Texts>,
        book: &Arc<Book>,
        before: Option<&Snapshot>,
    ) -> Result<Read, Vec<String>> {
        // Variables of a process stay; those of `.env` may have changed.
        let environ = Process::with_dotenv().map_err(|text| vec![text])?;
        let environ = Noted::new(&environ).without_waiting().as_kept(kept);
        let overrides = Overrides { stored: stored.to_vec(), ..self.overrides.clone() };
        let (config, mut report) = config::load(&self.path, &environ, &overrides);
        let made = config.and_then(|config| {
            if config.says_nothing() && before.is_some_and(|before| !before.says_nothing) {
                let what = "the file says nothing: no route, no key";
                report.problem(&config.site, what, "write it whole; beside it and renamed, nobody reads half of it");
            }
            look(&config, &mut report);
            snapshot::draft(&config, book, &self.adapters, before, &mut report).map(|draft| (config, draft))
        });
        let (files, texts) = environ.into_read();
        Ok(Read { made, report, files, texts })
    }
}

/// The first problem of each entry of `stored` that has one. A file may be called as if it were one.
fn of_entries(report: &Report, stored: &[Arc<Stored>]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for problem in &report.problems {
        if let Some(id) = problem.site.made_id()
            && stored.iter().any(|entry| entry.id == id)
        {
            out.entry(id.to_owned()).or_insert_with(|| problem.to_string());
        }
    }
    out
}
