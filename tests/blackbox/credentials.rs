//! Who is admitted, and that no key ever leaves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::gate::{KEY, routes};
use crate::support::{Gate, Origin, send};

const VALID: &str = "sk-virtual-valid-0123456789";
const BLOCKED: &str = "sk-virtual-blocked-0123456789";
const ENDED: &str = "sk-virtual-ended-0123456789";

fn gate(origin: &Origin, forward: bool) -> Gate {
    let url = origin.url("/");
    let entries = [
        format!("{{path: /open, target: '{url}', forward_headers: {forward}, include_subpath: true}}"),
        format!("{{path: /keyed, target: '{url}', forward_headers: {forward}, include_subpath: true, auth: true}}"),
        format!(
            "{{path: /named, target: '{url}', forward_headers: {forward}, headers: {{litellm_user_api_key: X-Mine}}}}"
        ),
        format!(
            "{{path: /langfuse, target: '{url}', forward_headers: {forward}, auth: true, custom_auth_parser: langfuse}}"
        ),
    ];
    let keys = format!(
        "tollgate: {{keys: [{{key: {VALID}}}, {{key: {BLOCKED}, blocked: true}}, {{key: {ENDED}, expires: '2020-01-01T00:00:00Z'}}]}}"
    );
    Gate::start(&routes(&entries, &keys))
}

#[test]
fn a_known_key_never_leaves_wherever_it_stands() {
    never_leaves(KEY, true);
}

#[test]
fn nor_does_a_virtual_one_that_is_valid_blocked_or_ended() {
    for key in [VALID, BLOCKED, ENDED] {
        // Of a virtual key only a digest is known: it is found as a word, not in the middle of one.
        never_leaves(key, false);
    }
}

/// Tries every place. `glued`: also in the middle of other letters.
fn never_leaves(key: &str, glued: bool) {
    let (before, after) = if glued { ("prefix", "suffix") } else { ("prefix ", " suffix") };
    let basic = |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let places: Vec<(String, String)> = [
        ("Authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer  {key}")),
        ("AUTHORIZATION", format!("BASIC {key}")),
        ("Authorization", basic(key, "x")),
        ("Authorization", basic("x", key)),
        ("x-api-key", key.into()),
        ("X-Api-Key", format!("Bearer {key}")),
        ("api-key", key.into()),
        ("x-goog-api-key", key.into()),
        ("Ocp-Apim-Subscription-Key", key.into()),
        ("x-litellm-api-key", key.into()),
        ("X-Mine", key.into()),
        ("X-Unrelated", format!("{before}{key}{after}")),
        ("Cookie", format!("session={key}; other=1")),
        ("x-pass-custom", key.into()),
        ("User-Agent", format!("me {key}")),
        ("Connection", "Authorization".into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for forward in [false, true] {
        let origin = Origin::plain();
        let gate = gate(&origin, forward);
        for path in ["/open", "/open/sub", "/keyed", "/keyed/sub/x", "/named", "/langfuse"] {
            for (name, value) in &places {
                for query in ["", "?key=", "?a=1&api_key=", "?x=y%20"] {
                    let query = if query.is_empty() { String::new() } else { format!("{query}{key}") };
                    let answer = send(gate.port, &format!("POST {path}{query} HTTP/1.1\n{name}: {value}"), b"{}");
                    assert!(matches!(answer.status(), 200 | 401), "{path} {name}: {value}");
                }
            }
        }
        let seen = origin.seen();
        // A blocked key opens nothing, open routes neither; there is still what hides it where nobody looks for keys.
        assert!(seen.len() > 40, "{}", seen.len());
        for message in seen {
            let text = message.everything();
            assert!(!text.contains(key), "{text}");
            for token in message.fields.iter().flat_map(|(_, value)| value.split(' ')) {
                let decoded = STANDARD.decode(token).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&decoded).contains(key), "{text}");
            }
        }
    }
}

#[test]
fn keyed_routes_want_a_key_and_open_ones_do_not_mind() {
    let origin = Origin::plain();
    let gate = gate(&origin, false);
    let bearer = format!("Authorization: Bearer {KEY}");
    let pair =
        |user: &str, password: &str| format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")));
    for (path, line, expected) in [
        ("/keyed", "X-Nothing: 1".to_owned(), 401),
        ("/keyed/sub", "X-Nothing: 1".into(), 401),
        ("/keyed", bearer.clone(), 200),
        ("/keyed/sub", bearer.clone(), 200),
        ("/keyed", format!("Authorization: {KEY}"), 401),
        ("/keyed", format!("Authorization: Bearer {KEY}x"), 401),
        ("/keyed", "Authorization: Bearer ".into(), 401),
        ("/keyed", "Authorization: Bearer ' OR '1'='1".into(), 401),
        ("/keyed", format!("x-api-key: {KEY}"), 200),
        ("/keyed", format!("x-litellm-api-key: {KEY}\nAuthorization: Bearer own"), 200),
        ("/keyed", format!("x-litellm-api-key: other\n{bearer}"), 401),
        ("/keyed", format!("{bearer}\n{bearer}"), 401),
        ("/keyed", format!("Authorization: Bearer own\nx-api-key: {KEY}"), 200),
        ("/keyed", format!("Authorization: Bearer a\nAuthorization: Bearer b\nx-api-key: {KEY}"), 401),
        ("/open", "Authorization: Bearer a\nAuthorization: Bearer b".into(), 200),
        ("/keyed", format!("X-Mine: {KEY}"), 401),
        ("/named", format!("X-Mine: {KEY}"), 200),
        ("/named", "X-Nothing: 1".into(), 401),
        ("/langfuse", pair(KEY, "anything"), 200),
        ("/langfuse", pair("anything", KEY), 401),
        ("/open", "X-Nothing: 1".into(), 200),
        ("/open", pair("anything", "anything"), 200),
        ("/open", bearer.clone(), 200),
        ("/open", format!("{bearer}\n{bearer}"), 401),
    ] {
        let answer = send(gate.port, &format!("POST {path} HTTP/1.1\n{line}"), b"{}");
        assert_eq!(answer.status(), expected, "{path} {line}");
        if expected == 401 {
            assert!(answer.one("www-authenticate").is_some());
            assert!(!answer.text().contains("sk-"), "{}", answer.text());
        }
    }
}

