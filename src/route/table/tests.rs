//! Who wins, whatever the order of the file.

use proptest::prelude::*;

use super::*;

fn table(routes: &[(&str, bool, &[&str])]) -> Result<Table<usize>, Vec<Conflict>> {
    Table::build(routes.iter().enumerate().map(|(index, (path, subpath, methods))| {
        let methods = if methods.is_empty() {
            Methods::any()
        } else {
            Methods::listed(methods.iter().copied()).expect("methods")
        };
        (Pattern::parse(path, *subpath).expect(path), methods, index)
    }))
}

fn served(table: &Table<usize>, method: &str, path: &str) -> Result<usize, String> {
    let path = RequestPath::parse(path.as_bytes()).expect(path);
    match table.find(&path, &Method::from_bytes(method.as_bytes()).expect(method)) {
        Found::Route(found) => Ok(*found.value),
        Found::OtherMethods(methods) => Err(methods.join(",")),
        Found::Nothing => Err(String::new()),
    }
}

const ROUTES: &[(&str, bool, &[&str])] = &[
    ("/", true, &[]),
    ("/v1", true, &[]),
    ("/v1/a", true, &[]),
    ("/v1/a/b", false, &[]),
    ("/v1/{x}/b", false, &[]),
    ("/v1/{x}/{y}", false, &[]),
    ("/v1/m{x}/b", false, &[]),
    ("/models/{m}:generateContent", false, &[]),
    ("/models/{m}", true, &[]),
    ("/only/get", false, &["get"]),
    ("/only", true, &["POST"]),
    ("/strict", false, &["PUT", "DELETE"]),
];

const CASES: &[(&str, usize)] = &[
    ("/", 0),
    ("/else/where", 0),
    ("/v1x", 0),
    ("/v1", 1),
    ("/v1/", 1),
    ("/v1/zz", 1),
    ("/v1/a", 2),
    ("/v1/a/", 2),
    ("/v1/a/b/c", 2),
    ("/v1/a/b", 3),
    ("/v1/a/b/", 3),
    ("/v1/%61/b", 3),
    ("/v1/q/b", 4),
    ("/v1/q/r", 5),
    ("/v1/a/r", 5),
    ("/v1/mq/b", 6),
    ("/v1/m/b", 4),
    ("/v1/q/r/s", 1),
    ("/models/g:generateContent", 7),
    ("/models/g:other", 8),
    ("/models/g/x/y", 8),
    ("/models", 0),
];

#[test]
fn the_most_specific_route_wins_in_every_order() {
    for turn in 0..ROUTES.len() {
        let mut routes = ROUTES.to_vec();
        routes.rotate_left(turn);
        let table = table(&routes).expect("no conflicts");
        for (path, expected) in CASES {
            let index = (expected + ROUTES.len() - turn) % ROUTES.len();
            assert_eq!(served(&table, "GET", path), Ok(index), "{path} turned {turn}");
        }
    }
}

#[test]
fn methods_are_considered() {
    let table = table(&ROUTES[9..]).expect("no conflicts");
    assert_eq!(served(&table, "GET", "/only/get"), Ok(0));
    assert_eq!(served(&table, "POST", "/only/get"), Ok(1));
    assert_eq!(served(&table, "PUT", "/only/get"), Err("GET,POST".into()));
    assert_eq!(served(&table, "GET", "/strict"), Err("PUT,DELETE".into()));
    assert_eq!(served(&table, "GET", "/nothing"), Err(String::new()));
}

#[test]
fn the_same_path_twice_is_a_conflict() {
    for (one, two) in [
        (("/a", false, &[][..]), ("/a/", false, &[][..])),
        (("/a", false, &["GET"]), ("/%61", true, &["get"])),
        (("/{x}/b", false, &[]), ("/{y}/b", false, &["GET"])),
        (("/m{x}n", true, &[]), ("/m{y}n", true, &[])),
    ] {
        assert_eq!(
            table(&[one, ("/z", false, &[]), two]).err(),
            Some(vec![Conflict { first: 0, second: 2 }]),
            "{one:?}"
        );
    }
    for (one, two) in [
        (("/a", false, &["GET"][..]), ("/a", false, &["POST"][..])),
        (("/{x}/b", false, &[]), ("/b/{x}", false, &[])),
        (("/m{x}", false, &[]), ("/{x}m", false, &[])),
    ] {
        assert!(table(&[one, two]).is_ok(), "{one:?}");
    }
}

