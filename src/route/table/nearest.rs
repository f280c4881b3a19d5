//! The routes nearest to a path, and why they do not serve it.
//!
//! The law: it runs only where a request has been refused, or somebody asks why; at most [`LOOKED_AT`] routes are compared,
//! those that begin with the path's own first segment before the others; characters are compared for [`CLOSE`] of them.

use http::Method;

use super::{Entry, Table};
use crate::route::path::RequestPath;
use crate::route::pattern::{Part, Pattern};

/// The most routes that are compared, segment by segment.
const LOOKED_AT: usize = 256;
/// The most routes of those that are compared character by character.
const CLOSE: usize = 8;
/// The most characters of a path that are compared.
const CHARACTERS: usize = 64;
/// How many characters a segment of its own weighs.
const SEGMENT: usize = 4;

/// A route, and why it does not serve the path.
#[derive(Debug)]
pub struct Near<'t, T> {
    /// Its path.
    pub pattern: &'t Pattern,
    /// What it leads to.
    pub value: &'t T,
    /// Why it does not serve.
    pub why: WhyNot<'t>,
}

/// Why a route does not serve a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot<'t> {
    /// This segment of the path, counted from 1, is another one.
    Differs(usize),
    /// The path goes on where the route ends, and the route does not serve what is below it.
    Ends,
    /// The path ends where the route goes on.
    GoesOn,
    /// It serves the path too, and a more specific one comes first.
    LessSpecific,
    /// It serves the path, but these methods alone.
    OtherMethods(Vec<&'t str>),
}

impl<T> Table<T> {
    /// The `most` routes nearest to `path`, the nearest first, without the one that serves it.
    pub fn nearest(&self, path: &RequestPath<'_>, method: &Method, most: usize) -> Vec<Near<'_, T>> {
        let serving = match self.find(path, method) {
            super::Found::Route(found) => Some(std::ptr::from_ref(found.value)),
            _ => None,
        };
        let mut ranked: Vec<(usize, &Entry<T>)> = self
            .candidates(path)
            .into_iter()
            .filter_map(|number| self.entries.get(number as usize))
            .filter(|entry| serving != Some(std::ptr::from_ref(&entry.value)))
            .map(|entry| (apart(&entry.pattern, path), entry))
            .collect();
        ranked.sort_by_key(|(apart, _)| *apart);
        let shown = shorten(&path.canonical());
        let close = ranked.len().min(CLOSE.max(most));
        if let Some(close) = ranked.get_mut(..close) {
            let distance = |pattern: &Pattern| strsim::damerau_levenshtein(&shorten(&filled(pattern, path)), &shown);
            close.sort_by_cached_key(|(apart, entry)| match apart {
                0 => 0,
                apart => apart * SEGMENT + distance(&entry.pattern),
            });
        }
        ranked
            .into_iter()
            .take(most)
            .map(|(_, entry)| Near { pattern: &entry.pattern, value: &entry.value, why: why_not(entry, path, method) })
            .collect()
    }

    /// The routes that are compared: first the branch of the path, then the file's order.
    pub(super) fn candidates(&self, path: &RequestPath<'_>) -> Vec<u32> {
        let branch = if path.is_empty() { None } else { self.branches.get(&path.hash(0)) };
        let near = branch.into_iter().chain([&self.trunk]).flat_map(|branch| {
            branch
                .literals
                .values()
                .chain(branch.templates.values().flat_map(|index| index.values()))
                .flatten()
                .copied()
        });
        let all = 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let mut out: Vec<u32> = near.take(LOOKED_AT).collect();
        out.extend(all.take(LOOKED_AT - out.len()));
        out.sort_unstable();
        out.dedup();
        out
    }
}

/// How many segments the two do not share, at their beginning or at their end; 0: the route serves the path.
fn apart(pattern: &Pattern, path: &RequestPath<'_>) -> usize {
    if pattern.covers(path) && (pattern.len() == path.len() || pattern.has_subpath()) {
        return 0;
    }
    let same = |at: &usize, of: usize| pattern.parts().get(*at).is_some_and(|part| part.covers(path.canon(of)));
    let shorter = pattern.len().min(path.len());
    let front = (0..shorter).take_while(|at| same(at, *at)).count();
    let back = (0..shorter - front).take_while(|at| same(&(pattern.len() - 1 - at), path.len() - 1 - at)).count();
    1 + pattern.len().max(path.len()) - front - back
}

fn why_not<'t, T>(entry: &'t Entry<T>, path: &RequestPath<'_>, method: &Method) -> WhyNot<'t> {
    let (pattern, parts) = (&entry.pattern, entry.pattern.parts());
    let differs = parts.iter().enumerate().take(path.len()).find(|(at, part)| !part.covers(path.canon(*at)));
    match differs {
        Some((at, _)) => WhyNot::Differs(at + 1),
        None if pattern.len() > path.len() => WhyNot::GoesOn,
        None if pattern.len() < path.len() && !pattern.has_subpath() => WhyNot::Ends,
        None if entry.methods.allows(method) => WhyNot::LessSpecific,
        None => WhyNot::OtherMethods(entry.methods.names()),
    }
}

/// The pattern with the path's own segments where its names stand.
fn filled(pattern: &Pattern, path: &RequestPath<'_>) -> String {
    let mut out = String::new();
    for (at, part) in pattern.parts().iter().enumerate() {
        out.push('/');
        match part {
            Part::Literal(text) => out += &String::from_utf8_lossy(text),
            Part::Param { .. } => out += &String::from_utf8_lossy(path.canon(at)),
        }
    }
    out
}

fn shorten(text: &str) -> String {
    text.chars().take(CHARACTERS).collect()
}
