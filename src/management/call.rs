//! Which path and method asks for what: LiteLLM's calls about keys and teams, and our own.
//!
//! The law: a path is one call or none, a call has one method; what LiteLLM serves and Tollgate does not is told apart from what
//! nobody serves.

use super::rights::Asker;
use crate::route::RequestPath;

/// A call of the key API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Makes a key.
    KeyGenerate,
    /// Changes a key.
    KeyUpdate,
    /// Puts another key in a key's place.
    KeyRegenerate,
    /// Takes keys away.
    KeyDelete,
    /// Shows a key.
    KeyInfo,
    /// Shows keys, in pages.
    KeyList,
    /// Blocks a key.
    KeyBlock,
    /// Ends that.
    KeyUnblock,
    /// Makes a team.
    TeamNew,
    /// Changes a team.
    TeamUpdate,
    /// Takes teams away, with their keys.
    TeamDelete,
    /// Shows a team with its keys.
    TeamInfo,
    /// Shows teams.
    TeamList,
    /// Blocks a team.
    TeamBlock,
    /// Ends that.
    TeamUnblock,
    /// Reads the config again.
    ConfigReload,
    /// Puts a config in force that was kept.
    ConfigRollback,
}

/// Calls with their paths, and whether they only read.
const CALLS: &[(Call, &str, bool)] = &[
    (Call::KeyGenerate, "/key/generate", false),
    (Call::KeyUpdate, "/key/update", false),
    (Call::KeyRegenerate, "/key/regenerate", false),
    (Call::KeyDelete, "/key/delete", false),
    (Call::KeyInfo, "/key/info", true),
    (Call::KeyList, "/key/list", true),
    (Call::KeyBlock, "/key/block", false),
    (Call::KeyUnblock, "/key/unblock", false),
    (Call::TeamNew, "/team/new", false),
    (Call::TeamUpdate, "/team/update", false),
    (Call::TeamDelete, "/team/delete", false),
    (Call::TeamInfo, "/team/info", true),
    (Call::TeamList, "/team/list", true),
    (Call::TeamBlock, "/team/block", false),
    (Call::TeamUnblock, "/team/unblock", false),
    (Call::ConfigReload, "/config/reload", false),
    (Call::ConfigRollback, "/config/rollback", false),
];

/// What LiteLLM serves besides, and what to use instead.
const NOT_SERVED: &[(&str, &str)] = &[
    ("user", "Users are not kept: give keys a user_id with /key/generate, and limits with /team/new."),
    ("budget", "Budgets are not kept: limit keys with rpm_limit and max_parallel_requests in /key/generate."),
    ("customer", "Customers are not kept: give each a key of its own with /key/generate."),
    ("organization", "Organizations are not kept: make a team with /team/new."),
];

/// Calls about keys and teams that LiteLLM serves, and what to use instead.
const NOT_SERVED_PATHS: &[(&str, &str)] = &[
    ("/key/aliases", "Use /key/list?return_full_object=true."),
    ("/key/bulk_update", "Use /key/update for each key."),
    ("/key/health", "Use /key/info."),
    ("/key/service-account/generate", "Use /key/generate."),
    ("/v2/key/info", "Use /key/info for each key."),
    ("/team/available", "Use /team/list."),
    ("/team/bulk_member_add", "Members are not kept: give keys a team_id."),
    ("/team/daily/activity", "Spend is not kept: cost stands in the access log."),
    ("/team/key/bulk_update", "Use /key/update for each key."),
    ("/team/member_add", "Members are not kept: give keys a team_id."),
    ("/team/member_delete", "Members are not kept: give keys a team_id."),
    ("/team/member_update", "Members are not kept: give keys a team_id."),
    ("/team/model/add", "Use /team/update with all of its models."),
    ("/team/model/delete", "Use /team/update with all of its models."),
    ("/team/permissions_list", "Members are not kept."),
    ("/team/permissions_update", "Members are not kept."),
];

/// A call that somebody makes.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which.
    pub call: Call,
    /// Who.
    pub asker: Asker,
    /// The query, as it was written.
    pub query: Option<Vec<u8>>,
    /// The key that the path names.
    pub key: Option<String>,
}

