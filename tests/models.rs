//! Models on the real executable, against TLS fakes of their providers: the right server and path, its own key, once.
//!
//! `tollgate.resolve` and `tollgate.ca_file` lead the providers' names to the fakes; the specification's config is used as it is.

#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/authority.rs"]
mod authority;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/call.rs"]
mod call;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/http1.rs"]
mod http1;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/origin.rs"]
mod origin;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/process.rs"]
mod process;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use authority::{Authority, Protocol, Validity};
use call::post;
use origin::{Answer, Origin, Seen};
use process::{Folder, Serving};
use serde_json::{Value, json};
use tollgate::completion::adapter_completion;
use tollgate::config::env::Environ;
use tollgate::config::{self, Overrides};
use tollgate::provider::{Auth, PROVIDERS, Provider, Style};

const KEY: &str = "sk-caller-0123456789abcdef";
const ASKED: &str = r#"{"model": "m", "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello, world"}]}"#;

/// A completion, or a message where that was asked for.
fn completes(seen: &Seen) -> Answer {
    let body = match seen.path.ends_with("/messages") {
        true => json!({"type": "message", "content": []}),
        false => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "upstream",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi!"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
        }),
    };
    Answer { status: 200, content_type: "application/json", pieces: vec![body.to_string().into()] }
}

/// What leads `hosts` to their fakes.
fn led(hosts: &[(&str, &Origin)], authority: &Authority, folder: &Folder) -> String {
    let ca = folder.0.join("ca.pem");
    fs::write(&ca, authority.pem()).expect("the certificate");
    let lines: String =
        hosts.iter().map(|(host, origin)| format!("    {host:?}: \"{}\"\n", origin.address())).collect();
    format!("tollgate:\n  ca_file: {:?}\n  resolve:\n{lines}", ca.display())
}

fn host_of(base: &str) -> &str {
    base.trim_start_matches("https://").split('/').next().unwrap_or_default()
}

/// Where `provider` is asked for Messages, and the field that holds its key.
fn expected(provider: &Provider, base: &str) -> (String, &'static str, String) {
    let path = base.trim_start_matches("https://").trim_start_matches(host_of(base));
    let end = if provider.style == Style::Anthropic { "/messages" } else { "/chat/completions" };
    let (name, value) = match provider.auth {
        Auth::Bearer => ("authorization", "Bearer the-provider-s-key".to_owned()),
        Auth::Field(name) => (name, "the-provider-s-key".to_owned()),
    };
    (format!("{path}{end}"), name, value)
}

#[test]
fn every_provider_is_asked_at_its_own_server_with_its_own_key() {
    let mut walked = 0;
    for provider in PROVIDERS.iter().filter(|provider| !provider.key_variables.is_empty()) {
        let Some(base) = provider.base.filter(|base| base.starts_with("https://")) else { continue };
        let host = host_of(base);
        let (authority, folder) = (Authority::new(), Folder::new());
        let origin = Origin::start(authority.server(host, Validity::Now, Protocol::Http1), completes);
        let config = format!(
            "general_settings: {{master_key: {KEY}}}\nmodel_list:\n  - {{model_name: m, litellm_params: {{model: {}/some-model}}}}\n{}",
            provider.name,
            led(&[(host, &origin)], &authority, &folder)
        );
        let variables: Vec<(&str, &str)> =
            provider.key_variables.iter().take(1).map(|name| (*name, "the-provider-s-key")).collect();
        let tollgate = Serving::tollgate(&config, &variables);
        let reply = post(tollgate.host(), "/v1/messages", &[&format!("x-api-key: {KEY}")], ASKED);
        assert_eq!(reply.status, 200, "{}: {reply:?}", provider.name);
        let requests = origin.requests();
        let seen = requests.first().expect("a request");
        let (path, name, value) = expected(provider, base);
        assert_eq!((requests.len(), seen.path.as_str()), (1, path.as_str()), "{}", provider.name);
        assert_eq!(
            (&seen.hosts[..], seen.values(name)),
            (&[host.to_owned()][..], vec![value.as_str()]),
            "{}",
            provider.name
        );
        for other in ["authorization", "x-api-key", "api-key"] {
            assert!(other == name || seen.values(other).is_empty(), "{}: {other}", provider.name);
        }
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        assert_eq!(body["model"], format!("{}some-model", provider.model_start), "{}", provider.name);
        assert!(!origin.has_seen(KEY) && !tollgate.printed().contains("the-provider-s-key"), "{}", provider.name);
        walked += 1;
    }
    assert!(walked > 10, "only {walked} providers were walked");
}