#[test]
fn what_is_not_ours_leaves_under_forward_headers() {
    let origin = Origin::plain();
    let gate = gate(&origin, true);
    let lines = format!("POST /keyed HTTP/1.1\nx-litellm-api-key: {KEY}\nAuthorization: Bearer own\nx-api-key: own2");
    assert_eq!(send(gate.port, &lines, b"{}").status(), 200);
    let seen = origin.last();
    assert_eq!((seen.one("authorization"), seen.one("x-api-key")), (Some("Bearer own"), Some("own2")));
    assert_eq!(send(gate.port, "POST /open HTTP/1.1\nAuthorization: Bearer own", b"{}").status(), 200);
    assert_eq!(origin.last().one("authorization"), Some("Bearer own"));
}

#[test]
fn a_key_in_a_path_is_refused_and_not_logged() {
    let origin = Origin::plain();
    let gate = gate(&origin, true);
    for (path, status) in [
        (format!("/open/{KEY}"), 400),
        (format!("/open/x{}", KEY.replace('-', "%2D")), 400),
        (format!("/key/{KEY}/regenerate"), 401),
    ] {
        let answer = send(gate.port, &format!("POST {path} HTTP/1.1"), b"{}");
        assert_eq!(answer.status(), status, "{path}");
        assert!(!answer.everything().contains(KEY));
    }
    assert_eq!(origin.seen().len(), 0);
    crate::support::wait_until("three lines are logged", || gate.log().matches("\"call_id\"").count() == 3);
    assert!(!gate.log().contains(KEY), "{}", gate.log());
}

#[test]
fn a_key_is_no_id_of_a_call() {
    let origin = Origin::plain();
    let gate = gate(&origin, true);
    for id in [KEY.to_owned(), format!("a.{KEY}")] {
        let answer = send(gate.port, &format!("POST /open HTTP/1.1\nx-litellm-call-id: {id}"), b"{}");
        assert_eq!(answer.status(), 200);
        assert!(answer.one("x-litellm-call-id").is_some() && !answer.everything().contains(KEY));
    }
    crate::support::wait_until("two lines are logged", || gate.log().matches("\"call_id\"").count() == 2);
    assert!(!gate.log().contains(KEY), "{}", gate.log());
}

#[test]
fn google_clients_send_the_key_in_the_query() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!(
        "{{path: '/v1beta/models/{{model}}:generateContent', target: '{}', auth: true}}",
        origin.url("/v1beta/models/{model}:generateContent?key=os.environ/PROVIDER_KEY")
    )]);
    let path = "/v1beta/models/gemini:generateContent";
    assert_eq!(send(gate.port, &format!("POST {path}?key={KEY}&alt=sse HTTP/1.1"), b"{}").status(), 200);
    assert_eq!(origin.last().target(), format!("{path}?alt=sse&key=provider-secret-xyz"));
    assert_eq!(send(gate.port, &format!("POST {path}?key=wrong HTTP/1.1"), b"{}").status(), 401);
}

#[test]
fn a_named_key_header_replaces_the_usual_places() {
    let origin = Origin::plain();
    let text = routes(&[format!("{{path: /keyed, target: '{}', auth: true}}", origin.url("/"))], "")
        .replace("general_settings:\n", "general_settings:\n  litellm_key_header_name: X-Company\n");
    let gate = Gate::start(&text);
    for (line, expected) in [
        (format!("X-Company: Bearer {KEY}"), 200),
        (format!("X-Company: {KEY}"), 401),
        (format!("Authorization: Bearer {KEY}"), 401),
    ] {
        assert_eq!(send(gate.port, &format!("POST /keyed HTTP/1.1\n{line}"), b"{}").status(), expected, "{line}");
    }
}

#[test]
fn the_master_key_may_come_from_the_environment() {
    let origin = Origin::plain();
    let text = format!(
        "general_settings:\n  pass_through_endpoints:\n    - {{path: /keyed, target: '{}', auth: true}}\n",
        origin.url("/")
    );
    let gate = Gate::with(&text, &[], &[("LITELLM_MASTER_KEY", KEY)]);
    assert_eq!(send(gate.port, &format!("POST /keyed HTTP/1.1\nAuthorization: Bearer {KEY}"), b"").status(), 200);
    assert_eq!(send(gate.port, "POST /keyed HTTP/1.1", b"").status(), 401);
}
