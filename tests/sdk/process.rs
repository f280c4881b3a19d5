//! The processes of a test: Tollgate, the sample upstream, a script on an SDK. Each has a port that the system picked,
//! an environment of its own, and ends when its value is dropped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes so long; what does is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// A script of SDK calls.
const SCRIPT_PATIENCE: Duration = Duration::from_secs(180);

/// The repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Variables of a process.
pub type Variables<'a> = &'a [(&'a str, &'a str)];

/// A process that serves.
pub struct Serving {
    child: Child,
    url: String,
    log: Arc<Log>,
    // Its files go with it.
    folder: Option<Folder>,
}

impl Serving {
    /// Tollgate with the config `config`, in the tutorials' debug mode.
    pub fn tollgate(config: &str, variables: Variables<'_>) -> Self {
        let folder = Folder::new();
        let file = folder.0.join("config.yaml");
        fs::write(&file, config).expect("the config can be written");
        let mut serving = Self::tollgate_on(&file, variables);
        serving.folder = Some(folder);
        serving
    }

    /// Tollgate with the config file `file`.
    pub fn tollgate_on(file: &Path, variables: Variables<'_>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["--host", "127.0.0.1", "--port", "0", "--detailed_debug", "--config"]).arg(file);
        Self::start(command, variables, "listening on http://")
    }

    /// The sample upstream of examples/.
    pub fn upstream(secret: &str) -> Self {
        let path = Path::new(env!("CARGO_BIN_EXE_tollgate")).with_file_name("examples").join("upstream");
        assert!(path.exists(), "the sample upstream is not built: run cargo build --example upstream");
        Self::start(Command::new(path), &[("UPSTREAM_SECRET", secret)], "upstream listening on http://")
    }

    /// LiteLLM with the config `config`, as its makers ship it.
    pub fn litellm(config: &str) -> Self {
        let folder = Folder::new();
        let file = folder.0.join("config.yaml");
        fs::write(&file, config).expect("the config can be written");
        let mut command = Command::new(Venv::LiteLlm.python().with_file_name("litellm"));
        command.args(["--host", "127.0.0.1", "--port", "0", "--config"]).arg(&file).current_dir(&folder.0);
        let home = folder.0.display().to_string();
        // Prices come with the package: without this it would ask the internet for newer ones.
        let variables = [("HOME", home.as_str()), ("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("PATH", "/usr/bin:/bin")];
        let mut serving = Self::start(command, &variables, "INFO:     Uvicorn running on http://");
        serving.folder = Some(folder);
        serving
    }

    fn start(mut command: Command, variables: Variables<'_>, mark: &'static str) -> Self {
        command.env_clear().envs(variables.iter().copied());
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::<Log>::default();
        let (send, ready) = mpsc::channel();
        let (out, err) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
        for pipe in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
            let send = send.clone();
            follow(pipe, log.clone(), move |line| {
                let told = line.and_then(|line| line.strip_prefix(mark)?.split_whitespace().next());
                if let Some(address) = told {
                    let _ = send.send(format!("http://{address}"));
                }
            });
        }
        // From here on a panic ends the process, and prints what it said.
        let mut serving = Self { child, url: String::new(), log, folder: None };
        // Both ways of saying so are closed when it has ended.
        drop(send);
        serving.url = ready.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{command:?} does not serve"));
        serving
    }

    /// Where it serves, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same without `http://`.
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Its port.
    pub fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap_or_default()
    }

    /// Waits until it has printed a line that has all of `parts`.
    pub fn await_line(&self, parts: &[&str]) {
        let wanted = |text: &str| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        let text = self.log.text.lock().expect("the log");
        let waited = self.log.grown.wait_timeout_while(text, PATIENCE, |text| !wanted(text));
        let (text, outcome) = waited.expect("the log");
        drop(text);
        assert!(!outcome.timed_out(), "no line with {parts:?} was logged");
    }

