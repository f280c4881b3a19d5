//! The machine that figures were taken on, how many files it lets us open, and the variables of a run.
//!
//! Law: what the machine does not allow ends a run in words, before anything is measured. A variable that does not
//! parse is refused: a typo must not become a default.
//!
//! Not here, on purpose: anything that needs rights. The soft limit of open files is raised up to the hard one, by
//! this process for itself and the servers it starts, and not beyond.

use std::env;
use std::fmt::Display;
use std::fs;
use std::str::FromStr;
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What the figures were taken on: without it they are worth nothing later.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores, {model}, Linux {}, load {load}", kernel.trim())
}

/// A variable of the environment.
pub(crate) fn setting<T: FromStr>(name: &str, default: T) -> Result<T, String>
where
    T::Err: Display,
{
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(default),
        Err(error) => Err(format!("{name}: {error}")),
        Ok(text) => text.parse().map_err(|e| format!("{name}={text}: {e}")),
    }
}

/// Makes sure that `wanted` files can be open at once, here and in whatever is started from here.
pub(crate) fn open_files(wanted: usize) -> Result<(), String> {
    let wanted = wanted as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| format!("no limit of open files: {e}"))?;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        return Err(format!("{wanted} open files are needed, and at most {hard} are allowed here (ulimit -Hn)"));
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(|e| format!("no {wanted} open files: {e}"))
}
