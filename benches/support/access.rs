//! Proof that Tollgate ran with its access log on: a line for every request that a client saw answered.
//!
//! Law: too few lines void the run. Lines may come late, and are waited for, a little.
//!
//! Not here, on purpose: what the lines say. The tests read them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::process::Scratch;

/// What was written, and what should have been.
pub(crate) struct AccessLines {
    file: PathBuf,
    written: u64,
    requests: u64,
}

impl AccessLines {
    pub(crate) fn new(scratch: &Scratch) -> AccessLines {
        AccessLines { file: scratch.join("tollgate.out"), written: 0, requests: 0 }
    }

    /// Counts and empties the file between loads, so that it stays small.
    pub(crate) fn collect(&mut self, requests: u64) -> Result<(), String> {
        self.requests += requests;
        let file = &self.file;
        let deadline = Instant::now() + Duration::from_secs(2);
        let written = loop {
            let written = lines(file).map_err(|e| format!("{}: {e}", file.display()))?;
            if self.written + written >= self.requests || Instant::now() > deadline {
                break written;
            }
            thread::sleep(Duration::from_millis(50));
        };
        self.written += written;
        let emptied = File::options().write(true).open(file).and_then(|file| file.set_len(0));
        emptied.map_err(|e| format!("{}: {e}", file.display()))
    }

    pub(crate) fn verdict(&self) -> Result<(), String> {
        let AccessLines { written, requests, .. } = self;
        if written < requests {
            return Err(format!("tollgate wrote {written} access lines for {requests} requests"));
        }
        println!("access lines     {written} for {requests} requests");
        Ok(())
    }
}

fn lines(file: &Path) -> io::Result<u64> {
    let mut file = File::open(file)?;
    let mut buffer = vec![0; 1 << 16];
    let mut count = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(count),
            n => {
                count += buffer[..n].iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
            }
        }
    }
}