/// The specification's file with a model more, and its curl with `-d` for the body.
#[test]
fn the_specification_s_config_and_call_work() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let (openai, cohere) = ("api.openai.com", "api.cohere.ai");
    let start = |host| Origin::start(authority.server(host, Validity::Now, Protocol::Http1), completes);
    let (at_openai, at_cohere) = (start(openai), start(cohere));
    let config = format!(
        r#"model_list:
  - model_name: my-fake-claude-endpoint
    litellm_params:
      model: gpt-3.5-turbo
      api_key: os.environ/OPENAI_API_KEY
  - model_name: command-nightly
    litellm_params:
      model: command-nightly

general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/messages"
      target: custom_callbacks.anthropic_adapter
      headers:
        litellm_user_api_key: "x-api-key"
{}"#,
        led(&[(openai, &at_openai), (cohere, &at_cohere)], &authority, &folder)
    );
    let variables = [("OPENAI_API_KEY", "your-openai-key"), ("COHERE_API_KEY", "your-cohere-key")];
    let tollgate = Serving::tollgate(&config, &variables);
    let fields = ["x-api-key: sk-1234", "anthropic-version: 2023-06-01", "content-type: application/json"];
    for (model, origin, path, key, upstream) in [
        ("my-fake-claude-endpoint", &at_openai, "/v1/chat/completions", "Bearer your-openai-key", "gpt-3.5-turbo"),
        (
            "command-nightly",
            &at_cohere,
            "/compatibility/v1/chat/completions",
            "Bearer your-cohere-key",
            "command-nightly",
        ),
    ] {
        let body = ASKED.replace("\"m\"", &format!("{model:?}"));
        let reply = post(tollgate.host(), "/v1/messages", &fields, &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        let message = reply.json();
        assert_eq!((&message["type"], &message["model"]), (&json!("message"), &json!(model)));
        assert_eq!(message["content"], json!([{"type": "text", "text": "Hi!"}]));
        let requests = origin.requests();
        let [seen] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!((seen.path.as_str(), seen.values("authorization")), (path, vec![key]));
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        assert_eq!((&body["model"], &body["max_tokens"]), (&json!(upstream), &json!(1024)));
    }
    let wrong = post(tollgate.host(), "/v1/messages", &["x-api-key: sk-12345"], ASKED);
    assert_eq!((wrong.status, &wrong.json()["error"]["type"]), (401, &json!("authentication_error")));
}

/// `adapter_completion` of the specification, as a command: each model at its own server, without a server of ours.
#[test]
fn a_call_needs_no_server() {
    let (authority, folder) = (Authority::new(), Folder::new());
    for (model, host, variable, path) in [
        ("gpt-3.5-turbo", "api.openai.com", "OPENAI_API_KEY", "/v1/chat/completions"),
        ("command-nightly", "api.cohere.ai", "COHERE_API_KEY", "/compatibility/v1/chat/completions"),
    ] {
        let origin = Origin::start(authority.server(host, Validity::Now, Protocol::Http1), completes);
        let file = folder.0.join("config.yaml");
        let text = format!(
            "model_list: [{{model_name: {model}, litellm_params: {{model: {model}}}}}]\n{}",
            led(&[(host, &origin)], &authority, &folder)
        );
        fs::write(&file, text).expect("the config");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.env_clear().env(variable, "the-key").args(["complete", "--adapter", "anthropic", "--model", model]);
        let mut child = command
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tollgate starts");
        child.stdin.take().expect("stdin").write_all(ASKED.as_bytes()).expect("the request");
        let output = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let message: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!((&message["type"], &message["model"]), (&json!("message"), &json!(model)));
        let requests = origin.requests();
        let [seen] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!((seen.path.as_str(), seen.values("authorization")), (path, vec!["Bearer the-key"]));
    }
}

/// Where a program keeps its keys.
struct Keys;

impl Environ for Keys {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "OPENAI_API_KEY").then(|| "the-key".to_owned())
    }

    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        fs::read(path)
    }
}

/// `adapter_completion` of the specification, as a function of the library.
#[test]
fn a_call_needs_no_process() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let host = "api.openai.com";
    let origin = Origin::start(authority.server(host, Validity::Now, Protocol::Http1), completes);
    let file = folder.0.join("config.yaml");
    let models = "model_list: [{model_name: m, litellm_params: {model: gpt-3.5-turbo}}]\n";
    fs::write(&file, format!("{models}{}", led(&[(host, &origin)], &authority, &folder))).expect("the config");
    let (config, report) = config::load(&file, &Keys, &Overrides::default());
    let config = config.unwrap_or_else(|| panic!("{:?}", report.problems));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let complete =
        |adapter: &str, asked: &str| runtime.block_on(adapter_completion(&config, adapter, asked.as_bytes()));
    let answer = complete("anthropic", ASKED).expect("an answer");
    let message: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!((&message["model"], &message["content"][0]["text"]), (&json!("m"), &json!("Hi!")));
    let requests = origin.requests();
    let [seen] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((seen.path.as_str(), seen.values("authorization")), ("/v1/chat/completions", vec!["Bearer the-key"]));
    for (adapter, asked, status) in [
        ("nobodys", ASKED.to_owned(), 404),
        ("anthropic", ASKED.replace(r#""m""#, r#""other""#), 404),
        ("anthropic", "{".to_owned(), 400),
    ] {
        assert_eq!(complete(adapter, &asked).map_err(|problem| problem.status), Err(status), "{adapter} {asked}");
    }
    assert_eq!(origin.requests().len(), 1, "nobody is asked what is refused");
}
