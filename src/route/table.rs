//! All routes of a config, found in a time that does not depend on how many there are.
//!
//! The law: exact beats template beats prefix; a longer prefix beats a shorter one and, at the same length, a literal one a
//! template; among templates the leftmost literal wins, and a fixed beginning or end beats a bare name. Methods are
//! considered: a route that does not serve the method leaves the path to the next best, and 405 is the answer only when none
//! serves it.
//!
//! How: the first segment leads to a *branch*, which knows at which lengths it has routes, so that a path pays for the
//! lengths its own branch has and for nothing else. In a branch literal routes are one look-up for each of those lengths;
//! templates one for each *shape*: which segments are names, how long their fixed ends are. Hashes of the first n segments
//! are folded from the segments' own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use http::Method;
use smallvec::SmallVec;

use super::methods::Methods;
use super::path::{RequestPath, hash_of};
use super::pattern::{Part, Pattern, ends_hash};

mod nearest;

pub use nearest::{Near, WhyNot};

/// The routes.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<Entry<T>>,
    /// Routes that begin with a literal segment, by its hash.
    branches: HashMap<u64, Branch, BuildHasherDefault<Hashed>>,
    /// Routes that begin with a name, and `/`.
    trunk: Branch,
}

/// Routes that are looked for together.
#[derive(Debug, Default)]
struct Branch {
    lengths: Lengths,
    literals: Index,
    /// Of all lengths; a branch has few.
    templates: Shapes,
}

#[derive(Debug)]
struct Entry<T> {
    pattern: Pattern,
    methods: Methods,
    value: T,
}

/// Entries by the hash of their segments; equal hashes share a bucket and are told apart by comparing.
type Index = HashMap<u64, SmallVec<[u32; 2]>, BuildHasherDefault<Hashed>>;

/// Templates by the places of their names, in the order in which they are tried.
type Shapes = BTreeMap<Vec<ShapePart>, Index>;

/// A segment of a shape. The order is that of precedence: a literal first, then the longest fixed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ShapePart {
    Literal,
    Param { fixed: Reverse<usize>, before: usize, after: usize },
}

/// Two entries, by their position, that would serve the same path and method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The one that stands first.
    pub first: usize,
    /// The one that stands second.
    pub second: usize,
}

/// A route that serves a path.
#[derive(Debug)]
pub struct Match<'t, T> {
    /// Its path.
    pub pattern: &'t Pattern,
    /// What it leads to.
    pub value: &'t T,
}

/// What the table knows about a path and method.
#[derive(Debug)]
pub enum Found<'t, T> {
    /// A route serves it.
    Route(Match<'t, T>),
    /// Routes serve the path, but not the method; these methods are served.
    OtherMethods(Vec<&'t str>),
    /// No route serves the path.
    Nothing,
}

impl<T> Table<T> {
    /// Builds the table. All conflicts are returned, not only the first.
    pub fn build(entries: impl IntoIterator<Item = (Pattern, Methods, T)>) -> Result<Self, Vec<Conflict>> {
        let mut table = Self { entries: Vec::new(), branches: HashMap::default(), trunk: Branch::default() };
        let mut conflicts = Vec::new();
        for (position, (pattern, methods, value)) in entries.into_iter().enumerate() {
            let number = u32::try_from(position).unwrap_or(u32::MAX);
            let bucket = table.bucket(&pattern).clone();
            let twin = bucket.iter().copied().find(|&other| {
                table
                    .entries
                    .get(other as usize)
                    .is_some_and(|other| same_paths(&other.pattern, &pattern) && other.methods.overlaps(&methods))
            });
            if let Some(first) = twin {
                conflicts.push(Conflict { first: first as usize, second: position });
            }
            table.bucket(&pattern).push(number);
            table.entries.push(Entry { pattern, methods, value });
        }
        if conflicts.is_empty() { Ok(table) } else { Err(conflicts) }
    }

    /// The bucket that entries of this pattern share.
    fn bucket(&mut self, pattern: &Pattern) -> &mut SmallVec<[u32; 2]> {
        let hash = pattern.parts().iter().fold(SEED, |hash, part| fold(hash, part.hash()));
        let parts: Vec<ShapePart> = pattern.parts().iter().map(ShapePart::of).collect();
        let branch = match pattern.parts().first() {
            Some(first @ Part::Literal(_)) => self.branches.entry(first.hash()).or_default(),
            _ => &mut self.trunk,
        };
        branch.lengths.add(parts.len());
        if parts.iter().all(|part| *part == ShapePart::Literal) {
            return branch.literals.entry(hash).or_default();
        }
        branch.templates.entry(parts).or_default().entry(hash).or_default()
    }

    /// What the routes lead to.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// Finds the route for `path` and `method`.
    pub fn find(&self, path: &RequestPath<'_>, method: &Method) -> Found<'_, T> {
        let mut others: Vec<&str> = Vec::new();
        let mut hashes: SmallVec<[u64; 13]> = SmallVec::new();
        hashes.push(SEED);
        let mut hash = SEED;
        for index in 0..path.len() {
            hash = fold(hash, path.hash(index));
            hashes.push(hash);
        }
        let branch = if path.is_empty() { None } else { self.branches.get(&path.hash(0)) };
        // A literal beginning beats a name at every length, and a longer route beats a shorter one.
        for (count, hash) in hashes.iter().enumerate().rev() {
            let whole = count + 1 == hashes.len();
            for branch in branch.into_iter().chain([&self.trunk]).filter(|branch| branch.lengths.has(count)) {
                for bucket in branch.buckets(count, *hash, path) {
                    if let Some(found) = self.pick(bucket, path, method, count, whole, &mut others) {
                        return Found::Route(found);
                    }
                }
            }
        }
        if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
    }

    fn pick<'t>(
        &'t self,
        bucket: &[u32],
        path: &RequestPath<'_>,
        method: &Method,
        count: usize,
        whole: bool,
        others: &mut Vec<&'t str>,
    ) -> Option<Match<'t, T>> {
        for &number in bucket {
            let Some(entry) = self.entries.get(number as usize) else { continue };
            let serves =
                (whole || entry.pattern.has_subpath()) && entry.pattern.len() == count && entry.pattern.covers(path);
            if !serves {
                continue;
            }
            if entry.methods.allows(method) {
                return Some(Match { pattern: &entry.pattern, value: &entry.value });
            }
            for name in entry.methods.names() {
                if !others.contains(&name) {
                    others.push(name);
                }
            }
        }
        None
    }
}

