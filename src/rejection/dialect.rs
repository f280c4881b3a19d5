//! The shapes in which errors are said.
//!
//! The law: a client reads an error in the shape of the API it speaks; the facts are the same in each.

use serde::Serialize;

use super::Rejection;
use crate::translate::{Problem, anthropic};

/// The shape in which a route's clients expect errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `{"type":"error","error":{"type","message"}}` (Anthropic's API reference, "Errors").
    Anthropic,
    /// `{"error":{"message","type","param","code"}}` (OpenAI's API reference; `code` is the status as text, as in LiteLLM).
    #[default]
    OpenAi,
}

impl Rejection {
    /// The body of the answer, as JSON.
    pub fn body(&self, dialect: Dialect, call_id: &str) -> String {
        let message = self.message();
        let written = match dialect {
            Dialect::OpenAi => serde_json::to_string(&OpenAiAnswer {
                error: OpenAiError {
                    message: &message,
                    kind: self.openai_type(),
                    param: None,
                    code: &self.status_in(dialect).to_string(),
                },
            }),
            Dialect::Anthropic => {
                let problem = Problem { status: self.status(), message };
                serde_json::to_string(&anthropic::Error::new(&problem, call_id))
            }
        };
        // Text alone cannot fail to be written.
        written.unwrap_or_default()
    }

    fn openai_type(&self) -> &'static str {
        match (self.status_in(Dialect::OpenAi), self.reason()) {
            // LiteLLM's words, which its clients look for.
            (401, "expired_key") => "expired_key",
            (403, "denied_model") => "key_model_access_denied",
            (status, _) => Self::openai_type_of(status),
        }
    }

    fn openai_type_of(status: u16) -> &'static str {
        match status {
            401 | 403 => "auth_error",
            404 => "not_found_error",
            429 => "throttling_error",
            502 | 504 => "upstream_error",
            503 => "service_unavailable_error",
            500 | 501 => "internal_server_error",
            _ => "invalid_request_error",
        }
    }
}

#[derive(Serialize)]
struct OpenAiAnswer<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects() {
        let rejection = Rejection::UpstreamTimeout;
        assert_eq!(
            rejection.body(Dialect::OpenAi, "id"),
            r#"{"error":{"message":"The upstream did not answer in time.","type":"upstream_error","param":null,"code":"504"}}"#
        );
        assert_eq!(
            rejection.body(Dialect::Anthropic, "id"),
            r#"{"type":"error","error":{"type":"timeout_error","message":"The upstream did not answer in time."},"request_id":"id"}"#
        );
    }
}
