//! A plan applied to the fields of a request.
//!
//! The law: this is the only place where a client's fields become an upstream's; the proxy rewrites Pingora's message with
//! it, `explain` a plain map, and both come to the same fields. Hop-by-hop and nominated fields are gone before it runs.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::{HeaderPlan, SetHeader, passed_name};

/// Fields that can be rewritten.
pub trait Fields {
    /// Why a field cannot be written.
    type Error;
    /// All of them.
    fn map(&self) -> &HeaderMap;
    /// Removes every line of `name`.
    fn remove(&mut self, name: &HeaderName);
    /// Adds a line.
    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error>;
    /// Puts one line in place of all of `name`.
    fn replace(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error>;
    /// Puts a line of the file in place of all of its name.
    fn configure(&mut self, header: &SetHeader) -> Result<(), Self::Error>;
}

/// What the hop to the upstream adds by itself.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The upstream's `Host`.
    pub host: &'a HeaderValue,
    /// Our `Via`.
    pub via: &'a HeaderValue,
    /// What is said of the client, in `X-Forwarded-*`.
    pub told: &'a [SetHeader],
}

/// What is done to a client's fields before the configured ones are set.
#[derive(Debug, Default)]
pub struct Changes {
    /// Names whose lines go, all of them.
    pub removed: SmallVec<[HeaderName; 16]>,
    /// What `x-pass-` asked for: it replaces the lines of its name.
    pub passed: SmallVec<[(HeaderName, HeaderValue); 4]>,
}

impl HeaderPlan {
    /// What is done to a client's `fields`. `is_key`: whether a name or a value holds a known key.
    pub fn changes(&self, fields: &HeaderMap, is_key: impl Fn(&[u8]) -> bool) -> Changes {
        let mut changes = Changes::default();
        for (name, value) in fields {
            // A key is looked for only where it would leave: for a virtual one that means digests.
            let holds_key = || is_key(value.as_bytes()) || is_key(name.as_str().as_bytes());
            if let Some(wanted) = passed_name(name).filter(|wanted| !self.sets(wanted) && !holds_key()) {
                changes.passed.push((wanted, value.clone()));
            }
            let goes = self.withheld(name, false).is_some() || holds_key();
            if goes && changes.removed.last() != Some(name) {
                changes.removed.push(name.clone());
            }
        }
        changes
    }

    /// Turns a client's fields into the upstream's.
    pub fn rewrite<F: Fields>(
        &self,
        fields: &mut F,
        hop: Hop<'_>,
        is_key: impl Fn(&[u8]) -> bool,
    ) -> Result<(), F::Error> {
        let Changes { removed, passed } = self.changes(fields.map(), is_key);
        for name in &removed {
            fields.remove(name);
        }
        for (name, _) in &passed {
            fields.remove(name);
        }
        for (name, value) in passed {
            fields.append(name, value)?;
        }
        fields.replace(header::HOST, hop.host.clone())?;
        fields.append(header::VIA, hop.via.clone())?;
        for header in hop.told {
            fields.configure(header)?;
        }
        join_cookies(fields)?;
        for header in self.configured() {
            fields.configure(header)?;
        }
        Ok(())
    }
}

/// HTTP/2 lets a client send its cookies in crumbs, of which HTTP/1 knows nothing (RFC 9113 section 8.2.3).
fn join_cookies<F: Fields>(fields: &mut F) -> Result<(), F::Error> {
    let mut crumbs = fields.map().get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return Ok(()) };
    let whole =
        [first, second].into_iter().chain(crumbs).map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    // Made of values alone; were it none, the crumbs would stay as they are.
    match HeaderValue::from_bytes(&whole) {
        Ok(whole) => fields.replace(header::COOKIE, whole),
        Err(_) => Ok(()),
    }
}

impl Fields for HeaderMap {
    type Error = std::convert::Infallible;

    fn map(&self) -> &HeaderMap {
        self
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error> {
        HeaderMap::append(self, name, value);
        Ok(())
    }

    fn replace(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error> {
        self.insert(name, value);
        Ok(())
    }

    fn configure(&mut self, header: &SetHeader) -> Result<(), Self::Error> {
        self.insert(header.name.clone(), header.value.clone());
        Ok(())
    }
}
