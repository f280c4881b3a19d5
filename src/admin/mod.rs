//! The key API, over the book and the store.
//!
//! `keys` and `teams` plan what a call changes and say what it answers, `list` shows many; here a call finds its plan and its
//! rights. The law: what only reads asks no store; a change is planned on the book that the store's thread has brought up to date,
//! and answered when it is durable and counts. A plan may be made several times, so it does nothing but plan.

mod keys;
mod list;
mod teams;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::auth::{Book, Time};
use crate::management::{Asked, Asker, BadField, Body, Call, Fault, read};
use crate::reload::{Outcome, Reloads, Wish};
use crate::secret::Secret;
use crate::store::{Audit, Change, Keeper, Plan};

/// The largest body of a call, in bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// What a plan comes to: changes, and the answer once they are made.
type Planned = Result<(Vec<Change>, Value), Fault>;

/// The key API.
#[derive(Debug)]
pub struct Admin {
    book: Arc<Book>,
    /// The way to the store; or why there is none.
    store: Result<Keeper, String>,
    master: Mutex<Option<Secret>>,
    reloads: Reloads,
}

/// A call, as its plan sees it.
#[derive(Clone, Debug)]
struct Request {
    asker: Asker,
    body: Body,
    /// The key that the path names.
    key: Option<String>,
    /// The key that is put into the book, where the call makes one and its caller has none.
    fresh: Option<Secret>,
    now: Time,
}

impl Admin {
    /// The API over `book`, which `store` keeps. `master` is no key that could be made again.
    pub fn new(book: Arc<Book>, store: Result<Keeper, String>, master: Option<Secret>, reloads: Reloads) -> Self {
        Self { book, store, master: Mutex::new(master), reloads }
    }

    /// How many configs have been in force.
    pub fn generation(&self) -> u64 {
        self.reloads.generation()
    }

    /// The number of the kept config that is in force instead of the file.
    pub fn pinned(&self) -> Option<u64> {
        self.reloads.pinned()
    }

    /// Another config is in force. `taken`: a key was taken out of it, which the store may have too.
    pub fn follow(&self, master: Option<Secret>, taken: bool) {
        *self.master.lock() = master;
        if let (true, Ok(keeper)) = (taken, &self.store) {
            keeper.read_again();
        }
    }

    /// The token of the key that `name` names: itself, its digest, its token or its alias.
    pub fn token(&self, name: &str) -> Option<String> {
        let found = self.book.named(name).or_else(|| self.book.aliased(name))?;
        Some(found.record.id.hex())
    }

    /// Makes the call that is `asked` at `now`.
    pub async fn answer(&self, asked: &Asked, body: &[u8], now: Time) -> Result<Value, Fault> {
        match way(asked.call) {
            Way::Tells(tell) => {
                let (book, asked) = (Arc::clone(&self.book), asked.clone());
                // A hundred thousand keys take longer to put in order than other requests should wait.
                let told = tokio::task::spawn_blocking(move || tell(&book, &asked, now)).await;
                told.map_err(|error| Fault::Store(error.to_string()))?
            }
            Way::Changes(plan) => self.change(plan, asked, body, now).await,
            Way::Reloads => self.reload(Wish::File).await,
            Way::RollsBack => self.reload(Wish::Kept(number(&read(body)?)?)).await,
        }
    }

    async fn reload(&self, wish: Wish) -> Result<Value, Fault> {
        match self.reloads.ask(wish).await {
            Some(Outcome::Refused { problems, .. }) => Err(Fault::NotReloaded(problems)),
            Some(outcome) => Ok(outcome.value()),
            None => Err(Fault::NotReloaded(vec!["the process is about to end".into()])),
        }
    }

    async fn change(
        &self,
        plan: fn(&Book, &Request) -> Planned,
        asked: &Asked,
        body: &[u8],
        now: Time,
    ) -> Result<Value, Fault> {
        let fresh = match asked.call {
            Call::KeyGenerate | Call::KeyRegenerate => Some(keys::fresh()?),
            _ => None,
        };
        let request = Request { asker: asked.asker.clone(), body: read(body)?, key: asked.key.clone(), fresh, now };
        if self.master.lock().as_ref().is_some_and(|master| keys::brings(&request.body, master)) {
            return Err(Fault::KeyTaken);
        }
        let keeper = self.store.as_ref().map_err(|why| Fault::NoStore(why.clone()))?;
        let audit = Audit { who: request.asker.name.clone(), what: asked.call.name(), at: now };
        let plan: Plan<Result<Value, Fault>> = Box::new(move |book| match plan(book, &request) {
            Ok((changes, answer)) => (changes, Ok(answer)),
            Err(fault) => (Vec::new(), Err(fault)),
        });
        keeper.change(plan, audit).await.map_err(|fault| Fault::Store(fault.to_string()))?
    }
}

/// How a call is answered.
enum Way {
    /// From the book.
    Tells(fn(&Book, &Asked, Time) -> Result<Value, Fault>),
    /// By a change of the store.
    Changes(fn(&Book, &Request) -> Planned),
    /// By a reload of the config.
    Reloads,
    /// By a config that was kept.
    RollsBack,
}

/// Which config of the history is asked for.
fn number(body: &Body) -> Result<u64, Fault> {
    let number = body.get("number").ok_or(BadField::Missing("number"))?;
    Ok(number
        .as_u64()
        .filter(|number| *number > 0)
        .ok_or(BadField::Value("number", "a number of `tollgate history`"))?)
}

fn way(call: Call) -> Way {
    match call {
        Call::KeyGenerate => Way::Changes(keys::generate),
        Call::KeyUpdate => Way::Changes(keys::update),
        Call::KeyRegenerate => Way::Changes(keys::regenerate),
        Call::KeyDelete => Way::Changes(keys::delete),
        Call::KeyBlock => Way::Changes(keys::block),
        Call::KeyUnblock => Way::Changes(keys::unblock),
        Call::KeyInfo => Way::Tells(keys::info),
        Call::KeyList => Way::Tells(list::keys),
        Call::TeamNew => Way::Changes(teams::new),
        Call::TeamUpdate => Way::Changes(teams::update),
        Call::TeamDelete => Way::Changes(teams::delete),
        Call::TeamBlock => Way::Changes(teams::block),
        Call::TeamUnblock => Way::Changes(teams::unblock),
        Call::TeamInfo => Way::Tells(teams::info),
        Call::TeamList => Way::Tells(teams::list),
        Call::ConfigReload => Way::Reloads,
        Call::ConfigRollback => Way::RollsBack,
    }
}
