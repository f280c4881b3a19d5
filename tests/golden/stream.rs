//! Streams: the items of `upstream` come one after another, and what the client gets is `expected`.
//!
//! An item is a chunk, or text that comes as it is. `(quiet)` stands for a silence, `(cut)` for a connection that broke.
//! Without it the upstream's body ends in order.

use bytes::Bytes;
use serde_json::Value;
use tollgate::translate::anthropic::Anthropic;
use tollgate::translate::transform::{Transform as _, Translating};
use tollgate::translate::{Adapter as _, Problem, Refusal};

use super::case::{CALL, all, same};
use super::rules;

/// The whole of a case, its text in pieces of `size` bytes.
fn run(case: &Value, size: usize) -> Vec<u8> {
    let mut transform = Translating::new(Anthropic.stream(&CALL, &case["notes"]));
    let mut out = Vec::new();
    let mut all = || -> Result<(), Refusal> {
        for item in case["upstream"].as_array().expect("items") {
            let text = match item {
                Value::String(item) if item == "(quiet)" => {
                    transform.quiet(&mut out);
                    continue;
                }
                Value::String(item) if item == "(cut)" => {
                    return Err(Refusal::upstream("The upstream's connection broke."));
                }
                Value::String(item) => item.clone(),
                chunk => format!("data: {chunk}\n\n"),
            };
            for piece in text.as_bytes().chunks(size) {
                transform.data(&Bytes::copy_from_slice(piece), &mut out)?;
            }
        }
        transform.end(&mut out)
    };
    if let Err(refusal) = all() {
        transform.fail(&refusal.told(), &mut out);
    }
    // Whatever comes now, nothing more is said.
    let end = out.len();
    transform.quiet(&mut out);
    let _ = transform.data(&Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"), &mut out);
    let _ = transform.end(&mut out);
    transform.fail(&Problem { status: 502, message: "late".into() }, &mut out);
    assert_eq!(out.len(), end, "something was said after the end");
    out
}

#[test]
fn streams_become_events() {
    all("anthropic/stream", |case| {
        let out = run(case, usize::MAX);
        let said = rules::judge(&out).map_err(|broken| format!("{broken}\n{}", String::from_utf8_lossy(&out)))?;
        same(&Value::Array(said.events), &case["expected"])?;
        match run(case, 1) == out {
            true => Ok(()),
            false => Err("byte by byte, something else comes".into()),
        }
    });
}
