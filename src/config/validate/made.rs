//! Entries of `pass_through_endpoints` that the API has made, by the rules of those that stand in the file.

use std::sync::Arc;

use super::{Defaults, endpoint};
use crate::config::Endpoint;
use crate::config::env::Environ;
use crate::config::error::{Report, Site};
use crate::config::raw;
use crate::config::section::Section;
use crate::config::stored::{Granted, Stored};

/// The routes that `stored` are.
pub(super) fn read(
    stored: &[Arc<Stored>],
    own: Option<&Section<'_>>,
    defaults: &Defaults,
    environ: &dyn Environ,
    report: &mut Report,
) -> Vec<Endpoint> {
    let granted = own.and_then(|own| own.texts("api_secrets", report)).unwrap_or_default();
    let variables: Vec<String> = granted.into_iter().map(|(name, _)| name).collect();
    let allow_private = own.and_then(|own| own.boolean("api_private_targets", report)).unwrap_or(false);
    let environ = Granted { below: environ, variables: &variables };
    let mut out = Vec::new();
    for Stored { id, body } in stored.iter().map(|entry| &**entry) {
        let site = Site::made(id);
        let node = match raw::parse(&site.place.file, body.expose().as_bytes()) {
            Ok(node) => node,
            Err(error) => {
                report.problem(&site, error.what, "");
                continue;
            }
        };
        let read = endpoint::read(&node, &site, defaults, &environ, report);
        let id = Some((id.clone(), site));
        out.extend(read.map(|read| Endpoint { id, allow_private, allow_metadata: false, is_made: true, ..read }));
    }
    out
}
