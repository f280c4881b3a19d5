//! Anthropic's Messages API (`anthropic-version: 2023-06-01`) on OpenAI's Chat Completions.

mod notes;

pub use notes::Notes;
