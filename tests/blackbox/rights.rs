//! Who may make which call: every role at every call with every method, by a table that has a row for each call.

use serde_json::{Value, json};

use tollgate::management::Call;

use crate::keys::{by, call, done, gate, make};
use crate::support::gate::KEY;
use crate::support::{Gate, Origin, send};

/// Roles, by the fields that make their key.
const ROLES: &[(&str, &str)] = &[
    ("master", ""),
    ("management", r#"{"key_type": "management"}"#),
    ("management of a team", r#"{"key_type": "management", "team_id": "ours"}"#),
    ("management of some calls", r#"{"key_type": "management", "allowed_routes": ["/key/info", "/team/*"]}"#),
    ("read_only", r#"{"key_type": "read_only"}"#),
    ("default", "{}"),
    ("llm_api", r#"{"key_type": "llm_api"}"#),
    ("blocked", r#"{"key_type": "management", "blocked": true}"#),
    ("expired", r#"{"key_type": "management", "duration": "1s"}"#),
];

/// Calls, and the statuses of the roles above; the last is for who has no key and for who has a wrong one.
const TABLE: &[(&str, [u16; 10])] = &[
    ("/key/generate", [200, 200, 200, 403, 403, 403, 403, 401, 401, 401]),
    ("/key/update", [200, 200, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/key/regenerate", [200, 200, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/key/delete", [200, 200, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/key/info", [200, 200, 403, 200, 200, 403, 403, 401, 401, 401]),
    ("/key/list", [200, 200, 200, 403, 200, 403, 403, 401, 401, 401]),
    ("/key/block", [200, 200, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/key/unblock", [200, 200, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/team/new", [200, 200, 403, 200, 403, 403, 403, 401, 401, 401]),
    ("/team/update", [200, 200, 403, 200, 403, 403, 403, 401, 401, 401]),
    ("/team/delete", [200, 200, 403, 200, 403, 403, 403, 401, 401, 401]),
    ("/team/info", [200, 200, 404, 200, 200, 403, 403, 401, 401, 401]),
    ("/team/list", [200, 200, 200, 200, 200, 403, 403, 401, 401, 401]),
    ("/team/block", [200, 200, 403, 200, 403, 403, 403, 401, 401, 401]),
    ("/team/unblock", [200, 200, 403, 200, 403, 403, 403, 401, 401, 401]),
    ("/config/reload", [200, 403, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/config/rollback", [200, 403, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/config/pass_through_endpoint", [200, 403, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/config/pass_through_endpoint/team/{team_id}", [200, 403, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/config/pass_through_endpoint", [200, 403, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/config/pass_through_endpoint/{endpoint_id}", [200, 403, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("/config/pass_through_endpoint", [200, 403, 403, 403, 403, 403, 403, 401, 401, 401]),
];

/// The path of a call and what is sent to it, for a key and a team made for it, of nobody's team.
fn request(gate: &Gate, known: Call, path: &str) -> (String, Option<Value>) {
    let key = || make(gate, json!({})).0;
    let team = || done(gate, "/team/new", Some(json!({})))["team_id"].as_str().expect("id").to_owned();
    let entry = || {
        let path = format!("/made/{}", uuid::Uuid::new_v4());
        done(gate, "/config/pass_through_endpoint", Some(json!({"path": path, "target": "https://1.1.1.1/"})))
    };
    let id = || entry()["endpoints"][0]["id"].as_str().expect("id").to_owned();
    match path {
        _ if known == Call::EndpointNew => {
            (path.into(), Some(json!({"path": format!("/new/{}", uuid::Uuid::new_v4()), "target": "https://1.1.1.1/"})))
        }
        _ if known == Call::EndpointDelete => (format!("{path}?endpoint_id={}", id()), None),
        _ if known == Call::EndpointUpdate => (path.replace("{endpoint_id}", &id()), Some(json!({"timeout": 5}))),
        _ if known == Call::EndpointTeam => (path.replace("{team_id}", &team()), None),
        "/config/rollback" => (path.into(), Some(json!({"number": 1}))),
        "/key/generate" | "/team/new" | "/config/reload" => (path.into(), Some(json!({}))),
        "/key/delete" => (path.into(), Some(json!({ "keys": [key()] }))),
        "/key/info" => (format!("{path}?key={}", key()), None),
        "/team/info" => (format!("{path}?team_id={}", team()), None),
        "/key/list" | "/team/list" | "/config/pass_through_endpoint" => (path.into(), None),
        "/team/delete" => (path.into(), Some(json!({ "team_ids": [team()] }))),
        _ if path.starts_with("/key/") => (path.into(), Some(json!({ "key": key() }))),
        _ => (path.into(), Some(json!({ "team_id": team() }))),
    }
}

#[test]
fn every_role_at_every_call() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    done(&gate, "/team/new", Some(json!({"team_id": "ours"})));
    let mut holders: Vec<(&str, String)> = ROLES
        .iter()
        .map(|(role, fields)| match *fields {
            "" => (*role, KEY.to_owned()),
            fields => (*role, make(&gate, serde_json::from_str(fields).expect("fields")).0),
        })
        .collect();
    holders.push(("a stranger", "sk-nobody-knows-this-0123".into()));
    crate::support::wait_until("a key ends", || call(&gate, &holders[8].1, "/key/list", None).status() == 401);
    let known: Vec<&str> = Call::all().map(Call::name).collect();
    assert_eq!(TABLE.iter().map(|(path, _)| *path).collect::<Vec<_>>(), known, "each call has its row");
    for ((path, statuses), known) in TABLE.iter().zip(Call::all()) {
        for ((role, holder), expected) in holders.iter().zip(statuses) {
            let (target, body) = request(&gate, known, path);
            let answer = by(&gate, holder, known.methods()[0], &target, body);
            assert_eq!(answer.status(), *expected, "{role} at {path}: {}", answer.text());
        }
        assert_eq!(send(gate.port, &format!("POST {path} HTTP/1.1"), b"{}").status() / 100, 4, "nobody at {path}");
    }
}

#[test]
fn every_call_has_its_methods() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    for known in Call::all() {
        // A path may have several calls.
        let methods: Vec<&str> = Call::all()
            .filter(|other| other.name() == known.name())
            .flat_map(|other| other.methods())
            .copied()
            .collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let head = format!("{method} {} HTTP/1.1\nx-api-key: {KEY}\nContent-Length: 0", known.name());
            let answer = send(gate.port, &head, b"");
            let served = methods.contains(&method);
            assert_eq!(answer.status() == 405, !served, "{method} {}: {}", known.name(), answer.status());
            if !served {
                assert_eq!(answer.one("allow"), Some(methods.join(", ").as_str()));
            }
        }
    }
}

#[test]
fn a_key_looks_itself_up_and_no_other() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let ((one, made), (two, _)) = (make(&gate, json!({"rpm_limit": 100})), make(&gate, json!({})));
    for target in ["/key/info".to_owned(), format!("/key/info?key={one}")] {
        let answer = call(&gate, &one, &target, None);
        assert_eq!(answer.status(), 200);
        let info: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((&info["key"], &info["info"]["rpm_limit"]), (&made["token"], &json!(100)));
    }
    for other in [two.as_str(), "sk-nobody-knows-this-0123"] {
        assert_eq!(call(&gate, &one, &format!("/key/info?key={other}"), None).status(), 403, "neither is told apart");
    }
}

#[test]
fn a_management_key_makes_nobody_more_than_itself() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    done(&gate, "/team/new", Some(json!({"team_id": "ours"})));
    done(&gate, "/team/new", Some(json!({"team_id": "theirs"})));
    let management = |fields: Value| {
        let mut body = json!({"key_type": "management"});
        body.as_object_mut().expect("object").extend(fields.as_object().expect("object").clone());
        make(&gate, body).0
    };
    let free = management(json!({}));
    let narrow = management(json!({"models": ["gpt-4", "o*"]}));
    let words = management(json!({"models": ["a*"]}));
    let calls = management(json!({"allowed_routes": ["/key/generate"]}));
    let ours = management(json!({"team_id": "ours"}));
    let (theirs, _) = make(&gate, json!({"team_id": "theirs"}));
    let (mine, _) = make(&gate, json!({"team_id": "ours"}));
    for (holder, path, body, expected) in [
        (&free, "/key/generate", json!({"key_type": "management"}), 403),
        (&free, "/key/generate", json!({"allowed_passthrough_routes": ["/a"]}), 403),
        (&free, "/key/generate", json!({"metadata": {"allowed_passthrough_routes": ["/a"]}}), 403),
        (&free, "/key/update", json!({"key": mine, "denied_passthrough_routes": []}), 403),
        (&free, "/key/update", json!({"key": mine, "key_type": "management"}), 403),
        (&free, "/key/update", json!({"key": free, "rpm_limit": 5}), 403),
        (&free, "/key/block", json!({ "key": ours }), 403),
        (&free, "/key/delete", json!({ "keys": [mine, ours] }), 403),
        (&free, "/team/new", json!({"metadata": {"denied_passthrough_routes": []}}), 403),
        (&narrow, "/team/update", json!({"team_id": "ours", "models": []}), 403),
        (&narrow, "/key/generate", json!({}), 403),
        (&narrow, "/key/generate", json!({"models": ["gpt-4", "gpt-5"]}), 403),
        (&narrow, "/key/generate", json!({"models": ["gpt-4", "o3"]}), 200),
        (&words, "/key/generate", json!({"models": ["all-proxy-models"]}), 403),
        (&words, "/key/generate", json!({"models": ["all-team-models"]}), 403),
        (&words, "/key/generate", json!({"models": ["*"]}), 403),
        (&words, "/key/generate", json!({"models": ["ab*"]}), 200),
        (&calls, "/key/generate", json!({"key_type": "read_only"}), 403),
        (&calls, "/key/generate", json!({"key_type": "llm_api"}), 200),
        (&ours, "/key/generate", json!({"team_id": "theirs"}), 403),
        (&ours, "/key/update", json!({"key": mine, "team_id": null}), 403),
        (&ours, "/key/update", json!({"key": mine, "rpm_limit": 5}), 200),
        (&ours, "/key/update", json!({"key": theirs, "rpm_limit": 5}), 403),
        (&ours, "/key/block", json!({"key": "sk-nobody-knows-this-0123"}), 403),
    ] {
        let answer = call(&gate, holder, path, Some(body.clone()));
        assert_eq!(answer.status(), expected, "{path} {body}: {}", answer.text());
    }
    let made = call(&gate, &ours, "/key/generate", Some(json!({})));
    let made: Value = serde_json::from_slice(&made.body).expect("JSON");
    assert_eq!(made["team_id"], "ours");
    let listed = call(&gate, &ours, "/key/list?size=100", None);
    let listed: Value = serde_json::from_slice(&listed.body).expect("JSON");
    assert_eq!(listed["total_count"], 3, "of its team alone: itself, one that was there, one that it made");
    assert_eq!(done(&gate, "/key/list?key_alias=none", None)["total_count"], 0);
}

#[test]
fn a_team_protects_what_a_management_key_may_not_touch() {
    let origin = Origin::plain();
    let waiting = "sk-config-key-0123456789";
    let gate = gate(&origin, &format!("tollgate: {{keys: [{{key: {waiting}, team_id: held}}]}}"));
    let (free, _) = make(&gate, json!({"key_type": "management"}));
    done(&gate, "/team/new", Some(json!({"team_id": "led"})));
    let (other, _) = make(&gate, json!({"key_type": "management", "team_id": "led"}));
    done(&gate, "/team/new", Some(json!({"team_id": "denied", "denied_passthrough_routes": ["/a"]})));
    for (path, body) in [
        ("/team/block", json!({"team_id": "led"})),
        ("/team/update", json!({"team_id": "led", "rpm_limit": 0})),
        ("/team/delete", json!({"team_ids": ["led"]})),
        ("/team/delete", json!({"team_ids": ["denied"]})),
        // A key of the config waits for it.
        ("/team/new", json!({"team_id": "held"})),
    ] {
        let answer = call(&gate, &free, path, Some(body.clone()));
        assert_eq!(answer.status(), 403, "{path} {body}: {}", answer.text());
    }
    assert_eq!(call(&gate, &other, "/key/list", None).status(), 200);
    assert_eq!(crate::keys::status(&gate, "/a", waiting), 403);
    assert_eq!(call(&gate, &free, "/team/update", Some(json!({"team_id": "denied", "rpm_limit": 5}))).status(), 200);
    for (path, body) in [
        ("/team/new", json!({"team_id": "held"})),
        ("/team/block", json!({"team_id": "led"})),
        ("/team/delete", json!({"team_ids": ["led", "denied"]})),
    ] {
        done(&gate, path, Some(body));
    }
}

#[test]
fn a_management_key_has_limits_too() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let (key, _) = make(&gate, json!({"key_type": "management", "rpm_limit": 2}));
    let statuses: Vec<u16> = (0..3).map(|_| call(&gate, &key, "/key/list", None).status()).collect();
    assert_eq!(statuses, [200, 200, 429]);
}
