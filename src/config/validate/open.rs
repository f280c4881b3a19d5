//! Who may use what carries a secret of ours.
//!
//! The law of open routes: while every listener is loopback an entry without `auth` is open, as the specification says; with any other
//! listener an entry that injects a secret must say what it wants. Models always need a key, but on loopback where nobody has set
//! one.

use crate::config::error::Report;
use crate::config::listen::{Listen, all_loopback};
use crate::config::model::Models;
use crate::config::{Endpoint, TargetText};

/// Says which routes are open, and refuses those that nobody has said it of.
pub(super) fn routes(endpoints: &[Endpoint], listen: &[Listen], has_key: bool, report: &mut Report) {
    let loopback = all_loopback(listen);
    for endpoint in endpoints {
        let path = endpoint.name();
        match endpoint.auth {
            Some(true) if !has_key => report.problem(
                &endpoint.site,
                format!("`{path}` requires a key, and there is none that could open it"),
                "set general_settings.master_key, or write auth: false",
            ),
            None if endpoint.injects_secret() && !loopback => report.problem(
                &endpoint.site,
                format!(
                    "`{path}` injects a secret, a listener is reachable from outside, and nobody said who may use it"
                ),
                "write auth: true or auth: false here, or tollgate.default_auth",
            ),
            None if endpoint.injects_secret() => report.notice(
                &endpoint.site,
                format!("`{path}` is open and injects a secret: whoever reaches this machine's loopback may use it"),
                "write auth: true to require a key, or auth: false to say that it is meant",
            ),
            _ => {}
        }
    }
}

/// The same of models, which have no entry that could say it.
pub(super) fn models(
    models: Models,
    endpoints: &[Endpoint],
    listen: &[Listen],
    has_key: bool,
    report: &mut Report,
) -> Models {
    let Some(first) = models.deployments.first() else {
        let leads = |endpoint: &&Endpoint| matches!(endpoint.target, Some((TargetText::Adapter { .. }, _)));
        if let Some(endpoint) = endpoints.iter().find(leads).filter(|_| report.is_clean()) {
            let what = format!("`{}` leads to an adapter, and there is no model that it could ask", endpoint.name());
            report.notice(&endpoint.site, what, "add model_list");
        }
        return models;
    };
    let is_open = !has_key && all_loopback(listen);
    if is_open {
        report.notice(
            &first.site,
            "models are open, as there is no key: whoever reaches this machine's loopback may use them",
            "set general_settings.master_key",
        );
    } else if !has_key {
        report.problem(
            &first.site,
            "models need a key, a listener is reachable from outside, and there is none that could open them",
            "set general_settings.master_key",
        );
    }
    Models { is_open, ..models }
}
