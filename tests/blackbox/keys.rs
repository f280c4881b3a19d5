//! The key API: what LiteLLM's clients ask, what it answers, and that it counts at once.

use serde_json::{Value, json};

use crate::support::gate::{KEY, folder, routes};
use crate::support::{Gate, Message, Origin, send, wait_until};

/// A gate with a store of its own, and routes that a key opens.
pub fn gate(origin: &Origin, more: &str) -> Gate {
    Gate::start(&config(origin, more))
}

/// Its config.
pub fn config(origin: &Origin, more: &str) -> String {
    let entries = [
        format!("{{path: /a, target: '{}', auth: true, include_subpath: true}}", origin.url("/a")),
        format!("{{path: /open, target: '{}'}}", origin.url("/open")),
        format!("{{path: '/m/{{model}}/run', target: '{}', auth: true}}", origin.url("/m")),
    ];
    routes(&entries, more)
}

/// The answer to a call: GET without a body, POST with one.
pub fn call(gate: &Gate, key: &str, path: &str, body: Option<Value>) -> Message {
    by(gate, key, if body.is_some() { "POST" } else { "GET" }, path, body)
}

/// The answer to a call by this method.
pub fn by(gate: &Gate, key: &str, method: &str, path: &str, body: Option<Value>) -> Message {
    let head = format!("{method} {path} HTTP/1.1\nAuthorization: Bearer {key}");
    send(gate.port, &head, body.map(|body| body.to_string()).unwrap_or_default().as_bytes())
}

/// The same, as the master, and it must succeed.
pub fn done(gate: &Gate, path: &str, body: Option<Value>) -> Value {
    let answer = call(gate, KEY, path, body);
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// A new key, and what is said of it.
pub fn make(gate: &Gate, body: Value) -> (String, Value) {
    let made = done(gate, "/key/generate", Some(body));
    (made["key"].as_str().expect("a key").to_owned(), made)
}

pub fn status(gate: &Gate, path: &str, key: &str) -> u16 {
    send(gate.port, &format!("POST {path} HTTP/1.1\nx-api-key: {key}"), b"{}").status()
}

pub fn sha256(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_key_lives_from_generate_to_delete() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let (key, made) = make(&gate, json!({}));
    assert!(key.starts_with("sk-") && key.len() == 25, "{key}");
    assert_eq!(made["key_name"], format!("sk-...{}", &key[21..]));
    for field in
        ["token", "token_id", "expires", "user_id", "created_at", "created_by", "models", "spend", "max_budget"]
    {
        assert!(made.get(field).is_some(), "{field}");
    }
    assert_eq!((status(&gate, "/a", &key), made["expires"].is_null()), (200, true));
    let token = made["token"].as_str().expect("token").to_owned();
    assert_eq!(status(&gate, "/a", &token), 401, "its id opens nothing");
    assert_eq!(status(&gate, "/a", &sha256(&key)), 401, "its digest opens nothing");
    // By each of its names.
    for (block, name) in [(true, &key), (false, &token), (true, &sha256(&key)), (false, &key)] {
        let path = if block { "/key/block" } else { "/key/unblock" };
        assert_eq!(done(&gate, path, Some(json!({ "key": name })))["blocked"], block);
        assert_eq!(status(&gate, "/a", &key), if block { 401 } else { 200 });
        assert_eq!(status(&gate, "/open", &key), if block { 401 } else { 200 });
        let info = done(&gate, &format!("/key/info?key={name}"), None);
        assert_eq!(info["info"]["status"], if block { "revoked" } else { "active" });
        let said = if *name == key { &token } else { name };
        assert_eq!(info["key"], said.as_str(), "the answer repeats no key");
    }
    done(&gate, "/key/update", Some(json!({"key": key, "rpm_limit": 1, "metadata": {"a": [1]}, "key_alias": "one"})));
    let info = done(&gate, &format!("/key/info?key={token}"), None);
    assert_eq!((&info["info"]["rpm_limit"], &info["info"]["metadata"]["a"][0]), (&json!(1), &json!(1)));
    assert_eq!([(); 2].map(|()| status(&gate, "/a", &key)), [200, 429]);
    done(&gate, "/key/update", Some(json!({"key_alias": "one", "rpm_limit": null})));
    assert_eq!(status(&gate, "/a", &key), 200);
    let gone = done(&gate, "/key/delete", Some(json!({ "keys": [sha256(&key)] })));
    assert_eq!(gone["deleted_keys"], json!([sha256(&key)]));
    assert_eq!(status(&gate, "/a", &key), 401);
    assert_eq!(call(&gate, KEY, &format!("/key/info?key={token}"), None).status(), 404);
    assert!(!gate.log().contains(&key));
}

#[test]
fn a_key_that_was_tried_before_it_existed_counts_at_once() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let key = "sk-brought-by-its-user-0123";
    assert_eq!(status(&gate, "/a", key), 401);
    make(&gate, json!({ "key": key }));
    assert_eq!(status(&gate, "/a", key), 200);
    for (body, expected) in [
        (json!({ "key": key }), "exists already"),
        (json!({ "key": KEY }), "exists already"),
        (json!({"key": "sk-short"}), "A key begins with sk-"),
        (json!({"key": "my-own-key-0123456789"}), "A key begins with sk-"),
    ] {
        let refused = call(&gate, KEY, "/key/generate", Some(body.clone()));
        assert_eq!(refused.status(), 400, "{body}");
        assert!(refused.text().contains(expected) && !refused.text().contains(key), "{}", refused.text());
    }
}

