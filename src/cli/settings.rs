//! What comes of flags, variables and `.env`.
//!
//! The law: a flag beats a variable, a variable beats the file; a variable that cannot be used is an error that names it and
//! not its value (`HOST`, which some shells set to a name, has a notice); one that LiteLLM knows and that has no effect here
//! has exactly one notice.

use std::path::PathBuf;

use log::LevelFilter;

use super::arguments::Arguments;
use super::litellm;
use crate::config::env::Environ;
use crate::config::error::{Problem, Site};
use crate::config::{Overrides, listen};
use crate::secret::Secret;
use crate::translate::Adapters;

/// The settings of a process.
#[derive(Debug)]
pub(super) struct Settings {
    /// The config file.
    pub(super) config: Option<PathBuf>,
    /// What beats the config file.
    pub(super) overrides: Overrides,
    /// Worker threads.
    pub(super) workers: Option<u16>,
    /// How much is said; none: nobody has said here.
    pub(super) level: Option<LevelFilter>,
    /// Whether somebody is debugging.
    pub(super) debug: bool,
    /// Whether upstream requests are described in the log.
    pub(super) detailed: bool,
    /// Where state is kept.
    pub(super) state_dir: Option<PathBuf>,
    /// What makes the ids of keys; none: one is kept beside the store.
    pub(super) salt: Option<Secret>,
    /// What translates other schemas.
    pub(super) adapters: Adapters,
    /// What has no effect.
    pub(super) notices: Vec<Problem>,
}

impl Settings {
    /// Reads flags, then variables.
    pub(super) fn gather(arguments: &Arguments, environ: &dyn Environ) -> Result<Self, String> {
        // A variable that is set to nothing says nothing.
        let variable = |name: &str| environ.variable(name).filter(|value| !value.trim().is_empty());
        let path = |flag: &Option<PathBuf>, name| flag.clone().or_else(|| variable(name).map(PathBuf::from));
        let mut notices = litellm::notices(arguments, &variable);
        let detailed = arguments.detailed_debug || is_on(variable("DETAILED_DEBUG"));
        let debug = detailed || arguments.debug || is_on(variable("DEBUG"));
        let said = variable("LITELLM_LOG").map(|text| (level(&text), Site::variable("LITELLM_LOG")));
        if let Some((None, site)) = &said {
            notices.push(Problem {
                site: site.clone(),
                what: "this is not a level of the log".into(),
                mend: "write DEBUG, INFO, WARNING or ERROR".into(),
            });
        }
        let level = if debug { Some(LevelFilter::Debug) } else { said.and_then(|(level, _)| level) };
        let (tls_key, tls_cert) =
            (path(&arguments.tls_key, "SSL_KEYFILE_PATH"), path(&arguments.tls_cert, "SSL_CERTFILE_PATH"));
        if tls_key.is_some() != tls_cert.is_some() {
            // Speaking plainly where somebody asked for TLS would be the wrong half.
            return Err(
                "--ssl_keyfile_path and --ssl_certfile_path: a certificate comes with its key; give both".into()
            );
        }
        Ok(Self {
            config: path(&arguments.config, "CONFIG_FILE_PATH"),
            overrides: Overrides {
                host: host(arguments.host.as_deref(), variable("HOST"), &mut notices)?,
                port: number(arguments.port, "PORT", variable("PORT"), 0..=u16::MAX)?,
                root_path: variable("SERVER_ROOT_PATH"),
                tls_key,
                tls_cert,
                adapters: arguments.adapters.further().map(str::to_owned).collect(),
                ..Overrides::default()
            },
            adapters: arguments.adapters.clone(),
            workers: number(arguments.workers, "NUM_WORKERS", variable("NUM_WORKERS"), 1..=1024)?,
            level,
            debug,
            detailed,
            state_dir: state_dir(arguments.state_dir.clone(), &variable),
            salt: variable("LITELLM_SALT_KEY").map(Secret::new),
            notices,
        })
    }
}

