//! The specification's tutorials on the real executable, by the real SDKs of its clients, against fakes of the providers
//! that speak TLS: what reaches the provider, and what comes back.
//!
//! The configs are the specification's, restated: the same keys, paths, targets and values. `tollgate.resolve` and
//! `tollgate.ca_file` lead the providers' names to the fakes. `make venv` installs the SDKs.

#[allow(dead_code, reason = "shared with tests/tls.rs")]
#[path = "sdk/authority.rs"]
mod authority;
#[path = "sdk/call.rs"]
mod call;
#[path = "sdk/http1.rs"]
mod http1;
#[allow(dead_code, reason = "shared with tests/tls.rs")]
#[path = "sdk/origin.rs"]
mod origin;
#[allow(dead_code, reason = "shared with tests/sdk_models.rs")]
#[path = "sdk/process.rs"]
mod process;
#[path = "sdk/providers.rs"]
mod providers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use authority::{Authority, Protocol, Validity};
use call::{Reply, post};
use origin::{Origin, Respond, Seen};
use process::{Folder, ROOT, Serving, Variables, Venv, node_script, script};
use providers::{basic, digest};

const COHERE: &str = "api.cohere.com";
const LANGFUSE: &str = "us.cloud.langfuse.com";
const OPENAI: &str = "api.openai.com";

const MASTER_KEY: &str = "sk-1234";
const COHERE_KEY: &str = "cohere-secret-of-the-tests";
const LANGFUSE_PUBLIC: &str = "pk-lf-of-the-tests";
const LANGFUSE_SECRET: &str = "sk-lf-secret-of-the-tests";
const OPENAI_KEY: &str = "openai-secret-of-the-tests";
const SECRETS: Variables<'_> = &[
    ("COHERE_API_KEY", COHERE_KEY),
    ("LANGFUSE_DEV_PUBLIC_KEY", LANGFUSE_PUBLIC),
    ("LANGFUSE_DEV_SK_KEY", LANGFUSE_SECRET),
    ("OPENAI_API_KEY", OPENAI_KEY),
];

/// The first tutorial.
const RERANK: &str = r#"
general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/rerank"
      target: "https://api.cohere.com/v1/rerank"
      headers:
        Authorization: "bearer os.environ/COHERE_API_KEY"
        content-type: application/json
        accept: application/json
"#;

/// The second.
const INGESTION: &str = r#"
general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/api/public/ingestion"
      target: "https://us.cloud.langfuse.com/api/public/ingestion"
      headers:
        LANGFUSE_PUBLIC_KEY: "os.environ/LANGFUSE_DEV_PUBLIC_KEY"
        LANGFUSE_SECRET_KEY: "os.environ/LANGFUSE_DEV_SK_KEY"
"#;

/// The first again, behind a key.
const KEYED: &str = r#"
general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/rerank"
      target: "https://api.cohere.com/v1/rerank"
      auth: true
      headers:
        Authorization: "bearer os.environ/COHERE_API_KEY"
        content-type: application/json
        accept: application/json
"#;

/// What version 2 of Cohere's API needs beside it.
const KEYED_V2: &str = r#"
    - path: "/v2/rerank"
      target: "https://api.cohere.com/v2/rerank"
      auth: true
      headers:
        Authorization: "bearer os.environ/COHERE_API_KEY"
"#;

/// Where the current Langfuse SDK sends.
const TRACES: &str = r#"
general_settings:
  pass_through_endpoints:
    - path: "/api/public/otel/v1/traces"
      target: "https://us.cloud.langfuse.com/api/public/otel/v1/traces"
      headers:
        LANGFUSE_PUBLIC_KEY: "os.environ/LANGFUSE_DEV_PUBLIC_KEY"
        LANGFUSE_SECRET_KEY: "os.environ/LANGFUSE_DEV_SK_KEY"
"#;

/// A whole API under a prefix.
const PREFIX: &str = r#"
general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/openai"
      target: "https://api.openai.com/v1"
      include_subpath: true
      auth: true
      headers:
        Authorization: "bearer os.environ/OPENAI_API_KEY"
"#;

/// The tutorial's call: five documents, written over lines with spaces that a proxy may not touch.
const QUESTION: &str = r#"{
  "model": "rerank-english-v3.0",
  "query": "What is the capital of the United States?",
  "top_n": 3,
  "documents": ["Nevada's seat of government is Carson City.",
                "Saipan is where the Northern Mariana Islands are governed from.",
                "Washington, D.C. is the capital of the United States.",
                "In English, what is called a capital letter begins the sentence; é, ß and 世 are letters too.",
                "Not all of the 50 states have abolished capital punishment: the United States Supreme Court allows it."]
}"#;