proptest! {
    /// A table of generated routes finds what a plain walk over all of them would.
    #[test]
    fn the_index_agrees_with_a_plain_search(
        paths in proptest::collection::hash_set("(/([ab]|\\{[xy]\\}|a\\{z\\})){0,3}", 1..12),
        subpath in any::<u16>(),
        asked in proptest::collection::vec("(/(a|b|ab|aa|c)){0,4}", 1..12),
    ) {
        let routes: Vec<(String, bool)> = paths
            .into_iter()
            .map(|path| if path.is_empty() { "/".into() } else { path })
            .enumerate()
            .filter(|(_, path)| Pattern::parse(path, false).is_ok())
            .map(|(index, path)| (path, subpath >> index & 1 == 1))
            .collect();
        let built = Table::build(routes.iter().enumerate().map(|(index, (path, subpath))| {
            (Pattern::parse(path, *subpath).expect("parses"), Methods::any(), index)
        }));
        if let Ok(table) = built {
            for path in &asked {
                let path = if path.is_empty() { "/" } else { path };
                let parsed = RequestPath::parse(path.as_bytes()).expect("parses");
                let covering = routes.iter().enumerate().filter(|(_, (route, subpath))| {
                    let pattern = Pattern::parse(route, *subpath).expect("parses");
                    pattern.covers(&parsed) && (*subpath || pattern.len() == parsed.len())
                });
                let longest = covering.map(|(_, (route, _))| Pattern::parse(route, false).expect("parses").len()).max();
                match table.find(&parsed, &Method::GET) {
                    Found::Route(found) => prop_assert_eq!(Some(found.pattern.len()), longest),
                    _ => prop_assert_eq!(None, longest),
                }
            }
        }
    }
}

#[test]
fn the_nearest_routes_and_why_they_do_not_serve() {
    let entry = |path: &str, subpath, methods: &[&str], name| {
        let methods = if methods.is_empty() {
            Methods::any()
        } else {
            Methods::listed(methods.iter().copied()).expect("methods")
        };
        (Pattern::parse(path, subpath).expect(path), methods, name)
    };
    let table = Table::build([
        entry("/v1/rerank", false, &["POST"], "rerank"),
        entry("/v1/chat/completions", false, &[], "chat"),
        entry("/v1", true, &[], "v1"),
        entry("/openai", true, &["GET"], "openai"),
        entry("/job/{id}/status", false, &[], "job"),
    ])
    .expect("table");
    for (method, raw, expected) in [
        (Method::POST, "/v1/rerank", vec![("v1", WhyNot::LessSpecific)]),
        (Method::GET, "/v1/rerank", vec![("rerank", WhyNot::OtherMethods(vec!["POST"]))]),
        (Method::POST, "/openai/chat", vec![("openai", WhyNot::OtherMethods(vec!["GET"]))]),
        (Method::POST, "/rerank", vec![("rerank", WhyNot::Differs(1))]),
        (Method::POST, "/opnai/x", vec![("openai", WhyNot::Differs(1))]),
        (Method::POST, "/job/7", vec![("job", WhyNot::GoesOn)]),
        (Method::POST, "/job/7/status/x", vec![("job", WhyNot::Ends)]),
        (Method::POST, "/", vec![("v1", WhyNot::GoesOn)]),
    ] {
        let path = RequestPath::parse(raw.as_bytes()).expect(raw);
        let near = table.nearest(&path, &method, 1);
        let near: Vec<_> = near.into_iter().map(|near| (*near.value, near.why)).collect();
        assert_eq!(near, expected, "{method} {raw}");
    }
}

#[test]
fn a_refusal_compares_few_of_many_routes() {
    let routes =
        (0..5_000).map(|number| (format!("/v1/route-{number}"), number)).chain([("/other/deep".into(), 5_000)]);
    let parsed = routes.map(|(path, number)| (Pattern::parse(&path, false).expect("pattern"), Methods::any(), number));
    let table = Table::build(parsed).expect("table");
    let path = RequestPath::parse(b"/other/dep").expect("path");
    assert!(table.candidates(&path).len() <= 256);
    // The branch of the path's own first segment is looked at first, wherever it stands in the file.
    let near = table.nearest(&path, &Method::GET, 1);
    assert_eq!(near.first().map(|near| *near.value), Some(5_000));
}
