//! Files that are made from the command line's own description: shell completions and the manual page.

use clap_complete::Shell;

use super::arguments::Arguments;
use super::output::{complain, say};
use super::{BAD_CONFIG, OK};

/// The program's name.
const NAME: &str = "tollgate";

/// Prints the completions for `shell`.
pub(super) fn completions(shell: Shell) -> u8 {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Arguments::description(), NAME, &mut out);
    say(&String::from_utf8_lossy(&out));
    OK
}

/// Prints the manual page.
pub(super) fn man() -> u8 {
    let mut out = Vec::new();
    match clap_mangen::Man::new(Arguments::description()).render(&mut out) {
        Ok(()) => {
            say(&String::from_utf8_lossy(&out));
            OK
        }
        Err(error) => {
            complain(&format!("error: the page cannot be written: {error}\n"));
            BAD_CONFIG
        }
    }
}
