//! Files that are made from the command line's own description: shell completions and the manual page.

use std::io::{self, Write};

use clap_complete::Shell;
use clap_mangen::Man;

use super::arguments::{Arguments, EXAMPLES, PRECEDENCE};
use super::output::{complain, say};
use super::{BAD_CONFIG, OK};

/// The program's name.
const NAME: &str = "tollgate";

/// Prints the completions for `shell`.
pub(super) fn completions(shell: Shell) -> u8 {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Arguments::advertised(), NAME, &mut out);
    say(&String::from_utf8_lossy(&out));
    OK
}

/// Prints the manual page: one for all commands, which clap would give a page each.
pub(super) fn man() -> u8 {
    match page() {
        Ok(page) => {
            say(&String::from_utf8_lossy(&page));
            OK
        }
        Err(error) => {
            complain(&format!("error: the page cannot be written: {error}\n"));
            BAD_CONFIG
        }
    }
}

fn page() -> io::Result<Vec<u8>> {
    let description = Arguments::advertised();
    let man = Man::new(description.clone());
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    writeln!(out, ".SH COMMANDS")?;
    for command in description.get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let mut line = format!("tollgate {}", command.get_name());
        for value in command.get_positionals() {
            let name = value.get_id().as_str().to_uppercase();
            line += &if value.is_required_set() { format!(" {name}") } else { format!(" [{name}]") };
        }
        writeln!(out, ".TP\n\\fB{}\\fR\n{}", roff(&line), roff(&about))?;
    }
    man.render_options_section(&mut out)?;
    writeln!(out, ".SH EXAMPLES\n.nf\n{}.fi\n.SH ENVIRONMENT\n{}", roff(EXAMPLES), roff(PRECEDENCE))?;
    Ok(out)
}

/// Text in which roff finds nothing to obey.
fn roff(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with(['.', '\'']) {
            out += "\\&";
        }
        out += &line.replace('\\', "\\e").replace('-', "\\-");
    }
    out
}
