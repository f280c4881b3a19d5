//! The binary under test, started on a config in a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::wait_until;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// The master key of every config that has one.
pub const KEY: &str = "sk-gate-0123456789abcdef";
/// The provider's secret of every config that has one; in the environment as `PROVIDER_KEY`.
pub const SECRET: &str = "provider-secret-xyz";

/// A running Tollgate.
pub struct Gate {
    /// Its port on both loopback addresses.
    pub port: u16,
    /// Its process.
    pub child: Child,
    log: Arc<Mutex<String>>,
    folder: PathBuf,
}

/// A folder for one test's files; removed with the gate.
pub fn folder() -> PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let folder = std::env::temp_dir().join(format!("tollgate-test-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("folder");
    folder
}

/// The command line of the binary, with a clean environment.
pub fn command() -> Command {
    command_through(&[])
}

/// The same, started by `wrapper`: a program that becomes the one that is named after it.
pub fn command_through(wrapper: &[&str]) -> Command {
    let words = [wrapper, &[env!("CARGO_BIN_EXE_tollgate")]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    prepare(&mut command);
    if !wrapper.is_empty() {
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    }
    command
}

/// The command line of a program of `examples/`, with the same environment.
pub fn example(name: &str) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_tollgate")).with_file_name("examples").join(name);
    assert!(path.exists(), "{name} is not built: run cargo build --example {name}");
    let mut command = Command::new(path);
    prepare(&mut command);
    command
}

fn prepare(command: &mut Command) {
    command.env_clear().env("PROVIDER_KEY", SECRET).stdin(Stdio::null());
}

impl Gate {
    /// Starts on `config`, a whole file.
    pub fn start(config: &str) -> Self {
        Self::with(config, &[], &[])
    }

    /// Starts on a file with a master key and the given entries of `pass_through_endpoints` (flow style, one a line).
    pub fn routes(entries: &[String]) -> Self {
        Self::start(&routes(entries, ""))
    }

    /// Starts with further arguments and variables, on ports that the system picks.
    pub fn with(config: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(config, &[&["--port", "0"], arguments].concat(), variables, folder())
    }

    /// Starts on a file that says itself where to listen, which is on ports that the system picks.
    pub fn bare(config: &str) -> Self {
        Self::spawn(config, &[], &[], folder())
    }

    /// Starts in `folder`, which may hold further files.
    pub fn spawn(config: &str, arguments: &[&str], variables: &[(&str, &str)], folder: PathBuf) -> Self {
        let mut command = command();
        command.env("STATE_DIRECTORY", folder.join("state")).args(arguments).envs(variables.iter().copied());
        Self::launch(config, command, folder)
    }

    /// Starts with `command`, whose last program is the binary and which knows nothing of `config` yet.
    pub fn launch(config: &str, mut command: Command, folder: PathBuf) -> Self {
        let file = folder.join("config.yaml");
        fs::write(&file, config).expect("config");
        command.arg("--config").arg(&file);
        Self::launch_as(command, folder)
    }

    /// Starts with `command`, which knows its config.
    pub fn launch_as(mut command: Command, folder: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        gather(child.stdout.take().expect("stdout"), &log);
        gather(child.stderr.take().expect("stderr"), &log);
        let mut port = None;
        wait_until("the gate listens", || {
            let text = log.lock().expect("lock").clone();
            assert!(child.try_wait().expect("wait").is_none(), "the gate ended: {text}");
            let listens = |line: &str| {
                let (_, rest) = line.split_once("://127.0.0.1:").or_else(|| line.split_once("://0.0.0.0:"))?;
                rest.parse().ok()
            };
            port = text.lines().find_map(listens);
            port.is_some()
        });
        Self { port: port.expect("port"), child, log, folder }
    }

    /// The folder of its files; its state is below, in `state`.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        self.log.lock().expect("lock").clone()
    }

    /// The memory it holds, in KiB (VmRSS).
    pub fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").trim().parse().expect("number")
    }

    /// Sends it the signal `name`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the gate ends", || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        status.expect("status")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A config with a master key, entries of `pass_through_endpoints` and `more` at the top of the file.
pub fn routes(entries: &[String], more: &str) -> String {
    let entries: String = entries.iter().map(|entry| format!("    - {entry}\n")).collect();
    format!("general_settings:\n  master_key: {KEY}\n  pass_through_endpoints:\n{entries}{more}\n")
}

fn gather(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("lock");
            log.push_str(&line);
            log.push('\n');
        }
    });
}
