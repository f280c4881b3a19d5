//! The embedded store: one SQLite file.
//!
//! The law: WAL, and a write is acknowledged only when it is on the disk (`synchronous=FULL`); a writer takes the lock before
//! it reads (`BEGIN IMMEDIATE`), so that no two can both have seen the same version. Rows carry the version that wrote them, and a
//! deleted one stays as a row without a record, so that another process sees it go. After a fault the file is opened anew, and also
//! when another stands under its name: what is written to a file without a name is lost.
//!
//! A file that cannot be written is read all the same, and opened anew each time, so that it is written once it can be.
//!
//! The form changes by expanding first and contracting a release later: an older Tollgate may still hold the file open.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::sealed::Sealer;
use super::{Audit, Change, Fault, KeyStore, file, record, salt};
use crate::auth::Salt;
use crate::clock::Moment;
use crate::config::stored::Stored;

/// How long a lock that others hold is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it is remembered that something was deleted, in milliseconds: 30 days.
const REMEMBERED: u64 = 30 * 86_400_000;

/// The steps from an empty file to today's form. None is ever changed; the next is added below.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
     INSERT INTO meta VALUES ('version', 0);
     CREATE TABLE keys (id TEXT PRIMARY KEY, record TEXT, version INTEGER NOT NULL) WITHOUT ROWID;
     CREATE INDEX keys_version ON keys (version);
     CREATE TABLE teams (id TEXT PRIMARY KEY, record TEXT, version INTEGER NOT NULL) WITHOUT ROWID;
     CREATE INDEX teams_version ON teams (version);
     CREATE TABLE audit (version INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
                         whom TEXT NOT NULL);",
    "CREATE TABLE entries (id TEXT PRIMARY KEY, record TEXT, version INTEGER NOT NULL) WITHOUT ROWID;
     CREATE INDEX entries_version ON entries (version);",
];

/// A store in a file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    open: Option<Open>,
    /// What the salt comes to, by which the file is known again.
    check: Option<Vec<u8>>,
    /// What seals entries, once the salt is known.
    sealer: Option<Sealer>,
}

/// An open file.
#[derive(Debug)]
struct Open {
    connection: Connection,
    /// Which file it is: its device and number.
    identity: (u64, u64),
    /// Why it can only be read.
    frozen: Option<Fault>,
    /// Whether it is read as if nobody wrote.
    alone: bool,
}

impl Sqlite {
    /// Opens the store at `path`, which is made if there is none, with the salt of its keys: `given`, or the one beside it.
    pub fn open(path: &Path, given: Option<Salt>) -> Result<(Self, Salt), Fault> {
        // Where two processes make the file at once, SQLite refuses one of them without waiting.
        let end = Instant::now() + PATIENCE;
        loop {
            match Self::open_once(path, given.clone()) {
                Err(Fault::Locked) if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
                done => return done,
            }
        }
    }

