//! Who may make which call, and for which keys and teams.
//!
//! The law: the master key may everything. A key of type `management` may everything but what would make it more than it is:
//! keys of its own type, grants of routes, models that it may not use itself; with a team it sees that team alone, and with a team or
//! models of its own it cannot change teams. `read_only` sees the same and changes nothing. Any other key that may use the key API looks itself up. Who may not
//! see a key is not told whether there is one.

use super::call::Call;
use super::fault::Fault;
use super::{key, value::Body};
use crate::auth::{Key, KeyId, KeyRecord, KeyType, Principal, TeamRecord, is_like};

/// The keys and teams that somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// One team and its keys.
    Team(String),
    /// One key.
    Key(KeyId),
}

/// Who makes a call that is permitted.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The name for the audit.
    pub name: String,
    /// Its own key; none: the master key.
    pub key: Option<KeyId>,
    /// What it may see.
    pub scope: Scope,
    /// The models that it may use, and give; empty: all.
    models: Vec<String>,
    /// Whether it is limited to some calls.
    some_calls: bool,
}

/// Words for all models.
const EVERY: &[&str] = &["all-proxy-models", "all-team-models", "*"];

/// Words of LiteLLM's for groups of calls.
const GROUPS: &[&str] =
    &["management_routes", "info_routes", "key_management_routes", "self_managed_routes", "*", "/*"];

impl Asker {
    /// `principal`, if it may make `call`.
    pub fn permitted(principal: &Principal, call: Call) -> Result<Self, Fault> {
        let Principal::Key(key) = principal else {
            return Ok(Self::master("master"));
        };
        let record = &key.record;
        let scope = match (record.key_type, &record.team_id) {
            (KeyType::Default, _) => Scope::Key(record.id),
            (_, Some(team)) => Scope::Team(team.clone()),
            (_, None) => Scope::All,
        };
        let may = match record.key_type {
            KeyType::Routes => false,
            KeyType::Default => call == Call::KeyInfo,
            KeyType::ReadOnly => call.only_reads(),
            // Who is limited to models could lift a team's limit on them.
            KeyType::Management => {
                call.only_reads() || call.is_about_keys() || (scope == Scope::All && record.models.is_empty())
            }
        };
        let listed = |entry: &String| {
            GROUPS.contains(&entry.as_str())
                || entry == call.name()
                || entry.strip_suffix('*').is_some_and(|prefix| call.name().starts_with(prefix))
        };
        let listed = record.allowed_routes.is_empty() || record.allowed_routes.iter().any(listed);
        if !may || !listed || call.is_masters() {
            return Err(Fault::NotAllowed);
        }
        Ok(Self {
            name: record.shown().to_owned(),
            key: Some(record.id),
            scope,
            models: record.models.clone(),
            some_calls: !record.allowed_routes.is_empty(),
        })
    }

    /// Who may everything, under a name.
    pub fn master(name: impl Into<String>) -> Self {
        Self { name: name.into(), key: None, scope: Scope::All, models: Vec::new(), some_calls: false }
    }

    /// Whether it may see `record`.
    pub fn sees(&self, record: &KeyRecord) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Team(team) => record.team_id.as_ref() == Some(team),
            Scope::Key(id) => record.id == *id,
        }
    }

    /// Whether it may see the team of this id.
    pub fn sees_team(&self, id: &str) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Team(team) => team == id,
            Scope::Key(_) => false,
        }
    }

    /// Whether it may change a team with these keys, or make one that they wait for: what the team does to them it would do.
    pub fn may_change_team_of<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Result<(), Fault> {
        let beyond = |key: &Key| key.fixed || key.record.key_type == KeyType::Management;
        if self.is_master() || !keys.into_iter().any(beyond) { Ok(()) } else { Err(Fault::NotYours) }
    }

    /// Whether it may take `team` away: what the master has granted or denied would go with it.
    pub fn may_remove(&self, team: &TeamRecord) -> Result<(), Fault> {
        let plain = team.allowed_passthrough.is_empty() && team.denied_passthrough.is_empty();
        if self.is_master() || plain { Ok(()) } else { Err(Fault::NotYours) }
    }

    /// Whether it may ask for these fields.
    pub fn may_set(&self, body: &Body) -> Result<(), Fault> {
        match key::masters(body) {
            Some(field) if !self.is_master() => Err(Fault::MasterOnly(field)),
            _ => Ok(()),
        }
    }

    /// Whether it may change a key that is as `before`.
    pub fn may_change(&self, before: &KeyRecord) -> Result<(), Fault> {
        let allowed = self.sees(before) && (self.is_master() || before.key_type != KeyType::Management);
        if allowed { Ok(()) } else { Err(Fault::NotYours) }
    }

    /// Whether it may leave a key as `after`.
    pub fn may_leave(&self, after: &KeyRecord) -> Result<(), Fault> {
        if !self.is_master() && after.key_type == KeyType::Management {
            return Err(Fault::MasterOnly("the key_type management"));
        }
        // LiteLLM's words for all models are no names of models, so that no family holds them.
        let gives = |model: &String| {
            let likes = |known: &String| {
                EVERY.contains(&known.as_str()) || (!EVERY.contains(&model.as_str()) && is_like(known, model))
            };
            self.models.iter().any(|known| known == model || likes(known))
        };
        let within = self.models.is_empty() || (!after.models.is_empty() && after.models.iter().all(gives));
        // Who may make some calls only would make all that read by a key of this type.
        let calls = !self.some_calls || after.key_type != KeyType::ReadOnly;
        if within && calls && self.sees(after) { Ok(()) } else { Err(Fault::NotYours) }
    }

    fn is_master(&self) -> bool {
        self.key.is_none()
    }
}