const JSON: [&str; 2] = ["accept: application/json", "content-type: application/json"];

/// A provider's fake with Tollgate in front of it.
struct Stage {
    // Ends first, and with it the connections to the fake.
    tollgate: Serving,
    origin: Origin,
    protocol: Protocol,
    _trusted: Folder,
}

impl Stage {
    fn new(config: &str, provider: &str, respond: Respond, protocol: Protocol) -> Self {
        let authority = Authority::new();
        let origin = Origin::start(authority.server(provider, Validity::Now, protocol), respond);
        Self::with_origin(config, provider, protocol, origin, &authority)
    }

    /// Tollgate trusts `authority`, whoever signed what `origin` shows.
    fn with_origin(config: &str, provider: &str, protocol: Protocol, origin: Origin, authority: &Authority) -> Self {
        let trusted = Folder::new();
        let file = trusted.0.join("ca.pem");
        fs::write(&file, authority.pem()).expect("the certificate can be written");
        let own = format!(
            "tollgate:\n  ca_file: {:?}\n  resolve: {{ {provider:?}: \"{}\" }}\n",
            file.to_str().expect("a path in UTF-8"),
            origin.address()
        );
        let tollgate = Serving::tollgate(&format!("{config}{own}"), SECRETS);
        Self { tollgate, origin, protocol, _trusted: trusted }
    }

    fn ask(&self, more: &[&str]) -> Reply {
        post(self.tollgate.host(), "/v1/rerank", &[&JSON, more].concat(), QUESTION)
    }

    /// What holds of every request: the right server, the right protocol, one credential, and none of the client's.
    fn check_request(&self, seen: &Seen, provider: &str, credential: &str) {
        assert_eq!(seen.sni.as_deref(), Some(provider), "{seen:?}");
        assert_eq!(seen.alpn.as_deref(), Some(self.protocol.alpn()), "{seen:?}");
        assert_eq!(seen.hosts, [provider], "{seen:?}");
        assert_eq!(seen.values("authorization"), [credential], "{seen:?}");
        for name in ["langfuse_public_key", "langfuse_secret_key", "x-litellm-api-key", "x-api-key", "cookie"] {
            assert_eq!(seen.values(name), [""; 0], "{name}: {seen:?}");
        }
    }

    /// What holds in the end: the key that opens Tollgate has not left it, and no secret was logged.
    fn check_secrecy(&self) {
        assert!(!self.origin.has_seen(MASTER_KEY), "the master key left: {:?}", self.origin.requests());
        for secret in [MASTER_KEY, COHERE_KEY, LANGFUSE_SECRET, OPENAI_KEY, &basic(LANGFUSE_PUBLIC, LANGFUSE_SECRET)] {
            assert!(!self.tollgate.printed().contains(secret), "{secret} was logged");
        }
    }
}

fn check_ranking(reply: &Reply, seen: &Seen) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.message.values("content-type"), ["application/json"]);
    assert_eq!(reply.message.values("x-litellm-call-id").len(), 1, "{reply:?}");
    let answer = reply.json();
    let indices: Vec<_> =
        answer["results"].as_array().expect("results").iter().map(|result| result["index"].clone()).collect();
    assert_eq!(indices, [2, 4, 3], "{answer}");
    assert_eq!(answer["meta"]["api_version"]["version"], "1");
    assert_eq!(answer["id"], digest(QUESTION.as_bytes()), "the fake hashes what it got");
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/v1/rerank"));
    assert_eq!(String::from_utf8_lossy(&seen.body), QUESTION);
    for name in ["accept", "content-type"] {
        assert_eq!(seen.values(name), ["application/json"], "{name}");
    }
}

/// The value of `error.message`, which must be there and name no host.
fn refusal(reply: &Reply) -> String {
    let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(!message.is_empty(), "{reply:?}");
    let body = String::from_utf8_lossy(&reply.message.body);
    for word in ["cohere", "127.0.0.1", COHERE_KEY, MASTER_KEY] {
        assert!(!body.contains(word), "{word:?} in {body}");
    }
    assert_eq!(reply.message.values("x-litellm-call-id").len(), 1, "{reply:?}");
    message
}

