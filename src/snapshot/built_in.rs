//! The routes of the services that models make possible.
//!
//! The law: the file wins: a built-in path that any of its routes serves is left to that route.

use std::sync::Arc;

use http::Method;

use super::service::{BUILT_IN, BuiltIn, Kind};
use super::{Access, Lead, Route, Service};
use crate::auth::KeyPlaces;
use crate::config::Config;
use crate::route::{Found, Methods, Pattern, RequestPath, Table};
use crate::translate::{ANTHROPIC, Adapters};

/// Adds to `built`, the routes of the file, what is built in and not among them.
pub(super) fn add(
    built: &mut Vec<(Pattern, Methods, Arc<Route>)>,
    config: &Config,
    places: &KeyPlaces,
    adapters: &Adapters,
) {
    let of_the_file = built.iter().map(|(pattern, methods, _)| (pattern.clone(), methods.clone(), ()));
    // Two of the file that conflict are told by whoever builds the whole table.
    let Ok(table) = Table::build(of_the_file) else { return };
    for path in BUILT_IN {
        let Some(service) = service(*path, adapters) else { continue };
        let method = Method::from_bytes(service.method().as_bytes()).unwrap_or(Method::POST);
        // Any name will do to see who serves a template.
        let asked = path.path.replace("{id}", "model");
        let is_taken = RequestPath::parse(asked.as_bytes())
            .is_ok_and(|asked| matches!(table.find(&asked, &method), Found::Route(_)));
        let Ok(pattern) = Pattern::parse(path.path, false) else { continue };
        if is_taken {
            continue;
        }
        let route = Route {
            name: path.path.to_owned(),
            id: None,
            place: config.site.place.clone(),
            access: if config.models.is_open { Access::Local } else { Access::Key },
            places: places.clone(),
            lead: Lead::Service(service),
            cost: None,
            path: path.path.to_owned(),
            model_from: None,
            quota: None,
            is_built_in: true,
        };
        built.push((pattern, Methods::any(), Arc::new(route)));
    }
}

fn service(path: BuiltIn, adapters: &Adapters) -> Option<Service> {
    Some(match path.kind {
        Kind::Messages => Service::Adapter(Arc::clone(adapters.find(ANTHROPIC)?)),
        Kind::CountTokens => Service::CountTokens,
        Kind::Chat => Service::Chat,
        Kind::Completions => Service::Completions,
        Kind::Embeddings => Service::Embeddings,
        Kind::List => Service::List,
    })
}
