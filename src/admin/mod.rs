//! The key API, over the book and the store.
//!
//! `keys` and `teams` plan what a call changes and say what it answers, `list` shows many; here a call finds its plan and its
//! rights. The law: what only reads asks no store; a change is planned on the book that the store's thread has brought up to date,
//! and answered when it is durable and counts. A plan may be made several times, so it does nothing but plan.

mod keys;
mod list;
mod teams;

use std::sync::Arc;

use serde_json::Value;

use crate::auth::{Book, Time};
use crate::management::{Asked, Asker, Body, Call, Fault, read};
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
    master: Option<Secret>,
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
    pub fn new(book: Arc<Book>, store: Result<Keeper, String>, master: Option<Secret>) -> Self {
        Self { book, store, master }
    }

    /// The token of the key that `name` names: itself, its digest, its token or its alias.
    pub fn token(&self, name: &str) -> Option<String> {
        let found = self.book.named(name).or_else(|| self.book.aliased(name))?;
        Some(found.record.id.hex())
    }

    /// Makes the call that is `asked` at `now`.
    pub async fn answer(&self, asked: &Asked, body: &[u8], now: Time) -> Result<Value, Fault> {
        let (asker, query) = (&asked.asker, asked.query.as_deref());
        match asked.call {
            Call::KeyInfo => return keys::info(&self.book, asker, query, now),
            Call::KeyList => return list::keys(&self.book, asker, query, now),
            Call::TeamInfo => return teams::info(&self.book, asker, query, now),
            Call::TeamList => return teams::list(&self.book, asker, query),
            _ => {}
        }
        let plan = planner(asked.call);
        let fresh = match asked.call {
            Call::KeyGenerate | Call::KeyRegenerate => Some(keys::fresh()?),
            _ => None,
        };
        let request = Request { asker: asker.clone(), body: read(body)?, key: asked.key.clone(), fresh, now };
        if self.master.as_ref().is_some_and(|master| keys::brings(&request.body, master)) {
            return Err(Fault::KeyTaken);
        }
        let keeper = self.store.as_ref().map_err(|why| Fault::Store(why.clone()))?;
        let audit = Audit { who: request.asker.name.clone(), what: asked.call.name(), at: now };
        let plan: Plan<Result<Value, Fault>> = Box::new(move |book| match plan(book, &request) {
            Ok((changes, answer)) => (changes, Ok(answer)),
            Err(fault) => (Vec::new(), Err(fault)),
        });
        keeper.change(plan, audit).await.map_err(|fault| Fault::Store(fault.to_string()))?
    }
}

/// What a call that changes something plans.
fn planner(call: Call) -> fn(&Book, &Request) -> Planned {
    match call {
        Call::KeyGenerate => keys::generate,
        Call::KeyUpdate => keys::update,
        Call::KeyRegenerate => keys::regenerate,
        Call::KeyDelete => keys::delete,
        Call::KeyBlock => keys::block,
        Call::KeyUnblock => keys::unblock,
        Call::TeamNew => teams::new,
        Call::TeamUpdate => teams::update,
        Call::TeamDelete => teams::delete,
        Call::TeamBlock => teams::block,
        Call::TeamUnblock => teams::unblock,
        // These are answered from the book.
        Call::KeyInfo | Call::KeyList | Call::TeamInfo | Call::TeamList => |_, _| Err(Fault::NotAllowed),
    }
}
