//! Which of a model's choices is the answer, and whether it has ended.

use serde_json::Value;

/// The first choice of an answer or a chunk: the one that says it is, or says nothing. A chunk may have none.
pub(super) fn first(answer: &Value) -> Option<&Value> {
    let choices = answer.get("choices")?.as_array()?;
    choices.iter().find(|choice| match choice.get("index") {
        None | Some(Value::Null) => true,
        Some(index) => index.as_u64() == Some(0),
    })
}

/// Why a choice has ended. Some servers write an empty reason in every chunk until there is one.
pub(super) fn finish(choice: &Value) -> Option<&str> {
    choice.get("finish_reason")?.as_str().filter(|reason| !reason.is_empty())
}