/// Where state is kept: `--state-dir`, else systemd's folder, else the one of the XDG Base Directory Specification.
fn state_dir(flag: Option<PathBuf>, variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    flag
        // systemd lists several folders with colons between them.
        .or_else(|| variable("STATE_DIRECTORY")?.split(':').next().map(PathBuf::from))
        .or_else(|| absolute("XDG_STATE_HOME").map(|home| home.join("tollgate")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state/tollgate")))
}

fn host(flag: Option<&str>, variable: Option<String>, notices: &mut Vec<Problem>) -> Result<Option<String>, String> {
    const MEND: &str = "write an address, such as 127.0.0.1, ::1 or 0.0.0.0";
    let usable = |text: &str| listen::host(text, 0).is_some();
    match (flag, variable) {
        (Some(text), _) if usable(text) => Ok(Some(text.to_owned())),
        (Some(text), _) => Err(format!("--host {text}: {MEND}")),
        (None, Some(text)) if usable(&text) => Ok(Some(text)),
        (None, Some(_)) => {
            // Some shells set it to the machine's name.
            let what = "has no effect: it is not an address to listen on".into();
            notices.push(Problem { site: Site::variable("HOST"), what, mend: MEND.into() });
            Ok(None)
        }
        (None, None) => Ok(None),
    }
}

fn number(
    flag: Option<u16>,
    name: &str,
    variable: Option<String>,
    range: std::ops::RangeInclusive<u16>,
) -> Result<Option<u16>, String> {
    let (None, Some(text)) = (flag, variable) else { return Ok(flag) };
    let read = text.trim().parse().ok().filter(|number| range.contains(number));
    read.map(Some).ok_or_else(|| format!("${name}: write a number from {} to {}", range.start(), range.end()))
}

/// Python's names of levels, as `LITELLM_LOG` has them.
fn level(text: &str) -> Option<LevelFilter> {
    match text.trim().to_ascii_uppercase().as_str() {
        "DEBUG" => Some(LevelFilter::Debug),
        "INFO" => Some(LevelFilter::Info),
        "WARN" | "WARNING" => Some(LevelFilter::Warn),
        "ERROR" | "CRITICAL" => Some(LevelFilter::Error),
        _ => None,
    }
}

/// As LiteLLM reads a flag from a variable; other programs use `DEBUG` for words of their own.
fn is_on(variable: Option<String>) -> bool {
    variable
        .is_some_and(|text| ["1", "true", "yes", "on", "t", "y"].contains(&text.trim().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    struct Variables<'a>(&'a [(&'a str, &'a str)]);

    impl Environ for Variables<'_> {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }

        fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Err(ErrorKind::NotFound.into())
        }
    }

    use std::io::ErrorKind;

    fn gather(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let line = ["tollgate"].iter().chain(flags).map(std::ffi::OsString::from);
        Settings::gather(&Arguments::read(line).expect("arguments"), &Variables(variables))
    }

    #[test]
    fn a_flag_beats_a_variable() {
        let variables = &[
            ("PORT", "1"),
            ("HOST", "0.0.0.0"),
            ("NUM_WORKERS", "3"),
            ("CONFIG_FILE_PATH", "v.yaml"),
            ("SSL_KEYFILE_PATH", "k.pem"),
            ("SSL_CERTFILE_PATH", "c.pem"),
            ("LITELLM_LOG", "warning"),
            ("SERVER_ROOT_PATH", "/gate"),
        ];
        let settings = gather(&[], variables).expect("settings");
        assert_eq!((settings.overrides.port, settings.workers), (Some(1), Some(3)));
        assert_eq!(settings.overrides.host.as_deref(), Some("0.0.0.0"));
        assert_eq!(settings.config.as_deref(), Some(Path::new("v.yaml")));
        assert_eq!(settings.overrides.tls_key.as_deref(), Some(Path::new("k.pem")));
        assert_eq!(settings.overrides.root_path.as_deref(), Some("/gate"));
        assert_eq!(settings.level, Some(LevelFilter::Warn));
        let flags = ["--port", "2", "--host", "::1", "--num-workers", "4", "--config=f.yaml", "--debug"];
        let settings = gather(&flags, variables).expect("settings");
        assert_eq!((settings.overrides.port, settings.workers), (Some(2), Some(4)));
        assert_eq!(settings.overrides.host.as_deref(), Some("::1"));
        assert_eq!(settings.config.as_deref(), Some(Path::new("f.yaml")));
        assert_eq!(settings.level, Some(LevelFilter::Debug));
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_named_without_its_value() {
        for (name, value) in [("PORT", "canary"), ("PORT", "70000"), ("NUM_WORKERS", "9999")] {
            let error = gather(&[], &[(name, value)]).expect_err(name);
            assert!(error.starts_with(&format!("${name}: ")) && !error.contains(value), "{error}");
        }
        let named = gather(&[], &[("HOST", "canary.example")]).expect("settings");
        assert_eq!((named.overrides.host, named.notices.len()), (None, 1));
        assert!(gather(&["--ssl_keyfile_path", "k.pem"], &[]).is_err());
        assert!(gather(&["--ssl_keyfile_path", "k.pem"], &[("SSL_CERTFILE_PATH", "c.pem")]).is_ok());
        assert_eq!(gather(&[], &[("LITELLM_LOG", "loud")]).expect("settings").notices.len(), 1);
        assert_eq!(gather(&[], &[("PORT", ""), ("DEBUG", "app:*")]).expect("settings").level, None);
    }

    #[test]
    fn state_has_one_folder() {
        let xdg = ("XDG_STATE_HOME", "/x");
        for (flags, variables, expected) in [
            (&["--state-dir", "/f"][..], &[xdg, ("STATE_DIRECTORY", "/s")][..], Some("/f")),
            (&[], &[xdg, ("STATE_DIRECTORY", "/s:/t")], Some("/s")),
            (&[], &[xdg, ("HOME", "/h")], Some("/x/tollgate")),
            (&[], &[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], Some("/h/.local/state/tollgate")),
            (&[], &[], None),
        ] {
            let settings = gather(flags, variables).expect("settings");
            assert_eq!(settings.state_dir.as_deref(), expected.map(Path::new), "{flags:?} {variables:?}");
        }
    }
}
