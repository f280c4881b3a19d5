//! `tls` of an entry: which keys go together, and the files behind them.
//!
//! The law: every file is read here, at load; a private key is a [`Secret`] from its first moment; verification is switched
//! off by `verify: false` alone, and that is said aloud. What the files hold is judged one floor up.

use std::path::Path;

use crate::config::env::Environ;
use crate::config::error::{Report, Site};
use crate::config::fields::ENTRY_TLS;
use crate::config::section::{Section, shorten};
use crate::config::{IdentityText, TlsText};
use crate::secret::Secret;

/// Reads `tls` of an entry, which may stand in the entry itself or in its `tollgate`.
pub(super) fn read(
    entry: &Section<'_>,
    own: Option<&Section<'_>>,
    environ: &dyn Environ,
    report: &mut Report,
) -> Option<TlsText> {
    let plain = entry.section("tls", &ENTRY_TLS, &[], report);
    let apart = own.and_then(|own| own.section("tls", &ENTRY_TLS, &[], report));
    if let (Some(plain), Some(apart)) = (&plain, &apart) {
        let what = format!("`tls` stands at {} already", plain.site().place);
        report.problem(apart.site(), what, "keep one of the two");
    }
    let section = plain.or(apart)?;
    let verify = section.boolean("verify", report).unwrap_or(true);
    let text = TlsText {
        ca: file(&section, "ca", environ, report),
        identity: identity(&section, environ, report),
        sni: section.text("sni", report),
        verify,
        site: section.site().clone(),
    };
    if !verify {
        unverified(&section, report);
    }
    Some(text)
}

fn unverified(section: &Section<'_>, report: &mut Report) {
    let site = site_of(section, "verify");
    if section.entry("ca").is_some() {
        report.problem(&site, "`ca` says whom to trust, and verify: false trusts everybody", "remove one of the two");
        return;
    }
    report.notice(
        &site,
        "VERIFICATION IS OFF: whoever stands between here and this upstream reads and changes everything, the secrets \
         that are injected included",
        "name its authority by `ca`, or the name in its certificate by `sni`, and remove this",
    );
}

fn identity(section: &Section<'_>, environ: &dyn Environ, report: &mut Report) -> Option<IdentityText> {
    for (one, other) in [("cert", "key"), ("key", "cert")] {
        if section.entry(one).is_some() && section.entry(other).is_none() {
            let what = format!("`{one}` stands without `{other}`");
            report.problem(&site_of(section, one), what, "a client certificate needs both");
            return None;
        }
    }
    let cert = file(section, "cert", environ, report);
    let key = file(section, "key", environ, report).and_then(|(bytes, site)| {
        let key = Secret::from_bytes(bytes);
        if key.is_none() {
            report.problem(&site, "the file is not PEM", "name a file with a PRIVATE KEY block");
        }
        key.map(|key| (key, site))
    });
    Some(IdentityText { cert: cert?, key: key? })
}

fn file(section: &Section<'_>, key: &str, environ: &dyn Environ, report: &mut Report) -> Option<(Vec<u8>, Site)> {
    let (path, site) = section.text(key, report)?;
    match environ.file(Path::new(&path)) {
        Ok(bytes) => Some((bytes, site)),
        Err(error) => {
            let what = format!("`{}` cannot be read: {error}", shorten(&path));
            report.problem(&site, what, "name a readable PEM file");
            None
        }
    }
}

fn site_of(section: &Section<'_>, key: &str) -> Site {
    section.entry(key).map_or_else(|| section.site().clone(), |entry| section.site_of(entry))
}
