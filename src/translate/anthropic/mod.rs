//! Anthropic's Messages API (`anthropic-version: 2023-06-01`) on OpenAI's Chat Completions.
//!
//! `request` is the way there; `response`, `stream` and `error` are the way back. Of those, `pieces` reads what a model said,
//! `stop` why it stopped and `usage` what it cost; `turns` puts a stream's pieces in a row, and `blocks` writes them.

mod blocks;
mod error;
mod estimate;
mod extent;
mod ids;
mod notes;
mod pieces;
pub mod request;
mod response;
mod stop;
mod stream;
mod turns;
mod usage;

use serde_json::Value;

pub use error::Error;
pub use notes::Notes;
pub use response::{ARGUMENTS, MALFORMED};
pub use turns::HELD;

use super::{Adapter, Call, Problem, Refusal, Stream, Translated};

/// The adapter.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

impl Adapter for Anthropic {
    fn is_messages(&self) -> bool {
        true
    }

    fn headers(&self) -> &[&str] {
        &["anthropic-version", "anthropic-beta"]
    }

    fn request(&self, _: &Call<'_>, body: &[u8]) -> Result<Translated, Refusal> {
        request::request(body)
    }

    fn response(&self, call: &Call<'_>, notes: &Value, answer: &Value) -> Result<Vec<u8>, Refusal> {
        response::message(call.id, &Notes::read(notes), answer)
    }

    fn stream(&self, call: &Call<'_>, notes: &Value) -> Box<dyn Stream> {
        Box::new(stream::Messages::new(call.id, Notes::read(notes)))
    }

    fn error(&self, call: &Call<'_>, problem: &Problem) -> Vec<u8> {
        serde_json::to_vec(&error::Error::new(problem, call.id)).unwrap_or_default()
    }
}
