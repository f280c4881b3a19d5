//! Processes that a bench starts, what they cost, and the directory they write to.
//!
//! Law: whatever was started here ends here, by its own pid, also when the bench fails or panics (`Drop`);
//! nothing else is ever signalled. CPU and memory are those of the whole process tree, from `/proc`.
//!
//! Not here, on purpose: pinning, priorities, cgroups (the machine is taken as it is), and unsafe calls:
//! signals go through `kill` of the shell. A bench that is itself killed by SIGKILL leaves its servers behind.

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A tick of `/proc/PID/stat` in µs. The kernel reports in `USER_HZ`, which is 100 on every Linux that
/// Pingora runs on, whatever the kernel's own tick is.
const TICK_US: f64 = 10_000.0;

/// How long a server may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(3);

/// A directory of this run alone, removed at its end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> io::Result<Scratch> {
        let path = env::temp_dir().join(format!("tollgate-{name}-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Scratch(path))
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.join(name);
        fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}

/// CPU time since the start of a process tree, in µs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn since(self, before: Cpu) -> Cpu {
        Cpu { user: self.user - before.user, system: self.system - before.system }
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

/// A server that runs until this value is dropped.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    begun: Instant,
    /// Its stderr: the only witness when it dies.
    err: PathBuf,
    /// The tree as it was last seen: who is left to end when the root dies first.
    members: HashMap<u32, Stat>,
}

impl Running {
    /// Starts `command` with stdout in `NAME.out` and stderr in `NAME.err` of the scratch directory. Both
    /// are opened for appending, so that a bench may empty them while the server writes.
    pub(crate) fn start(name: &'static str, mut command: Command, scratch: &Scratch) -> Result<Running, String> {
        let open = |kind: &str| {
            let path = scratch.join(&format!("{name}.{kind}"));
            File::options().create(true).append(true).open(path)
        };
        let spawn = |command: &mut Command| -> io::Result<Child> {
            command.stdin(Stdio::null());
            command.stdout(open("out")?).stderr(open("err")?).spawn()
        };
        let begun = Instant::now();
        let child = spawn(&mut command).map_err(|e| format!("cannot start {name}: {e}"))?;
        let err = scratch.join(&format!("{name}.err"));
        let members = HashMap::new();
        Ok(Running { name, child, begun, err, members })
    }

    /// The time since it was started.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// User and system time so far: of every thread, of every process below, and of children that ended
    /// (their time moves to the parent, so the sum never falls).
    pub(crate) fn cpu(&mut self) -> Result<Cpu, String> {
        self.alive()?;
        self.members = tree(self.child.id());
        let mut sum = Cpu::default();
        for stat in self.members.values() {
            sum.user += stat.user;
            sum.system += stat.system;
        }
        Ok(sum)
    }

    /// Resident memory (`VmRSS`) of the whole tree, in KiB. Pages that two of its processes share count twice.
    pub(crate) fn memory(&mut self) -> Result<u64, String> {
        self.pages("VmRSS:")
    }

    /// The most that it ever was (`VmHWM`), in KiB.
    pub(crate) fn peak(&mut self) -> Result<u64, String> {
        self.pages("VmHWM:")
    }

    fn pages(&mut self, name: &str) -> Result<u64, String> {
        self.alive()?;
        self.members = tree(self.child.id());
        let resident = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        };
        let sum: Option<u64> = self.members.keys().map(resident).sum();
        sum.ok_or_else(|| format!("{}: its memory cannot be read", self.name))
    }

    /// An error with its last words if the server is gone.
    pub(crate) fn alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("{} ended ({status}): {}", self.name, self.words())),
            Err(error) => Err(format!("{} cannot be waited for: {error}", self.name)),
        }
    }

    /// Sends its root a signal: the master, where there are workers.
    pub(crate) fn signal(&mut self, name: &str) -> Result<(), String> {
        self.alive()?;
        signal(name, self.child.id());
        Ok(())
    }

    /// The last lines it wrote to stderr.
    pub(crate) fn words(&self) -> String {
        let text = fs::read_to_string(&self.err).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            return "it said nothing on stderr".to_owned();
        }
        lines[lines.len().saturating_sub(5)..].join("\n  ")
    }
}

impl Drop for Running {
    /// TERM first, because a master that is killed outright leaves its workers behind; then KILL, from the
    /// root down so that nobody starts another one, for whoever of the tree is still the same process.
    fn drop(&mut self) {
        let root = self.child.id();
        let mut members = mem::take(&mut self.members);
        if self.alive().is_ok() {
            members.extend(tree(root));
            signal("TERM", root);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.alive().is_ok() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        if self.alive().is_ok() {
            members.extend(tree(root));
            // Errors here and below say that there is nothing left to end, or to reap.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        members.remove(&root);
        for (pid, stat) in members {
            // A pid may have been given to a stranger meanwhile; its start time tells.
            if Stat::read(pid).is_some_and(|now| now.started == stat.started) {
                signal("KILL", pid);
            }
        }
    }
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("sh").args(["-c", r#"kill -s "$0" "$1" 2>/dev/null"#, name, &pid.to_string()]).status();
    if let Err(error) = status {
        eprintln!("cannot send {name} to {pid}: {error}");
    }
}

/// One line of `/proc/PID/stat`, as far as it matters here.
struct Stat {
    parent: u32,
    user: f64,
    system: f64,
    /// Ticks since boot: with the pid the identity of a process.
    started: u64,
}

impl Stat {
    /// `None` when the process is gone, which is no error: a scan of `/proc` is never atomic.
    fn read(pid: u32) -> Option<Stat> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name may hold spaces and parentheses; fields are counted behind its last one.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
        let time = |own, reaped| Some(f64::from(number(own)? + number(reaped)?) * TICK_US);
        Some(Stat {
            parent: number(4)?,
            user: time(14, 16)?,
            system: time(15, 17)?,
            started: fields.get(22 - 3)?.parse().ok()?,
        })
    }
}

/// The process and all below it.
fn tree(root: u32) -> HashMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut strangers: HashMap<u32, Stat> = pids.filter_map(|pid| Some((pid, Stat::read(pid)?))).collect();
    let mut members: HashMap<u32, Stat> = strangers.remove_entry(&root).into_iter().collect();
    loop {
        let found: Vec<u32> =
            strangers.iter().filter(|(_, stat)| members.contains_key(&stat.parent)).map(|(&pid, _)| pid).collect();
        if found.is_empty() {
            return members;
        }
        members.extend(found.into_iter().filter_map(|pid| strangers.remove_entry(&pid)));
    }
}
