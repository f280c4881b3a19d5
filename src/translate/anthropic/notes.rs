//! What the way back must remember of a request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an answer needs of its request.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Notes {
    /// The model, as the client called it.
    pub model: String,
    /// Names of tools that were cut for OpenAI, and what they were before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// About how many tokens the request has.
    #[serde(default)]
    pub input_tokens: u64,
    /// Where the model is to stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

impl Notes {
    /// As a value, which a [`super::super::Translated`] carries.
    pub fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// From such a value; one that is none has nothing to say.
    pub fn read(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }
}