#[test]
fn the_first_tutorial_as_curl_runs_it() {
    for protocol in Protocol::ALL {
        let stage = Stage::new(RERANK, COHERE, providers::cohere, protocol);
        let reply = stage.ask(&[]);
        let seen = stage.origin.only_request();
        check_ranking(&reply, &seen);
        stage.check_request(&seen, COHERE, &format!("bearer {COHERE_KEY}"));
        assert_eq!(seen.values("user-agent"), ["curl/8.5.0"]);

        assert!(stage.origin.has_seen(COHERE_KEY), "the fake finds what it got");
        let hellos = stage.origin.hellos();
        assert!(hellos.iter().all(|hello| hello.alpn == ["h2", "http/1.1"]), "{hellos:?}");
        stage.tollgate.await_line(&["/v1/rerank", "200"]);
        stage.check_secrecy();
    }
}

#[test]
fn a_client_cannot_replace_or_strip_the_providers_secret() {
    for protocol in Protocol::ALL {
        let stage = Stage::new(RERANK, COHERE, providers::cohere, protocol);
        for more in [
            &["authorization: bearer of-the-client"][..],
            &["Authorization: bearer of-the-client", "AUTHORIZATION: bearer of-the-client"],
            &["connection: authorization, accept, content-type"],
            &["authorization: Bearer sk-1234", "x-api-key: sk-1234", "cookie: key=sk-1234"],
        ] {
            let reply = stage.ask(more);
            let requests = stage.origin.requests();
            let seen = requests.last().expect("a request");
            assert_eq!(reply.status, 200, "{more:?}: {reply:?}");
            check_ranking(&reply, seen);
            stage.check_request(seen, COHERE, &format!("bearer {COHERE_KEY}"));
        }
        assert_eq!(stage.origin.requests().len(), 4);
        assert!(!stage.origin.has_seen("of-the-client"));
        stage.check_secrecy();
    }
}

#[test]
fn the_tutorial_on_keys() {
    for protocol in Protocol::ALL {
        let stage = Stage::new(KEYED, COHERE, providers::cohere, protocol);
        for more in [&[][..], &["authorization: Bearer sk-12345"], &["authorization: Bearer "]] {
            let reply = stage.ask(more);
            assert_eq!(reply.status, 401, "{more:?}: {reply:?}");
            refusal(&reply);
        }
        assert_eq!(stage.origin.hellos().len(), 0, "a refused request connects to nobody");

        let reply = stage.ask(&["Authorization: Bearer sk-1234"]);
        let seen = stage.origin.only_request();
        check_ranking(&reply, &seen);
        stage.check_request(&seen, COHERE, &format!("bearer {COHERE_KEY}"));
        stage.tollgate.await_line(&["/v1/rerank", "401"]);
        stage.tollgate.await_line(&["/v1/rerank", "200"]);
        stage.check_secrecy();
    }
}

#[test]
fn a_certificate_that_does_not_prove_the_name_is_refused() {
    let stranger = Authority::new();
    for protocol in Protocol::ALL {
        let authority = Authority::new();
        for (what, config) in [
            ("another name", authority.server("api.example.com", Validity::Now, protocol)),
            ("a name below", authority.server("www.api.cohere.com", Validity::Now, protocol)),
            ("expired", authority.server(COHERE, Validity::Past, protocol)),
            ("not valid yet", authority.server(COHERE, Validity::Future, protocol)),
            ("an unknown authority", stranger.server(COHERE, Validity::Now, protocol)),
        ] {
            let origin = Origin::start(config, providers::cohere);
            let stage = Stage::with_origin(RERANK, COHERE, protocol, origin, &authority);
            let reply = stage.ask(&[]);
            assert_eq!(reply.status, 502, "{what}: {reply:?}");
            refusal(&reply);
            let hellos = stage.origin.hellos();
            assert!(!hellos.is_empty(), "{what}: the fake was not tried");
            assert!(hellos.iter().all(|hello| hello.sni.as_deref() == Some(COHERE)), "{what}: {hellos:?}");
            assert_eq!(stage.origin.requests().len(), 0, "{what}: {:?}", stage.origin.requests());
            assert!(!stage.origin.has_seen(COHERE_KEY), "{what}: the secret left");
            stage.tollgate.await_line(&["/v1/rerank", "502", "upstream_tls"]);
            stage.check_secrecy();
        }
    }
}

