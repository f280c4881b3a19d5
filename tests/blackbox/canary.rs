//! No secret is ever said: every secret and credential bears a mark, every route and failure is driven with everything in the
//! log that can be, and no mark is found in a log line, a header or a body.

use std::fs;

use crate::support::gate::folder;
use crate::support::{Client, Gate, Origin, wait_until};

/// The marks; each stands in one secret.
const MARKS: &[(&str, &str)] = &[
    ("MASTER", "sk-canary-master-7f3a"),
    ("HEADER", "canary-header-7f3a"),
    ("TARGET", "canary-target-7f3a"),
    ("DEFAULT", "canary-default-7f3a"),
    ("PUBLIC", "pk-canary-public-7f3a"),
    ("PRIVATE", "sk-canary-private-7f3a"),
    ("VIRTUAL", "sk-canary-virtual-7f3a"),
    ("LITELLM_SALT_KEY", "canary-salt-7f3a"),
];
const FILE: &str = "canary-file-7f3a";
const STRANGER: &str = "canary-stranger-7f3a";
const BODY: &str = "canary-body-7f3a";
const QUERY: &str = "canary-query-7f3a";

fn config(origin: &Origin, deaf: u16) -> String {
    let url = origin.url("");
    format!(
        r#"
general_settings:
  master_key: os.environ/MASTER
  max_request_size_mb: 0.001
  pass_through_endpoints:
    - {{path: /open, target: "{url}/x", headers: {{Authorization: "Bearer os.environ/HEADER"}}, forward_headers: true}}
    - {{path: /keyed, target: "{url}/x?key=os.environ/TARGET", auth: true, include_subpath: true}}
    - {{path: /file, target: "{url}/x", headers: {{X-Api-Key: "file:secret.txt"}}, default_query_params: {{token: os.environ/DEFAULT}}}}
    - {{path: /langfuse, target: "{url}/x", custom_auth_parser: langfuse, auth: true, headers: {{LANGFUSE_PUBLIC_KEY: os.environ/PUBLIC, LANGFUSE_SECRET_KEY: os.environ/PRIVATE}}}}
    - {{path: /silent, target: "http://127.0.0.1:{deaf}/?key=os.environ/TARGET", timeout: 0.3}}
    - {{path: /refused, target: "http://127.0.0.1:1/?key=os.environ/TARGET"}}
    - {{path: /unknown, target: "http://no-such-host.invalid/?key=os.environ/TARGET"}}
    - {{path: /tls, target: "https://127.0.0.1:{deaf}/?key=os.environ/TARGET", timeout: 0.3}}
    - {{path: /get, target: "{url}/x", methods: [GET]}}
    - {{path: "/t/{{name}}", target: "{url}/x/{{name}}", auth: true}}
model_list:
  - {{model_name: mark, litellm_params: {{model: openai/m, api_base: "{url}/v1", api_key: os.environ/HEADER, extra_headers: {{X-Further: os.environ/DEFAULT}}}}}}
  - {{model_name: deaf, litellm_params: {{model: openai/m, api_base: "http://127.0.0.1:{deaf}/v1", api_key: os.environ/TARGET, timeout: 0.3}}}}
router_settings: {{num_retries: 0}}
tollgate: {{timeouts: {{connect: 0.3, header: 0.5}}, keys: [{{key: os.environ/VIRTUAL, key_alias: known}}]}}
"#
    )
}

/// Every place where a client may put something secret, on every path, in every mood.
fn requests() -> Vec<String> {
    let mut out = calls();
    out.extend(models());
    out.extend(requests_with(MARKS[0].1));
    // Once is enough of those that are waited for.
    let waits = |request: &String| ["/silent", "/tls", "/unknown"].iter().any(|path| request.contains(path));
    out.extend(requests_with(MARKS[6].1).into_iter().filter(|request| !waits(request)));
    out
}

