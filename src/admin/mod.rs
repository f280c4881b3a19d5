//! The key API, over the book and the store.
//!
//! `keys`, `teams` and `endpoints` plan what a call changes and say what it answers, `list` shows many; here a call finds its plan and its
//! rights. The law: what only reads asks no store; a change is planned on the book that the store's thread has brought up to date,
//! and answered when it is durable and counts. A plan may be made several times, so it does nothing but plan.

mod endpoints;
mod keys;
mod list;
mod teams;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use endpoints::Endpoints;
pub use endpoints::Judge;

use crate::auth::{Book, Time};
use crate::config::Config;
use crate::config::stored::Shelf;
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
    endpoints: Mutex<Endpoints>,
}

/// What the API works on.
#[derive(Debug)]
pub struct Parts {
    /// The keys.
    pub book: Arc<Book>,
    /// The entries.
    pub shelf: Arc<Shelf>,
    /// The way to the store that keeps both; or why there is none.
    pub store: Result<Keeper, String>,
}

/// A call, as its plan sees it.
#[derive(Clone, Debug)]
struct Request {
    asker: Asker,
    body: Body,
    /// The key or the entry that the path names.
    named: Option<String>,
    /// The query, as it was written.
    query: Option<Vec<u8>>,
    /// The key that is put into the book, where the call makes one and its caller has none.
    fresh: Option<Secret>,
    now: Time,
}

impl Admin {
    /// The API over `parts`. `master` is no key that could be made again; `judge` says which entries could be served.
    pub fn new(parts: Parts, master: Option<Secret>, reloads: Reloads, judge: Judge) -> Self {
        let Parts { book, shelf, store } = parts;
        let endpoints = Mutex::new(Endpoints { shelf, judge, served: Arc::default(), grants_required: false });
        Self { book, store, master: Mutex::new(master), reloads, endpoints }
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
    pub fn follow(&self, config: &Config, taken: bool) {
        *self.master.lock() = config.master_key.clone();
        let mut endpoints = self.endpoints.lock();
        endpoints.served = Arc::clone(&config.endpoints);
        endpoints.grants_required = config.grants_required;
        drop(endpoints);
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
            Way::TellsEntries => self.endpoints.lock().list(&self.book, asked),
            Way::ChangesEntries => {
                let (endpoints, call) = (self.endpoints.lock().clone(), asked.call);
                let answer = self.change(move |_, request| endpoints.plan(call, request), asked, body, now).await?;
                // It is kept; what is answered counts already.
                self.reload(Wish::Entries).await?;
                Ok(answer)
            }
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
        plan: impl Fn(&Book, &Request) -> Planned + Send + 'static,
        asked: &Asked,
        body: &[u8],
        now: Time,
    ) -> Result<Value, Fault> {
        let fresh = match asked.call {
            Call::KeyGenerate | Call::KeyRegenerate => Some(keys::fresh()?),
            _ => None,
        };
        let request = Request {
            asker: asked.asker.clone(),
            body: read(body)?,
            named: asked.named.clone(),
            query: asked.query.clone(),
            fresh,
            now,
        };
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
    /// From the entries of the config.
    TellsEntries,
    /// By a change of those, and a reload.
    ChangesEntries,
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
        Call::EndpointList | Call::EndpointTeam => Way::TellsEntries,
        Call::EndpointNew | Call::EndpointUpdate | Call::EndpointDelete => Way::ChangesEntries,
    }
}
