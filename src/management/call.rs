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
    /// Shows entries of the config.
    EndpointList,
    /// Shows those that a team may use.
    EndpointTeam,
    /// Makes an entry.
    EndpointNew,
    /// Changes an entry.
    EndpointUpdate,
    /// Takes an entry away.
    EndpointDelete,
}

const READ: &[&str] = &["GET", "HEAD"];
const WRITE: &[&str] = &["POST"];
const ENTRIES: &str = "/config/pass_through_endpoint";

/// Calls with their paths and methods. A part in braces is any one segment.
const CALLS: &[(Call, &str, &[&str])] = &[
    (Call::KeyGenerate, "/key/generate", WRITE),
    (Call::KeyUpdate, "/key/update", WRITE),
    (Call::KeyRegenerate, "/key/regenerate", WRITE),
    (Call::KeyDelete, "/key/delete", WRITE),
    (Call::KeyInfo, "/key/info", READ),
    (Call::KeyList, "/key/list", READ),
    (Call::KeyBlock, "/key/block", WRITE),
    (Call::KeyUnblock, "/key/unblock", WRITE),
    (Call::TeamNew, "/team/new", WRITE),
    (Call::TeamUpdate, "/team/update", WRITE),
    (Call::TeamDelete, "/team/delete", WRITE),
    (Call::TeamInfo, "/team/info", READ),
    (Call::TeamList, "/team/list", READ),
    (Call::TeamBlock, "/team/block", WRITE),
    (Call::TeamUnblock, "/team/unblock", WRITE),
    (Call::ConfigReload, "/config/reload", WRITE),
    (Call::ConfigRollback, "/config/rollback", WRITE),
    (Call::EndpointList, ENTRIES, READ),
    (Call::EndpointTeam, "/config/pass_through_endpoint/team/{team_id}", READ),
    (Call::EndpointNew, ENTRIES, WRITE),
    (Call::EndpointUpdate, "/config/pass_through_endpoint/{endpoint_id}", WRITE),
    (Call::EndpointDelete, ENTRIES, &["DELETE"]),
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
    /// The key, the team or the entry that the path names.
    pub named: Option<String>,
}

impl Call {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        CALLS.iter().map(|(call, ..)| *call)
    }

    /// What `path` asks for, by one of its methods, where it asks for anything.
    pub fn asked_by(path: &RequestPath<'_>) -> impl Iterator<Item = Self> {
        let regenerates = is_regenerate(path).then_some(Self::KeyRegenerate);
        let matching: Vec<Self> =
            CALLS.iter().filter(|(_, known, _)| is_at(path, known)).map(|(call, ..)| *call).collect();
        matching.into_iter().chain(regenerates)
    }

    /// What `path` names, where the call takes a name there: a key, a team, an entry.
    pub fn named_in(self, path: &RequestPath<'_>) -> Option<String> {
        let at = match self {
            Self::KeyRegenerate if is_regenerate(path) => 1,
            Self::EndpointUpdate => 2,
            Self::EndpointTeam => 3,
            _ => return None,
        };
        Some(String::from_utf8_lossy(path.canon(at)).into_owned())
    }

    /// Its path, as logs have it.
    pub fn name(self) -> &'static str {
        CALLS.iter().find(|(call, ..)| *call == self).map_or("", |(_, path, _)| path)
    }

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        self.methods() == READ
    }

    /// Whether it is about keys.
    pub fn is_about_keys(self) -> bool {
        self.name().starts_with("/key/")
    }

    /// Whether it is for the holder of the master key alone.
    pub fn is_masters(self) -> bool {
        self.name().starts_with("/config/")
    }

    /// The methods that make it.
    pub fn methods(self) -> &'static [&'static str] {
        CALLS.iter().find(|(call, ..)| *call == self).map_or(&[], |(.., methods)| methods)
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

/// Whether `path` is `known`, of whose segments those in braces may be any.
fn is_at(path: &RequestPath<'_>, known: &str) -> bool {
    let segments = known.split('/').skip(1);
    let same = |(at, segment): (usize, &str)| {
        path.canon(at) == segment.as_bytes() || (segment.starts_with('{') && !path.canon(at).is_empty())
    };
    segments.clone().count() == path.len() && segments.enumerate().all(same)
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
            ("/config/pass_through_endpoint", Some(Call::EndpointList)),
            ("/config/pass_through_endpoint/one", Some(Call::EndpointUpdate)),
            ("/config/pass_through_endpoint/team/one/", Some(Call::EndpointTeam)),
            ("/config/pass_through_endpoint/", Some(Call::EndpointList)),
            ("/config/pass_through_endpoint//", None),
            ("/user/new", None),
        ] {
            let path = RequestPath::parse(raw.as_bytes()).expect(raw);
            assert_eq!(Call::asked_by(&path).next(), expected, "{raw}");
        }
        let path = RequestPath::parse(b"/key/sk%2Dabc/regenerate").expect("path");
        assert_eq!(Call::KeyRegenerate.named_in(&path).as_deref(), Some("sk-abc"));
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