#[test]
fn what_is_enforced_is_enforced_on_the_wire() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    for (body, path, expected) in [
        (json!({"models": ["gpt-4"]}), "/m/gpt-4/run", 200),
        (json!({"models": ["gpt-4"]}), "/m/gpt-5/run", 403),
        (json!({"models": ["gpt-4"]}), "/a", 403),
        (json!({"models": ["gpt-4"], "allowed_passthrough_routes": ["/a"]}), "/a", 200),
        (json!({"metadata": {"allowed_passthrough_routes": ["/m"]}}), "/a", 403),
        (json!({"denied_passthrough_routes": ["/a"]}), "/a", 403),
        (json!({"allowed_routes": ["/a"]}), "/m/x/run", 403),
        (json!({"key_type": "management"}), "/a", 403),
        (json!({"key_type": "llm_api"}), "/a", 200),
        (json!({"rpm_limit": 0}), "/a", 429),
        (json!({"max_parallel_requests": 0}), "/a", 429),
        (json!({"model_rpm_limit": {"gpt-4": 0}}), "/m/gpt-4/run", 429),
        (json!({"blocked": true}), "/a", 401),
        (json!({"duration": "30d"}), "/a", 200),
        (json!({"duration": "-1", "max_budget": null, "aliases": {}, "guardrails": [], "spend": 0}), "/a", 200),
    ] {
        let (key, _) = make(&gate, body.clone());
        assert_eq!(status(&gate, path, &key), expected, "{body} on {path}");
    }
    let (key, made) = make(&gate, json!({"duration": "1s"}));
    assert!(made["expires"].as_str().is_some_and(|time| time.ends_with('Z')));
    wait_until("it ends", || status(&gate, "/a", &key) == 401);
    let info = done(&gate, &format!("/key/info?key={key}"), None);
    assert_eq!(info["info"]["status"], "expired");
}

#[test]
fn what_is_not_enforced_is_refused_and_not_stored() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    for (path, body, expected) in [
        ("/key/generate", json!({"tpm_limit": 10}), "`tpm_limit` is not enforced yet"),
        ("/key/generate", json!({"max_budget": 0}), "`max_budget` is not enforced yet"),
        ("/key/generate", json!({"budget_duration": "30d"}), "`budget_duration` is not enforced yet"),
        ("/key/generate", json!({"metadata": {"guardrails": ["x"]}}), "`guardrails` is not enforced yet"),
        ("/key/generate", json!({"rpm_limt": 1}), "did you mean `rpm_limit`?"),
        ("/key/generate", json!({"rpm_limit": "10"}), "`rpm_limit` must be a whole number"),
        ("/key/generate", json!({"rpm_limit": 1.5}), "`rpm_limit` must be a whole number"),
        ("/key/generate", json!({"duration": "soon"}), "`duration` must be a number and"),
        ("/key/generate", json!({"team_id": "none"}), "no such team"),
        ("/key/generate", json!([1]), "must be a JSON object"),
        ("/key/update", json!({"rpm_limit": 1}), "`key` is missing"),
        ("/key/update", json!({"key": "sk-nobody-knows-this-0123"}), "no such key"),
        ("/key/block", json!({}), "`key` is missing"),
        ("/key/delete", json!({}), "`keys` is missing"),
        ("/key/delete", json!({"keys": ["sk-nobody-knows-this-0123"]}), "no such key"),
        ("/team/new", json!({"max_budget": 1}), "`max_budget` is not enforced yet"),
        ("/team/update", json!({"team_id": "none"}), "no such team"),
    ] {
        let refused = call(&gate, KEY, path, Some(body.clone()));
        assert!([400, 404].contains(&refused.status()), "{path} {body}");
        let answer: Value = serde_json::from_slice(&refused.body).expect("JSON");
        let message = answer["error"]["message"].as_str().expect("message");
        assert!(message.contains(expected), "{path} {body}: {message}");
        assert_eq!(answer["error"]["code"], refused.status().to_string());
        assert!(!refused.text().contains("nobody-knows"));
    }
    assert_eq!(done(&gate, "/key/list", None)["total_count"], 0);
    let large = json!({"metadata": {"x": "y".repeat(1 << 20)}});
    assert_eq!(call(&gate, KEY, "/key/generate", Some(large)).status(), 413);
    let chunked = format!(
        "POST /key/generate HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n{{\"key_alias\": \"ch\"}}\r\n0\r\n\r\n"
    );
    let mut client = crate::support::Client::connect(gate.port);
    assert_eq!(client.ask(chunked).expect("answer").status(), 200);
    assert_eq!(done(&gate, "/key/list?key_alias=ch", None)["total_count"], 1);
}

