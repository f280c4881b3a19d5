//! `tollgate.adapters`, and which adapter a target names.
//!
//! The law: a target that names Python code leads to the adapter that the file says, or to the one whose name its last word ends in;
//! nothing else is guessed. The Python code itself is never run.

use std::collections::BTreeMap;

use crate::config::error::{Report, Site};
use crate::config::section::{Section, scalar, shorten};

/// The adapter that needs no registration.
const BUILT_IN: &str = "anthropic";
const MARKER: &str = "adapter:";

/// Which adapters there are, and what names the file gives them.
pub(in crate::config) struct Adapters {
    ids: Vec<String>,
    names: BTreeMap<String, String>,
}

/// Why a target is no adapter though it looks like one.
pub(super) struct Fault {
    pub(super) what: String,
    pub(super) mend: String,
}

impl Adapters {
    /// Reads `tollgate.adapters`; `registered`: the program's own, beside the built-in one.
    pub(super) fn read(own: Option<&Section<'_>>, registered: &[String], report: &mut Report) -> Self {
        let ids = std::iter::once(BUILT_IN.to_owned()).chain(registered.iter().cloned()).collect();
        let mut adapters = Self { ids, names: BTreeMap::new() };
        let Some(map) = own.and_then(|own| own.map("adapters", report)) else { return adapters };
        for entry in map.entries() {
            let site = map.site_of(entry);
            let Some(id) = scalar(&entry.node, &site, report) else { continue };
            let id = id.strip_prefix(MARKER).unwrap_or(&id);
            if adapters.knows(id, &site, report) {
                adapters.names.insert(entry.key.clone(), id.to_owned());
            }
        }
        adapters
    }

    fn knows(&self, id: &str, site: &Site, report: &mut Report) -> bool {
        let known = self.ids.iter().any(|known| known == id);
        if !known {
            report.problem(site, self.unknown(id), format!("write one of: {}", self.ids.join(", ")));
        }
        known
    }

    fn unknown(&self, id: &str) -> String {
        format!("`{}` is not an adapter that is known", shorten(id))
    }

    /// The id of the adapter that `target` names; none: it looks like no adapter's name.
    pub(super) fn find(&self, target: &str) -> Option<Result<&str, Fault>> {
        if let Some(id) = self.names.get(target) {
            return Some(Ok(id));
        }
        if let Some(id) = target.strip_prefix(MARKER) {
            let known = self.ids.iter().find(|known| *known == id).map(String::as_str);
            return Some(known.ok_or_else(|| {
                let ids: Vec<String> = self.ids.iter().map(|id| format!("{MARKER}{id}")).collect();
                Fault { what: self.unknown(id), mend: format!("write one of: {}", ids.join(", ")) }
            }));
        }
        if !is_dotted(target) {
            return None;
        }
        let ends = |id: &&String| target.strip_suffix("_adapter").is_some_and(|name| name.ends_with(id.as_str()));
        Some(self.ids.iter().find(ends).map(String::as_str).ok_or_else(|| Fault {
            what: format!("`{}` is neither a URL nor an adapter that is known", shorten(target)),
            mend: format!(
                "if it is LiteLLM's adapter, write tollgate: {{adapters: {{\"{target}\": {BUILT_IN}}}}}; a URL begins \
                 with https://"
            ),
        }))
    }
}

/// Whether `text` is a name of Python's: words with dots between them.
fn is_dotted(text: &str) -> bool {
    let is_word = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && word.bytes().next().is_some_and(|first| !first.is_ascii_digit())
    };
    text.contains('.') && text.split('.').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_adapters() {
        let names = BTreeMap::from([("custom_callbacks.proxy_handler_instance".to_owned(), "anthropic".to_owned())]);
        let adapters = Adapters { ids: vec!["anthropic".into(), "acme".into()], names };
        for (target, expected) in [
            ("adapter:anthropic", Some(Some("anthropic"))),
            ("adapter:acme", Some(Some("acme"))),
            ("adapter:", Some(None)),
            ("adapter:other", Some(None)),
            ("custom_callbacks.anthropic_adapter", Some(Some("anthropic"))),
            ("a.b.my_anthropic_adapter", Some(Some("anthropic"))),
            ("hooks.acme_adapter", Some(Some("acme"))),
            ("hooks.other_adapter", Some(None)),
            ("custom_callbacks.proxy_handler_instance", Some(Some("anthropic"))),
            ("custom_callbacks.other", Some(None)),
            ("api.cohere.com", Some(None)),
            ("anthropic_adapter", None),
            ("https://up.test/x.anthropic_adapter", None),
            ("10.0.0.1", None),
            ("up.test:80", None),
            ("up.test/v1", None),
            ("a..b", None),
            ("", None),
        ] {
            let found = adapters.find(target).map(Result::ok);
            assert_eq!(found, expected, "{target}");
        }
    }
}