    fn open_once(path: &Path, given: Option<Salt>) -> Result<(Self, Salt), Fault> {
        file::make(path)?;
        let mut store = Self { path: path.to_owned(), open: None, check: None, sealer: None };
        let salt = store.with(|connection| {
            let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault)?;
            if sound != "ok" {
                return Err(Fault::Corrupt);
            }
            migrate(connection)?;
            forget_deleted(connection)?;
            checked_salt(connection, &path.with_extension("salt"), given)
        })?;
        store.check = Some(salt.check_value().to_vec());
        store.sealer = Some(Sealer::new(&salt)?);
        Ok((store, salt))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job` on the open file. What fails closes it, so that the next job begins afresh.
    fn with<T>(&mut self, job: impl FnOnce(&mut Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let identity = file::identity(&self.path)?;
        let mut open = match self.open.take() {
            Some(open) if open.identity == identity => open,
            _ => self.reopen(identity)?,
        };
        let result = job(&mut open.connection);
        match (result, &open.frozen) {
            (Err(Fault::ReadOnly), Some(why)) => Err(why.clone()),
            (Ok(_), Some(_)) if open.alone && !file::is_whole(&self.path) => Err(Fault::Locked),
            (result, Some(_)) => result,
            (result, None) => {
                if !result.as_ref().is_err_and(|fault| *fault != Fault::Moved) {
                    self.open = Some(open);
                }
                result
            }
        }
    }

    fn reopen(&self, identity: (u64, u64)) -> Result<Open, Fault> {
        let open = connect(&self.path, identity)?;
        if self.check.is_some() && kept_check(&open.connection)? != self.check {
            return Err(Fault::Replaced);
        }
        Ok(open)
    }
}

impl KeyStore for Sqlite {
    fn since(&mut self, version: u64, each: &mut dyn FnMut(Change)) -> Result<u64, Fault> {
        let sealer = self.sealer.take();
        let done = self.with(|connection| {
            // One transaction, so that both tables and the version are of one moment.
            let transaction = connection.transaction().map_err(fault)?;
            let now = current(&transaction)?;
            if now != version {
                teams_since(&transaction, version, each)?;
                keys_since(&transaction, version, each)?;
                entries_since(&transaction, version, sealer.as_ref(), each)?;
            }
            Ok(now)
        });
        self.sealer = sealer;
        done
    }

    fn write(&mut self, version: u64, changes: &[Change], audit: &Audit) -> Result<u64, Fault> {
        let rows: Vec<Row> =
            changes.iter().map(|change| row(change, self.sealer.as_ref())).collect::<Result<_, Fault>>()?;
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
            if current(&transaction)? != version {
                return Err(Fault::Moved);
            }
            let next = version + 1;
            for row in rows {
                write_one(&transaction, next, row, audit).map_err(fault)?;
            }
            transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'version'", [signed(next)]).map_err(fault)?;
            transaction.commit().map_err(fault)?;
            Ok(next)
        })
    }
}

/// A change as a row: of which table, under which id, and its record.
type Row = (&'static str, String, Option<String>);

fn row(change: &Change, sealer: Option<&Sealer>) -> Result<Row, Fault> {
    Ok(match change {
        Change::Key(key) => ("keys", key.id.hex(), Some(record::key_text(key))),
        Change::NoKey(id) => ("keys", id.hex(), None),
        Change::Team(team) => ("teams", team.id.clone(), Some(record::team_text(team))),
        Change::NoTeam(id) => ("teams", id.clone(), None),
        Change::Entry(Stored { id, body }) => {
            let sealed = sealer.ok_or(Fault::OtherSalt)?.seal(id, body)?;
            ("entries", id.clone(), Some(sealed))
        }
        Change::NoEntry(id) => ("entries", id.clone(), None),
    })
}

fn write_one(
    transaction: &Transaction<'_>,
    version: u64,
    (table, id, text): Row,
    audit: &Audit,
) -> Result<(), rusqlite::Error> {
    let statement = format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2, ?3)");
    transaction.prepare(&statement)?.execute(params![id, text, signed(version)])?;
    transaction.prepare("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        signed(version),
        signed(audit.at),
        audit.who,
        audit.what,
        id
    ])?;
    Ok(())
}

fn keys_since(transaction: &Transaction<'_>, version: u64, each: &mut dyn FnMut(Change)) -> Result<(), Fault> {
    let read = |id: &str, text: Option<&str>| match text {
        Some(text) => record::key(id, text).map(|key| Change::Key(Box::new(key))),
        None => crate::auth::KeyId::parse(id).map(Change::NoKey),
    };
    rows(transaction, "SELECT id, record FROM keys WHERE version > ?1", version, read, each)
}

fn teams_since(transaction: &Transaction<'_>, version: u64, each: &mut dyn FnMut(Change)) -> Result<(), Fault> {
    let read = |id: &str, text: Option<&str>| match text {
        Some(text) => record::team(id, text).map(|team| Change::Team(Box::new(team))),
        None => Some(Change::NoTeam(id.to_owned())),
    };
    rows(transaction, "SELECT id, record FROM teams WHERE version > ?1", version, read, each)
}

fn entries_since(
    transaction: &Transaction<'_>,
    version: u64,
    sealer: Option<&Sealer>,
    each: &mut dyn FnMut(Change),
) -> Result<(), Fault> {
    let read = |id: &str, sealed: Option<&str>| match sealed {
        Some(sealed) => {
            let body = sealer?.open(id, sealed)?;
            Some(Change::Entry(Stored { id: id.to_owned(), body }))
        }
        None => Some(Change::NoEntry(id.to_owned())),
    };
    rows(transaction, "SELECT id, record FROM entries WHERE version > ?1", version, read, each)
}

fn rows(
    transaction: &Transaction<'_>,
    statement: &str,
    version: u64,
    read: impl Fn(&str, Option<&str>) -> Option<Change>,
    each: &mut dyn FnMut(Change),
) -> Result<(), Fault> {
    let mut statement = transaction.prepare(statement).map_err(fault)?;
    let mut rows = statement.query([signed(version)]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (id, text): (String, Option<String>) =
            row.get(0).and_then(|id| Ok((id, row.get(1)?))).map_err(|_| Fault::Corrupt)?;
        each(read(&id, text.as_deref()).ok_or(Fault::Corrupt)?);
    }
    Ok(())
}

/// Opens the file, and says why it can only be read, if it can.
fn connect(path: &Path, identity: (u64, u64)) -> Result<Open, Fault> {
    use rusqlite::OpenFlags;
    // Never made here: a file that was taken away while the process runs must not come back empty.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    let why = match prepare(&connection) {
        Ok(writable) => {
            let frozen = (!writable).then_some(Fault::ReadOnly);
            return Ok(Open { connection, identity, frozen, alone: false });
        }
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Fault::ReadOnly,
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => fault(error),
            _ => return Err(fault(error)),
        },
    };
    // SQLite wants files beside this one even to read, and they have no place. It does without, where the file holds all.
    if !file::is_whole(path) {
        return Err(why);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(file::immutable(path), flags).map_err(fault)?;
    Ok(Open { connection, identity, frozen: Some(why), alone: true })
}

/// Makes a connection ready, down to a first read. Whether it may write.
fn prepare(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.busy_timeout(PATIENCE)?;
    let writable = !connection.is_readonly("main")?;
    if writable {
        connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
        connection.execute_batch("PRAGMA synchronous=FULL; PRAGMA secure_delete=ON")?;
    }
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(writable)
}

fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let form = |connection: &Connection| -> Result<usize, Fault> {
        let table = "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'";
        let there: i64 = connection.query_row(table, [], |row| row.get(0)).map_err(fault)?;
        if there == 0 {
            return Ok(0);
        }
        let applied: i64 =
            connection.query_row("SELECT count(*) FROM migrations", [], |row| row.get(0)).map_err(fault)?;
        usize::try_from(applied).map_err(|_| Fault::Corrupt)
    };
    if form(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY, contracts INTEGER NOT NULL)")
        .map_err(fault)?;
    // A newer form is read all the same, unless a step of it has taken away what this version knows.
    let contracted = "SELECT count(*) FROM migrations WHERE contracts != 0 AND step > ?1";
    let known = signed(MIGRATIONS.len() as u64);
    let lost: i64 = transaction.query_row(contracted, [known], |row| row.get(0)).map_err(fault)?;
    if lost > 0 {
        return Err(Fault::Newer);
    }
    for (step, statements) in MIGRATIONS.iter().enumerate().skip(form(&transaction)?) {
        transaction.execute_batch(statements).map_err(fault)?;
        let step = signed(step as u64 + 1);
        transaction.execute("INSERT INTO migrations VALUES (?1, 0)", [step]).map_err(fault)?;
    }
    transaction.commit().map_err(fault)
}

/// Rows of what was deleted long ago go: no process that shares the file is so far behind. A file that cannot be written keeps
/// them.
fn forget_deleted(connection: &Connection) -> Result<(), Fault> {
    let long_ago = Moment::now().calendar.saturating_sub(REMEMBERED);
    for table in ["keys", "teams", "entries"] {
        let old = "(SELECT coalesce(max(version), 0) FROM audit WHERE at < ?1)";
        let statement = format!("DELETE FROM {table} WHERE record IS NULL AND version <= {old}");
        match connection.execute(&statement, [signed(long_ago)]).map_err(fault) {
            Ok(_) | Err(Fault::ReadOnly | Fault::Locked | Fault::Full) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// What the salt of this store comes to.
fn kept_check(connection: &Connection) -> Result<Option<Vec<u8>>, Fault> {
    let table = "SELECT count(*) FROM sqlite_master WHERE name = 'meta'";
    if connection.query_row(table, [], |row| row.get::<_, i64>(0)).map_err(fault)? == 0 {
        return Ok(None);
    }
    let query = "SELECT value FROM meta WHERE name = 'salt check'";
    connection.query_row(query, [], |row| row.get(0)).optional().map_err(fault)
}

/// The salt that the ids of this store were made with.
fn checked_salt(connection: &Connection, file: &Path, given: Option<Salt>) -> Result<Salt, Fault> {
    let check = kept_check(connection)?;
    let salt = match given {
        Some(salt) => salt,
        None => match salt::read(file)? {
            Some(salt) => salt,
            None if check.is_none() => salt::make(file)?,
            None => return Err(Fault::OtherSalt),
        },
    };
    if check.is_none() {
        let insert = "INSERT OR IGNORE INTO meta VALUES ('salt check', ?1)";
        connection.execute(insert, [salt.check_value().as_slice()]).map_err(fault)?;
    }
    let check = kept_check(connection)?;
    if check.is_some_and(|check| check == salt.check_value()) { Ok(salt) } else { Err(Fault::OtherSalt) }
}

fn current(connection: &Connection) -> Result<u64, Fault> {
    let query = "SELECT value FROM meta WHERE name = 'version'";
    let version: i64 = connection.query_row(query, [], |row| row.get(0)).map_err(fault)?;
    u64::try_from(version).map_err(|_| Fault::Corrupt)
}

/// SQLite's integers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn fault(error: rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::Locked,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Fault::Corrupt,
        Some(ErrorCode::DiskFull) => Fault::Full,
        Some(ErrorCode::ReadOnly) => Fault::ReadOnly,
        Some(ErrorCode::CannotOpen) => Fault::Failed("it, or what stands beside it, cannot be opened".into()),
        Some(ErrorCode::SystemIoFailure) => {
            let code = error.sqlite_error().map_or(0, |error| error.extended_code);
            Fault::Failed(format!("the disk does not do what it should (SQLite's error {code})"))
        }
        Some(code) => Fault::Failed(format!("SQLite says: {code:?}")),
        None => Fault::Failed("SQLite failed".into()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