#[test]
fn the_second_tutorial_by_the_langfuse_sdk_of_its_time() {
    for protocol in Protocol::ALL {
        let stage = Stage::new(INGESTION, LANGFUSE, providers::langfuse, protocol);
        script(Venv::Langfuse2, "langfuse_v2.py", &[("BASE_URL", stage.tollgate.url())]);
        let requests = stage.origin.requests();
        assert!(!requests.is_empty(), "nothing arrived");
        for seen in &requests {
            assert_eq!((&*seen.method, &*seen.path), ("POST", "/api/public/ingestion"));
            stage.check_request(seen, LANGFUSE, &basic(LANGFUSE_PUBLIC, LANGFUSE_SECRET));
            assert_no_client_keys(seen);
        }
        assert!(stage.origin.has_seen("tollgate-test-trace") && stage.origin.has_seen("tollgate-test-span"));
        stage.tollgate.await_line(&["/api/public/ingestion", "207"]);
        stage.check_secrecy();
    }
}

#[test]
fn traces_by_the_current_langfuse_sdk() {
    for (protocol, compression) in Protocol::ALL.into_iter().flat_map(|one| [(one, "gzip"), (one, "none")]) {
        let stage = Stage::new(TRACES, LANGFUSE, providers::langfuse, protocol);
        let variables = [("BASE_URL", stage.tollgate.url()), ("LANGFUSE_OTEL_COMPRESSION", compression)];
        script(Venv::Sdk, "langfuse_otel.py", &variables);
        let requests = stage.origin.requests();
        assert!(!requests.is_empty(), "nothing arrived");
        for seen in &requests {
            assert_eq!((&*seen.method, &*seen.path), ("POST", "/api/public/otel/v1/traces"));
            stage.check_request(seen, LANGFUSE, &basic(LANGFUSE_PUBLIC, LANGFUSE_SECRET));
            assert_no_client_keys(seen);
            assert_eq!(seen.values("content-type"), ["application/x-protobuf"]);
            let gzipped = seen.body.starts_with(&[0x1f, 0x8b]);
            assert_eq!(seen.values("content-encoding") == ["gzip"], gzipped, "{seen:?}");
            assert_eq!(compression == "gzip", gzipped, "{seen:?}");
        }
        assert_eq!(stage.origin.has_seen("tollgate-test-generation"), compression == "none");
        stage.check_secrecy();
    }
}

/// The word that stands for the client's keys is in no header. (The SDK writes the public one into bodies, too, and those
/// are not read.)
fn assert_no_client_keys(seen: &Seen) {
    let head = seen.head();
    for word in ["anything", basic("anything", "anything").trim_start_matches("Basic ")] {
        assert!(!head.contains(word), "{word:?} in {head}");
    }
}

#[test]
fn rerank_by_the_cohere_sdk() {
    for protocol in Protocol::ALL {
        let stage = Stage::new(&[KEYED, KEYED_V2].concat(), COHERE, providers::cohere, protocol);
        script(Venv::Sdk, "rerank_cohere.py", &[("BASE_URL", stage.tollgate.url()), ("KEY", MASTER_KEY)]);
        let requests = stage.origin.requests();
        let paths: Vec<_> = requests.iter().map(|seen| &*seen.path).collect();
        assert_eq!(paths, ["/v1/rerank", "/v2/rerank", "/v2/rerank", "/v1/rerank"]);
        for seen in &requests {
            stage.check_request(seen, COHERE, &format!("bearer {COHERE_KEY}"));
        }
        assert!(!stage.origin.has_seen("sk-nobody"), "a refused key left");
        stage.check_secrecy();
    }
}

#[test]
fn chat_by_the_openai_sdk() {
    for protocol in Protocol::ALL {
        let stage = Stage::new(PREFIX, OPENAI, providers::openai, protocol);
        script(Venv::Sdk, "openai_chat.py", &[("BASE_URL", stage.tollgate.url()), ("KEY", MASTER_KEY)]);
        let requests = stage.origin.requests();
        assert!(requests.iter().any(|seen| (&*seen.method, &*seen.path) == ("GET", "/v1/models/no-such-model")));
        for seen in &requests {
            stage.check_request(seen, OPENAI, &format!("bearer {OPENAI_KEY}"));
        }
        assert!(!stage.origin.has_seen("sk-nobody"), "a refused key left");
        stage.check_secrecy();
    }
}

