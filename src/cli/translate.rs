//! `tollgate translate`: what an adapter makes of a request, an answer or a stream, without a server and without a model.
//!
//! The law: stdin to stdout by the functions that serve; what is refused is an error that names the place. Nothing is read
//! from the network or the environment.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use super::arguments::Direction;
use super::output::{complain, say};
use super::{BAD_CONFIG, BAD_USAGE, OK};
use crate::translate::transform::{Transform, Translating};
use crate::translate::{Adapter, Adapters, Call, Problem, Refusal, json};

/// Translates stdin.
pub(super) fn run(adapters: &Adapters, id: &str, direction: Direction, request: Option<&Path>) -> u8 {
    let Some(adapter) = adapters.find(id) else {
        let known = adapters.ids().collect::<Vec<_>>().join(", ");
        complain(&format!("error: there is no adapter `{id}`; there are: {known}\n"));
        return BAD_USAGE;
    };
    let read = || -> std::io::Result<(Vec<u8>, Option<Vec<u8>>)> {
        let mut input = Vec::new();
        std::io::stdin().lock().read_to_end(&mut input)?;
        Ok((input, request.map(std::fs::read).transpose()?))
    };
    let (input, request) = match read() {
        Ok(read) => read,
        Err(error) => {
            complain(&format!("error: {error}\n"));
            return BAD_USAGE;
        }
    };
    match translated(&**adapter, direction, &input, request.as_deref()) {
        Ok(text) => {
            say(&text);
            OK
        }
        Err(Problem { status, message }) => {
            complain(&format!("error: {status}: {message}\n"));
            BAD_CONFIG
        }
    }
}

fn translated(
    adapter: &dyn Adapter,
    direction: Direction,
    input: &[u8],
    request: Option<&[u8]>,
) -> Result<String, Problem> {
    let call = Call { id: "offline", method: "POST", path: "/v1/messages", captures: &[], query: None, headers: &[] };
    // What the way back remembers of its request; without one it knows nothing.
    let notes = match request {
        Some(request) => adapter.request(&call, request).map_err(Refusal::told)?.notes,
        None => Value::Null,
    };
    match direction {
        Direction::Request => {
            let translated = adapter.request(&call, input).map_err(Refusal::told)?;
            for place in &translated.dropped {
                complain(&format!("left out: {place}\n"));
            }
            Ok(pretty(&Value::Object(translated.chat)))
        }
        Direction::Response => {
            let value = json::read(input, json::Limits::ANSWER)
                .map_err(|error| Problem { status: 502, message: format!("this cannot be read as JSON: {error}") })?;
            let answer = adapter.response(&call, &notes, &value).map_err(Refusal::told)?;
            Ok(serde_json::from_slice(&answer)
                .map_or_else(|_| String::from_utf8_lossy(&answer).into_owned(), |value: Value| pretty(&value)))
        }
        Direction::Stream => {
            let mut out = Vec::new();
            let mut transform = Translating::new(adapter.stream(&call, &notes));
            let ended = transform.data(&Bytes::copy_from_slice(input), &mut out).and_then(|_| transform.end(&mut out));
            if let Err(refusal) = ended {
                transform.fail(&refusal.told(), &mut out);
            }
            Ok(String::from_utf8_lossy(&out).into_owned())
        }
    }
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| Value::Null.to_string());
    format!("{text}\n")
}
