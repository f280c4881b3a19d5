//! Why a model stopped, in Anthropic's words.

use serde_json::Value;

use super::super::Refusal;

/// What the upstream has said of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    finish: Option<String>,
    matched: Option<String>,
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
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str).filter(|finish| !finish.is_empty()) {
            if finish == "error" {
                return Err(Refusal::upstream("The upstream failed within its answer and did not say why."));
            }
            self.finish = Some(finish.to_owned());
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

    /// As it is told of an answer that `calls` tools, or refuses in words.
    pub(super) fn told(&self, calls: bool, refuses: bool) -> Told<'_> {
        let plain = |reason| Told { reason, sequence: None };
        match (self.finish.as_deref(), &self.matched) {
            (Some("content_filter"), _) => plain("refusal"),
            _ if refuses => plain("refusal"),
            // `model_length` is Mistral's.
            (Some("length" | "max_tokens" | "model_length"), _) => plain("max_tokens"),
            _ if calls => plain("tool_use"),
            (Some("stop"), Some(text)) => Told { reason: "stop_sequence", sequence: Some(text) },
            // Without a call, `tool_use` would have the client wait for one.
            _ => plain("end_turn"),
        }
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
        let failed = serde_json::from_str(r#"{"finish_reason":"error"}"#).expect("JSON");
        assert_eq!(Stop::default().take(&failed, &[]).map_err(|refusal| refusal.status), Err(502));
    }
}
