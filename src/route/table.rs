//! All routes of a config, found in a time that does not depend on how many there are.
//!
//! The law: exact beats template beats prefix; a longer prefix beats a shorter one and, at the same length, a literal one a
//! template; among templates more literal segments win, then the leftmost literal. Methods are considered: a route that
//! does not serve the method leaves the path to the next best, and 405 is the answer only when none serves it.
//!
//! How: the hash of a path's first n segments is folded from the segments' own hashes. Literal routes are one look-up for
//! each n. Templates are grouped by *shape* (which segments are names, how long their fixed ends are): one look-up for each
//! shape that the config has, whatever the number of routes in it, behind a bit filter that most paths do not pass.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use http::Method;
use smallvec::SmallVec;

use super::methods::Methods;
use super::path::{RequestPath, hash_of};
use super::pattern::{Part, Pattern, ends_hash};

/// The routes.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<Entry<T>>,
    literals: Index,
    /// By number of segments, most specific first.
    shapes: Vec<Vec<Shape>>,
}

#[derive(Debug)]
struct Entry<T> {
    pattern: Pattern,
    methods: Methods,
    value: T,
}

/// Entries by the hash of their segments; equal hashes share a bucket and are told apart by comparing.
type Index = HashMap<u64, SmallVec<[u32; 2]>, BuildHasherDefault<Hashed>>;

/// Templates that have their names at the same places.
#[derive(Debug)]
struct Shape {
    parts: Vec<ShapePart>,
    index: Index,
    filter: Filter,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ShapePart {
    Literal,
    Param { before: usize, after: usize },
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
        let mut table = Self { entries: Vec::new(), literals: Index::default(), shapes: Vec::new() };
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
        for shapes in &mut table.shapes {
            shapes.sort_by_key(Shape::rank);
            for shape in shapes {
                shape.filter = Filter::over(shape.index.keys().copied());
            }
        }
        if conflicts.is_empty() { Ok(table) } else { Err(conflicts) }
    }

    /// The bucket that entries of this pattern share.
    fn bucket(&mut self, pattern: &Pattern) -> &mut SmallVec<[u32; 2]> {
        let hash = pattern.parts().iter().fold(SEED, |hash, part| fold(hash, part.hash()));
        let parts: Vec<ShapePart> = pattern.parts().iter().map(ShapePart::of).collect();
        if parts.iter().all(|part| *part == ShapePart::Literal) {
            return self.literals.entry(hash).or_default();
        }
        while self.shapes.len() <= parts.len() {
            self.shapes.push(Vec::new());
        }
        let count = parts.len();
        let shapes = &mut self.shapes[count];
        let at = shapes.iter().position(|shape| shape.parts == parts).unwrap_or_else(|| {
            shapes.push(Shape { parts, index: Index::default(), filter: Filter::default() });
            shapes.len() - 1
        });
        shapes[at].index.entry(hash).or_default()
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
        // Length n first serves the path itself, then everything below a prefix of n segments.
        for count in (0..hashes.len()).rev() {
            let whole = count + 1 == hashes.len();
            if let Some(bucket) = hashes.get(count).and_then(|hash| self.literals.get(hash)) {
                if let Some(found) = self.pick(bucket, path, method, count, whole, &mut others) {
                    return Found::Route(found);
                }
            }
            for shape in self.shapes.get(count).map(Vec::as_slice).unwrap_or_default() {
                let Some(bucket) = shape.bucket(path) else { continue };
                if let Some(found) = self.pick(bucket, path, method, count, whole, &mut others) {
                    return Found::Route(found);
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

    /// Everything in the table, in the order it was given.
    pub fn iter(&self) -> impl Iterator<Item = (&Pattern, &Methods, &T)> {
        self.entries.iter().map(|entry| (&entry.pattern, &entry.methods, &entry.value))
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

impl Shape {
    /// More literals first, then the leftmost literal, then the longest fixed ends.
    fn rank(&self) -> (usize, Vec<usize>) {
        let names = self.parts.iter().filter(|part| **part != ShapePart::Literal).count();
        let places = self
            .parts
            .iter()
            .map(|part| match part {
                ShapePart::Literal => 0,
                ShapePart::Param { before, after } => usize::MAX - before - after,
            })
            .collect();
        (names, places)
    }

    /// The bucket that `path` would fall into.
    fn bucket(&self, path: &RequestPath<'_>) -> Option<&SmallVec<[u32; 2]>> {
        let mut hash = SEED;
        for (index, part) in self.parts.iter().enumerate() {
            hash = fold(
                hash,
                match part {
                    ShapePart::Literal => path.hash(index),
                    ShapePart::Param { before, after } => {
                        let text = path.canon(index);
                        ends_hash(text.get(..*before)?, text.get(text.len().checked_sub(*after)?..)?)
                    }
                },
            );
        }
        if self.filter.may_hold(hash) { self.index.get(&hash) } else { None }
    }
}

impl ShapePart {
    fn of(part: &Part) -> Self {
        match part {
            Part::Literal(_) => Self::Literal,
            Part::Param { before, after, .. } => Self::Param { before: before.len(), after: after.len() },
        }
    }
}

/// The hash of no segments.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds one segment's hash. Multiplying spreads it over all bits, which the index and the filter read from both ends.
fn fold(hash: u64, segment: u64) -> u64 {
    (hash.rotate_left(5) ^ segment).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// A bit for each of sixteen hashes an entry would fill: it answers "surely not" without touching the index.
#[derive(Debug, Default)]
struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    fn over(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let words = (hashes.len() / 4).next_power_of_two().max(1);
        let mut filter = Self { bits: vec![0; words], shift: 64 - (words.trailing_zeros() + 6) };
        for hash in hashes {
            let (word, bit) = filter.place(hash);
            if let Some(bits) = filter.bits.get_mut(word) {
                *bits |= bit;
            }
        }
        filter
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let place = hash >> self.shift;
        ((place >> 6) as usize, 1 << (place & 63))
    }

    fn may_hold(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }
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
