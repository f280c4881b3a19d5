//! The route table's micro bench: a table of 10,000 mixed routes beside tables of one.
//!
//! Law: parse and find of any path, hit or miss, cost at most 1.2 times in the big table what the same path
//! costs in a table that holds a single route; the worst case counts. Building the 10,000 takes less than a
//! second. Exit 1 when either is broken, or when a path finds something else than it should.
//!
//! Not here, on purpose: limits in ns (they belong to the machine), admission, headers. Each path is asked
//! for again and again, so both tables answer from warm caches; what cold ones cost shows in the last line,
//! which walks all 10,000 and is for information.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use http::Method;
use tollgate::route::{Found, Methods, Pattern, RequestPath, Table};

use support::stats::{asked_to_measure, median};

mod support;

const LIMIT: f64 = 1.2;
const BUILD_LIMIT: Duration = Duration::from_secs(1);

/// Calls between two looks at the clock, and such batches per table: one batch lasts some 50 µs, so that a
/// neighbour's time slice spoils few of them, and the median does not see those.
const CALLS: u32 = 500;
const BATCHES: usize = 301;

/// Of each kind the first, the last and three between are measured.
const SAMPLES: usize = 5;

/// Under this path stand 1,000 routes: comparing with every sibling, or whole paths at each step, would show.
const SHARED: &str = "/api/public/v1/organizations/default/projects/main";

/// Ends of templates, of different lengths: a table that tries one after the other would show.
const VERBS: [&str; 5] = ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "predict"];

/// A captured segment and what follows a prefix, as real clients send them.
const ID: &str = "01J9ZK3W5T-7f3a";
const REST: &str = "/chat/completions/7f3a/events";

/// What nobody configured, from the shortest to what a scanner sends.
const STRANGERS: [&str; 5] = [
    "/",
    "/nobody",
    "/nobody/has/this/path",
    "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p",
    "/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

fn main() -> ExitCode {
    if !asked_to_measure("route") {
        return ExitCode::SUCCESS;
    }
    let kinds = kinds();
    let routes: Vec<&Route> = kinds.iter().flat_map(|kind| &kind.routes).collect();
    assert_eq!(routes.len(), 10_000, "the mixture makes the promised number");
    let start = Instant::now();
    let big = Routes::of(routes);
    let built = start.elapsed();
    println!("10,000 routes built in {built:.1?}, limit {BUILD_LIMIT:?}\n");
    println!("case                              one ns  10,000 ns   ratio  worst at");
    let mut hit: f64 = 0.0;
    let mut miss: f64 = 0.0;
    for kind in &kinds {
        hit = hit.max(report("hit", kind.name, &hits(kind), &big));
        miss = miss.max(report("near miss", kind.name, &near_misses(kind), &big));
    }
    for path in STRANGERS {
        let name = format!("of {} bytes", path.len());
        miss = miss.max(report("stranger", &name, &stranger(path, &kinds), &big));
    }
    println!("\nworst hit {hit:.3}, worst miss {miss:.3}, limit {LIMIT:.2}");
    println!("all 10,000 in turn: {:.1} ns a call", walk(&big));
    if hit.max(miss) > LIMIT || built > BUILD_LIMIT {
        println!("OVER THE LIMIT");
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
}

/// One configured route, a path that it serves, and paths that it just does not.
struct Route {
    path: String,
    subpath: bool,
    hit: String,
    near: [String; 3],
}

impl Route {
    /// Serves `hit` and nothing below it.
    fn whole(path: String, hit: String) -> Route {
        let near = [format!("{hit}x"), format!("{hit}/more"), parent(&hit)];
        Route { path, subpath: false, hit, near }
    }

    /// Serves itself and all below, but not a longer word: a prefix ends where a segment does.
    fn prefix(path: String) -> Route {
        let near = [format!("{path}x"), format!("{path}x{REST}"), parent(&path)];
        let hit = format!("{path}{REST}");
        Route { path, subpath: true, hit, near }
    }

    fn pattern(&self) -> Pattern {
        let Ok(pattern) = Pattern::parse(&self.path, self.subpath) else {
            panic!("{} is a valid pattern", self.path);
        };
        pattern
    }
}

fn parent(path: &str) -> String {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
    }
}

struct Kind {
    name: &'static str,
    routes: Vec<Route>,
}

/// The mixture: whole paths, both forms of template, prefixes of every depth, siblings in a crowd.
fn kinds() -> [Kind; 10] {
    fn kind(name: &'static str, count: usize, make: impl Fn(usize) -> Route) -> Kind {
        let routes = (0..count).map(make).collect();
        Kind { name, routes }
    }
    let exact = |path: String| Route::whole(path.clone(), path);
    [
        kind("exact", 2_500, |i| exact(format!("/service{i}/v1/rerank"))),
        kind("template", 1_000, |i| {
            let path = format!("/job{i}/{{id}}/status");
            Route::whole(path, format!("/job{i}/{ID}/status"))
        }),
        kind("template, name first", 500, |i| {
            let path = format!("/{{tenant}}/app{i}/run");
            Route::whole(path, format!("/{ID}/app{i}/run"))
        }),
        kind("template with suffix", 1_500, |i| {
            let verb = VERBS[i % VERBS.len()];
            let path = format!("/models{i}/{{model}}:{verb}");
            Route::whole(path, format!("/models{i}/{ID}:{verb}"))
        }),
        kind("prefix of 1", 1_000, |i| Route::prefix(format!("/one{i}"))),
        kind("prefix of 2", 1_000, |i| Route::prefix(format!("/two/team{i}"))),
        kind("prefix of 3", 750, |i| Route::prefix(format!("/three{i}/a/b"))),
        kind("prefix of 4", 750, |i| Route::prefix(format!("/four/a/b/team{i}"))),
        kind("exact in a crowd", 500, |i| exact(format!("{SHARED}/tool{i}"))),
        kind("prefix in a crowd", 500, |i| Route::prefix(format!("{SHARED}/agent{i}"))),
    ]
}

/// A path to ask for, and the only route of the small table.
struct Case<'a> {
    path: &'a str,
    route: &'a Route,
    hit: bool,
}

