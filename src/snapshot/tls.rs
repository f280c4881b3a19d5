//! `tls` of an entry becomes a [`TlsProfile`]; its faults get their place in the file.

use crate::config::TlsText;
use crate::config::error::{Report, Site};
use crate::upstream::{Identity, Roots, ServerName, Target, TlsError, TlsProfile};

/// Compiles `text` for an upstream at `target`; none: an adapter.
pub(super) fn profile(text: &TlsText, target: Option<&Target>, report: &mut Report) -> Option<TlsProfile> {
    match target {
        Some(target) if target.tls => {}
        Some(_) => {
            let what = "the target is http://, where nothing is encrypted and nobody proves anything";
            report.problem(&text.site, what, "write https:// in the target, or remove `tls`");
        }
        None => report.problem(&text.site, "the target is an adapter, which dials nobody itself", "remove `tls`"),
    }
    let roots = text.ca.as_ref().map(|(pem, site)| Roots::parse(pem).map_err(|error| tell(error, site, report)));
    let identity = text.identity.as_ref().map(|identity| {
        let (cert, key) = (&identity.cert, &identity.key);
        Identity::parse(&cert.0, &key.0).map_err(|error| {
            let site = if error == TlsError::Certificate { &cert.1 } else { &key.1 };
            tell(error, site, report);
        })
    });
    let name = text.sni.as_ref().map(|(name, site)| ServerName::parse(name).map_err(|error| tell(error, site, report)));
    Some(TlsProfile::new(roots.transpose().ok()?, identity.transpose().ok()?, name.transpose().ok()?, text.verify))
}

fn tell(error: TlsError, site: &Site, report: &mut Report) {
    report.problem(site, error.to_string(), error.mend());
}
