//! What `tollgate check` says about config files, word for word.
//!
//! `fixtures/config/invalid` holds one class of mistake a file; the `.err` beside it is the whole of stderr. `valid` holds
//! what must be accepted; its `.err`, where there is one, holds the warnings. Both are checked from inside their folder
//! with the variables of [`VARIABLES`] and no others. `UPDATE_EXPECT=1 cargo test --test config` rewrites the `.err` files
//! and the schema: read the difference before it is committed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tollgate::config::{SHAPES, Shape, Standing};

/// The whole environment of a check. What must never be printed holds the word `canary`.
const VARIABLES: &[(&str, &str)] = &[
    ("SET_SECRET", "s3cret-canary"),
    ("EMPTY_VAR", ""),
    ("CRLF_VAR", "a\r\nX-Injected: 1"),
    ("UMLAUT_VAR", "gr\u{fc}n"),
    ("SPACED_VAR", "two canary words"),
    ("UP_HOST", "up.test"),
    ("UP_PORT", "8443"),
    ("QUERY_URL", "https://up.test/x?token=canary"),
    ("COHERE_API_KEY", "cohere-canary"),
    ("LANGFUSE_DEV_PUBLIC_KEY", "pk-lf-canary"),
    ("LANGFUSE_DEV_SK_KEY", "sk-lf-canary"),
    ("OPENAI_API_KEY", "openai-canary"),
];
/// What a message must never hold: values of variables and secret files.
const CANARIES: &[&str] = &["canary", "X-Injected", "gr\u{fc}n"];
/// Shapes whose keys LiteLLM knows and a file may set.
const WALKED: &[&str] =
    &["", "general_settings", "general_settings.pass_through_endpoints[]", "litellm_settings", "router_settings"];
const ENTRY: &str = "general_settings.pass_through_endpoints[]";
const UNKNOWN: &str = "is not a key that is known";

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn lines<'a>(&'a self, kind: &'a str) -> Vec<&'a str> {
        self.stderr.lines().filter(|line| line.starts_with(kind)).collect()
    }
}

