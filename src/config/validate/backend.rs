//! Who serves a deployment: its provider, the base of its API, its key.
//!
//! The law: a model leads where LiteLLM leads it; what is not written is read from the provider's own variables; a key goes to nobody
//! that the file or those variables do not name. What came from a reference is repeated by no message.

use super::endpoint::required;
use super::targets::variables;
use crate::config::env::{Environ, Expanded};
use crate::config::error::{Report, Site};
use crate::config::model::Backend;
use crate::config::raw::Value;
use crate::config::section::{Section, expand_at, shorten};
use crate::provider::{self, Known, Provider, Unserved};
use crate::secret::Secret;

/// Who serves what says only where its server is.
const OWN_SERVER: &str = "custom_openai";

/// What an entry says of its provider, and what its credential does where it says nothing.
pub(super) struct Params<'s, 'n> {
    pub(super) own: &'s Section<'n>,
    pub(super) credential: Option<&'s Section<'n>>,
}

impl<'s, 'n> Params<'s, 'n> {
    /// Where the first of `keys` stands that is written and not empty.
    pub(super) fn holding<'k>(&self, keys: &[&'k str], report: &mut Report) -> Option<(&'s Section<'n>, &'k str)> {
        for section in std::iter::once(self.own).chain(self.credential) {
            let is_empty = |value: &Value| matches!(value, Value::Text(text) if text.is_empty());
            let mut written =
                keys.iter().filter(|key| section.entry(key).is_some_and(|entry| !is_empty(&entry.node.value)));
            let Some(key) = written.next() else { continue };
            if let Some(entry) = written.next().and_then(|other| section.entry(other)) {
                let what = format!("`{}` means the same as `{key}`, which stands here too", entry.key);
                report.problem(&section.site_of(entry), what, "remove one of the two");
            }
            return Some((section, key));
        }
        None
    }

    /// The text there, its variables replaced. The inner none: something is wrong with it, and said.
    fn expanded(&self, keys: &[&str], environ: &dyn Environ, report: &mut Report) -> Option<Option<(Expanded, Site)>> {
        let (section, key) = self.holding(keys, report)?;
        let text = section.text(key, report);
        Some(text.and_then(|(text, site)| Some((variables(&text, &site, environ, report)?, site))))
    }
}

/// Who serves a model.
pub(super) struct Served {
    pub(super) lead: Backend,
    /// What he calls it.
    pub(super) model: String,
    /// The model whose rules hold, where that name does not say it.
    pub(super) base_model: Option<&'static str>,
}

/// Who serves it. `name`: what clients call it.
pub(super) fn read(
    params: &Params<'_, '_>,
    name: Option<&str>,
    environ: &dyn Environ,
    report: &mut Report,
) -> Option<Served> {
    let (text, site) = required(params.own, "model", "PROVIDER/NAME", report)?;
    let written = variables(&text, &site, environ, report)?;
    let base = params.expanded(&["api_base", "base_url"], environ, report);
    let model = Model { text: written.text.expose(), secret: written.secret, site: &site };
    let given = base.as_ref().map(|base| base.as_ref().map_or("", |(base, _)| base.text.expose()));
    let (known, own_name) = match params.own.text("custom_llm_provider", report) {
        Some((prefix, site)) => (model.with_provider(&prefix, &site, report)?, model.without(&prefix)),
        None => model.find(given, report)?,
    };
    if own_name.is_empty() {
        report.problem(&site, "no name of a model stands here", "write PROVIDER/NAME");
        return None;
    }
    let provider = match known {
        Known::Served(provider) => provider,
        Known::Unserved(unserved) => {
            return Some(Served { lead: model.unserved(unserved), model: own_name.to_owned(), base_model: None });
        }
    };
    let stars = model.stars(own_name, name, report);
    let base = match base {
        Some(base) => base.and_then(|(base, site)| written_base("the base", provider, &base, site, report)),
        None => usual_base(provider, &site, environ, report),
    };
    let key = key(provider, params, &site, environ, report);
    let version = version(provider, params, &site, environ, report);
    let ((base, secret, site), key, version) = (base?, key?, version?);
    let (model, base_model) = provider.model_of(own_name);
    let lead = Backend::Provider { provider, base, secret, site, key, version };
    stars.then_some(Served { lead, model, base_model })
}

