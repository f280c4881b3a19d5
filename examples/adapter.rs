//! Tollgate with an adapter of its own, as `docs/adapters.md` tells it: `cargo run --example adapter -- --config FILE`.
//!
//! A caller asks `{"model": "small", "ask": "Why?"}` and is told `{"to": "Why?", "says": "Because."}`; with `"stream": true` in
//! `data:` events, the last of which is `{"ended": true}`. What goes wrong is `{"wrong": "...", "at": "/ask"}`. The law: an adapter knows no
//! models, keys or upstreams, and keeps nothing between its calls; a stream is one value for one answer.

use std::process::ExitCode;

use serde_json::{Value, json};
use tollgate::cli;
use tollgate::translate::{Adapter, Adapters, Call, Chat, Event, Problem, Refusal, Stream, Translated};

#[derive(Debug)]
struct Ask;

impl Adapter for Ask {
    fn request(&self, _: &Call<'_>, body: &[u8]) -> Result<Translated, Refusal> {
        let mut asked: Chat = serde_json::from_slice(body).map_err(|error| Refusal::at("", error.to_string()))?;
        let Some(Value::String(ask)) = asked.shift_remove("ask") else {
            return Err(Refusal::at("ask", "write what you want to know, as a text"));
        };
        let (mut chat, rest): (Chat, Chat) = asked.into_iter().partition(|(key, _)| key == "model" || key == "stream");
        chat.insert("messages".into(), json!([{"role": "user", "content": ask}]));
        Ok(Translated { chat, notes: ask.into(), dropped: rest.into_iter().map(|(name, _)| name).collect() })
    }

    fn response(&self, _: &Call<'_>, notes: &Value, answer: &Value) -> Result<Vec<u8>, Refusal> {
        let says = said(answer).ok_or_else(|| Refusal::upstream("The model has said nothing."))?;
        Ok(json!({"to": notes, "says": says}).to_string().into())
    }

    fn stream(&self, _: &Call<'_>, _: &Value) -> Box<dyn Stream> {
        Box::new(Ask)
    }

    fn error(&self, call: &Call<'_>, problem: &Problem) -> Vec<u8> {
        json!({"wrong": problem.message, "at": call.path}).to_string().into()
    }
}

impl Stream for Ask {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut tell = |value: Value| out.extend(format!("data: {value}\n\n").into_bytes());
        match event {
            Event::Chunk(chunk) => said(chunk).into_iter().for_each(|says| tell(json!({"says": says}))),
            Event::Done => tell(json!({"ended": true})),
            Event::Failed(problem) => tell(json!({"wrong": problem.message})),
            Event::Quiet => out.extend_from_slice(b": still there\n\n"),
        }
        Ok(())
    }
}

/// The text of an answer, or of a piece of one; a server that knows no streams sends the whole in their place.
fn said(answer: &Value) -> Option<&str> {
    let text = |place| answer.pointer(place).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("/choices/0/message/content").or_else(|| text("/choices/0/delta/content"))
}

fn main() -> ExitCode {
    let mut adapters = Adapters::default();
    match adapters.register("ask", Ask) {
        Ok(()) => ExitCode::from(cli::run_with(std::env::args_os(), adapters)),
        Err(taken) => {
            eprintln!("there is an adapter `{}` already", taken.0);
            ExitCode::FAILURE
        }
    }
}
