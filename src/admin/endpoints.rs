//! What calls about entries of `pass_through_endpoints` plan and answer.
//!
//! The law: an entry is written only if the config that is in force, with it, could be served; entries of the file are shown and never
//! changed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Planned, Request};
use crate::auth::Book;
use crate::config::Endpoint;
use crate::config::stored::{Shelf, Stored};
use crate::management::endpoint::{changed, id, new, show, show_fixed};
use crate::management::{Asked, BadField, Body, Call, Fault, Query, label};
use crate::secret::Secret;
use crate::store::Change;

/// The most entries that the API keeps.
const MOST: usize = 10_000;

/// Says why entries could not be served with the config that is in force, by their ids.
pub type Judge = Arc<dyn Fn(Vec<Arc<Stored>>) -> BTreeMap<String, String> + Send + Sync>;

/// The entries that there are.
#[derive(Clone)]
pub(super) struct Endpoints {
    pub(super) shelf: Arc<Shelf>,
    /// Those of the file, and those of the shelf as they are served.
    pub(super) served: Arc<Vec<Endpoint>>,
    pub(super) judge: Judge,
    /// Whether a team must be granted each route by name.
    pub(super) grants_required: bool,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoints")
    }
}

impl Endpoints {
    /// Plans what a call changes.
    pub(super) fn plan(&self, call: Call, request: &Request) -> Planned {
        match call {
            Call::EndpointUpdate => self.update(request),
            Call::EndpointDelete => self.delete(request),
            _ => self.create(request),
        }
    }

    fn create(&self, request: &Request) -> Planned {
        let given = request.body.get("id").map_or(Ok(None), |value| label("id", value))?;
        let id = given.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        if self.shelf.get(&id).is_some() || self.is_fixed(&id) {
            return Err(Fault::EndpointTaken);
        }
        if self.shelf.all().len() >= MOST {
            return Err(Fault::TooMany(MOST));
        }
        self.put(id, &new(&request.body)?)
    }

    fn update(&self, request: &Request) -> Planned {
        let id = request.named.clone().unwrap_or_default();
        let before = self.named(&id)?;
        self.put(id, &changed(&read(&before), &request.body)?)
    }

    fn delete(&self, request: &Request) -> Planned {
        let query = Query::read(request.query.as_deref(), &["endpoint_id"])?;
        let id = query.text("endpoint_id").ok_or(BadField::Missing("endpoint_id"))?.to_owned();
        let stored = self.named(&id)?;
        let answer = json!({ "endpoints": [show(&id, &read(&stored), None)] });
        Ok((vec![Change::NoEntry(id)], answer))
    }

    fn put(&self, id: String, entry: &Body) -> Planned {
        let stored = Stored { id: id.clone(), body: Secret::new(Value::Object(entry.clone()).to_string()) };
        let mut all = self.shelf.all();
        all.retain(|other| other.id != id);
        all.push(Arc::new(stored.clone()));
        if let Some(problem) = (self.judge)(all).remove(&id) {
            return Err(Fault::BadEndpoint(problem));
        }
        let answer = json!({ "endpoints": [show(&id, entry, None)] });
        Ok((vec![Change::Entry(stored)], answer))
    }

    fn named(&self, id: &str) -> Result<Arc<Stored>, Fault> {
        self.shelf.get(id).ok_or_else(|| if self.is_fixed(id) { Fault::FixedEndpoint } else { Fault::NoEndpoint })
    }

    fn fixed(&self) -> impl Iterator<Item = &Endpoint> {
        self.served.iter().filter(|endpoint| !endpoint.is_made)
    }

    fn is_fixed(&self, name: &str) -> bool {
        self.fixed().any(|endpoint| id(endpoint) == name)
    }

    /// Shows them: all, the one that is asked for, or those that a team may use.
    pub(super) fn list(&self, book: &Book, asked: &Asked) -> Result<Value, Fault> {
        let query = Query::read(asked.query.as_deref(), &["endpoint_id", "team_id"])?;
        let wanted = query.text("endpoint_id");
        let team = asked.named.as_deref().map(|id| book.team(id).ok_or(Fault::NoTeam)).transpose()?;
        let may = |path: &str| {
            team.as_ref().is_none_or(|team| {
                let (allowed, denied) = (&team.record.allowed_passthrough, &team.record.denied_passthrough);
                let listed = |list: &[String]| list.iter().any(|known| known == path);
                !listed(denied) && (listed(allowed) || (allowed.is_empty() && !self.grants_required))
            })
        };
        let mut out = Vec::new();
        let is_wanted = |id: &str| wanted.is_none_or(|wanted| wanted == id);
        out.extend(self.fixed().filter(|entry| is_wanted(&id(entry)) && may(entry.name())).map(show_fixed));
        for stored in self.shelf.all().iter().filter(|stored| is_wanted(&stored.id)) {
            let entry = read(stored);
            if may(entry.get("path").and_then(Value::as_str).unwrap_or_default()) {
                out.push(show(&stored.id, &entry, self.shelf.why_not(&stored.id)));
            }
        }
        if out.is_empty() && wanted.is_some() {
            return Err(Fault::NoEndpoint);
        }
        Ok(json!({ "endpoints": out }))
    }
}

fn read(stored: &Stored) -> Body {
    serde_json::from_str(stored.body.expose()).unwrap_or_default()
}
