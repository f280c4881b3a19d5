//! Every file of `conf/providers` on the real executable, as it is shipped, against a fake of its provider: the right server
//! and path, the provider's credential once, and nothing of the caller's key.
//!
//! `tollgate.resolve` and `tollgate.ca_file` are added to the file, so that the provider's name leads to the fake.

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

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use authority::{Authority, Protocol, Validity};
use call::post;
use origin::{Answer, Origin, Seen};
use process::{Folder, ROOT, Serving};

/// The Tollgate key of the callers; long enough to be found anywhere.
const KEY: &str = "sk-caller-0123456789abcdef";
/// `basic(KEY, "anything")`, as a Langfuse SDK sends it.
const PAIR: &str = "Basic c2stY2FsbGVyLTAxMjM0NTY3ODlhYmNkZWY6YW55dGhpbmc=";
const BODY: &str = "{ \"stream\": true,  \"of\": \"the client\" }";

/// A provider: its file, its host (`host:port` where it is not TLS), and the header that holds its credential.
struct Provider {
    file: &'static str,
    host: &'static str,
    credential: (&'static str, &'static str),
    calls: &'static [Call],
}

/// What a client asks for, with its key in a place of its own, and what the provider is asked for.
struct Call {
    path: &'static str,
    key: &'static str,
    arrives: &'static str,
}

const PROVIDERS: &[Provider] = &[
    Provider {
        file: "anthropic.yaml",
        host: "api.anthropic.com",
        credential: ("x-api-key", "provider-secret"),
        calls: &[
            Call { path: "/anthropic/v1/messages", key: "x-api-key: KEY", arrives: "/v1/messages" },
            Call {
                path: "/anthropic/v1/models?limit=2",
                key: "authorization: Bearer KEY",
                arrives: "/v1/models?limit=2",
            },
        ],
    },
    Provider {
        file: "bedrock.yaml",
        host: "bedrock-runtime.us-east-1.amazonaws.com",
        credential: ("authorization", "Bearer provider-secret"),
        calls: &[Call {
            path: "/bedrock/model/arn%3Aaws%2Fx%3A0/converse-stream",
            key: "authorization: Bearer KEY",
            arrives: "/model/arn%3Aaws%2Fx%3A0/converse-stream",
        }],
    },
    Provider {
        file: "cohere.yaml",
        host: "api.cohere.com",
        credential: ("authorization", "bearer provider-secret"),
        calls: &[
            Call { path: "/v1/rerank", key: "authorization: Bearer KEY", arrives: "/v1/rerank" },
            Call { path: "/v2/rerank", key: "authorization: bearer KEY", arrives: "/v2/rerank" },
            Call { path: "/cohere/v2/chat", key: "authorization: Bearer KEY", arrives: "/v2/chat" },
        ],
    },
    Provider {
        file: "gemini.yaml",
        host: "generativelanguage.googleapis.com",
        credential: ("x-goog-api-key", "provider-secret"),
        calls: &[
            Call {
                path: "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
                key: "x-goog-api-key: KEY",
                arrives: "/v1beta/models/gemini-2.5-flash:generateContent",
            },
            Call {
                path: "/gemini/v1beta/models/g:streamGenerateContent?alt=sse&key=KEY&a=1",
                key: "accept: */*",
                arrives: "/v1beta/models/g:streamGenerateContent?alt=sse&a=1",
            },
        ],
    },
    Provider {
        file: "langfuse.yaml",
        host: "us.cloud.langfuse.com",
        // basic("provider-secret", "provider-secret")
        credential: ("authorization", "Basic cHJvdmlkZXItc2VjcmV0OnByb3ZpZGVyLXNlY3JldA=="),
        calls: &[
            Call {
                path: "/langfuse/api/public/ingestion",
                key: "authorization: PAIR",
                arrives: "/api/public/ingestion",
            },
            Call {
                path: "/langfuse/api/public/otel/v1/traces",
                key: "authorization: PAIR",
                arrives: "/api/public/otel/v1/traces",
            },
        ],
    },
    Provider {
        file: "openai.yaml",
        host: "api.openai.com",
        credential: ("authorization", "Bearer provider-secret"),
        calls: &[
            Call {
                path: "/openai/chat/completions",
                key: "authorization: Bearer KEY",
                arrives: "/v1/chat/completions",
            },
            Call { path: "/openai/files?after=a%2Fb", key: "api-key: KEY", arrives: "/v1/files?after=a%2Fb" },
        ],
    },
    Provider {
        file: "vllm.yaml",
        host: "vllm.internal:8000",
        credential: ("authorization", "Bearer provider-secret"),
        calls: &[Call {
            path: "/vllm/chat/completions",
            key: "authorization: Bearer KEY",
            arrives: "/v1/chat/completions",
        }],
    },
];

/// Two events, so that the answer streams.
fn events(_: &Seen) -> Answer {
    let pieces = vec!["data: one\n\n".into(), "data: two\n\n".into()];
    Answer { status: 200, content_type: "text/event-stream", pieces }
}

