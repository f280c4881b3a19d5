//! Anthropic's Messages API (`anthropic-version: 2023-06-01`) on OpenAI's Chat Completions.

mod estimate;
mod notes;
pub mod request;

pub use notes::Notes;

use serde_json::Value;

use super::{Adapter, Call, Problem, Refusal, Stream, Translated};

/// The adapter.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

impl Adapter for Anthropic {
    fn is_messages(&self) -> bool {
        true
    }

    fn request(&self, _: &Call<'_>, _: &[u8]) -> Result<Translated, Refusal> {
        Err(Refusal::at("", "stub"))
    }

    fn response(&self, _: &Call<'_>, _: &Value, _: &Value) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::at("", "stub"))
    }

    fn stream(&self, _: &Call<'_>, _: &Value) -> Box<dyn Stream> {
        todo!()
    }

    fn error(&self, _: &Call<'_>, problem: &Problem) -> Vec<u8> {
        problem.message.clone().into_bytes()
    }
}
