//! Every way in which the key API says no.
//!
//! The law: a fault names the field or the thing, and what to write instead; never a key, since what was sent as something else
//! could be one.

use std::fmt;

/// Why a body or a query is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadField {
    /// It is not an object of JSON.
    Body,
    /// It has to be there.
    Missing(&'static str),
    /// LiteLLM enforces them, and Tollgate does not yet.
    NotEnforced(Vec<&'static str>),
    /// Nobody knows it; the nearest that is known.
    Unknown(Option<&'static str>),
    /// It takes another kind of value.
    Value(&'static str, &'static str),
}

/// Why a call is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong.
    Bad(BadField),
    /// The alias names another key.
    AliasTaken,
    /// The key is there already.
    KeyTaken,
    /// The team is there already.
    TeamTaken,
    /// A key of the caller's own is too easy to guess, or is no key.
    WeakKey,
    /// The key stands in the config file.
    Fixed,
    /// The entry could not be served: why.
    BadEndpoint(String),
    /// The id is another entry's.
    EndpointTaken,
    /// The entry stands in the config file.
    FixedEndpoint,
    /// There is no such entry.
    NoEndpoint,
    /// A masked value stands where none is known.
    Masked,
    /// So many entries are kept, and no more.
    TooMany(usize),
    /// There is no such key.
    NoKey,
    /// There is no such team.
    NoTeam,
    /// The key may not make this call.
    NotAllowed,
    /// The key may make the call, but not for this key or team.
    NotYours,
    /// Only the master key may set this.
    MasterOnly(&'static str),
    /// The config has problems; what was in force still is.
    NotReloaded(Vec<String>),
    /// There is no store: why.
    NoStore(String),
    /// The store cannot do it now: why.
    Store(String),
}

impl Fault {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Bad(_)
            | Self::AliasTaken
            | Self::KeyTaken
            | Self::TeamTaken
            | Self::WeakKey
            | Self::Fixed
            | Self::BadEndpoint(_)
            | Self::EndpointTaken
            | Self::FixedEndpoint
            | Self::Masked
            | Self::TooMany(_)
            | Self::NotReloaded(_) => 400,
            Self::NotAllowed | Self::NotYours | Self::MasterOnly(_) => 403,
            Self::NoKey | Self::NoTeam | Self::NoEndpoint => 404,
            Self::NoStore(_) | Self::Store(_) => 503,
        }
    }

    /// A word for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Bad(_) => "bad_field",
            Self::AliasTaken | Self::KeyTaken | Self::TeamTaken | Self::EndpointTaken => "taken",
            Self::BadEndpoint(_) | Self::Masked | Self::TooMany(_) => "bad_endpoint",
            Self::FixedEndpoint => "fixed_endpoint",
            Self::NoEndpoint => "no_such_endpoint",
            Self::WeakKey => "weak_key",
            Self::Fixed => "fixed_key",
            Self::NotReloaded(_) => "not_reloaded",
            Self::NoKey => "no_such_key",
            Self::NoTeam => "no_such_team",
            Self::NotAllowed | Self::NotYours | Self::MasterOnly(_) => "denied_management",
            Self::NoStore(_) | Self::Store(_) => "store",
        }
    }
}

impl From<BadField> for Fault {
    fn from(bad: BadField) -> Self {
        Self::Bad(bad)
    }
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => write!(f, "The body must be a JSON object."),
            Self::Missing(name) => write!(f, "`{name}` is missing."),
            Self::NotEnforced(names) => match names.split_last() {
                Some((last, [])) => write!(f, "`{last}` is not enforced yet, so it is not accepted: leave it out."),
                Some((last, others)) => write!(
                    f,
                    "`{}` and `{last}` are not enforced yet, so they are not accepted: leave them out.",
                    others.join("`, `")
                ),
                None => Ok(()),
            },
            // The name itself could be a key that slipped to the wrong side of a colon.
            Self::Unknown(None) => write!(f, "The request has a field that is not known."),
            Self::Unknown(Some(near)) => {
                write!(f, "The request has a field that is not known; did you mean `{near}`?")
            }
            Self::Value(name, wanted) => write!(f, "`{name}` must be {wanted}."),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(bad) => bad.fmt(f),
            Self::AliasTaken => write!(f, "Another key has this `key_alias`; aliases are unique."),
            Self::KeyTaken => write!(f, "This key exists already; choose another, or leave it out to have one made."),
            Self::TeamTaken => write!(f, "This `team_id` exists already; use /team/update."),
            Self::WeakKey => write!(
                f,
                "A key begins with sk-, has 16 to 512 characters, and of letters, digits, `-`, `_` and `.` alone; leave it out \
                 to have one made."
            ),
            Self::Fixed => write!(f, "This key stands in the config file; change it there."),
            Self::BadEndpoint(problem) => write!(f, "The entry cannot be served: {problem}"),
            Self::EndpointTaken => write!(f, "This `id` is another entry's; leave it out to have one made."),
            Self::FixedEndpoint => write!(f, "This entry stands in the config file; change it there, and reload."),
            Self::NoEndpoint => write!(f, "There is no such entry; GET /config/pass_through_endpoint lists them."),
            Self::Masked => {
                write!(f, "`*****` stands for a value that is kept already, and there is none here: write the value.")
            }
            Self::TooMany(most) => write!(f, "There are {most} entries, and no more are kept."),
            Self::NoKey => write!(f, "There is no such key. Name it by itself, its SHA-256, or its token."),
            Self::NoTeam => write!(f, "There is no such team."),
            Self::NotAllowed => write!(f, "This key may not make this call; use the master key."),
            Self::NotYours => write!(f, "This key may not do this to that key or team; use the master key."),
            Self::MasterOnly(what) => write!(f, "Only the master key may set {what}."),
            Self::NotReloaded(problems) => write!(f, "The config was not reloaded: {}", problems.join("; ")),
            Self::NoStore(why) => write!(f, "There is no key store: {why}."),
            Self::Store(why) => write!(f, "The key store cannot do this: {why}."),
        }
    }
}
