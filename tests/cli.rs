//! What the command line says, word for word.
//!
//! Every text stands in `fixtures/cli`; `UPDATE_GOLDEN=1 cargo test --test cli` rewrites them: read the difference before it
//! is committed. The law: the real binary, in a folder of its own, with the variables of [`VARIABLES`] and no others; what is
//! secret holds the word `canary`, which nothing may print.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The key of the config.
const KEY: &str = "sk-canary-0123456789";
const VARIABLES: &[(&str, &str)] = &[
    ("TOLLGATE_MASTER_KEY", KEY),
    ("COHERE_API_KEY", "co-canary"),
    ("GEMINI_API_KEY", "gm-canary"),
    ("OPENAI_API_KEY", "oa-canary"),
    ("HOOK_PATH", "T0/canary"),
];

/// A folder of one test; it goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a folder");
        fs::copy(fixture("config.yaml"), path.join("config.yaml")).expect("the config");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(arguments).current_dir(&self.0).env_clear().envs(VARIABLES.iter().copied()).stdin(Stdio::null());
        command
    }

    /// Exit code and everything that was printed, stdout first.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let output = self.command(arguments).envs(variables.iter().copied()).output().expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let text = text(&output.stdout) + &text(&output.stderr);
        assert!(!text.contains("canary"), "{arguments:?} prints a secret:\n{text}");
        (output.status.code(), text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cli").join(name)
}

/// Holds `text` against the golden file `name`.
fn golden(name: &str, text: &str) {
    let path = fixture(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).expect("the golden file");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{} is not what was printed:\n{text}", path.display());
}

#[test]
fn the_command_line_explains_itself() {
    let folder = Folder::new();
    let (code, text) = folder.run(&[]);
    assert_eq!(code, Some(2));
    golden("alone.txt", &text);
    let (code, text) = folder.run(&["--help"]);
    assert_eq!(code, Some(0));
    golden("help.txt", &text);
    let (code, text) = folder.run(&["--detailed_debg"]);
    assert_eq!(code, Some(2));
    golden("unknown_flag.txt", &text);
    for version in ["-v", "-V", "--version"] {
        assert_eq!(folder.run(&[version]), (Some(0), format!("tollgate {}\n", env!("CARGO_PKG_VERSION"))));
    }
}

#[test]
fn completions_and_the_page_know_every_command() {
    let folder = Folder::new();
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let (code, text) = folder.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}");
        assert!(!text.contains("api_base"), "{arguments:?} offers what has no effect");
        for word in ["init", "check", "explain", "schema", "completions", "man", "detailed_debug"] {
            assert!(text.replace('\\', "").contains(word), "{arguments:?} does not know {word}");
        }
    }
}

#[test]
fn init_writes_a_config_that_passes_and_never_writes_over_one() {
    let folder = Folder::new();
    let (code, text) = folder.run(&["init", "new.yaml"]);
    assert_eq!(code, Some(0));
    golden("init.txt", &text);
    let (code, text) = folder.run(&["check", "--config", "new.yaml"]);
    assert_eq!((code, text.as_str()), (Some(0), "new.yaml: 1 route, 0 warnings\n"));
    let (code, text) = folder.run(&["explain", "--config", "new.yaml", "GET", "/openai/models"]);
    assert!(code == Some(1) && text.contains("no_key"), "{text}");
    let (code, text) = folder.run(&["init"]);
    assert_eq!(code, Some(1));
    golden("init_refused.txt", &text);
    assert_eq!(folder.run(&["init", "--config", "new.yaml"]).0, Some(1));
    let (code, text) = folder.run(&["init", "-"]);
    assert_eq!(code, Some(0));
    assert_eq!(text, fs::read_to_string(folder.0.join("new.yaml")).expect("the config"));
}

