//! Who may ask for models, under which names and from where; and what is counted for whom, through changes of the file.

use serde_json::json;

use crate::models::{answers, completes, config, entry};
use crate::support::gate::KEY;
use crate::support::{Gate, Message, Origin, send};

/// Asks for a chat with `model`.
fn ask(gate: &Gate, key: &str, model: &str) -> Message {
    let lines = format!("POST /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {key}");
    send(gate.port, &lines, json!({"model": model, "messages": []}).to_string().as_bytes())
}

/// Puts `text` in force.
fn reload(gate: &Gate, text: &str) {
    std::fs::write(gate.folder().join("config.yaml"), text).expect("write");
    let answer = send(gate.port, &format!("POST /config/reload HTTP/1.1\nAuthorization: Bearer {KEY}"), b"");
    assert_eq!(answer.status(), 200, "{}", answer.everything());
}

/// An entry with a key that stands in the file.
fn with_key(origin: &Origin, key: &str, more: &str) -> String {
    let base = origin.url("/v1");
    format!("  - {{model_name: m, litellm_params: {{model: openai/m, api_base: '{base}', api_key: {key}{more}}}}}\n")
}

#[test]
fn what_is_counted_for_an_upstream_outlives_every_change_of_its_settings() {
    let origin = Origin::start(completes);
    let plain = entry("m", "openai/m", &origin, ", rpm: 2");
    for after in [
        vec![entry("m", "openai/m", &origin, ", rpm: 2, timeout: 30")],
        vec![entry("m", "openai/m", &origin, ", weight: 3, rpm: 2, order: 1")],
        vec![entry("m", "openai/m", &origin, ", rpm: 2, temperature: 0.5, extra_headers: {x-a: b}")],
        vec![entry("other", "openai/m", &origin, ""), plain.clone()],
        vec![plain.replace("}}", "}, model_info: {mode: chat}}")],
    ] {
        let gate = Gate::start(&config(std::slice::from_ref(&plain), ""));
        let first = ask(&gate, KEY, "m");
        reload(&gate, &config(&after, ""));
        let second = ask(&gate, KEY, "m");
        assert_eq!((first.status(), second.status(), ask(&gate, KEY, "m").status()), (200, 200, 429), "{after:?}");
        assert_eq!(first.one("x-litellm-model-id"), second.one("x-litellm-model-id"), "{after:?}");
    }
}

#[test]
fn who_rests_goes_on_resting_through_changes_and_a_new_credential_begins_anew() {
    for (change, asked_again) in [
        (["timeout: 1", "timeout: 2"], false),
        (["timeout: 1", "timeout: 1, rpm: 9"], false),
        (["os.environ/PROVIDER_KEY, order: 1", "another, order: 1"], true),
    ] {
        let bad = Origin::start(|exchange| answers(exchange, "401 Unauthorized", "", "{}"));
        let good = Origin::start(completes);
        let entries =
            [entry("m", "openai/m", &bad, ", order: 1, timeout: 1"), entry("m", "openai/m", &good, ", order: 2")];
        let text = config(&entries, "router_settings: {allowed_fails: 0, cooldown_time: 60}\n");
        let gate = Gate::start(&text);
        assert_eq!(ask(&gate, KEY, "m").status(), 200);
        let changed = text.replacen(change[0], change[1], 1);
        assert_ne!(changed, text);
        reload(&gate, &changed);
        assert_eq!(ask(&gate, KEY, "m").status(), 200);
        assert_eq!(bad.seen().len(), if asked_again { 2 } else { 1 }, "{change:?}");
    }
}

#[test]
fn counts_are_not_swapped_when_another_entry_goes() {
    let own = |origin: &Origin, id: &str| {
        with_key(origin, "k", ", rpm: 2").replace("}}", &format!("}}, model_info: {{id: {id}}}}}"))
    };
    for names_ids in [false, true] {
        let origin = Origin::start(completes);
        let of = |name: &str| if names_ids { own(&origin, name) } else { with_key(&origin, name, ", rpm: 2") };
        let gate = Gate::start(&config(&[of("one"), of("two")], ""));
        let first = ask(&gate, KEY, "m");
        assert_eq!(first.status(), 200);
        let was_two =
            origin.last().one("authorization") == Some("Bearer two") || first.one("x-litellm-model-id") == Some("two");
        reload(&gate, &config(&[of("two")], ""));
        let served = (0..3).filter(|_| ask(&gate, KEY, "m").status() == 200).count();
        assert_eq!(served, if was_two { 1 } else { 2 }, "{names_ids}");
    }
}