#[test]
fn an_alias_names_one_key() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let (one, _) = make(&gate, json!({"key_alias": "same"}));
    let (two, _) = make(&gate, json!({"key_alias": "other"}));
    let taken = |path: &str, body: Value| {
        let refused = call(&gate, KEY, path, Some(body));
        assert_eq!(refused.status(), 400);
        assert!(refused.text().contains("aliases are unique"), "{}", refused.text());
    };
    taken("/key/generate", json!({"key_alias": "same"}));
    taken("/key/update", json!({"key": two, "key_alias": "same"}));
    done(&gate, "/key/update", Some(json!({"key": one, "key_alias": "same", "rpm_limit": 5})));
    done(&gate, "/key/delete", Some(json!({"key_aliases": ["same"]})));
    done(&gate, "/key/update", Some(json!({"key": two, "key_alias": "same"})));
    assert_eq!(done(&gate, "/key/list?key_alias=same", None)["total_count"], 1);
}

#[test]
fn a_key_can_be_put_in_anothers_place() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let (old, made) = make(&gate, json!({"key_alias": "rotating", "rpm_limit": 3}));
    let regenerated =
        done(&gate, &format!("/key/{old}/regenerate"), Some(json!({"grace_period": "1h", "user_id": "u"})));
    let new = regenerated["key"].as_str().expect("key").to_owned();
    assert_eq!((&regenerated["key_alias"], &regenerated["rpm_limit"]), (&json!("rotating"), &json!(3)));
    let statuses: Vec<u16> = [&old, &new, &old, &new].map(|key| status(&gate, "/a", key)).into();
    assert_eq!(statuses, [200, 200, 200, 429], "both count as one");
    let last = done(&gate, "/key/regenerate", Some(json!({"key": new, "new_key": "sk-chosen-by-its-user-01"})));
    assert_eq!(last["key"], "sk-chosen-by-its-user-01");
    assert_eq!((status(&gate, "/a", &new), status(&gate, "/a", "sk-chosen-by-its-user-01")), (401, 429));
    assert_eq!(status(&gate, "/a", &old), 429, "it has its hour still");
    assert_eq!(call(&gate, KEY, "/key/sk-nobody-knows-this-0123/regenerate", Some(json!({}))).status(), 404);
    let token = made["token"].as_str().expect("token");
    let info = done(&gate, &format!("/key/info?key={token}"), None);
    assert!(info["info"]["expires"].is_string() && info["info"]["key_alias"].is_null());
    wait_until("the calls are logged", || gate.log().matches("/key/regenerate").count() == 3);
    let log = gate.log();
    for key in [old.as_str(), new.as_str(), "sk-nobody-knows"] {
        assert!(!log.contains(key), "{log}");
    }
}

#[test]
fn a_limit_on_a_model_that_comes_after_a_rotation_counts_for_both() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let rotated = |key: &str, body: Value| {
        done(&gate, &format!("/key/{key}/regenerate"), Some(body))["key"].as_str().expect("key").to_owned()
    };
    let (first, _) = make(&gate, json!({}));
    let second = rotated(&first, json!({}));
    done(&gate, "/key/update", Some(json!({"key": second, "model_rpm_limit": {"x": 3}})));
    let third = rotated(&second, json!({"grace_period": "1h"}));
    let statuses: Vec<u16> = [&second, &third, &second, &third].map(|key| status(&gate, "/m/x/run", key)).into();
    assert_eq!(statuses, [200, 200, 200, 429]);
}