#[test]
fn explain_says_what_would_become_of_a_request() {
    let folder = Folder::new();
    let key = format!("authorization: Bearer {KEY}");
    for (name, code, arguments) in [
        (
            "admitted",
            0,
            &[
                "POST",
                "/v1/rerank?a=1",
                "-H",
                &key,
                "-H",
                "content-type: application/json",
                "-H",
                "X-Tenant: red",
                "-H",
                "cookie: a=b",
                "-H",
                "x-pass-colour: green",
                "-H",
                "connection: x-hop",
                "-H",
                "x-hop: 1",
            ][..],
        ),
        ("forwarded", 0, &["GET", "http://localhost:4000/v1/x/y?api_key=mine&z=1#part", "-H", "cookie: a=b"]),
        ("template", 0, &["POST", "/models/pro:generateContent", "-H", &format!("x-goog-api-key: {KEY}")]),
        ("adapter", 1, &["POST", "/chat", "-H", &key]),
        ("no_key", 1, &["POST", "/v1/rerank"]),
        ("no_route", 1, &["POST", "/v2/rerank"]),
        ("key_in_path", 1, &["POST", &format!("/v1/{KEY}")]),
        ("other_method", 0, &["GET", "/v1/rerank"]),
        ("bad_path", 1, &["GET", "/v1/../x"]),
        ("health", 0, &["GET", "/health/readiness"]),
        ("management", 1, &["POST", "/key/generate"]),
    ] {
        let (ended, text) = folder.run(&[&["explain", "-c", "config.yaml"], arguments].concat());
        assert_eq!(ended, Some(code), "{name}: {text}");
        golden(&format!("explain_{name}.txt"), &text);
    }
    for arguments in
        [&["G T", "/v1"][..], &["GET", "v1"], &["GET", "/a b"], &["GET", "/v1", "-H", "sk-canary"], &["GET"]]
    {
        let (ended, text) = folder.run(&[&["explain", "-c", "config.yaml"], arguments].concat());
        assert_eq!(ended, Some(2), "{arguments:?}: {text}");
    }
}

#[test]
fn variables_and_flags_without_effect_have_one_notice_each() {
    let folder = Folder::new();
    let variables = &[
        ("DATABASE_URL", "postgres://canary"),
        ("REDIS_HOST", "canary"),
        ("REDIS_PASSWORD", "canary"),
        ("SERVER_ROOT_PATH", "/gate"),
    ];
    let arguments = ["check", "-c", "config.yaml", "--telemetry", "False", "--run-gunicorn", "-m", "canary"];
    let (code, text) = folder.run_with(&arguments, variables);
    assert_eq!(code, Some(0));
    golden("notices.txt", &text);
    // What does something else than serve in LiteLLM starts no server here.
    for flag in ["--health", "--setup", "--skip_server_startup", "--validate-config"] {
        let (code, text) = folder.run(&["-c", "config.yaml", flag]);
        assert!(code == Some(0) && text.contains("config.yaml: 4 routes"), "{flag}: {text}");
    }
    let (code, text) = folder.run_with(&["check", "-c", "config.yaml"], &[("SERVER_ROOT_PATH", "/a/../b")]);
    assert_eq!(code, Some(1));
    golden("root_path_refused.txt", &text);
}

#[test]
fn the_variables_of_dotenv_count_and_the_process_s_own_win() {
    let folder = Folder::new();
    folder.write(
        ".env",
        "# ours\nexport CONFIG_FILE_PATH='config.yaml'\nCOHERE_API_KEY=\"\"\nOF_DOTENV=canary\nPORT=70000\n",
    );
    let (code, text) = folder.run(&["check"]);
    assert!(code == Some(2) && text.starts_with("error: $PORT: "), "{text}");
    // COHERE_API_KEY is empty in the file and set in the process.
    assert_eq!(folder.run_with(&["check"], &[("PORT", "0")]).0, Some(0));
    folder.write("more.yaml", "include: [config.yaml]\ngeneral_settings: {pass_through_endpoints: [{path: /e, target: 'https://e.test', auth: true, headers: {x: os.environ/OF_DOTENV}}]}\n");
    assert_eq!(folder.run_with(&["check", "-c", "more.yaml"], &[("PORT", "0")]).0, Some(0));
    folder.write(".env", "A=1\nB='canary\n");
    let (code, text) = folder.run(&["check", "-c", "config.yaml"]);
    assert_eq!((code, text.as_str()), (Some(1), "error: .env:2: the quote is not closed on its line\n"));
}

#[test]
fn relative_paths_count_from_the_config_file() {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("etc")).expect("a folder");
    folder.write("etc/secret", "canary\n");
    folder.write("etc/ca.pem", "no certificate");
    folder.write("etc/more.yaml", "general_settings: {pass_through_endpoints: [{path: /a, target: 'https://a.test', auth: false, headers: {x: file:secret}}]}\n");
    folder.write("etc/main.yaml", "include: [more.yaml]\n");
    let (code, text) = folder.run(&["check", "-c", "etc/main.yaml"]);
    assert_eq!((code, text.as_str()), (Some(0), "etc/main.yaml: 1 route, 0 warnings\n"));
    folder.write("etc/main.yaml", "include: [more.yaml]\ntollgate: {ca_file: ca.pem}\n");
    let (code, text) = folder.run(&["check", "-c", "etc/main.yaml"]);
    // It was read: what is wrong is what stands in it.
    assert!(code == Some(1) && !text.contains("cannot be read"), "{text}");
}

/// A serving binary; it ends when this is dropped.
struct Serving {
    child: Child,
    /// What the start printed, with PORT for the port.
    started: String,
    port: u16,
}

