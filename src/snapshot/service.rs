//! What Tollgate serves by asking models, and where, unless the file says otherwise.
//!
//! The law: a built-in path is served only where models exist and no route of the file serves it; one table has them all.

use std::borrow::Cow;
use std::sync::Arc;

use crate::rejection::{Dialect, Rejection};
use crate::translate::{Adapter, Call};

/// A service that asks models.
#[derive(Clone, Debug)]
pub enum Service {
    /// A chat API in another schema.
    Adapter(Arc<dyn Adapter>),
    /// How many tokens a request of Anthropic's has.
    CountTokens,
    /// OpenAI's `POST /v1/chat/completions`.
    Chat,
    /// OpenAI's `POST /v1/completions`.
    Completions,
    /// OpenAI's `POST /v1/embeddings`.
    Embeddings,
    /// The models there are.
    List,
}

/// A path that is served unless the file says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// The path.
    pub path: &'static str,
    /// What it is for.
    pub kind: Kind,
}

/// What a built-in path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anthropic's Messages.
    Messages,
    /// Their tokens.
    CountTokens,
    /// OpenAI's chat.
    Chat,
    /// OpenAI's older completions.
    Completions,
    /// OpenAI's embeddings.
    Embeddings,
    /// The models there are.
    List,
}

/// Every built-in path.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn { path: "/v1/messages", kind: Kind::Messages },
    BuiltIn { path: "/messages", kind: Kind::Messages },
    BuiltIn { path: "/v1/messages/count_tokens", kind: Kind::CountTokens },
    BuiltIn { path: "/messages/count_tokens", kind: Kind::CountTokens },
    BuiltIn { path: "/v1/chat/completions", kind: Kind::Chat },
    BuiltIn { path: "/chat/completions", kind: Kind::Chat },
    BuiltIn { path: "/v1/completions", kind: Kind::Completions },
    BuiltIn { path: "/completions", kind: Kind::Completions },
    BuiltIn { path: "/v1/embeddings", kind: Kind::Embeddings },
    BuiltIn { path: "/embeddings", kind: Kind::Embeddings },
    BuiltIn { path: "/v1/models", kind: Kind::List },
    BuiltIn { path: "/models", kind: Kind::List },
    BuiltIn { path: "/v1/models/{id}", kind: Kind::List },
    BuiltIn { path: "/models/{id}", kind: Kind::List },
];

/// The other path of what is built in at `path`, or below it: each service has one with `/v1` and one without.
pub fn twin(path: &str) -> Cow<'_, str> {
    match path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')) {
        Some(rest) => rest.into(),
        None => format!("/v1{path}").into(),
    }
}

impl Service {
    /// Whether a request names a model.
    pub fn takes_model(&self) -> bool {
        !matches!(self, Self::List)
    }

    /// The methods that are served; OPTIONS always is.
    pub fn method(&self) -> &'static str {
        if self.takes_model() { "POST" } else { "GET" }
    }

    /// How errors are said; none: as the request's own headers ask.
    pub fn dialect(&self) -> Option<Dialect> {
        match self {
            Self::Adapter(adapter) if adapter.is_messages() => Some(Dialect::Anthropic),
            Self::CountTokens => Some(Dialect::Anthropic),
            Self::Chat | Self::Completions | Self::Embeddings => Some(Dialect::OpenAi),
            // An adapter says them in a schema of its own.
            Self::Adapter(_) | Self::List => None,
        }
    }

    /// The body of an answer to `call` that says `rejection`; `dialect` is its language where the service has none of its own.
    pub fn says(&self, rejection: &Rejection, dialect: Dialect, call: &Call<'_>) -> Vec<u8> {
        match self {
            Self::Adapter(adapter) => adapter.error(call, &rejection.problem()),
            _ => rejection.body(dialect, call.id).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_has_two_paths() {
        for one in BUILT_IN {
            let other = BUILT_IN.iter().find(|other| other.path == twin(one.path));
            assert_eq!(other.map(|other| other.kind), Some(one.kind), "{}", one.path);
        }
        assert_eq!((twin("/v1/models/a/b"), twin("/v1x")), ("/models/a/b".into(), "/v1/v1x".into()));
    }
}
