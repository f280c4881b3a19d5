//! Where keys, teams and entries of the config outlive the process.
//!
//! `record` is what a key looks like at rest, `sealed` what an entry of the config does, `salt` the secret that both need, `sqlite` the
//! embedded store, `file` its file, `keeper` the one thread that owns a store and keeps book and shelf beside it. The law: what is acknowledged is durable; a change is written
//! whole, with who made it, or not at all; nothing at rest is a key, or a digest that anybody could have computed.
//! It does not know the key API: who asks for a change says which.

mod file;
mod keeper;
mod record;
mod salt;
mod sealed;
mod sqlite;

use std::fmt;

pub use keeper::{Keeper, Kept, Plan};
pub use sqlite::Sqlite;

use crate::auth::{KeyId, KeyRecord, TeamRecord, Time};
use crate::config::stored::Stored;

/// A change of one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The key is as this.
    Key(Box<KeyRecord>),
    /// There is no such key.
    NoKey(KeyId),
    /// The team is as this.
    Team(Box<TeamRecord>),
    /// There is no such team.
    NoTeam(String),
    /// The entry of the config is as this.
    Entry(Stored),
    /// There is no such entry.
    NoEntry(String),
}

/// Who did what, for who asks later. No secret stands in it.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Who.
    pub who: String,
    /// What, as the endpoint or command is called.
    pub what: &'static str,
    /// When.
    pub at: Time,
}

/// A store. Another kind of database is another implementation, and nothing else.
pub trait KeyStore: Send {
    /// Tells `each` what has changed since `version`; since 0: everything. The version that is.
    fn since(&mut self, version: u64, each: &mut dyn FnMut(Change)) -> Result<u64, Fault>;
    /// Writes `changes` as one, durably, unless somebody has written since `version`. The new version.
    fn write(&mut self, version: u64, changes: &[Change], audit: &Audit) -> Result<u64, Fault>;
}

/// Why a store does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is damaged, or no database.
    Corrupt,
    /// Nothing more fits.
    Full,
    /// There is no such file any more.
    Gone,
    /// Somebody else holds it.
    Locked,
    /// Somebody else has written in between.
    Moved,
    /// A newer Tollgate has changed its form.
    Newer,
    /// Its ids were made with another salt.
    OtherSalt,
    /// It may not be written.
    ReadOnly,
    /// Another store, or an older state of it, stands where it stood.
    Replaced,
    /// Another reason, in the system's words.
    Failed(String),
}

impl Fault {
    /// Whether only a person can mend it.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Corrupt | Self::Gone | Self::Newer | Self::OtherSalt | Self::Replaced)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "it is damaged, or no SQLite database; restore it from a backup, or move it away",
            Self::Full => "the disk is full",
            Self::Gone => "its file is gone; bring it back, or start Tollgate anew",
            Self::Locked => "another process holds it",
            Self::Moved => "others write to it all the time",
            Self::Newer => "a newer Tollgate has changed its form",
            Self::OtherSalt => {
                "its keys were made with another salt; set LITELLM_SALT_KEY, or bring tollgate.salt back, as they were"
            }
            Self::ReadOnly => "it may not be written",
            Self::Replaced => "another file has taken its place; bring the first back, or start Tollgate anew",
            Self::Failed(why) => why,
        })
    }
}