    /// Everything that it has printed so far.
    pub fn printed(&self) -> String {
        self.log.text.lock().expect("the log").clone()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            // Shown by the test runner with the failure.
            println!("--- printed by the process on {:?}\n{}---", self.url, self.printed());
        }
    }
}

/// What a process printed, both ways.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

/// Puts what comes through `pipe` into `log`; `each` gets every line, and None at the end.
fn follow(pipe: impl Read + Send + 'static, log: Arc<Log>, mut each: impl FnMut(Option<&str>) + Send + 'static) {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line);
            log.text.lock().expect("the log").push_str(&text);
            log.grown.notify_all();
            each(Some(&text));
            line.clear();
        }
        each(None);
    });
}

/// The virtual environments that `make venv` makes.
#[derive(Clone, Copy, Debug)]
pub enum Venv {
    /// Current SDKs.
    Sdk,
    /// Langfuse 2.x.
    Langfuse2,
    /// LiteLLM's own proxy.
    LiteLlm,
}

impl Venv {
    fn python(self) -> PathBuf {
        let name = match self {
            Self::Sdk => "sdk",
            Self::Langfuse2 => "langfuse2",
            Self::LiteLlm => "litellm",
        };
        let folder = Path::new(ROOT).join("target/venv");
        let python = folder.join(name).join("bin/python");
        let whole = python.exists() && folder.join(format!("{name}.stamp")).exists();
        assert!(whole, "the SDKs of target/venv/{name} are not installed: run make venv");
        python
    }
}

/// Runs `tests/sdk/SCRIPT` and returns what it printed; fails where the script does.
pub fn script(venv: Venv, script: &str, variables: Variables<'_>) -> String {
    run(&venv.python(), &Path::new(ROOT).join("tests/sdk").join(script), variables)
}

/// The same of `tests/sdk/node/SCRIPT`, by what `make venv` has installed for Node.
pub fn node_script(script: &str, variables: Variables<'_>) -> String {
    let folder = Path::new(ROOT).join("target/venv");
    let whole = folder.join("node/node_modules").exists() && folder.join("node.stamp").exists();
    assert!(whole, "the SDKs of target/venv/node are not installed: run make venv");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let node = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.exists());
    run(
        &node.expect("there is no node in PATH: run scripts/setup.sh test"),
        &folder.join("node").join(script),
        variables,
    )
}

fn run(interpreter: &Path, path: &Path, variables: Variables<'_>) -> String {
    let folder = Folder::new();
    let script = path.file_name().unwrap_or_default().to_string_lossy();
    let mut command = Command::new(interpreter);
    command.arg(path).current_dir(&folder.0);
    // No setting of the person at the machine, such as a proxy or a key, may have a say.
    command.env_clear().env("HOME", &folder.0).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    command.envs(&variables).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut running = Running(child);
    let log = Arc::<Log>::default();
    let (end, ended) = mpsc::channel();
    let (out, err) = (running.0.stdout.take().expect("stdout"), running.0.stderr.take().expect("stderr"));
    let last = end.clone();
    let tell = |end: mpsc::Sender<()>| {
        move |line: Option<&str>| {
            if line.is_none() {
                let _ = end.send(());
            }
        }
    };
    follow(out, log.clone(), tell(end));
    follow(err, log.clone(), tell(last));
    let started = Instant::now();
    let printed = || log.text.lock().expect("the log").clone();
    for _pipe in ["stdout", "stderr"] {
        ended.recv_timeout(SCRIPT_PATIENCE).unwrap_or_else(|_| panic!("{script} hangs after\n{}", printed()));
    }
    let status = running.0.wait().expect("an exit status");
    assert!(status.success(), "{script}: {status}\n{}", printed());
    println!("--- {script}, {:.1} s\n{}", started.elapsed().as_secs_f32(), printed());
    printed()
}

/// A script; it ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An empty folder of one test; it goes when this is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    /// A new one.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sdk-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