/// The shipped file with the fake in the place of the provider, and every variable of the examples set.
fn start(provider: &Provider, origin: &Origin, authority: &Authority, folder: &Folder) -> Serving {
    let shipped = Path::new(ROOT).join("conf/providers").join(provider.file);
    let ca = folder.0.join("ca.pem");
    fs::write(&ca, authority.pem()).expect("the certificate");
    let name = provider.host.split(':').next().unwrap_or_default();
    let own =
        format!("tollgate:\n  ca_file: {:?}\n  resolve: {{ {name:?}: \"{}\" }}\n", ca.display(), origin.address());
    let text = fs::read_to_string(&shipped).expect("the file is shipped") + &own;
    let example = fs::read_to_string(Path::new(ROOT).join("conf/example.env")).expect("the examples");
    let names = example.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let variables: Vec<(&str, &str)> =
        names.map(|(name, _)| (name, if name == "TOLLGATE_MASTER_KEY" { KEY } else { "provider-secret" })).collect();
    Serving::tollgate(&text, &variables)
}

fn walk(provider: &Provider, origin: &Origin, tollgate: &Serving) {
    for call in provider.calls {
        let context = format!("{}: {}", provider.file, call.path);
        let (path, key) = (call.path.replace("KEY", KEY), call.key.replace("KEY", KEY).replace("PAIR", PAIR));
        let before = origin.requests().len();
        let refused = post(tollgate.host(), &call.path.replace("&key=KEY", ""), &["accept: */*"], BODY);
        assert_eq!((refused.status, origin.requests().len()), (401, before), "{context}");

        let reply = post(tollgate.host(), &path, &[&key, "content-type: application/json", "x-mine: a"], BODY);
        assert_eq!(reply.status, 200, "{context}: {reply:?}");
        assert_eq!(String::from_utf8_lossy(&reply.message.body), "data: one\n\ndata: two\n\n", "{context}");
        let requests = origin.requests();
        assert_eq!(requests.len(), before + 1, "{context}");
        let seen = requests.last().expect("a request");
        assert_eq!(seen.path, call.arrives, "{context}");
        assert_eq!(seen.hosts, [provider.host], "{context}");
        let (name, value) = provider.credential;
        assert_eq!(seen.values(name), [value], "{context}");
        for other in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
            assert!(other == name || seen.values(other).is_empty(), "{context}: {other}");
        }
        assert_eq!(String::from_utf8_lossy(&seen.body), BODY, "{context}");
    }
    for secret in [KEY, PAIR.trim_start_matches("Basic ")] {
        assert!(!origin.has_seen(secret), "{}: the caller's key left", provider.file);
        assert!(!tollgate.printed().contains(secret), "{}: the caller's key was logged", provider.file);
    }
    assert!(!tollgate.printed().contains("provider-secret"), "{}: the secret was logged", provider.file);
}

#[test]
fn every_provider_is_asked_as_its_page_says() {
    for provider in PROVIDERS {
        let protocols: &[Option<Protocol>] = match provider.host.contains(':') {
            true => &[None],
            false => &[Some(Protocol::Http1), Some(Protocol::Http2)],
        };
        for protocol in protocols {
            let (authority, folder) = (Authority::new(), Folder::new());
            let origin = match protocol {
                Some(protocol) => Origin::start(authority.server(provider.host, Validity::Now, *protocol), events),
                None => Origin::plain(events),
            };
            let tollgate = start(provider, &origin, &authority, &folder);
            walk(provider, &origin, &tollgate);
            let hellos = origin.hellos();
            assert_eq!(hellos.is_empty(), protocol.is_none(), "{}", provider.file);
            assert!(hellos.iter().all(|hello| hello.sni.as_deref() == Some(provider.host)), "{hellos:?}");
            // Each route that the start announces has been asked.
            let printed = tollgate.printed();
            let announced: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("  key   ")).collect();
            assert!(!announced.is_empty(), "{printed}");
            for line in announced {
                let path = line.trim_end_matches("/*");
                assert!(provider.calls.iter().any(|call| call.path.starts_with(path)), "{}: {line}", provider.file);
            }
            assert!(!printed.contains("  open  "), "{}: an open route", provider.file);
        }
    }
}

#[test]
fn every_shipped_provider_is_walked_and_has_its_page() {
    let names = |folder: &str, ending: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(Path::new(ROOT).join(folder)).expect("the folder is there");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().trim_end_matches(ending).to_owned();
        entries.map(|entry| name(entry.expect("an entry"))).collect()
    };
    let walked: BTreeSet<String> =
        PROVIDERS.iter().map(|provider| provider.file.trim_end_matches(".yaml").to_owned()).collect();
    assert_eq!(names("conf/providers", ".yaml"), walked);
    assert_eq!(names("docs/providers", ".md"), walked);
    for name in walked {
        let page = fs::read_to_string(Path::new(ROOT).join(format!("docs/providers/{name}.md"))).expect("a page");
        let file = fs::read_to_string(Path::new(ROOT).join(format!("conf/providers/{name}.yaml"))).expect("a file");
        let config: String =
            file.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        assert!(page.contains(&config), "docs/providers/{name}.md shows another file than conf/providers/{name}.yaml");
    }
}