/// A key of each rule of `keys`, on two groups, an alias of the first, and whatever begins with `any-`.
fn ruled(origin: &Origin, keys: &str) -> Gate {
    let entries = [
        entry("gpt-cap", "openai/m", origin, ""),
        entry("other", "openai/o", origin, ""),
        entry("any-*", "openai/*", origin, ""),
    ];
    let more = format!(
        "router_settings: {{model_group_alias: {{nick: gpt-cap, far: any-far, veiled: {{model: gpt-cap, hidden: true}}}}}}\ntollgate:\n  keys:\n{keys}"
    );
    Gate::start(&config(&entries, &more))
}

#[test]
fn a_limit_on_a_group_holds_under_each_of_its_names() {
    for (limits, names, expected) in [
        ("{gpt-cap: 1}", ["nick", "gpt-cap", "veiled"], [200, 429, 429]),
        ("{gpt-cap: 1}", ["gpt-cap", "nick", "other"], [200, 429, 200]),
        ("{nick: 1}", ["nick", "nick", "gpt-cap"], [200, 429, 200]),
        ("{nick: 1, gpt-cap: 2}", ["nick", "gpt-cap", "veiled"], [200, 200, 429]),
        ("{any-far: 1}", ["far", "any-far", "any-near"], [200, 429, 200]),
        ("{any-far: 1}", ["any-FAR", "far", "any-near"], [200, 429, 200]),
        ("{'any-*': 1}", ["any-near", "any-other", "far"], [200, 429, 429]),
    ] {
        let origin = Origin::start(completes);
        let gate = ruled(&origin, &format!("    - {{key: sk-some-0123456789, model_rpm_limit: {limits}}}\n"));
        let statuses = names.map(|name| ask(&gate, "sk-some-0123456789", name).status());
        assert_eq!(statuses, expected, "{limits} {names:?}");
    }
}

#[test]
fn a_team_s_limit_holds_under_each_name_too() {
    let origin = Origin::start(completes);
    let gate = ruled(&origin, "    []\n");
    crate::keys::done(&gate, "/team/new", Some(json!({"team_id": "t", "model_rpm_limit": {"gpt-cap": 1}})));
    let key = crate::keys::make(&gate, json!({"team_id": "t"})).0;
    assert_eq!(["nick", "gpt-cap"].map(|name| ask(&gate, &key, name).status()), [200, 429]);
}

#[test]
fn lists_of_models_know_each_name() {
    let origin = Origin::start(completes);
    for (models, allowed, denied) in [
        ("[gpt-cap]", &["gpt-cap", "nick", "veiled"][..], &["other", "far", "GPT-CAP"][..]),
        ("[nick]", &["nick"], &["gpt-cap", "veiled", "other"]),
        ("['any-*']", &["far", "any-x"], &["nick", "other"]),
        ("[any-far]", &["far", "any-far"], &["any-near", "nick"]),
    ] {
        let gate = ruled(&origin, &format!("    - {{key: sk-some-0123456789, models: {models}}}\n"));
        for (names, expected) in [(allowed, 200), (denied, 403)] {
            for name in names {
                assert_eq!(ask(&gate, "sk-some-0123456789", name).status(), expected, "{models} {name}");
            }
        }
    }
}

