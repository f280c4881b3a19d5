//! Models as the file names them: deployments, and the router's rules.

use crate::config::HeaderText;
use crate::config::error::Site;
use crate::provider::Provider;
use crate::secret::Secret;

/// The order of what the file gives none.
pub const LAST: u32 = u32::MAX;

/// Everything that the file says of models.
#[derive(Debug, Default, PartialEq)]
pub struct Models {
    /// The entries of `model_list`.
    pub deployments: Vec<Deployment>,
    /// How one of a group is picked, and what follows a failure.
    pub router: Router,
    /// Whether everybody may use them: nobody has set a key, and every listener is loopback.
    pub is_open: bool,
}

/// An entry of `model_list`.
#[derive(Debug, PartialEq)]
pub struct Deployment {
    /// The entry.
    pub site: Site,
    /// What clients call it: the group. May hold `*`.
    pub name: String,
    /// Who serves it.
    pub lead: Backend,
    /// What its provider calls it, without the prefix; `*` stands for what the group's `*` stood for.
    pub model: String,
    /// `model_info.id`, or a digest of its group and its upstream.
    pub id: String,
    /// Whether the file gives it that id.
    pub has_own_id: bool,
    /// Requests a minute.
    pub requests: Option<u32>,
    /// Requests at once.
    pub parallel: Option<u32>,
    /// Its share beside its neighbours of the same order.
    pub weight: f64,
    /// Lower ones are tried first; [`LAST`]: the file gives it none.
    pub order: u32,
    /// Seconds to the first byte and of silence after it; none: the router's.
    pub timeout_seconds: Option<f64>,
    /// The same where the answer is a stream.
    pub stream_timeout_seconds: Option<f64>,
    /// Further fields of every request.
    pub headers: Vec<HeaderText>,
    /// Parameters that a request has where the client names none: `temperature` and the like.
    pub defaults: Vec<(String, serde_json::Value)>,
    /// Parameters of requests that this model takes beyond its provider's usual ones (`top_k`, `reasoning_content`).
    pub takes: Vec<String>,
    /// Whether its base may be a metadata address.
    pub allow_metadata: bool,
    /// `model_info.base_model`: the model whose rules hold, where `model` does not say it.
    pub base_model: Option<String>,
    /// `model_info.mode`: `chat`, `embedding` and the like.
    pub mode: Option<String>,
}

/// Who serves a deployment.
#[derive(Debug, PartialEq)]
pub enum Backend {
    /// A provider that is known.
    Provider {
        /// Which.
        provider: &'static Provider,
        /// The base of its API, references replaced.
        base: String,
        /// Whether it came from a reference, so that no message may repeat it.
        secret: bool,
        /// Where it was said.
        site: Site,
        /// Its key; none where none is needed.
        key: Option<Secret>,
        /// Azure's `api-version`.
        version: Option<String>,
    },
    /// One that is not served: the model answers 501 in these words.
    Unserved(String),
}

/// `router_settings`, and what `litellm_settings` says of the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// How often a request is tried again.
    pub retries: u32,
    /// Seconds before it is tried again, at least.
    pub retry_after_seconds: f64,
    /// Failures a minute that a deployment may have.
    pub allowed_fails: u32,
    /// Seconds that it then rests; 0: it never does.
    pub cooldown_seconds: f64,
    /// Seconds to the first byte and of silence.
    pub timeout_seconds: Option<f64>,
    /// The same where the answer is a stream.
    pub stream_timeout_seconds: Option<f64>,
    /// Groups to try after a group, in order.
    pub fallbacks: Vec<(String, Vec<String>)>,
    /// Groups to try after any other.
    pub default_fallbacks: Vec<String>,
    /// Other names of groups.
    pub aliases: Vec<Alias>,
}

/// Another name of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The group.
    pub group: String,
    /// Whether no list of models has it.
    pub hidden: bool,
}

/// What the `*` of `pattern` stands for in `name`; the empty text where there is no `*` and both are the same.
pub fn captured<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    match pattern.split_once('*') {
        None => (pattern == name).then_some(""),
        Some((start, end)) => name.strip_prefix(start)?.strip_suffix(end),
    }
}

impl Default for Router {
    fn default() -> Self {
        Self {
            retries: 2,
            retry_after_seconds: 0.0,
            allowed_fails: 3,
            cooldown_seconds: 5.0,
            timeout_seconds: None,
            stream_timeout_seconds: None,
            fallbacks: Vec::new(),
            default_fallbacks: Vec::new(),
            aliases: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_what_is_between() {
        for (pattern, name, expected) in [
            ("gpt-4o", "gpt-4o", Some("")),
            ("gpt-4o", "gpt-4", None),
            ("*", "anything/at-all", Some("anything/at-all")),
            ("*", "", Some("")),
            ("openai/*", "openai/gpt-4o", Some("gpt-4o")),
            ("openai/*", "openai/", Some("")),
            ("openai/*", "azure/gpt-4o", None),
            ("a*b", "ab", Some("")),
            ("ab*bc", "abc", None),
            ("a*b", "axxb", Some("xx")),
        ] {
            assert_eq!(captured(pattern, name), expected, "{pattern} {name}");
        }
    }
}
