//! Where lines are written to.
//!
//! The law: a line stands whole on its own line, also after a write that failed in the middle. A file is appended to, never cut, and
//! readable by owner and group; opened anew it is the one that stands under the name by then.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::config::log::LogTo;

/// A way out.
pub(super) enum Out {
    /// A stream that was there before us, and whether a line of it is torn.
    Stream(Box<dyn Write + Send>, bool),
    /// A file, and whether its last line is torn.
    File(PathBuf, File, bool),
    /// The journal of systemd, a datagram a line (systemd's "Native Journal Protocol").
    Journal(PathBuf, UnixDatagram),
    /// Nobody asks for the lines.
    Nowhere,
}

/// Why lines were lost, and how many.
type Lost = (io::Error, u64);

impl Out {
    /// The way to `to`.
    pub(super) fn open(to: &LogTo) -> io::Result<Self> {
        Ok(match to {
            LogTo::Stdout => Self::Stream(Box::new(io::stdout()), false),
            LogTo::Nowhere => Self::Nowhere,
            LogTo::File(path) => Self::File(path.clone(), appended(path)?, false),
            LogTo::Journal(socket) => Self::Journal(socket.clone(), UnixDatagram::unbound()?),
        })
    }

    /// Opens a file that was moved away by its name again.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, file, torn) = self {
            *file = appended(path)?;
            *torn = false;
        }
        Ok(())
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Lost> {
        match self {
            Self::Stream(stream, torn) => append(stream, torn, lines),
            Self::File(_, file, torn) => append(file, torn, lines),
            Self::Journal(path, socket) => send(socket, path, lines),
            Self::Nowhere => Ok(()),
        }
    }
}

/// What `to` lacks to be written, for who checks a config; nothing is made.
pub(super) fn check(to: &LogTo) -> io::Result<()> {
    match to {
        LogTo::Stdout | LogTo::Nowhere => Ok(()),
        LogTo::Journal(socket) => UnixDatagram::unbound()?.connect(socket),
        LogTo::File(path) => match appending().open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                std::fs::read_dir(folder).map(drop)
            }
            opened => opened.map(drop),
        },
    }
}

/// A pipe that nobody reads is refused instead of waited for.
fn appending() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options
}

fn appended(path: &Path) -> io::Result<File> {
    let file = appending().create(true).mode(0o640).open(path)?;
    // One that is read slowly is waited for, by the thread that writes it.
    fcntl(file.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

fn append(out: &mut impl Write, torn: &mut bool, lines: &[u8]) -> Result<(), Lost> {
    let mut written = 0;
    let result = (|| {
        if *torn {
            out.write_all(b"\n")?;
            *torn = false;
        }
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            match out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.flush()
    })();
    result.map_err(|error| {
        *torn |= written > 0 && lines.get(written - 1) != Some(&b'\n');
        (error, lines.get(written..).map_or(0, count))
    })
}

fn send(socket: &UnixDatagram, path: &Path, lines: &[u8]) -> Result<(), Lost> {
    let mut lost: Option<Lost> = None;
    let mut entry = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        entry.clear();
        entry.extend_from_slice(b"PRIORITY=6\nSYSLOG_IDENTIFIER=tollgate\nMESSAGE=");
        entry.extend_from_slice(line);
        entry.push(b'\n');
        // The name is looked up each time: the journal may have been started anew.
        if let Err(error) = socket.send_to(&entry, path) {
            lost = Some((error, lost.map_or(1, |(_, count)| count + 1)));
        }
    }
    lost.map_or(Ok(()), Err)
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, and then no more.
    struct Full(Vec<u8>, usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.1);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1 -= count;
            self.0.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_ends_before_the_next_begins() {
        let (mut out, mut torn) = (Full(Vec::new(), 6), false);
        let (_, lost) = append(&mut out, &mut torn, b"one\ntwo\nthree\n").expect_err("full");
        assert_eq!((lost, torn), (2, true));
        assert!(append(&mut out, &mut torn, b"four\n").is_err_and(|(_, lost)| lost == 1));
        out.1 = 100;
        append(&mut out, &mut torn, b"five\n").expect("room");
        assert_eq!(String::from_utf8_lossy(&out.0), "one\ntw\nfive\n");
    }
}