/// `model` of an entry.
struct Model<'t> {
    text: &'t str,
    secret: bool,
    site: &'t Site,
}

impl<'t> Model<'t> {
    /// For messages.
    fn shown(&self) -> String {
        if self.secret { "MODEL".into() } else { shorten(self.text) }
    }

    fn with_provider(&self, prefix: &str, site: &Site, report: &mut Report) -> Option<Known> {
        let known = provider::of_prefix(prefix);
        if known.is_none() {
            let mend = provider::nearest(prefix)
                .map_or("write one of LiteLLM's".into(), |name| format!("did you mean `{name}`?"));
            report.problem(site, format!("`{}` is not a provider that is known", shorten(prefix)), mend);
        }
        known
    }

    fn without(&self, prefix: &str) -> &'t str {
        self.text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or(self.text)
    }

    /// Whose it is by its name, or by the base that is given.
    fn find(&self, given: Option<&str>, report: &mut Report) -> Option<(Known, &'t str)> {
        let shown = self.shown();
        if let Some((prefix, rest)) = self.text.split_once('/') {
            if let Some(known) = provider::of_prefix(prefix) {
                return Some((known, rest));
            }
            let what = if self.secret {
                "the model's prefix is not a provider that is known".to_owned()
            } else {
                format!("`{}` is not a provider that is known", shorten(prefix))
            };
            // With a base of its own the prefix is more likely a part of the name than a slip.
            let likely = |name: &&str| given.is_none() || matches!(provider::of_prefix(name), Some(Known::Served(_)));
            let mend = match provider::nearest(prefix).filter(likely).filter(|_| !self.secret) {
                Some(name) => format!("did you mean `{name}/{}`?", shorten(rest)),
                None if given.is_some() => format!("if api_base speaks OpenAI's API, write openai/{shown}"),
                None => "write the provider before the name, as openai/NAME, or add api_base".into(),
            };
            report.problem(self.site, what, mend);
            return None;
        }
        let of_base = given.and_then(provider::of_base).map(Known::Served);
        let own_server = || given.and_then(|_| provider::of_prefix(OWN_SERVER));
        if let Some(known) = of_base.or_else(|| provider::of_model(self.text)).or_else(own_server) {
            if self.text == "*" && given.is_none() {
                let what = "whatever is asked for is asked of openai";
                report.notice(self.site, what, "for another provider add an entry such as anthropic/*");
            }
            return Some((known, self.text));
        }
        let whose = provider::likely(self.text).unwrap_or("PROVIDER");
        let what = if self.secret {
            "nothing says whose model this is".into()
        } else {
            format!("nothing says whose model `{shown}` is")
        };
        report.problem(self.site, what, format!("write {whose}/{shown}, or add api_base for a server of your own"));
        None
    }

    /// The prefix is the one that the file has, where it has one.
    fn unserved(&self, unserved: &Unserved) -> Backend {
        let written =
            self.text.split_once('/').map(|(prefix, _)| prefix).filter(|prefix| unserved.names.contains(prefix));
        let prefix = written.or(unserved.names.first().copied()).unwrap_or_default();
        Backend::Unserved(format!("Models of {prefix} are not served yet: {}.", unserved.why))
    }

    /// A `*` stands for what the name's stood for.
    fn stars(&self, model: &str, name: Option<&str>, report: &mut Report) -> bool {
        let fault = match (model.matches('*').count(), name) {
            (0, _) | (1, None) => None,
            (1, Some(name)) if name.contains('*') => None,
            (1, _) => Some(("there is nothing that `*` could stand for", "write * in model_name too")),
            _ => Some(("a model holds at most one `*`", "write an entry for each kind of name")),
        };
        if let Some((what, mend)) = fault {
            report.problem(self.site, what, mend);
        }
        fault.is_none()
    }
}

type Base = (String, bool, Site);

