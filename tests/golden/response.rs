//! Whole answers: `upstream` under `notes` is the message `expected`, or is `refused`.

use serde_json::{Value, json};
use tollgate::translate::Adapter as _;
use tollgate::translate::anthropic::Anthropic;

use super::case::{CALL, all, same};

#[test]
fn answers_become_messages() {
    all("anthropic/response", |case| {
        let answer = Anthropic.response(&CALL, &case["notes"], &case["upstream"]);
        match answer {
            Ok(bytes) => {
                same(&serde_json::from_slice(&bytes).map_err(|error| error.to_string())?, &case["expected"])?;
                // Numbers in arguments stand as they were written; a reader of JSON would not see the difference.
                let text = String::from_utf8(bytes).expect("text");
                let holds = |piece: &Value| text.contains(piece.as_str().expect("text"));
                match case["exactly"].as_array().is_none_or(|pieces| pieces.iter().all(holds)) {
                    true => Ok(()),
                    false => Err(format!("it does not hold {} exactly: {text}", case["exactly"])),
                }
            }
            Err(refusal) => {
                let problem = refusal.told();
                same(&json!({ "status": problem.status, "message": problem.message }), &case["refused"])
            }
        }
    });
}