#[test]
fn both_paths_of_a_service_are_one_to_what_a_key_may_call() {
    let origin = Origin::start(completes);
    for (rule, allowed, denied) in [
        (
            "denied_passthrough_routes: [/v1/chat/completions]",
            &["/v1/embeddings"][..],
            &["/v1/chat/completions", "/chat/completions"][..],
        ),
        (
            "denied_passthrough_routes: [/chat/completions]",
            &["/embeddings"],
            &["/v1/chat/completions", "/chat/completions"],
        ),
        ("denied_passthrough_routes: ['/v1/*']", &[], &["/chat/completions", "/v1/embeddings", "/embeddings"]),
        ("allowed_routes: [/v1/embeddings]", &["/v1/embeddings", "/embeddings"], &["/chat/completions"]),
        ("allowed_routes: [/embeddings]", &["/v1/embeddings", "/embeddings"], &["/v1/chat/completions"]),
    ] {
        let gate = ruled(&origin, &format!("    - {{key: sk-some-0123456789, {rule}}}\n"));
        for (paths, expected) in [(allowed, 200), (denied, 403)] {
            for path in paths {
                let lines = format!("POST {path} HTTP/1.1\nAuthorization: Bearer sk-some-0123456789");
                let answer = send(gate.port, &lines, br#"{"model":"other","messages":[],"input":"a"}"#);
                assert_eq!(answer.status(), expected, "{rule} {path}");
            }
        }
    }
}

/// Whether the second of two requests reaches the upstream that has answered the first with `status`.
fn is_asked_again(status: &'static str, rules: &str, own: &str, first: &str, second: &str) -> bool {
    let primary = Origin::start(move |exchange| {
        if exchange.request.everything().contains("wrong") {
            return answers(exchange, status, "Retry-After: 3000\r\n", "{}");
        }
        completes(exchange)
    });
    let spare = Origin::start(completes);
    let targets =
        format!("[{{target: '{}', order: 1{own}}}, {{target: '{}', order: 2}}]", primary.url("/a"), spare.url("/b"));
    let entries = [format!("{{path: /r, auth: false, targets: {targets}{rules}}}")];
    let gate =
        Gate::start(&crate::support::gate::routes(&entries, "router_settings: {allowed_fails: 0, cooldown_time: 60}"));
    let bad = send(gate.port, &format!("POST {first}"), b"x");
    let limited = status.starts_with("429");
    assert_eq!(bad.status() == 200, limited || spare.seen().len() == 1, "{}", bad.everything());
    assert_eq!(send(gate.port, &format!("POST {second}"), b"x").status(), 200);
    primary.seen().len() == 2
}

#[test]
fn no_client_makes_an_upstream_rest_for_others_by_a_credential_of_its_own() {
    const PLAIN: &str = "/r HTTP/1.1";
    let forward = ", forward_headers: true";
    for status in ["401 Unauthorized", "429 Too Many Requests"] {
        for (rules, own, first) in [
            (forward, "", "/r HTTP/1.1\nAuthorization: Bearer wrong"),
            (forward, ", headers: {x-key: ours}", "/r HTTP/1.1\nAuthorization: Bearer wrong"),
            (forward, ", headers: {authorization: Bearer ours}", "/r HTTP/1.1\nx-goog-api-key: wrong"),
            (forward, ", headers: {authorization: Bearer ours}", "/r HTTP/1.1\nCookie: session=wrong"),
            ("", ", headers: {x-key: ours}", "/r?a=b&api%5Fkey=wrong HTTP/1.1"),
            ("", ", headers: {x-key: ours}", "/r HTTP/1.1\nx-pass-x-user-token: wrong"),
        ] {
            assert!(is_asked_again(status, rules, own, first, PLAIN), "{status} {rules} {own} {first}");
        }
        // What the client did not bring, or what the file puts in its place, is ours.
        for (rules, own, first) in [
            ("", ", headers: {x-key: ours}", "/r?wrong HTTP/1.1"),
            (forward, ", headers: {x-key: ours}", "/r HTTP/1.1\nx-key: mine\nx-a: wrong"),
            ("", ", headers: {x-key: ours}", "/r?wrong HTTP/1.1\nAuthorization: Bearer mine"),
        ] {
            assert!(!is_asked_again(status, rules, own, first, PLAIN), "{status} {rules} {own} {first}");
        }
    }
    // Nobody has shown it a credential: it is the client who lacks one.
    assert!(is_asked_again("401 Unauthorized", "", "", "/r?wrong HTTP/1.1", PLAIN));
    assert!(!is_asked_again("429 Too Many Requests", "", "", "/r?wrong HTTP/1.1", PLAIN));
}

#[test]
fn models_that_are_open_are_for_this_machine_s_own_programs() {
    let origin = Origin::start(completes);
    let list = format!("model_list:\n{}", entry("m", "openai/m", &origin, ""));
    let routes = "general_settings: {pass_through_endpoints: [{path: /mine, target: 'adapter:anthropic', auth: false}, {path: /plain, target: 'ORIGIN'}]}\n"
        .replace("ORIGIN", &origin.url("/plain"));
    let gate = Gate::start(&format!("{list}{routes}"));
    let port = gate.port;
    let asked = |path: &str, fields: &str| {
        let body = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
        let request = format!(
            "POST {path} HTTP/1.1\r\n{fields}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        crate::support::Client::connect(port).ask(request).expect("answer")
    };
    let served = |path: &str, fields: &str| asked(path, fields).status();
    for path in ["/v1/chat/completions", "/v1/messages", "/mine", "/v1/messages/count_tokens"] {
        for fields in
            ["Host: localhost", "Host: 127.0.0.1:1", "Host: [::1]", "Host: localhost\r\nOrigin: http://localhost:3000"]
        {
            assert_eq!(served(path, fields), 200, "{path} {fields}");
        }
        for fields in [
            "Host: localhost\r\nOrigin: https://evil.example",
            "Host: localhost\r\nOrigin: null",
            "Host: localhost\r\nOrigin: https://localhost.evil.example",
            "Host: evil.example",
            "Host: 192.0.2.1",
        ] {
            let answer = asked(path, fields);
            assert_eq!(answer.status(), 403, "{path} {fields}");
            assert!(answer.text().contains("general_settings.master_key"), "{}", answer.text());
        }
    }
    assert_eq!(served("http://evil.example/v1/messages", "Host: evil.example"), 403);
    // What asks no model, or has a key, is not guarded.
    assert_eq!(served("/plain", "Host: evil.example\r\nOrigin: https://evil.example"), 200);
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ""));
    let lines =
        format!("POST /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {KEY}\nOrigin: https://page.example");
    assert_eq!(send(gate.port, &lines, br#"{"model":"m","messages":[]}"#).status(), 200);
}

#[test]
fn what_stands_for_a_star_leads_to_no_other_path() {
    let origin = Origin::start(completes);
    let entries = [entry("az/*", "azure/*", &origin, ""), entry("c/*", "openai/*", &origin, "")];
    let gate = Gate::start(&config(&entries, ""));
    for name in ["az/.", "az/..", "az/", "az/a/../b", "az/..\\b", "az/a\u{0}b", "az/a\nb", "c/..", "c/"] {
        assert_eq!(ask(&gate, KEY, name).status(), 404, "{name:?}");
    }
    assert!(origin.seen().is_empty());
    for (name, arrived) in [("az/d.1", "d.1"), ("az/...", "..."), ("az/a/b", "a%2Fb"), ("az/a..b", "a..b")] {
        assert_eq!(ask(&gate, KEY, name).status(), 200, "{name}");
        assert!(origin.last().target().contains(&format!("/deployments/{arrived}/chat")), "{}", origin.last().start);
    }
}

#[test]
fn of_patterns_of_one_length_the_file_s_first_serves() {
    for [one, two] in [["a*", "*b"], ["*b", "a*"]] {
        let origin = Origin::start(completes);
        let gate =
            Gate::start(&config(&[entry(one, "openai/one", &origin, ""), entry(two, "openai/two", &origin, "")], ""));
        assert_eq!(ask(&gate, KEY, "axb").status(), 200);
        assert!(origin.last().text().contains("\"one\""), "{one} {two}");
    }
}

#[test]
fn explain_says_of_what_is_built_in_that_no_line_of_the_file_made_it() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ""));
    let mut command = crate::support::gate::command();
    command.args(["explain", "POST", "/v1/messages", "-H", &format!("x-api-key: {KEY}"), "--config"]);
    let output = command.arg(gate.folder().join("config.yaml")).output().expect("explain");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("/v1/messages (built in)") && !text.contains("config.yaml:1"), "{text}");
}