#[test]
fn names_have_a_length() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let (long, longest) = ("x".repeat(256), "x".repeat(255));
    for field in ["key_alias", "user_id"] {
        assert_eq!(call(&gate, KEY, "/key/generate", Some(json!({ field: long }))).status(), 400, "{field}");
        make(&gate, json!({ field: longest }));
    }
    for field in ["team_alias", "team_id"] {
        assert_eq!(call(&gate, KEY, "/team/new", Some(json!({ field: long }))).status(), 400, "{field}");
        done(&gate, "/team/new", Some(json!({ field: longest })));
    }
    let key = format!("sk-{}", "k".repeat(500));
    assert_eq!(make(&gate, json!({ "key": key })).0, key, "a key may be longer");
    done(&gate, "/key/block", Some(json!({ "key": key })));
}

#[test]
fn keys_are_listed_in_pages() {
    let origin = Origin::plain();
    let gate =
        gate(&origin, "tollgate: {keys: [{hash: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}]}");
    for number in 0..12 {
        let user = if number % 3 == 0 { "ann" } else { "bob" };
        make(&gate, json!({"key_alias": format!("k{number:02}"), "user_id": user, "blocked": number == 5}));
    }
    let list = |query: &str| done(&gate, &format!("/key/list?{query}"), None);
    let first = list("");
    assert_eq!(
        (&first["total_count"], &first["current_page"], &first["total_pages"]),
        (&json!(13), &json!(1), &json!(2))
    );
    assert_eq!(first["keys"].as_array().expect("keys").len(), 10);
    let (mut seen, mut page) = (std::collections::BTreeSet::new(), 1);
    while seen.len() < 13 {
        let listed = list(&format!("size=5&page={page}"));
        for key in listed["keys"].as_array().expect("keys") {
            assert!(seen.insert(key.as_str().expect("token").to_owned()), "a key is on two pages");
        }
        page += 1;
        assert!(page < 5, "a key is on no page");
    }
    assert_eq!(list("user_id=ann")["total_count"], 4);
    assert_eq!(list("search=K0")["total_count"], 10);
    assert_eq!(list("status=revoked")["total_count"], 1);
    assert_eq!(list("team_id=none")["keys"], json!([]));
    let ordered = list("return_full_object=true&sort_by=key_alias&sort_order=asc&user_id=bob&size=2");
    let aliases: Vec<&Value> = ordered["keys"].as_array().expect("keys").iter().map(|key| &key["key_alias"]).collect();
    assert_eq!(aliases, ["k01", "k02"]);
    for query in ["size=101", "page=0", "size=x", "sort_by=colour", "nonsense=1", "status=maybe"] {
        assert_eq!(call(&gate, KEY, &format!("/key/list?{query}"), None).status(), 400, "{query}");
    }
}

#[test]
fn keys_of_the_config_are_shown_and_left_alone() {
    let origin = Origin::plain();
    let key = "sk-config-key-0123456789";
    let gate = gate(&origin, &format!("tollgate: {{keys: [{{hash: '{}', key_alias: fixed}}]}}", sha256(key)));
    assert_eq!(done(&gate, &format!("/key/info?key={}", sha256(key)), None)["info"]["key_alias"], "fixed");
    for (path, body) in [
        ("/key/block", json!({ "key": key })),
        ("/key/update", json!({"key": key, "rpm_limit": 0})),
        ("/key/delete", json!({ "keys": [key] })),
        ("/key/regenerate", json!({ "key": key })),
    ] {
        let refused = call(&gate, KEY, path, Some(body));
        assert_eq!(refused.status(), 400, "{path}");
        assert!(refused.text().contains("stands in the config file"), "{}", refused.text());
    }
    assert_eq!(call(&gate, KEY, "/key/generate", Some(json!({ "key": key }))).status(), 400);
    assert_eq!(call(&gate, KEY, "/key/generate", Some(json!({"key_alias": "fixed"}))).status(), 400);
    assert_eq!(status(&gate, "/a", key), 200);
}

