//! Translations against files: what came, and what is to come of it, written by hand from the APIs' references. Nothing here
//! writes them.

#[path = "golden/case.rs"]
mod case;
#[path = "golden/error.rs"]
mod error;
#[path = "golden/request.rs"]
mod request;
#[path = "golden/response.rs"]
mod response;
#[allow(dead_code, reason = "shared with the example, which prints more")]
#[path = "../examples/grammar/rules.rs"]
mod rules;
#[path = "golden/stream.rs"]
mod stream;
