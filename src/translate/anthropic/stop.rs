//! Why a model stopped, in Anthropic's words.

use serde_json::Value;

use super::super::{Refusal, choice, failure};

/// What the upstream has said of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    finish: Option<Finish>,
    matched: Option<String>,
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    Stop,
    Length,
    Filtered,
    /// A call, or a word that is not known.
    Other,
}

/// `stop_reason` and `stop_sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) reason: &'static str,
    pub(super) sequence: Option<&'a str>,
}

impl Stop {
    /// Takes over what `choice` says. Of the strings that end an answer only those count that are in `wanted`.
    ///
    /// # Errors
    /// The upstream stopped because it failed.
    pub(super) fn take(&mut self, choice: &Value, wanted: &[String]) -> Result<(), Refusal> {
        if let Some(refusal) = failure::within(choice) {
            return Err(refusal);
        }
        if let Some(reason) = choice::finish(choice) {
            self.finish = Some(finish(reason)?);
        }
        // vLLM's field and SGLang's; both also name tokens there, by number.
        for field in ["stop_reason", "matched_stop"] {
            if let Some(text) =
                choice.get(field).and_then(Value::as_str).filter(|text| wanted.iter().any(|w| w == text))
            {
                self.matched = Some(text.to_owned());
            }
        }
        Ok(())
    }

    /// Whether the upstream has said that it has stopped.
    pub(super) fn is_said(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether a filter has kept back the answer, or the rest of it.
    pub(super) fn is_filtered(&self) -> bool {
        self.finish == Some(Finish::Filtered)
    }

    /// As it is told of an answer that `calls` tools, or refuses in words.
    pub(super) fn told(&self, calls: bool, refuses: bool) -> Told<'_> {
        let plain = |reason| Told { reason, sequence: None };
        match (self.finish, &self.matched) {
            _ if refuses || self.is_filtered() => plain("refusal"),
            (Some(Finish::Length), _) => plain("max_tokens"),
            _ if calls => plain("tool_use"),
            (Some(Finish::Stop), Some(text)) => Told { reason: "stop_sequence", sequence: Some(text) },
            // Without a call, `tool_use` would have the client wait for one.
            _ => plain("end_turn"),
        }
    }
}

/// What `reason` says, in whoever's words: Gemini's are in capitals, or stand behind what took the answer away.
///
/// # Errors
/// The answer was broken off: it is none, however whole it looks.
fn finish(reason: &str) -> Result<Finish, Refusal> {
    let reason = reason.to_ascii_lowercase();
    let word = reason.split(':').next().unwrap_or_default().trim_ascii();
    let broken = |status| {
        let message = format!("The upstream broke its answer off: {word}.");
        Err(Refusal { status, ..Refusal::upstream(message) })
    };
    match word {
        "stop" => Ok(Finish::Stop),
        // `model_length` is Mistral's.
        "length" | "max_tokens" | "model_length" => Ok(Finish::Length),
        // Gemini's and Zhipu's.
        "safety" | "recitation" | "blocklist" | "prohibited_content" | "spii" | "sensitive" | "content_filter" => {
            Ok(Finish::Filtered)
        }
        "error" => Err(Refusal::upstream("The upstream failed within its answer and did not say why.")),
        // vLLM's and SGLang's, Zhipu's, and Gemini's for a call that it could not read.
        "abort" | "network_error" | "function_call_filter" | "malformed_function_call" => broken(502),
        // DeepSeek's.
        "insufficient_system_resource" => broken(529),
        _ => Ok(Finish::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told() {
        let wanted = ["END".to_owned()];
        for (choice, [alone, calling, refusing]) in [
            (r#"{"finish_reason":"stop"}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":"length"}"#, ["max_tokens", "max_tokens", "refusal"]),
            (r#"{"finish_reason":"model_length"}"#, ["max_tokens", "max_tokens", "refusal"]),
            (r#"{"finish_reason":"tool_calls"}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":"function_call"}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":"content_filter"}"#, ["refusal", "refusal", "refusal"]),
            (r#"{"finish_reason":"content_filter: RECITATION"}"#, ["refusal", "refusal", "refusal"]),
            (r#"{"finish_reason":"PROHIBITED_CONTENT"}"#, ["refusal", "refusal", "refusal"]),
            (r#"{"finish_reason":"MAX_TOKENS"}"#, ["max_tokens", "max_tokens", "refusal"]),
            (r#"{"finish_reason":"STOP","stop_reason":"END"}"#, ["stop_sequence", "tool_use", "refusal"]),
            (r#"{"finish_reason":""}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":":"}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":"something new"}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":null}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":7}"#, ["end_turn", "tool_use", "refusal"]),
            ("{}", ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":"stop","stop_reason":"END"}"#, ["stop_sequence", "tool_use", "refusal"]),
            (r#"{"finish_reason":"stop","matched_stop":"END"}"#, ["stop_sequence", "tool_use", "refusal"]),
            (r#"{"finish_reason":"length","stop_reason":"END"}"#, ["max_tokens", "max_tokens", "refusal"]),
            (r#"{"finish_reason":"stop","stop_reason":"OTHER"}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":"stop","stop_reason":128009}"#, ["end_turn", "tool_use", "refusal"]),
            (r#"{"finish_reason":"stop","stop_reason":null}"#, ["end_turn", "tool_use", "refusal"]),
        ] {
            let mut stop = Stop::default();
            stop.take(&serde_json::from_str(choice).expect("JSON"), &wanted).expect("no failure");
            let reasons = [stop.told(false, false), stop.told(true, false), stop.told(false, true)];
            assert_eq!(reasons.map(|told| told.reason), [alone, calling, refusing], "{choice}");
            for told in reasons {
                assert_eq!(told.sequence, (told.reason == "stop_sequence").then_some("END"), "{choice}");
            }
        }
        for (choice, status) in [
            (r#"{"finish_reason":"error"}"#, 502),
            (r#"{"finish_reason":"abort"}"#, 502),
            (r#"{"finish_reason":"network_error"}"#, 502),
            (r#"{"finish_reason":"MALFORMED_FUNCTION_CALL"}"#, 502),
            (r#"{"finish_reason":"function_call_filter: MALFORMED_FUNCTION_CALL"}"#, 502),
            (r#"{"finish_reason":"insufficient_system_resource"}"#, 529),
            (r#"{"finish_reason":"error","error":{"code":429,"message":"m"}}"#, 429),
            (r#"{"finish_reason":null,"error":{"message":"m"}}"#, 502),
        ] {
            let choice_is = serde_json::from_str(choice).expect("JSON");
            assert_eq!(
                Stop::default().take(&choice_is, &[]).map_err(|refusal| refusal.status),
                Err(status),
                "{choice}"
            );
        }
    }
}
