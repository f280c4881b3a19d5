//! Providers of models: where their OpenAI-style APIs are, how they take a key, and what they do their own way.
//!
//! `rules` fits a request to one; `table` lists those that are served, `unserved` those that LiteLLM knows and Tollgate does not serve, with one reason each;
//! here is how a model's name leads to one of them.
//! The law: data with its source; a rule about one provider stands in this room and nowhere else. A name leads where it leads in
//! LiteLLM, or nowhere: nothing is guessed that would carry a key to somebody.

mod rules;
mod table;
mod unserved;

use std::fmt;

pub use rules::{Operation, fit, lacks, path};
pub use table::PROVIDERS;
pub use unserved::UNSERVED;

/// One provider.
#[derive(Clone, Copy)]
pub struct Provider {
    /// The prefix of LiteLLM's `provider/model`.
    pub name: &'static str,
    /// Other prefixes that mean the same.
    pub also: &'static [&'static str],
    /// The base of its API, below which `chat/completions` is served; none where every user has one of his own.
    pub base: Option<&'static str>,
    /// The end of the path of such a base that LiteLLM's users leave out when they write one of their own.
    pub base_end: &'static str,
    /// How it takes its key.
    pub auth: Auth,
    /// Variables that hold the key where the file has none, in order.
    pub key_variables: &'static [&'static str],
    /// Variables that hold the base where the file has none, in order.
    pub base_variables: &'static [&'static str],
    /// The variable that holds the version of the API where the file has none, and the version where that has none either.
    pub version: Option<(&'static str, &'static str)>,
    /// What its own names of models begin with, where the file may leave that out.
    pub model_start: &'static str,
    /// What LiteLLM's users write before such a name to say how it is to be asked, and the model whose rules are meant.
    pub series: &'static [(&'static str, Option<&'static str>)],
    /// Whether a request may ask for its usage at the end of a stream (`stream_options`).
    pub has_stream_options: bool,
    /// Whether it can be called without a key.
    pub is_open: bool,
    /// How its API differs.
    pub style: Style,
    /// Its reference.
    pub source: &'static str,
}

/// How a provider takes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The field of this name.
    Field(&'static str),
}

/// How a provider's API differs from OpenAI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// It is OpenAI's own, whose newer models have rules that others do not know.
    OpenAi,
    /// As OpenAI's Chat Completions, and nothing more.
    Compatible,
    /// The deployment stands in the path, the version in the query.
    Azure,
    /// Anthropic's own Messages, which need no translation.
    Anthropic,
}

/// A provider that LiteLLM knows and that is not served.
#[derive(Clone, Copy, Debug)]
pub struct Unserved {
    /// The prefixes of its models.
    pub names: &'static [&'static str],
    /// Why, and what to write instead where there is something.
    pub why: &'static str,
}

/// What a prefix or a name leads to.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// A provider that is served.
    Served(&'static Provider),
    /// One that is not.
    Unserved(&'static Unserved),
}

/// There is one of each name.
impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Provider {
    /// Every prefix that means it.
    pub fn prefixes(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }

    /// The base that `written` means: without a slash at its end, without the call itself, and with the end of its path.
    pub fn base_of(&self, written: &str) -> String {
        let mut base = written.trim_end_matches('/');
        for call in ["/chat/completions", "/messages"] {
            base = base.strip_suffix(call).unwrap_or(base);
        }
        if self.style == Style::Azure {
            base = base.split_once("/openai/deployments/").map_or(base, |(base, _)| base);
            base = base.strip_suffix("/openai").unwrap_or(base);
        }
        let base = base.trim_end_matches('/');
        // `https://host/v1beta` lacks only the rest of `/v1beta/openai`.
        let cuts = self.base_end.match_indices('/').map(|(at, _)| at).chain([self.base_end.len()]);
        let mut there =
            cuts.filter_map(|at| self.base_end.split_at_checked(at)).filter(|(start, _)| base.ends_with(start));
        format!("{base}{}", there.next_back().map_or(self.base_end, |(_, rest)| rest))
    }

    /// The name by which it knows the model that the file calls `model`, and the model whose rules hold where that name does not
    /// say it.
    pub fn model_of(&self, model: &str) -> (String, Option<&'static str>) {
        for (start, base) in self.series {
            if let Some(rest) = model.strip_prefix(start) {
                return (rest.to_owned(), *base);
            }
        }
        let whole = model.contains(['*', '/']) || self.model_start.is_empty();
        (if whole { model.to_owned() } else { format!("{}{model}", self.model_start) }, None)
    }
}

/// The provider whose models have this prefix.
pub fn of_prefix(prefix: &str) -> Option<Known> {
    let served = PROVIDERS.iter().find(|provider| provider.prefixes().any(|name| name == prefix)).map(Known::Served);
    served.or_else(|| UNSERVED.iter().find(|known| known.names.contains(&prefix)).map(Known::Unserved))
}

/// The provider of a model that is named without a prefix.
pub fn of_model(name: &str) -> Option<Known> {
    if is_numbered_openai(name) {
        return of_prefix("openai");
    }
    let (_, provider) = table::BARE.iter().find(|(start, _)| name.starts_with(start))?;
    provider.and_then(of_prefix)
}

/// The provider at whose own host `base` is.
pub fn of_base(base: &str) -> Option<&'static Provider> {
    let host =
        |url: &str| url.split_once("://").and_then(|(_, rest)| rest.split('/').next().map(str::to_ascii_lowercase));
    let ours = host(base)?;
    PROVIDERS.iter().find(|provider| provider.base.and_then(host).as_deref() == Some(ours.as_str()))
}