/// The base that the file gives, or a variable of the provider's.
fn written_base(what: &str, provider: &Provider, base: &Expanded, site: Site, report: &mut Report) -> Option<Base> {
    let text = base.text.expose();
    let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") && !rest.is_empty() && !rest.starts_with('/')
    });
    let fault = if !is_url {
        Some(("is not a URL of http or https", "write https://host/path"))
    } else if text.contains('?') {
        Some(("has a query", "remove `?` and what follows; Azure's version is written as api_version"))
    } else if text.contains('#') {
        Some(("has a fragment, which is never sent", "remove `#` and what follows"))
    } else {
        None
    };
    if let Some((fault, mend)) = fault {
        report.problem(&site, format!("{what} {fault}"), mend);
        return None;
    }
    let taken = provider.base_of(text);
    if text.trim_end_matches('/').ends_with("/chat/completions") {
        report.notice(&site, format!("{what} holds the call itself, /chat/completions, which is left out"), "");
    }
    Some((taken, base.secret, site))
}

/// The base where the file gives none.
fn usual_base(provider: &Provider, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<Base> {
    if let Some(name) = set_variable(provider.base_variables, environ) {
        let base = variables(&format!("os.environ/{name}"), site, environ, report)?;
        return written_base(&format!("the base in {name}"), provider, &base, site.clone(), report);
    }
    let Some(base) = provider.base else {
        let what = format!("`api_base` is missing: each user of {} has one of his own", provider.name);
        report.problem(site, what, format!("write it, or set {}", provider.base_variables.join(" or ")));
        return None;
    };
    Some((base.to_owned(), false, site.clone()))
}

/// The inner none: it needs no key.
fn key(
    provider: &Provider,
    params: &Params<'_, '_>,
    site: &Site,
    environ: &dyn Environ,
    report: &mut Report,
) -> Option<Option<Secret>> {
    if let Some((section, key)) = params.holding(&["api_key"], report) {
        let (key, site) = section.expanded(key, environ, report)?;
        let good = key.text.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            report.problem(
                &site,
                "the key holds spaces or other than ASCII",
                "check it: a field of that value is not sent",
            );
        }
        return good.then_some(Some(key.text));
    }
    if let Some(name) = set_variable(provider.key_variables, environ) {
        if let (Some((section, base)), Some(_)) = (params.holding(&["api_base", "base_url"], report), provider.base)
            && let Some(entry) = section.entry(base)
        {
            let what = format!("the key in {name} is sent to this base, as nothing else is written");
            report.notice(&section.site_of(entry), what, "write api_key to say which key is meant");
        }
        return expand_at(&format!("os.environ/{name}"), site, environ, report).map(|key| Some(key.text));
    }
    if provider.is_open {
        return Some(None);
    }
    let what = format!(
        "there is no key for {}: neither `api_key` nor {} is set",
        provider.name,
        provider.key_variables.join(" nor ")
    );
    let mend = "set it, or write api_key: os.environ/NAME; for a server that asks for none, write hosted_vllm/NAME";
    report.problem(site, what, mend);
    None
}

/// The inner none: its API has no versions.
fn version(
    provider: &Provider,
    params: &Params<'_, '_>,
    site: &Site,
    environ: &dyn Environ,
    report: &mut Report,
) -> Option<Option<String>> {
    let Some((name, usual)) = provider.version else { return Some(None) };
    let (version, site) = match params.expanded(&["api_version"], environ, report) {
        Some(version) => version?,
        None => match set_variable(&[name], environ) {
            Some(name) => (variables(&format!("os.environ/{name}"), site, environ, report)?, site.clone()),
            None => return Some(Some(usual.to_owned())),
        },
    };
    let version = version.text.expose();
    let good =
        !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if !good {
        report.problem(&site, "this is not a version of an API", format!("write one such as {usual}"));
    }
    good.then(|| Some(version.to_owned()))
}

/// The first of `names` that is set to something.
fn set_variable<'v>(names: &[&'v str], environ: &dyn Environ) -> Option<&'v str> {
    names.iter().find(|name| environ.variable(name).is_some_and(|value| !value.is_empty())).copied()
}
