//! Errors: a `problem` of Tollgate's, or an `upstream`'s status and body, is the status and the body `expected`.

use serde_json::{Value, json};
use tollgate::translate::anthropic::Anthropic;
use tollgate::translate::failure::upstream_problem;
use tollgate::translate::{Adapter as _, Problem};

use super::case::{CALL, all, same};

fn status(value: &Value) -> u16 {
    value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn errors_are_told() {
    all("anthropic/error", |case| {
        let problem = match &case["problem"] {
            Value::Null => upstream_problem(status(&case["upstream"]), text(&case["upstream"]["body"]).as_bytes()),
            problem => Problem { status: status(problem), message: text(&problem["message"]) },
        };
        let body: Value = serde_json::from_slice(&Anthropic.error(&CALL, &problem)).expect("JSON");
        same(&json!({ "status": problem.status, "body": body }), &case["expected"])
    });
}
