//! The head of a request, as an adapter may know it.
//!
//! The law: never a key, whatever it stands in: a line, a parameter, a part of the path, each is left out that holds one. It is
//! the same for a request that is served and for one that is refused.
//!
//! The body is not looked at.

use http::{HeaderMap, Method};

use super::{captures, matched_path, split_target};
use crate::route::{Found, RequestPath, decoded};
use crate::snapshot::{Service, Snapshot};
use crate::translate::{Adapter, Call};
use crate::upstream::QueryPlan;

/// What stands in a head, and the id of the call.
#[derive(Debug, Default)]
pub struct Heard {
    id: String,
    method: String,
    path: String,
    captures: Vec<(String, String)>,
    query: Option<String>,
    headers: Vec<(String, String)>,
}

impl Heard {
    /// What `service` may know of the call of this id.
    pub fn of(
        snapshot: &Snapshot,
        service: &Service,
        method: &Method,
        target: &[u8],
        fields: &HeaderMap,
        id: &str,
    ) -> Self {
        let is_key = |value: &[u8]| snapshot.keyring.occurs_in(value);
        let (raw, query) = split_target(target);
        let path = RequestPath::parse(raw).map(|path| path.canonical().into_owned()).unwrap_or_default();
        let mut heard = Self {
            path: Some(path).filter(|path| !is_key(path.as_bytes())).unwrap_or_default(),
            query: query.map(|query| without_keys(query, &is_key)),
            method: Some(method.to_string()).filter(|method| !is_key(method.as_bytes())).unwrap_or_default(),
            ..Self::alone(id)
        };
        if let Service::Adapter(adapter) = service {
            heard.headers = lines(&**adapter, fields, &is_key);
        }
        if let Ok(path) = matched_path(snapshot, target)
            && let Found::Route(found) = snapshot.routes.find(&path, method)
        {
            let known = captures(&found, &path).into_iter().filter(|(_, raw)| !is_key(raw));
            heard.captures = known.map(|(name, raw)| (name, decoded(&raw))).collect();
        }
        heard
    }

    /// That of a request that no client has sent.
    pub fn alone(id: &str) -> Self {
        Self { id: id.to_owned(), method: Method::POST.to_string(), ..Self::default() }
    }

    /// As adapters are shown it.
    pub fn call(&self) -> Call<'_> {
        Call {
            id: &self.id,
            method: &self.method,
            path: &self.path,
            captures: &self.captures,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }
}

/// The fields that the adapter reads.
fn lines(adapter: &dyn Adapter, fields: &HeaderMap, is_key: &dyn Fn(&[u8]) -> bool) -> Vec<(String, String)> {
    let lines = adapter.headers().iter().flat_map(|name| fields.get_all(*name).iter().map(move |value| (*name, value)));
    lines
        .filter(|(_, value)| !is_key(value.as_bytes()))
        .map(|(name, value)| (name.to_owned(), lossy(value.as_bytes())))
        .collect()
}

/// The query as it was sent, but for parameters that hold a key.
fn without_keys(query: &[u8], is_key: &dyn Fn(&[u8]) -> bool) -> String {
    let mut left = Vec::with_capacity(query.len() + 1);
    QueryPlan::default().write(Some(query), &|_| None, is_key, &mut left);
    lossy(left.strip_prefix(b"?").unwrap_or_default())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