/// Runs the binary in `folder` with [`VARIABLES`] and `more`, and sees to it that no secret is printed.
fn tollgate(folder: &Path, arguments: &[&str], more: &[(&str, &str)]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(VARIABLES.iter().chain(more).copied())
        .output()
        .expect("tollgate runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let (code, stdout, stderr) = (output.status.code(), text(output.stdout), text(output.stderr));
    for canary in CANARIES {
        assert!(
            !stdout.contains(canary) && !stderr.contains(canary),
            "{arguments:?} prints a secret:\n{stdout}{stderr}"
        );
    }
    Outcome { code, stdout, stderr }
}

fn check(folder: &Path, name: &str, more: &[(&str, &str)]) -> Outcome {
    tollgate(folder, &["check", "--config", name], more)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fixtures(folder: &str) -> PathBuf {
    root().join("tests/fixtures/config").join(folder)
}

/// The `.yaml` files of `folder`, sorted.
fn yaml_files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    names
}

fn updating() -> bool {
    std::env::var("UPDATE_EXPECT").is_ok_and(|value| value == "1")
}

/// Compares `actual` to the file at `path` (none: empty), or rewrites it. Returns what is wrong.
fn compare(path: &Path, actual: &str) -> Option<String> {
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == actual {
        return None;
    }
    if !updating() {
        return Some(format!("{}\n--- expected\n{expected}--- actual\n{actual}", path.display()));
    }
    if actual.is_empty() {
        std::fs::remove_file(path).expect("removed");
    } else {
        std::fs::write(path, actual).expect("written");
    }
    None
}

fn fail_with(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// A folder of this test's own, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let parent = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = parent.join(format!("config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("created");
        Self(path)
    }

    /// Checks a file of these bytes.
    fn check(&self, bytes: impl AsRef<[u8]>) -> Outcome {
        std::fs::write(self.0.join("t.yaml"), bytes).expect("written");
        check(&self.0, "t.yaml", &[])
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn invalid_files_are_refused_in_these_words() {
    let folder = fixtures("invalid");
    let names = yaml_files(&folder);
    assert!(names.len() >= 45, "{} files", names.len());
    let mut wrong = Vec::new();
    for name in &names {
        let outcome = check(&folder, name, &[]);
        if outcome.code != Some(1) || !outcome.stdout.is_empty() {
            wrong.push(format!("{name}: exit {:?}, {}{}", outcome.code, outcome.stdout, outcome.stderr));
            continue;
        }
        // One line a message, each with its place: nothing of a file may forge or split one.
        let shaped = outcome.stderr.lines().all(|line| {
            line.starts_with("error: ") || line.starts_with("warning: ") || line.starts_with(&format!("{name}: "))
        });
        if !shaped || outcome.stderr.contains(|c: char| c.is_control() && c != '\n') {
            wrong.push(format!("{name}: not one line a message:\n{}", outcome.stderr));
        }
        wrong.extend(compare(&folder.join(name).with_extension("err"), &outcome.stderr));
    }
    fail_with(&wrong);
    let files: HashSet<&str> = names.iter().map(|name| name.trim_end_matches(".yaml")).collect();
    for entry in std::fs::read_dir(&folder).expect("folder") {
        let name = entry.expect("entry").file_name().into_string().expect("name");
        if let Some(stem) = name.strip_suffix(".err") {
            assert!(files.contains(stem), "{name} has no .yaml");
        }
    }
}

#[test]
fn valid_files_are_accepted_with_these_warnings() {
    let folder = fixtures("valid");
    let names = yaml_files(&folder);
    assert!(names.len() >= 15, "{} files", names.len());
    let mut wrong = Vec::new();
    for name in &names {
        let outcome = check(&folder, name, &[("CREDENTIALS_DIRECTORY", "credentials")]);
        if outcome.code != Some(0) {
            wrong.push(format!("{name}: exit {:?}\n{}", outcome.code, outcome.stderr));
            continue;
        }
        wrong.extend(compare(&folder.join(name).with_extension("err"), &outcome.stderr));
    }
    fail_with(&wrong);
}

#[test]
fn shipped_configs_are_clean() {
    let folder = root().join("conf");
    let providers = yaml_files(&folder.join("providers"));
    assert!(providers.len() >= 7, "{providers:?}");
    let mut names = yaml_files(&folder);
    names.extend(providers.into_iter().map(|name| format!("providers/{name}")));
    let example = std::fs::read_to_string(folder.join("example.env")).unwrap_or_default();
    let mut variables = vec![("UPSTREAM_PORT", "4010"), ("UPSTREAM_SECRET", "sample")];
    for line in example.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.trim_start_matches("export ").split_once('=') {
            variables.push((name.trim(), value.trim().trim_matches(['"', '\''])));
        }
    }
    for name in &names {
        let outcome = check(&folder, name, &variables);
        assert_eq!(outcome.code, Some(0), "{name}:\n{}", outcome.stderr);
    }
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    let outcome = tollgate(&root(), &["schema"], &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    serde_json::from_str::<serde_json::Value>(&outcome.stdout).expect("JSON");
    fail_with(&Vec::from_iter(compare(&root().join("conf/config.schema.json"), &outcome.stdout)));
}

/// `section key` a line, as LITELLM.md sections 1.1 to 1.9 list them.
#[test]
fn every_key_of_litellm_is_in_the_table() {
    let text = std::fs::read_to_string(fixtures("litellm_keys.txt")).expect("the list is there");
    let mut missing = Vec::new();
    for line in text.lines() {
        let (section, key) = line.split_once(' ').expect("section and key");
        let shape = SHAPES.iter().find(|shape| shape.path == section);
        if !shape.is_some_and(|shape| shape.fields.iter().any(|field| field.name == key)) {
            missing.push(line.to_owned());
        }
    }
    assert!(text.lines().count() >= 130);
    fail_with(&missing);
}

/// A config that sets the key `name` of `shape` to `value`, and accepts what `accepted` names.
fn config_with(shape: &Shape, name: &str, value: &str, accepted: &str) -> String {
    let mut text = format!("tollgate: {{accept_unsupported: [{accepted}]}}\n");
    let mut entry = String::new();
    match shape.path {
        "" if name == "tollgate" => text = format!("{name}: {value}\n"),
        "" => text += &format!("{name}: {value}\n"),
        ENTRY => entry = format!("      {name}: {value}\n"),
        section => text += &format!("{section}:\n  {name}: {value}\n"),
    }
    for (key, usual) in [("path", "/a"), ("target", "https://up.test/a")] {
        if (shape.path, name) != (ENTRY, key) {
            entry += &format!("      {key}: {usual}\n");
        }
    }
    let endpoints = format!("  pass_through_endpoints:\n    -\n{entry}");
    match (shape.path, name) {
        ("", "general_settings") | ("general_settings", "pass_through_endpoints") => text,
        ("general_settings", _) => text + &endpoints,
        _ => text + "general_settings:\n" + &endpoints,
    }
}

#[test]
fn every_key_of_the_table_does_what_its_standing_says() {
    let scratch = Scratch::new("table");
    let mut walked = 0;
    for shape in SHAPES.iter().filter(|shape| WALKED.contains(&shape.path)) {
        for field in shape.fields {
            walked += 1;
            let value = match format!("{:?}", field.kind).as_str() {
                "Bool" => "true",
                "List" => "[x]",
                "Map" => "{x: y}",
                "Number" => "5",
                _ => "x",
            };
            let quoted = format!("`{}`", field.name);
            let path = format!("{}.{}: ", shape.path.replace("[]", "[0]"), field.name);
            let path = path.trim_start_matches('.');
            let text = config_with(shape, field.name, value, "");
            let outcome = scratch.check(&text);
            let context = format!("{}.{}\n{text}{}", shape.path, field.name, outcome.stderr);
            let about = |outcome: &Outcome, kind: &str| {
                outcome.lines(kind).iter().filter(|line| line.contains(path) && line.contains(&quoted)).count()
            };
            match field.standing {
                Standing::Honoured => {
                    assert!(!outcome.stderr.contains(&format!("{quoted} {UNKNOWN}")), "{context}");
                    assert!(!outcome.stderr.contains("has no effect"), "{context}");
                }
                Standing::Harmless => {
                    assert_eq!((outcome.code, outcome.lines("warning: ").len()), (Some(0), 1), "{context}");
                    assert_eq!(about(&outcome, "warning: "), 1, "{context}");
                    assert!(outcome.stderr.contains(field.doc), "{context}");
                }
                Standing::Protective => {
                    assert_eq!((outcome.code, outcome.lines("error: ").len()), (Some(1), 1), "{context}");
                    assert_eq!(about(&outcome, "error: "), 1, "{context}");
                    assert!(outcome.stderr.contains("tollgate.accept_unsupported"), "{context}");
                    let dotted = format!("\"{}.{}\"", shape.path, field.name);
                    for accepted in [field.name, dotted.replace("\".", "\"").as_str()] {
                        let outcome = scratch.check(config_with(shape, field.name, value, accepted));
                        assert_eq!((outcome.code, about(&outcome, "warning: ")), (Some(0), 1), "{accepted}: {context}");
                    }
                    let other = scratch.check(config_with(shape, field.name, value, "another_key"));
                    assert_eq!(other.code, Some(1), "{context}");
                }
            }
        }
    }
    assert!(walked >= 120, "{walked}");
}

#[test]
fn an_unknown_key_is_told_from_every_known_one() {
    let scratch = Scratch::new("unknown");
    for shape in SHAPES.iter().filter(|shape| WALKED.contains(&shape.path)) {
        let outcome = scratch.check(config_with(shape, "qqqqqq", "1", ""));
        let kind = if shape.closed { "error: " } else { "warning: " };
        assert_eq!(outcome.code, Some(i32::from(shape.closed)), "{}", outcome.stderr);
        assert!(outcome.lines(kind).iter().any(|line| line.contains(UNKNOWN)), "{}", outcome.stderr);
    }
}

#[test]
fn ten_thousand_mixed_routes_load() {
    let scratch = Scratch::new("many");
    let mut text = String::from("general_settings:\n  master_key: os.environ/SET_SECRET\n  pass_through_endpoints:\n");
    for index in 0..10_000 {
        let path = match index % 5 {
            0 => format!("/exact/{index}"),
            1 => format!("/shared/prefix/of/many/{index}"),
            2 => format!("/t{index}/{{id}}/status"),
            3 => format!("/models/{{model}}:verb{index}"),
            _ => format!("/below{}/x", "/y".repeat(index % 7) + &index.to_string()),
        };
        text += &format!("    - path: \"{path}\"\n      target: https://up{}.test/{index}\n", index % 11);
        text += &format!("      auth: {}\n      include_subpath: {}\n", index % 2 == 0, index % 5 == 4);
        text += "      headers:\n        Authorization: bearer os.environ/SET_SECRET\n";
    }
    let outcome = scratch.check(&text);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.contains("10000 routes"), "{}", outcome.stdout);
}

#[test]
fn hostile_files_are_refused() {
    let scratch = Scratch::new("hostile");
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    let mut merges = String::from("a: &a {k: v}\n");
    for (one, two) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let nine = vec![format!("*{one}"); 9].join(", ");
        bomb += &format!("{two}: &{two} [{nine}]\n");
        merges += &format!("{two}: &{two} {{k{two}: [{nine}], <<: [{nine}]}}\n");
    }
    let seed = std::fs::read(fixtures("valid/seed_rerank.yaml")).expect("seed");
    let quote = seed.iter().rposition(|byte| *byte == b'"').expect("a quoted value");
    let utf16 = |bytes: fn(u16) -> [u8; 2]| "\u{feff}a: b\n".encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    for (name, bytes) in [
        ("alias bomb", bomb.into_bytes()),
        ("merge bomb", merges.into_bytes()),
        ("an alias of itself", b"a: &a [*a]\n".to_vec()),
        ("a million nodes", "- x\n".repeat(1_000_000).into_bytes()),
        ("more than 16 MiB", format!("x: \"{}\"\n", "a".repeat(16 << 20)).into_bytes()),
        ("deep brackets", "[".repeat(100_000).into_bytes()),
        ("deep braces", "{".repeat(100_000).into_bytes()),
        ("deep lists", "- ".repeat(100_000).into_bytes()),
        ("deep keys", "? ".repeat(100_000).into_bytes()),
        ("deep values", ": ".repeat(100_000).into_bytes()),
        ("NUL", b"general_settings: \"a\0b\"\n".to_vec()),
        ("NULs", vec![0; 4096]),
        ("UTF-16 LE", utf16(u16::to_le_bytes)),
        ("UTF-16 BE", utf16(u16::to_be_bytes)),
        ("Latin-1", b"general_settings: {master_key: gr\xfcn}\n".to_vec()),
        ("half-written", seed[..quote].to_vec()),
        ("a program", b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec()),
    ] {
        let outcome = scratch.check(bytes);
        assert_eq!(outcome.code, Some(1), "{name}: {}", outcome.stderr);
        assert_eq!(outcome.lines("error: t.yaml").len(), 1, "{name}: {}", outcome.stderr);
    }
}

