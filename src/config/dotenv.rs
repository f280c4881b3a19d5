//! `.env`: lines of `NAME=VALUE` beside the process's own variables.
//!
//! The law: a line is blank, a comment, or `NAME=VALUE` with or without `export`; a value is bare (up to ` #`), in single
//! quotes (as it is) or in double quotes (`\n`, `\r`, `\t`, `\\`, `\"`, `\$`). Anything else is an error that names the line
//! and never the value: nothing is guessed at, since what a slip would lose is a secret. Nothing is expanded.

use std::collections::HashMap;
use std::fmt;

use crate::config::env::is_variable_name;
use crate::secret::Secret;

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// Reads a whole file; of two lines with one name the later counts.
pub fn parse(text: &str) -> Result<HashMap<String, Secret>, LineError> {
    let mut out = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let fault = |what| LineError { line: index + 1, what };
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(|| fault("there is no `=`; write NAME=VALUE"))?;
        if !is_variable_name(name.trim()) {
            return Err(fault("this is no name; use letters, digits and underscores"));
        }
        out.insert(name.trim().to_owned(), Secret::new(read(value.trim()).map_err(fault)?));
    }
    Ok(out)
}

fn read(value: &str) -> Result<String, &'static str> {
    let (text, after) = match value.chars().next() {
        Some('\'') => {
            let inside = value.get(1..).unwrap_or_default();
            let (text, after) = inside.split_once('\'').ok_or("the quote is not closed on its line")?;
            (text.to_owned(), after)
        }
        Some('"') => double(value.get(1..).unwrap_or_default())?,
        _ => {
            let end = [" #", "\t#"].iter().filter_map(|mark| value.find(mark)).min().unwrap_or(value.len());
            (value.get(..end).unwrap_or_default().trim_end().to_owned(), "")
        }
    };
    let after = after.trim_start();
    if !after.is_empty() && !after.starts_with('#') {
        return Err("something stands after the closing quote");
    }
    if !value.starts_with('\'') && value.contains("${") {
        return Err("`${` is not expanded here; write the value itself, or put it in single quotes");
    }
    Ok(text)
}

/// What stands in double quotes, and what after them.
fn double(inside: &str) -> Result<(String, &str), &'static str> {
    let mut out = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, inside.get(at + 1..).unwrap_or_default())),
            '\\' => out.push(match chars.next().map(|(_, c)| c) {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(c @ ('\\' | '"' | '$')) => c,
                _ => return Err("this escape is not known; write \\n, \\r, \\t, \\\\, \\\" or \\$"),
            }),
            c => out.push(c),
        }
    }
    Err("the quote is not closed on its line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        for (line, value) in [
            ("A=one", "one"),
            ("  export A = one two  # a comment", "one two"),
            ("export\tA=x", "x"),
            ("A=", ""),
            ("A=a#b", "a#b"),
            ("A='one # ${two} \\n' # a comment", "one # ${two} \\n"),
            ("A=\"a\\n\\\"b\\\" \\$ # c\"", "a\n\"b\" $ # c"),
            ("\u{feff}A=one", "one"),
            ("A=first\n# A=never\n\nA=second", "second"),
            ("A=x=y", "x=y"),
        ] {
            let read = parse(line).expect(line);
            assert_eq!(read.get("A").map(Secret::expose), Some(value), "{line}");
        }
    }

    #[test]
    fn faults_name_the_line_and_never_the_value() {
        for (text, line) in [
            ("A=1\nhunter2", 2),
            ("=hunter2", 1),
            ("A B=hunter2", 1),
            ("A-B=hunter2", 1),
            ("\n\nA='hunter2", 3),
            ("A=\"hunter2", 1),
            ("A='hunter2' hunter2", 1),
            ("A=\"\\hunter2\"", 1),
            ("A=hunter2${B}", 1),
        ] {
            let fault = parse(text).expect_err(text);
            assert_eq!(fault.line, line, "{text}");
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
        }
    }
}