#[test]
fn big_uploads_by_the_openai_sdk() {
    for protocol in Protocol::ALL {
        let stage = Stage::new(PREFIX, OPENAI, providers::openai, protocol);
        script(Venv::Sdk, "openai_upload.py", &[("BASE_URL", stage.tollgate.url()), ("KEY", MASTER_KEY)]);
        let requests = stage.origin.requests();
        assert_eq!(requests.len(), 3);
        for seen in &requests {
            assert_eq!((&*seen.method, &*seen.path), ("POST", "/v1/files"));
            stage.check_request(seen, OPENAI, &format!("bearer {OPENAI_KEY}"));
        }
        stage.check_secrecy();
    }
}

#[test]
fn the_quick_start_by_the_sdks() {
    const SECRET: &str = "sample-secret-of-the-tests";
    let upstream = Serving::upstream(SECRET);
    let variables = [("UPSTREAM_PORT", upstream.port()), ("UPSTREAM_SECRET", SECRET)];
    let tollgate = Serving::tollgate_on(&Path::new(ROOT).join("conf/quickstart.yaml"), &variables);

    let reply = post(tollgate.host(), "/v1/rerank", &JSON, QUESTION);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["results"][0]["index"], 2, "{reply:?}");
    script(Venv::Langfuse2, "langfuse_v2.py", &[("BASE_URL", tollgate.url())]);
    script(Venv::Sdk, "openai_chat.py", &[("BASE_URL", tollgate.url()), ("KEY", MASTER_KEY)]);
    assert!(!tollgate.printed().contains(SECRET), "the secret was logged");
}

#[test]
fn the_schema_accepts_what_tollgate_serves() {
    let (schema, conf, valid) = ("conf/config.schema.json", "conf", "tests/fixtures/config/valid");
    let [schema, conf, valid] = [schema, conf, valid].map(|path| Path::new(ROOT).join(path).display().to_string());
    let folders = format!("{conf}:{conf}/providers:{valid}");
    let printed = script(Venv::Sdk, "schema.py", &[("SCHEMA", &schema), ("FOLDERS", &folders)]);
    assert!(printed.contains("quickstart.yaml"), "{printed}");
}

/// The scripts for models hold of the sample upstream itself, so that what they find behind Tollgate is Tollgate's.
#[test]
fn the_sample_upstream_by_the_openai_sdk() {
    const SECRET: &str = "sample-secret-of-the-tests";
    let upstream = Serving::upstream(SECRET);
    script(Venv::Sdk, "openai_models.py", &[("BASE_URL", upstream.url()), ("KEY", SECRET), ("DIRECT", "1")]);
    node_script("openai.mjs", &[("BASE_URL", upstream.url()), ("KEY", SECRET)]);
}

/// The numbers that `translate::count` is tested against are made anew, by what made them.
#[test]
fn the_corpus_of_tokens_is_what_tiktoken_counts() {
    let cases = Path::new(ROOT).join("tests/golden/tokens").display().to_string();
    let assets = folder_of("tiktoken-rs").join("assets").display().to_string();
    script(Venv::Sdk, "count_tokens.py", &[("CASES", &cases), ("ASSETS", &assets)]);
}

/// Where cargo keeps the source of a crate. It asks nobody, and for this machine's crates only: others are not there.
fn folder_of(name: &str) -> PathBuf {
    let cargo = |arguments: &[&str]| {
        let said = Command::new(env!("CARGO")).args(arguments).current_dir(ROOT).output().expect("cargo");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).expect("UTF-8")
    };
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let metadata = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let metadata: serde_json::Value = serde_json::from_str(&cargo(&metadata)).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == name).expect("a package of that name");
    Path::new(package["manifest_path"].as_str().expect("a path")).with_file_name("")
}

#[test]
fn golden_requests_have_the_types_of_the_sdks() {
    let cases = Path::new(ROOT).join("tests/golden/anthropic/request").display().to_string();
    let printed = script(Venv::Sdk, "golden_types.py", &[("CASES", &cases)]);
    assert!(printed.contains("have the types of the SDKs"), "{printed}");
}

/// What the adapter answers is what the official SDK reads, streams by its own accumulator.
#[test]
fn golden_answers_are_read_by_the_sdk() {
    let golden = Path::new(ROOT).join("tests/golden/anthropic").display().to_string();
    script(Venv::Sdk, "golden_answers.py", &[("GOLDEN", &golden)]);
}