#[test]
fn proxies_of_the_environment_are_named_and_never_shown() {
    const VALUE: &str = "http://user:canary@proxy.test:3128";
    let scratch = Scratch::new("proxies");
    let text = "general_settings: {pass_through_endpoints: [{path: /a, target: 'https://up.test/a'}]}\n";
    std::fs::write(scratch.0.join("t.yaml"), text).expect("written");
    for names in [
        &["HTTPS_PROXY"][..],
        &["https_proxy"],
        &["HTTP_PROXY"],
        &["http_proxy"],
        &["ALL_PROXY"],
        &["all_proxy"],
        &["HTTPS_PROXY", "http_proxy"],
    ] {
        let variables: Vec<_> = names.iter().map(|name| (*name, VALUE)).collect();
        let outcome = check(&scratch.0, "t.yaml", &variables);
        let warnings = outcome.lines("warning: ");
        assert_eq!((outcome.code, warnings.len()), (Some(0), 1), "{}", outcome.stderr);
        assert!(names.iter().all(|name| warnings[0].contains(&format!("`{name}`"))), "{}", outcome.stderr);
        assert!(warnings[0].contains("not honoured") && !outcome.stderr.contains("proxy.test"), "{}", outcome.stderr);
    }
    for silent in [("NO_PROXY", "up.test"), ("HTTPS_PROXY", ""), ("PROXY", VALUE)] {
        assert_eq!(check(&scratch.0, "t.yaml", &[silent]).stderr, "", "{silent:?}");
    }
}

#[test]
fn a_config_that_is_no_file_is_refused() {
    let scratch = Scratch::new("no-file");
    std::fs::create_dir_all(scratch.0.join("folder.yaml")).expect("created");
    for name in ["absent.yaml", "folder.yaml"] {
        let outcome = check(&scratch.0, name, &[]);
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stderr.starts_with(&format!("error: {name}: `{name}` cannot be read: ")), "{}", outcome.stderr);
    }
}