/// Requests for models with keys in every place.
fn models() -> Vec<String> {
    let (master, virtual_key) = (MARKS[0].1, MARKS[6].1);
    let mut out = Vec::new();
    for path in ["/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions", "/v1/embeddings"] {
        for model in ["mark", "deaf", "none", virtual_key, master] {
            for more in ["", "\"stream\": true, ", "\"strange\": 1, ", "\"max_tokens\": \"x\", "] {
                let body = format!(
                    "{{{more}\"model\": \"{model}\", \"max_tokens\": 9, \"messages\": [{{\"role\": \"user\", \"content\": \"{BODY}\"}}]}}"
                );
                for (field, key) in [("x-api-key", master), ("Authorization", virtual_key), ("x-api-key", STRANGER)] {
                    out.push(format!(
                        "POST {path}?a={virtual_key} HTTP/1.1\r\nHost: x\r\n{field}: Bearer {key}\r\nanthropic-beta: {virtual_key}\r\ntraceparent: {master}\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    ));
                }
            }
        }
    }
    out
}

/// Calls of the key API with keys in every place but the right one.
fn calls() -> Vec<String> {
    let (master, virtual_key) = (MARKS[0].1, MARKS[6].1);
    let mut out = Vec::new();
    for key in [virtual_key, master, STRANGER, "sk-canary-unknown-7f3a"] {
        let bodies = [
            format!("{{\"key\": \"{key}\"}}"),
            format!("{{\"keys\": [\"{key}\"]}}"),
            format!("{{\"{key}\": 1}}"),
            format!("{{\"rpm_limit\": \"{key}\"}}"),
            format!("{{\"models\": {{\"{key}\": 1}}}}"),
            format!("{{\"team_id\": \"{key}\"}}"),
            format!("{{\"duration\": \"{key}\"}}"),
            format!("{{\"key_type\": \"{key}\"}}"),
            key.to_owned(),
        ];
        for path in ["/key/generate", "/key/update", "/key/block", "/key/delete", "/key/regenerate", "/team/update"] {
            for body in &bodies {
                for holder in [master, virtual_key, STRANGER] {
                    out.push(format!(
                        "POST {path}?{key} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {holder}\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    ));
                }
            }
        }
        // A path is logged, unless a word of it looks like a key.
        let in_paths = [format!("/key/{key}"), format!("/user/{key}")].into_iter().filter(|_| key.starts_with("sk-"));
        let targets = [
            format!("/key/info?key={key}"),
            format!("/key/info?{key}=1"),
            format!("/key/list?key_hash={key}&sort_by={key}"),
            format!("/team/info?team_id={key}"),
            format!("/key/{key}/regenerate"),
        ];
        for target in targets.into_iter().chain(in_paths) {
            for method in ["GET", "POST"] {
                out.push(format!(
                    "{method} {target} HTTP/1.1\r\nHost: x\r\nx-api-key: {master}\r\nContent-Length: 0\r\n\r\n"
                ));
            }
        }
    }
    out
}

fn requests_with(key: &str) -> Vec<String> {
    let basic = |text: &str| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    let mut out = Vec::new();
    let paths = [
        "/open",
        "/keyed",
        "/keyed/a/b",
        "/file",
        "/langfuse",
        "/silent",
        "/refused",
        "/unknown",
        "/tls",
        "/get",
        "/t/x",
        "/nowhere",
        "/key/info",
        "/keyed/../x",
    ];
    for path in paths {
        for value in [key, STRANGER] {
            let fields = [
                format!("Authorization: Bearer {value}"),
                format!("Authorization: Basic {}", basic(&format!("{value}:x"))),
                format!("x-api-key: {value}"),
                format!("x-litellm-api-key: {value}"),
                format!("Cookie: session={value}"),
                format!("X-Anything: {value}"),
                format!("x-pass-x-more: {value}"),
            ];
            for field in fields {
                out.push(format!("POST {path}?q={QUERY}&key={value} HTTP/1.1\r\nHost: x\r\n{field}\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len()));
            }
        }
    }
    for odd in [
        format!("GET /open/{key} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /t/{key} HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\n\r\n"),
        format!("GET /open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nx-api-key: {STRANGER}\r\n\r\n"),
        format!("GET /open HTTP/1.1\r\nHost: x\r\nBroken {key}\r\n\r\n"),
        format!("GET /open {key} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /open HTTP/1.1\r\nHost: {key}@x\r\n\r\n"),
        format!("{key} / HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!(
            "POST /keyed HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nContent-Length: 5000\r\n\r\n{}",
            BODY.repeat(400)
        ),
        format!("POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz{BODY}\r\n"),
        format!(
            "GET /open HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Protocol: {key}\r\n\r\n"
        ),
        format!("GET /open HTTP/1.1\r\nHost: x\r\nExpect: {key}\r\n\r\n"),
        format!("GET /open HTTP/1.1\r\nHost: x\r\nX-Litellm-Call-Id: {STRANGER}\u{7}\r\n\r\n"),
        format!("GET /open?{key} HTTP/1.1\r\nX-Unfinished: {key}"),
    ] {
        out.push(odd);
    }
    out
}

#[test]
fn no_secret_is_ever_said() {
    // A model's server that repeats what it was sent.
    let origin = Origin::start(|exchange| {
        if !exchange.request.target().starts_with("/v1/") {
            return exchange.ok("fine");
        }
        let fields: Vec<String> =
            exchange.request.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = serde_json::json!({"error": {"message": format!("no: {}", fields.join(", "))}});
        crate::models::answers(exchange, "400 Bad Request", "", &body.to_string())
    });
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let folder = folder();
    fs::write(folder.join("secret.txt"), FILE).expect("write");
    let config = config(&origin, deaf.local_addr().expect("address").port());
    let mut gate = Gate::spawn(&config, &["--port", "0", "--detailed_debug"], MARKS, folder);
    let (mut said, mut lines) = (String::new(), 0);
    for request in requests() {
        let mut client = Client::connect(gate.port);
        client.write(&request).expect("write");
        let method = request.split(' ').next().unwrap_or_default();
        let answer = client.answer(method).unwrap_or_else(|error| panic!("{request}: {error}"));
        said += &answer.everything();
        lines += 1;
        client.close();
    }
    wait_until("every request has its line", || gate.log().matches(" call=").count() >= lines);
    gate.signal("TERM");
    assert!(gate.ended().success());
    let log = gate.log();
    let statuses = ["200", "400", "401", "403", "404", "405", "408", "413", "417", "501", "502", "504"];
    for status in statuses {
        assert!(log.contains(&format!("\" {status} ")), "{status} was never driven");
    }
    let secrets = MARKS.iter().map(|(_, value)| *value).chain([FILE, STRANGER, BODY, QUERY]);
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!said.contains(secret), "{secret} is in an answer");
    }
    assert!(origin.seen().iter().any(|seen| seen.everything().contains(MARKS[1].1)), "secrets do reach the upstream");
    assert!(origin.seen().iter().any(|seen| seen.target() == "/v1/chat/completions"), "models were asked");
    for key in [MARKS[0].1, MARKS[6].1] {
        assert!(origin.seen().iter().all(|seen| !seen.everything().contains(key)), "and keys never do");
    }
}