/// Whether two patterns match the same paths, whatever their names.
fn same_paths(one: &Pattern, other: &Pattern) -> bool {
    let same = |one: &Part, other: &Part| match (one, other) {
        (Part::Literal(one), Part::Literal(other)) => one == other,
        (Part::Param { before, after, .. }, Part::Param { before: before2, after: after2, .. }) => {
            before == before2 && after == after2
        }
        _ => false,
    };
    one.len() == other.len() && one.parts().iter().zip(other.parts()).all(|(one, other)| same(one, other))
}

impl Branch {
    /// The buckets of routes of `count` segments that may serve `path`, most specific first. `hash`: of those segments.
    fn buckets<'t>(
        &'t self,
        count: usize,
        hash: u64,
        path: &'t RequestPath<'_>,
    ) -> impl Iterator<Item = &'t SmallVec<[u32; 2]>> {
        let templates = self.templates.iter().filter(move |(shape, _)| shape.len() == count);
        let templates = templates.filter_map(|(shape, index)| bucket(shape, index, path));
        self.literals.get(&hash).into_iter().chain(templates)
    }
}

/// A set of lengths; those from 127 on share a place.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths(u128);

impl Lengths {
    fn add(&mut self, length: usize) {
        self.0 |= 1 << length.min(127);
    }

    fn has(self, length: usize) -> bool {
        self.0 >> length.min(127) & 1 == 1
    }
}

/// The bucket that `path` would fall into, as a path of this shape.
fn bucket<'t>(shape: &[ShapePart], index: &'t Index, path: &RequestPath<'_>) -> Option<&'t SmallVec<[u32; 2]>> {
    let mut hash = SEED;
    for (position, part) in shape.iter().enumerate() {
        hash = fold(
            hash,
            match part {
                ShapePart::Literal => path.hash(position),
                ShapePart::Param { before, after, .. } => {
                    let text = path.canon(position);
                    ends_hash(text.get(..*before)?, text.get(text.len().checked_sub(*after)?..)?)
                }
            },
        );
    }
    index.get(&hash)
}

impl ShapePart {
    fn of(part: &Part) -> Self {
        match part {
            Part::Literal(_) => Self::Literal,
            Part::Param { before, after, .. } => {
                Self::Param { fixed: Reverse(before.len() + after.len()), before: before.len(), after: after.len() }
            }
        }
    }
}

/// The hash of no segments.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds one segment's hash. Multiplying spreads it over all bits, which the index reads from both ends.
fn fold(hash: u64, segment: u64) -> u64 {
    (hash.rotate_left(5) ^ segment).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// A hasher for keys that are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_of(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests;
