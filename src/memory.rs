//! What the process holds, and what the machine allows it: memory and files.
//!
//! The law: what cannot be read is unknown, never 0. It measures; it decides nothing.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};

/// The share of a container's memory above which requests are refused, in percent.
const SHARE: u64 = 90;
/// The most connections that are held unless somebody says otherwise.
const MOST_CONNECTIONS: usize = 20_000;
/// Files that are not connections: the log, listeners, the resolver's.
const OTHER_FILES: u64 = 64;

/// Bytes of memory in use (`VmRSS`).
pub fn held() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Bytes of memory that a container allows, less a reserve. None: there is no limit, or none that can be read.
pub fn allowed() -> Option<u64> {
    let limit = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|path| fs::read_to_string(path).ok())?;
    // No limit is `max`, or in the first version a number that no machine has.
    limit.trim().parse::<u64>().ok().filter(|limit| *limit < 1 << 50).map(|limit| limit / 100 * SHARE)
}

/// How many connections the files that the process may open suffice for: each may need one to its upstream.
pub fn connections() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(usize::MAX).clamp(16, MOST_CONNECTIONS)
}
