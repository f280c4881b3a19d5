//! A virtual key: what it may do, and how much of it.
//!
//! The law: a record is plain data, the same whether it came from the config, the store or the key API; it never holds the key.
//! Names and meanings are LiteLLM's (`/key/generate`), whose clients write and read them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::digest::KeyId;

/// A point in time: milliseconds since 1970, UTC.
pub type Time = u64;

/// What a key's holder may call (`key_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// Routes; and of the key API its own `/key/info`.
    #[default]
    Default,
    /// Routes alone (`llm_api`).
    Routes,
    /// The key API alone (`management`).
    Management,
    /// What only reads in the key API (`read_only`).
    ReadOnly,
}

impl KeyType {
    /// LiteLLM's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Routes => "llm_api",
            Self::Management => "management",
            Self::ReadOnly => "read_only",
        }
    }

    /// The type that LiteLLM calls so.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Default, Self::Routes, Self::Management, Self::ReadOnly].into_iter().find(|known| known.name() == name)
    }

    /// Whether its holder may use routes.
    pub fn uses_routes(self) -> bool {
        matches!(self, Self::Default | Self::Routes)
    }
}

/// How much a holder may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a minute.
    pub requests: Option<u32>,
    /// Requests at once.
    pub parallel: Option<u32>,
    /// Requests in a minute, by model.
    pub model_requests: BTreeMap<String, u32>,
}

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRecord {
    /// What it is known by.
    pub id: KeyId,
    /// `sk-...abcd`: enough to recognise it, not to use it.
    pub name: String,
    /// Its user's name for it.
    pub alias: Option<String>,
    /// What it may call.
    pub key_type: KeyType,
    /// The models it may use; empty: all.
    pub models: Vec<String>,
    /// The paths it may call, exact or ending in `*`; empty: all.
    pub allowed_routes: Vec<String>,
    /// The pass-through routes it may call, by their paths; empty: all, or none where grants are required.
    pub allowed_passthrough: Vec<String>,
    /// Those that it may not call, whatever else is said.
    pub denied_passthrough: Vec<String>,
    /// How much.
    pub quota: Quota,
    /// When it ends.
    pub expires: Option<Time>,
    /// Whether it is blocked.
    pub blocked: bool,
    /// Its team.
    pub team_id: Option<String>,
    /// Its user.
    pub user_id: Option<String>,
    /// What its user keeps with it.
    pub metadata: Map<String, Value>,
    /// Words for reports.
    pub tags: Vec<String>,
    /// The first of the keys in whose place it was put, one after another: they count as one.
    pub line: Option<KeyId>,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A team: limits and models that its keys share.
#[derive(Clone, Debug, PartialEq)]
pub struct TeamRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub alias: Option<String>,
    /// The models its keys may use; empty: all.
    pub models: Vec<String>,
    /// The pass-through routes of its keys that name none themselves.
    pub allowed_passthrough: Vec<String>,
    /// Those that its keys may not call, whatever else is said.
    pub denied_passthrough: Vec<String>,
    /// How much its keys may do together.
    pub quota: Quota,
    /// Whether all of its keys are blocked.
    pub blocked: bool,
    /// What its users keep with it.
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl KeyRecord {
    /// A key that may do everything.
    pub fn new(id: KeyId, name: String, now: Time) -> Self {
        Self {
            id,
            name,
            alias: None,
            key_type: KeyType::Default,
            models: Vec::new(),
            allowed_routes: Vec::new(),
            allowed_passthrough: Vec::new(),
            denied_passthrough: Vec::new(),
            quota: Quota::default(),
            expires: None,
            blocked: false,
            team_id: None,
            user_id: None,
            metadata: Map::new(),
            tags: Vec::new(),
            line: None,
            created_by: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The name that logs use.
    pub fn shown(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

impl TeamRecord {
    /// A team whose keys may do everything.
    pub fn new(id: String, now: Time) -> Self {
        Self {
            id,
            alias: None,
            models: Vec::new(),
            allowed_passthrough: Vec::new(),
            denied_passthrough: Vec::new(),
            quota: Quota::default(),
            blocked: false,
            metadata: Map::new(),
            created_at: now,
            updated_at: now,
        }
    }
}

/// What every virtual key begins with.
pub(super) const PREFIX: &str = "sk-";
/// The shortest.
pub(super) const SHORTEST: usize = 16;
/// The longest.
pub(super) const LONGEST: usize = 512;

/// Whether `text` can be a virtual key.
pub fn is_key(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.starts_with(PREFIX) && (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(fits)
}

/// Whether a word of `text` looks like a virtual key, known or not.
pub fn holds_likely_key(text: &str) -> bool {
    let is_key_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let bytes = text.as_bytes();
    memchr::memmem::find_iter(bytes, PREFIX).any(|at| {
        let begins = at.checked_sub(1).and_then(|before| bytes.get(before)).is_none_or(|before| !is_key_byte(before));
        let length = bytes.iter().skip(at).take_while(|byte| is_key_byte(byte)).count();
        begins && length >= SHORTEST
    })
}

/// Whether `model` is the known one, or of its family: `gpt-*`.
pub fn is_like(known: &str, model: &str) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => known == model || known == "all-proxy-models" || known == "all-team-models",
    }
}

/// What may be shown of `key`: its last four characters.
pub fn shown_name(key: &str) -> String {
    let last = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("sk-...{}", key.get(last..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_by_name_and_family() {
        for (known, model, expected) in
            [("gpt-4", "gpt-4", true), ("gpt-4", "gpt-4o", false), ("gpt-*", "gpt-4o", true), ("*", "x", true)]
        {
            assert_eq!(is_like(known, model), expected, "{known} {model}");
        }
    }

    #[test]
    fn likely_keys_are_seen() {
        for (text, expected) in [
            ("/key/sk-0123456789abc/x", true),
            ("sk-0123456789abc", true),
            ("/task-0123456789abcdef", false),
            ("/sk-short", false),
            ("", false),
        ] {
            assert_eq!(holds_likely_key(text), expected, "{text}");
        }
    }

    #[test]
    fn what_can_be_a_key() {
        for (text, expected) in [
            ("sk-0123456789abc", true),
            ("sk-0123456789ab", false),
            ("pk-0123456789abc", false),
            ("sk-0123456789 bc", false),
            ("sk-012345678.-_A", true),
            (&format!("sk-{}", "a".repeat(510)), false),
        ] {
            assert_eq!(is_key(text), expected, "{text}");
        }
    }
}