impl Serving {
    fn start(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command =
            folder.command(&[&["-c", "config.yaml", "--port", "0", "--host", "127.0.0.1"], arguments].concat());
        let spawned = command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawned.expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let mut started = String::new();
        // `try:` is the last line of a start.
        while !started.lines().any(|line| line.starts_with("try: ")) {
            started += &(lines.next().expect("a line").expect("text") + "\n");
        }
        // Read on, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let port = started.split("listening on http://127.0.0.1:").nth(1).and_then(|rest| rest.lines().next());
        let port: u16 = port.and_then(|port| port.parse().ok()).expect("a port");
        let started = started.replace(&format!(":{port}"), ":PORT");
        let beside = started.split("metrics on http://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
        let beside = beside.expect("an admin listener").to_owned();
        let started = started.replace(&format!(":{beside}/metrics"), ":ADMIN_PORT/metrics");
        Self { child, started, port }
    }

    /// Status and body of the answer to `request`, which is a start line and fields.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        write!(stream, "{request}\r\nHost: x\r\nConnection: close\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        format!("{}\n{body}\n", head.lines().next().unwrap_or_default())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_start_says_what_is_served_and_refusals_say_what_to_do() {
    let folder = Folder::new();
    let serving = Serving::start(&folder, &[], &[]);
    golden("start.txt", &serving.started);
    let mut answers = String::new();
    for request in ["POST /v2/rerank HTTP/1.1", "POST /v1/rerank HTTP/1.1", "POST /key/generate HTTP/1.1"] {
        answers += &format!("{request}\n{}\n", serving.ask(request));
    }
    golden("refusals.txt", &answers);
}

#[test]
fn a_root_path_is_served_below_its_prefix_and_without_it() {
    let folder = Folder::new();
    let serving = Serving::start(&folder, &[], &[("SERVER_ROOT_PATH", "/gate")]);
    for path in ["/gate/livez", "/livez"] {
        assert_eq!(serving.ask(&format!("GET {path} HTTP/1.1")), "HTTP/1.1 200 OK\n\"I'm alive!\"\n", "{path}");
    }
    assert!(serving.ask("POST /gate/v1/rerank HTTP/1.1").starts_with("HTTP/1.1 401 "));
    assert!(serving.ask("POST /gates/v2 HTTP/1.1").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_port_alone_moves_the_addresses_of_the_file() {
    let folder = Folder::new();
    folder.write("config.yaml", "tollgate: {listen: ['127.0.0.2:4000', '127.0.0.1:4000', '127.0.0.1:4001']}\n");
    let mut command = folder.command(&["-c", "config.yaml"]);
    let mut child = command.env("PORT", "0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let listening: Vec<String> = lines
        .map(|line| line.expect("text"))
        .take_while(|line| !line.starts_with("store"))
        .filter_map(|line| line.strip_prefix("listening on http://").map(str::to_owned))
        .collect();
    child.kill().and_then(|()| child.wait()).expect("ended");
    let hosts: Vec<_> = listening.iter().filter_map(|address| address.split(':').next()).collect();
    assert_eq!(hosts, ["127.0.0.2", "127.0.0.1"], "{listening:?}");
}

#[test]
fn translate_says_what_an_adapter_makes_of_stdin() {
    let folder = Folder::new();
    let request = r#"{"model":"m","max_tokens":5,"top_k":3,"messages":[{"role":"user","content":"hi"}],"colour":1}"#;
    let answer = r#"{"id":"c1","choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#;
    let stream = "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    folder.write("request.json", request);
    for (direction, input, more, code, expected) in [
        ("request", request, &[][..], 0, &["\"role\": \"user\"", "\"max_tokens\": 5", "left out: colour"][..]),
        ("request", r#"{"model":"m"}"#, &[], 1, &["error: 400: max_tokens"]),
        ("response", answer, &[], 0, &["\"text\": \"hello\"", "\"stop_reason\": \"end_turn\""]),
        ("response", answer, &["--request", "request.json"], 0, &["\"model\": \"m\""]),
        ("response", "<html>", &[], 1, &["error: 502"]),
        (
            "stream",
            stream,
            &["--request", "request.json"],
            0,
            &["event: message_start", "\"hello\"", "event: message_stop"],
        ),
        ("stream", "data: {\n\n", &[], 0, &["event: error"]),
        ("stream", "", &["--adapter", "none"], 2, &["there is no adapter `none`; there are: anthropic"]),
    ] {
        folder.write("stdin", input);
        let arguments = [&["translate", "--direction", direction], more].concat();
        let stdin = fs::File::open(folder.0.join("stdin")).expect("stdin");
        let output = folder.command(&arguments).stdin(stdin).output().expect("the binary runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        for word in expected {
            assert!(text.contains(word), "{arguments:?} has no {word}: {text}");
        }
    }
}