#[test]
fn teams_share_their_limits() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let team = done(&gate, "/team/new", Some(json!({"team_alias": "ours", "rpm_limit": 3, "models": ["gpt-4"]})));
    let id = team["team_id"].as_str().expect("id").to_owned();
    let body = json!({"team_id": id, "allowed_passthrough_routes": ["/a"]});
    let ((one, _), (two, _)) = (make(&gate, body.clone()), make(&gate, body));
    let statuses: Vec<u16> = [&one, &two, &one, &two].map(|key| status(&gate, "/a", key)).into();
    assert_eq!(statuses, [200, 200, 200, 429]);
    let refused = send(gate.port, &format!("POST /a HTTP/1.1\nx-api-key: {two}"), b"{}");
    assert!(refused.text().contains("Rate limit exceeded for team"), "{}", refused.text());
    assert_eq!(origin.seen().len(), 3);
    done(&gate, "/team/update", Some(json!({"team_id": id, "rpm_limit": null})));
    assert_eq!(status(&gate, "/a", &one), 200);
    let (free, _) = make(&gate, json!({ "team_id": id }));
    assert_eq!(status(&gate, "/m/gpt-5/run", &free), 403, "the team's models hold too");
    assert_eq!(status(&gate, "/m/gpt-4/run", &free), 200);
    done(&gate, "/team/update", Some(json!({"team_id": id, "model_rpm_limit": {"gpt-4": 0}})));
    assert_eq!(status(&gate, "/m/gpt-4/run", &free), 429);
    done(&gate, "/team/update", Some(json!({"team_id": id, "metadata": {"denied_passthrough_routes": ["/a"]}})));
    assert_eq!(status(&gate, "/a", &one), 403);
    done(&gate, "/team/block", Some(json!({ "team_id": id })));
    assert_eq!(status(&gate, "/m/gpt-4/run", &free), 403);
    done(&gate, "/team/unblock", Some(json!({ "team_id": id })));
    let info = done(&gate, &format!("/team/info?team_id={id}"), None);
    assert_eq!((info["keys"].as_array().map(Vec::len), &info["team_info"]["team_alias"]), (Some(3), &json!("ours")));
    assert_eq!(done(&gate, "/team/list", None)[0]["team_id"], id);
    assert_eq!(call(&gate, KEY, "/team/new", Some(json!({ "team_id": id }))).status(), 400);
    done(&gate, "/team/delete", Some(json!({ "team_ids": [id] })));
    assert_eq!([&one, &two, &free].map(|key| status(&gate, "/a", key)), [401; 3], "its keys went with it");
    assert_eq!(call(&gate, KEY, &format!("/team/info?team_id={id}"), None).status(), 404);
}

#[test]
fn a_team_is_never_more_at_once_than_it_may() {
    let origin = Origin::streaming(|exchange| {
        exchange.wait_gone();
        Ok(())
    });
    let gate = gate(&origin, "");
    done(&gate, "/team/new", Some(json!({"team_id": "t", "max_parallel_requests": 1})));
    let ((one, _), (two, _)) = (make(&gate, json!({"team_id": "t"})), make(&gate, json!({"team_id": "t"})));
    let mut client = crate::support::Client::connect(gate.port);
    client.write(format!("GET /a HTTP/1.1\r\nHost: x\r\nx-api-key: {one}\r\n\r\n")).expect("write");
    wait_until("it is served", || !origin.seen().is_empty());
    let refused = send(gate.port, &format!("POST /a HTTP/1.1\nx-api-key: {two}"), b"{}");
    assert_eq!((refused.status(), refused.one("retry-after")), (429, Some("1")));
    assert!(refused.text().contains("team"), "{}", refused.text());
}

#[test]
fn what_litellm_serves_besides_says_what_to_use() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    for path in
        ["/user/new", "/budget/new", "/customer/new", "/organization/new", "/key/x/reset_spend", "/team/member_add"]
    {
        let answer = call(&gate, KEY, path, Some(json!({})));
        assert_eq!(answer.status(), 501, "{path}");
        assert!(answer.text().contains("This is not served here. "), "{}", answer.text());
    }
}

#[test]
fn without_a_store_the_key_api_says_why() {
    let config =
        routes(&[], "tollgate: {keys: [{hash: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}]}");
    // A folder that cannot be made: a file stands there.
    let folder = folder();
    std::fs::write(folder.join("state"), "").expect("write");
    let gate = Gate::spawn(&config, &["--port", "0"], &[], folder);
    assert!(gate.log().contains("store: none: "), "{}", gate.log());
    let refused = call(&gate, KEY, "/key/generate", Some(json!({})));
    assert_eq!(refused.status(), 503);
    assert!(refused.text().contains("There is no key store: "), "{}", refused.text());
    assert_eq!(done(&gate, "/key/list", None)["total_count"], 1);
}
