//! Where keys are kept: which file, and opening it.
//!
//! The law: a store that somebody asked for, or that is there, is opened or the start fails, since without it valid keys would be
//! strangers; one that cannot be made where nobody asked for it leaves the key API without a store, which it says.

use std::path::PathBuf;
use std::sync::Arc;

use super::settings::Settings;
use crate::admin::Parts;
use crate::auth::{Book, Salt};
use crate::config::Config;
use crate::config::stored::Shelf;
use crate::store::{Fault, Keeper, Kept, Sqlite};

/// The name of the file, where nobody names another.
const FILE: &str = "tollgate.db";

/// A book, and the store that will fill it.
pub(super) struct State {
    /// The keys.
    pub(super) book: Arc<Book>,
    /// The entries of the config.
    pub(super) shelf: Arc<Shelf>,
    store: Result<Sqlite, String>,
    /// What is said of it at the start.
    pub(super) described: String,
}

/// The file of the store, and whether somebody named it.
fn place(config: Option<&Config>, settings: &Settings) -> Option<(PathBuf, bool)> {
    match config.and_then(|config| config.store.as_ref()) {
        Some((path, _)) => Some((path.clone(), true)),
        None => settings.state_dir.as_ref().map(|folder| (folder.join(FILE), false)),
    }
}

/// Opens the store; where there is none it is made, if it may be.
pub(super) fn open(config: Option<&Config>, settings: &Settings, make: bool) -> Result<State, String> {
    let salt = settings.salt.as_ref().map(|salt| Salt::new(salt.expose().as_bytes()));
    let without = |salt: Option<Salt>, why: String| State {
        book: Arc::new(salt.map_or_else(Book::passing, Book::new)),
        shelf: Arc::default(),
        described: format!("none: {why}; keys come from the config"),
        store: Err(why),
    };
    let Some((path, named)) = place(config, settings) else {
        let why = "there is no folder for it, set --state-dir or tollgate.store";
        return Ok(without(salt, why.into()));
    };
    if !make && !path.exists() {
        return Ok(without(salt, format!("there is no {} yet", path.display())));
    }
    match Sqlite::open(&path, salt.clone()) {
        Ok((store, salt)) => Ok(State {
            book: Arc::new(Book::new(salt)),
            shelf: Arc::default(),
            store: Ok(store),
            described: format!("{} (SQLite)", path.display()),
        }),
        // An empty file is the beginning of one that could not be made; one that is held is another's, who goes on with it.
        Err(fault) if !named && fault != Fault::Locked && path.metadata().map_or(true, |file| file.len() == 0) => {
            Ok(without(salt, format!("{} cannot be made, {fault}", path.display())))
        }
        Err(fault) => Err(format!("the key store {}: {fault}", path.display())),
    }
}

impl State {
    /// Whether there is a store; why not.
    pub(super) fn check(&self) -> Result<(), String> {
        self.store.as_ref().map(|_| ()).map_err(|why| format!("there is no key store: {why}"))
    }

    /// Fills book and shelf from the store. `moved` is told when another process has changed entries.
    pub(super) fn serve(self, moved: Box<dyn Fn() + Send>) -> Result<Parts, String> {
        let Self { book, shelf, store, .. } = self;
        let keeper = match store {
            Ok(store) => {
                let path = store.path().display().to_string();
                let kept = Kept { book: Arc::clone(&book), shelf: Arc::clone(&shelf) };
                let started = Keeper::start(Box::new(store), kept, moved);
                Ok(started.map_err(|fault| format!("the key store {path}: {fault}"))?)
            }
            Err(why) => Err(why),
        };
        Ok(Parts { book, shelf, store: keeper })
    }
}