/// The prefix that `prefix` was most likely meant to be.
pub fn nearest(prefix: &str) -> Option<&'static str> {
    let lower = prefix.to_ascii_lowercase().replace(['-', ' '], "_");
    let names = PROVIDERS.iter().flat_map(Provider::prefixes);
    names
        .chain(UNSERVED.iter().flat_map(|known| known.names.iter().copied()))
        .map(|name| (strsim::damerau_levenshtein(&lower, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Whose model this name most likely is, for who is to write the prefix himself.
pub fn likely(name: &str) -> Option<&'static str> {
    table::LIKELY.iter().find(|(start, _)| name.starts_with(start)).map(|(_, provider)| *provider)
}

/// `o1`, `o3-mini` and whatever follows them.
fn is_numbered_openai(name: &str) -> bool {
    let rest = name.strip_prefix('o').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.is_some_and(|rest| rest.len() + 1 < name.len() && (rest.is_empty() || rest.starts_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(known: Option<Known>) -> Option<&'static str> {
        known.map(|known| match known {
            Known::Served(provider) => provider.name,
            Known::Unserved(unserved) => unserved.names[0],
        })
    }

    #[test]
    fn a_name_without_prefix_leads_where_litellm_leads_it() {
        for (model, provider) in [
            ("gpt-3.5-turbo", Some("openai")),
            ("gpt-4o-mini-2024-07-18", Some("openai")),
            ("gpt-5.1", Some("openai")),
            ("chatgpt-4o-latest", Some("openai")),
            ("ft:gpt-4o:acme::abc", Some("openai")),
            ("o1", Some("openai")),
            ("o3-mini", Some("openai")),
            ("o4-mini-deep-research", Some("openai")),
            ("text-embedding-3-small", Some("openai")),
            ("text-embedding-ada-002", Some("openai")),
            ("*", Some("openai")),
            ("gpt-3.5-turbo-instruct", Some("text-completion-openai")),
            ("davinci-002", Some("text-completion-openai")),
            ("command-nightly", Some("cohere")),
            ("command-r-plus", Some("cohere")),
            ("claude-sonnet-4-5", Some("anthropic")),
            ("gemini-2.5-pro", Some("vertex_ai")),
            ("text-embedding-004", Some("vertex_ai")),
            ("gpt-oss-120b", None),
            ("mistral-large-latest", None),
            ("llama3", None),
            ("o", None),
            ("o-1", None),
            ("o1x", None),
            ("omni", None),
            ("olmo-7b", None),
            ("", None),
        ] {
            assert_eq!(name(of_model(model)), provider, "{model}");
        }
        assert_eq!((likely("mistral-large-latest"), likely("llama3")), (Some("mistral"), None));
    }

    #[test]
    fn prefixes_lead_to_one_provider_each() {
        for (prefix, provider) in [
            ("openai", Some("openai")),
            ("cohere_chat", Some("cohere")),
            ("ollama_chat", Some("ollama")),
            ("vllm", Some("hosted_vllm")),
            ("bedrock", Some("bedrock")),
            ("sagemaker_chat", Some("sagemaker")),
            ("opneai", None),
            ("", None),
        ] {
            assert_eq!(name(of_prefix(prefix)), provider, "{prefix}");
        }
        for (typed, meant) in [("opneai", Some("openai")), ("together-ai", Some("together_ai")), ("zzzzzz", None)] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
        assert_eq!(of_base("https://API.groq.com/openai/v1").map(|known| known.name), Some("groq"));
        assert_eq!(of_base("https://groq.test/openai/v1"), None);
    }

    #[test]
    fn a_base_is_what_litellm_makes_of_it() {
        for (prefix, written, base) in [
            ("openai", "https://up.test/v1", "https://up.test/v1"),
            ("openai", "https://up.test/v1/", "https://up.test/v1"),
            ("openai", "https://up.test/v1/chat/completions", "https://up.test/v1"),
            ("openai", "https://up.test", "https://up.test"),
            ("anthropic", "https://up.test", "https://up.test/v1"),
            ("anthropic", "https://up.test/v1/", "https://up.test/v1"),
            ("anthropic", "https://up.test/v1/messages", "https://up.test/v1"),
            ("anthropic", "https://up.test/x", "https://up.test/x/v1"),
            ("ollama", "http://localhost:11434", "http://localhost:11434/v1"),
            ("gemini", "https://up.test/v1beta", "https://up.test/v1beta/openai"),
            ("gemini", "https://up.test/v1beta/openai/", "https://up.test/v1beta/openai"),
            ("gemini", "https://up.test", "https://up.test/v1beta/openai"),
            ("cohere", "https://up.test", "https://up.test/compatibility/v1"),
            ("azure", "https://x.openai.azure.com/", "https://x.openai.azure.com"),
            ("azure", "https://x.openai.azure.com/openai", "https://x.openai.azure.com"),
            ("azure", "https://x.test/openai/deployments/d/chat/completions", "https://x.test"),
        ] {
            let Some(Known::Served(provider)) = of_prefix(prefix) else { panic!("{prefix}") };
            assert_eq!(provider.base_of(written), base, "{prefix} {written}");
        }
    }

    #[test]
    fn names_of_models_are_completed_where_the_provider_asks_for_it() {
        for (prefix, model, expected, base) in [
            ("fireworks_ai", "llama-v3", "accounts/fireworks/models/llama-v3", None),
            ("fireworks_ai", "accounts/x/models/y", "accounts/x/models/y", None),
            ("fireworks_ai", "*", "*", None),
            ("azure", "my-deployment", "my-deployment", None),
            ("azure", "o_series/my-deployment", "my-deployment", Some("o1")),
            ("azure", "gpt5_series/*", "*", Some("gpt-5")),
            ("openai", "responses/gpt-5", "gpt-5", None),
            ("openai", "org/model", "org/model", None),
        ] {
            let Some(Known::Served(provider)) = of_prefix(prefix) else { panic!("{prefix}") };
            assert_eq!(provider.model_of(model), (expected.to_owned(), base), "{prefix}/{model}");
        }
    }

    #[test]
    fn the_tables_are_sound() {
        let served = PROVIDERS.iter().flat_map(Provider::prefixes);
        let mut names: Vec<&str> =
            served.chain(UNSERVED.iter().flat_map(|known| known.names.iter().copied())).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a prefix stands twice");
        for provider in PROVIDERS {
            assert!(provider.source.starts_with("https://"), "{provider:?}");
            if let Some(base) = provider.base {
                let local = base.starts_with("http://localhost:") && provider.is_open;
                assert!(base.starts_with("https://") || local, "{provider:?}");
                assert!(!base.ends_with('/') && base.ends_with(provider.base_end), "{provider:?}");
                assert_eq!(provider.base_of(base), base, "{provider:?}");
            }
            assert!(provider.is_open || !provider.key_variables.is_empty(), "{provider:?} could have no key");
            let variables = provider.key_variables.iter().chain(provider.base_variables);
            assert!(variables.clone().all(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')));
        }
        for known in UNSERVED {
            assert!(!known.why.is_empty() && !known.why.ends_with('.'), "{known:?}");
        }
        for (start, provider) in table::BARE {
            assert!(provider.is_none_or(|name| of_prefix(name).is_some()), "{start}");
        }
        for (start, provider) in table::LIKELY {
            assert!(of_prefix(provider).is_some() && of_model(start).is_none(), "{start}");
        }
    }
}
