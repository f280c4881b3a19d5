//! Providers of models: where their OpenAI-style APIs are, how they take a key, and what they do their own way.
//!
//! The law: data with its source; a rule about one provider stands here and nowhere else.

mod rules;

use std::fmt;

pub use rules::{Operation, fit, path};

/// One provider.
#[derive(Clone, Copy)]
pub struct Provider {
    /// The prefix of LiteLLM's `provider/model`.
    pub name: &'static str,
    /// The base of its API, below which `chat/completions` is served; none where every user has one of his own.
    pub base: Option<&'static str>,
    /// How it takes its key.
    pub auth: Auth,
    /// Variables that hold the key where the file has none, in order.
    pub key_variables: &'static [&'static str],
    /// Variables that hold the base where the file has none, in order.
    pub base_variables: &'static [&'static str],
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