fn samples(kind: &Kind) -> impl Iterator<Item = &Route> {
    let last = kind.routes.len() - 1;
    (0..SAMPLES).map(move |n| &kind.routes[last * n / (SAMPLES - 1)])
}

fn hits<'a>(kind: &'a Kind) -> Vec<Case<'a>> {
    let case = |route: &'a Route| Case { path: &route.hit, route, hit: true };
    samples(kind).map(case).collect()
}

/// Each against the route that it just misses, so that both tables come equally far.
fn near_misses<'a>(kind: &'a Kind) -> Vec<Case<'a>> {
    let cases = |route: &'a Route| route.near.iter().map(move |path| Case { path, route, hit: false });
    samples(kind).flat_map(cases).collect()
}

/// One path against a route of every kind: the strictest reading of "what a miss costs with one route".
fn stranger<'a>(path: &'a str, kinds: &'a [Kind]) -> Vec<Case<'a>> {
    let case = |kind: &'a Kind| Case { path, route: &kind.routes[kind.routes.len() / 2], hit: false };
    kinds.iter().map(case).collect()
}

/// A table and what stands in it; the values are positions.
struct Routes<'a> {
    table: Table<usize>,
    routes: Vec<&'a Route>,
}

impl<'a> Routes<'a> {
    fn of(routes: Vec<&'a Route>) -> Routes<'a> {
        let entries = routes.iter().enumerate();
        let entries = entries.map(|(value, route)| (route.pattern(), Methods::any(), value));
        let table = Table::build(entries).unwrap_or_else(|_| panic!("the mixture has no conflict"));
        Routes { table, routes }
    }

    /// The path of the route that serves `raw`: a fast table that finds the wrong one is not fast.
    fn find(&self, raw: &str) -> Option<&str> {
        let Ok(path) = RequestPath::parse(raw.as_bytes()) else {
            panic!("{raw} is a clean path");
        };
        match self.table.find(&path, &Method::POST) {
            Found::Route(found) => Some(&self.routes[*found.value].path),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }
}

/// Measures the cases, prints the worst, returns its ratio.
fn report(what: &str, kind: &str, cases: &[Case<'_>], big: &Routes<'_>) -> f64 {
    let mut worst = (0.0, 0.0, 0.0, "");
    for case in cases {
        let one = Routes::of(vec![case.route]);
        let expected = case.hit.then_some(case.route.path.as_str());
        assert_eq!(one.find(case.path), expected, "{} alone", case.path);
        assert_eq!(big.find(case.path), expected, "{} among all", case.path);
        let (small, large) = compare(&one.table, &big.table, case.path);
        if large / small > worst.0 {
            worst = (large / small, small, large, case.path);
        }
    }
    let (ratio, small, large, path) = worst;
    println!("{what:<9} {kind:<22} {small:>8.1} {large:>10.1} {ratio:>7.3}  {path:.40}");
    ratio
}

/// Median ns per call in both tables. Batches alternate, so that a slow second hits both.
fn compare(one: &Table<usize>, big: &Table<usize>, path: &str) -> (f64, f64) {
    let mut small = Vec::with_capacity(BATCHES);
    let mut large = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        small.push(batch(one, path));
        large.push(batch(big, path));
    }
    (median(small), median(large))
}

fn batch(table: &Table<usize>, path: &str) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        call(table, path);
    }
    nanos(start) / f64::from(CALLS)
}

/// The same pair of calls as on every request.
#[inline]
fn call(table: &Table<usize>, path: &str) {
    if let Ok(path) = RequestPath::parse(black_box(path.as_bytes())) {
        black_box(table.find(&path, black_box(&Method::POST)));
    }
}

/// ns per call when no path comes twice in a row.
fn walk(big: &Routes<'_>) -> f64 {
    let pass = || {
        let start = Instant::now();
        for route in &big.routes {
            call(&big.table, &route.hit);
        }
        nanos(start) / 10_000.0
    };
    median((0..11).map(|_| pass()))
}

fn nanos(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e9
}