impl Call {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        CALLS.iter().map(|(call, ..)| *call)
    }

    /// What `path` asks for, where it asks for anything.
    pub fn asked_by(path: &RequestPath<'_>) -> Option<Self> {
        let text = path.canonical();
        let text = text.trim_end_matches('/');
        let known = CALLS.iter().find(|(_, known, _)| *known == text).map(|(call, ..)| *call);
        known.or_else(|| is_regenerate(path).then_some(Self::KeyRegenerate))
    }

    /// The key that `path` names, where the call takes one there.
    pub fn key_in(self, path: &RequestPath<'_>) -> Option<String> {
        let named = is_regenerate(path).then(|| path.canon(1));
        named.map(|key| String::from_utf8_lossy(key).into_owned())
    }

    /// Its path, as logs have it.
    pub fn name(self) -> &'static str {
        CALLS.iter().find(|(call, ..)| *call == self).map_or("", |(_, path, _)| path)
    }

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        CALLS.iter().any(|(call, _, reads)| *call == self && *reads)
    }

    /// Whether it is about keys.
    pub fn is_about_keys(self) -> bool {
        self.name().starts_with("/key/")
    }

    /// Whether it is for the holder of the master key alone.
    pub fn is_masters(self) -> bool {
        matches!(self, Self::ConfigReload | Self::ConfigRollback)
    }

    /// The methods that make it.
    pub fn methods(self) -> &'static [&'static str] {
        if self.only_reads() { &["GET", "HEAD"] } else { &["POST"] }
    }
}

/// What to use instead of a path that LiteLLM serves and Tollgate does not.
pub fn advice(path: &RequestPath<'_>) -> Option<&'static str> {
    let text = path.canonical();
    let text = text.trim_end_matches('/');
    if path.len() == 3 && path.canon(0) == b"key" && path.canon(2) == b"reset_spend" {
        return Some("Spend is not kept: cost stands in the access log.");
    }
    let whole = NOT_SERVED_PATHS.iter().find(|(known, _)| *known == text).map(|(_, advice)| *advice);
    whole.or_else(|| NOT_SERVED.iter().find(|(first, _)| first.as_bytes() == path.canon(0)).map(|(_, advice)| *advice))
}

/// `/key/{key}/regenerate`.
fn is_regenerate(path: &RequestPath<'_>) -> bool {
    path.len() == 3 && path.canon(0) == b"key" && path.canon(2) == b"regenerate"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_calls() {
        for (raw, expected) in [
            ("/key/generate", Some(Call::KeyGenerate)),
            ("/key/generate/", Some(Call::KeyGenerate)),
            ("/%6bey/generate", Some(Call::KeyGenerate)),
            ("/key/regenerate", Some(Call::KeyRegenerate)),
            ("/key/sk-abc/regenerate", Some(Call::KeyRegenerate)),
            ("/key/generate/x", None),
            ("/key", None),
            ("/Key/generate", None),
            ("/team/new", Some(Call::TeamNew)),
            ("/user/new", None),
        ] {
            let path = RequestPath::parse(raw.as_bytes()).expect(raw);
            assert_eq!(Call::asked_by(&path), expected, "{raw}");
        }
        let path = RequestPath::parse(b"/key/sk%2Dabc/regenerate").expect("path");
        assert_eq!(Call::KeyRegenerate.key_in(&path).as_deref(), Some("sk-abc"));
    }

    #[test]
    fn what_is_not_served_has_advice() {
        for (raw, served) in [
            ("/user/new", true),
            ("/budget/info", true),
            ("/customer/new", true),
            ("/organization/list", true),
            ("/key/x/reset_spend", true),
            ("/v2/key/info", true),
            ("/team/member_add", true),
            ("/key/nonsense", false),
            ("/metrics", false),
        ] {
            assert_eq!(advice(&RequestPath::parse(raw.as_bytes()).expect(raw)).is_some(), served, "{raw}");
        }
    }
}
