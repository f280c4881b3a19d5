//! An error as Anthropic's API tells it, in an answer and in a stream alike.
//!
//! The types and their statuses are those of its reference ("Errors"), which has `invalid_request_error` for every other 4xx
//! too, and of its SDKs, which know `conflict_error`.

use serde::Serialize;

use super::super::Problem;

/// The body of an answer, and the data of an `error` event.
#[derive(Debug, Serialize)]
pub struct Error<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Said<'a>,
    request_id: &'a str,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl<'a> Error<'a> {
    /// What `problem` is in the call `id`.
    pub fn new(problem: &'a Problem, id: &'a str) -> Self {
        let error = Said { kind: kind(problem.status), message: &problem.message };
        Self { kind: "error", error, request_id: id }
    }
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
