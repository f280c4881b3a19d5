//! `tollgate key …`: the key API on the store's file, for who may read it; a server on the same file need not be asked.
//!
//! The law: the calls, their checks and their answers are `admin`'s. What makes a key prints it alone on stdout, so that a script
//! can take it. 0: done; 1: not, and stderr says why.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::arguments::{KeyCommand, KeyFields};
use super::load::print;
use super::output::{complain, say};
use super::settings::Settings;
use super::{BAD_CONFIG, OK, state};
use crate::admin::Admin;
use crate::clock::Moment;
use crate::config::env::Process;
use crate::config::noted::Texts;
use crate::config::{self, Config};
use crate::management::{Asked, Asker, Body, Call, is_empty};
use crate::reload;

/// Who is said to have changed keys.
const NAME: &str = "command line";
/// Keys that are read at once for a list.
const PAGE: usize = 100;

/// Runs `command`.
pub(super) fn run(command: &KeyCommand, environ: &Process, settings: &Settings) -> u8 {
    match done(command, environ, settings) {
        Ok(text) => {
            say(&text);
            OK
        }
        Err(text) => {
            complain(&format!("error: {text}\n"));
            BAD_CONFIG
        }
    }
}

fn done(command: &KeyCommand, environ: &Process, settings: &Settings) -> Result<String, String> {
    let config = config(environ, settings)?;
    let store = Store::open(config.as_ref(), settings, matches!(command, KeyCommand::Generate { .. }))?;
    match command {
        KeyCommand::Generate { fields, key } => {
            let mut body = body(fields)?;
            body.extend(key.clone().map(|key| ("key".to_owned(), Value::from(key))));
            store.make(Call::KeyGenerate, body)
        }
        KeyCommand::Regenerate { key, fields, grace_period } => {
            let mut body = store.naming(key, body(fields)?)?;
            body.extend(grace_period.clone().map(|span| ("grace_period".to_owned(), Value::from(span))));
            store.make(Call::KeyRegenerate, body)
        }
        KeyCommand::Update { key, fields } => {
            let body = store.naming(key, body(fields)?)?;
            store.call(Call::KeyUpdate, body, None).map(|_| String::new())
        }
        KeyCommand::Info { key } => {
            let token = store.token(key)?;
            let answer = store.call(Call::KeyInfo, Body::new(), Some(format!("key={token}")))?;
            let fields = answer.get("info").and_then(Value::as_object).cloned().unwrap_or_default();
            // What says nothing would hide what does.
            Ok(pretty(&fields.into_iter().filter(|(_, value)| !is_empty(value)).collect()))
        }
        KeyCommand::List { json: true } => Ok(pretty(&store.keys()?.into())),
        KeyCommand::List { json: false } => Ok(table(&store.keys()?)),
        KeyCommand::Block { keys } => store.each(Call::KeyBlock, keys),
        KeyCommand::Unblock { keys } => store.each(Call::KeyUnblock, keys),
        KeyCommand::Delete { keys } => {
            let tokens = keys.iter().map(|key| store.token(key)).collect::<Result<Vec<_>, _>>()?;
            let body = [("keys".to_owned(), json!(tokens))].into_iter().collect();
            store.call(Call::KeyDelete, body, None).map(|_| String::new())
        }
    }
}

/// The config, where there is one: it may say where the store is, and its keys are none of the store's.
fn config(environ: &Process, settings: &Settings) -> Result<Option<Config>, String> {
    let Some(path) = &settings.config else { return Ok(None) };
    let (config, mut report) = config::load(path, environ, &settings.overrides);
    report.notices.clear();
    print(&report);
    match config.filter(|_| report.is_clean()) {
        Some(config) => Ok(Some(config)),
        None => Err(format!("{}: not read", path.display())),
    }
}

/// The key API, called from here.
struct Store {
    admin: Admin,
    runtime: tokio::runtime::Runtime,
}

impl Store {
    fn open(config: Option<&Config>, settings: &Settings, make: bool) -> Result<Self, String> {
        let state = state::open(config, settings, make)?;
        state.check()?;
        let runtime = Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        if let Some(config) = config {
            let mut report = config::error::Report::default();
            let compiled = crate::snapshot::compile(config, &state.book, &mut report);
            report.notices.clear();
            print(&report);
            compiled.ok_or("the config has errors")?;
        }
        let master = config.and_then(|config| config.master_key.clone());
        // Nothing is served here, and no entry of the config is judged.
        let (moved, judge) = (Box::new(|| {}), Arc::new(|_| BTreeMap::new()));
        let (reloads, _) = reload::channel(Texts::default());
        Ok(Self { admin: Admin::new(state.serve(moved)?, master, reloads, judge), runtime })
    }

    fn call(&self, call: Call, body: Body, query: Option<String>) -> Result<Value, String> {
        let asked = Asked { call, asker: Asker::master(NAME), query: query.map(String::into_bytes), named: None };
        let body = Value::Object(body).to_string();
        let answer = self.admin.answer(&asked, body.as_bytes(), Moment::now().calendar);
        self.runtime.block_on(answer).map_err(|fault| fault.to_string())
    }

    /// A call that makes a key, and the key.
    fn make(&self, call: Call, body: Body) -> Result<String, String> {
        let answer = self.call(call, body, None)?;
        Ok(format!("{}\n", answer.get("key").and_then(Value::as_str).unwrap_or_default()))
    }

    /// The token of a key that somebody names in any way.
    fn token(&self, name: &str) -> Result<String, String> {
        self.admin.token(name).ok_or_else(|| "there is no such key; `tollgate key list` shows all".to_owned())
    }

    /// `body` for the key of this name.
    fn naming(&self, name: &str, mut body: Body) -> Result<Body, String> {
        body.insert("key".into(), self.token(name)?.into());
        Ok(body)
    }

    fn each(&self, call: Call, names: &[String]) -> Result<String, String> {
        let bodies = names.iter().map(|name| self.naming(name, Body::new())).collect::<Result<Vec<_>, _>>()?;
        for body in bodies {
            self.call(call, body, None)?;
        }
        Ok(String::new())
    }

    fn keys(&self) -> Result<Vec<Value>, String> {
        let mut out = Vec::new();
        for page in 1.. {
            let query = format!("return_full_object=true&size={PAGE}&page={page}");
            let mut answer = self.call(Call::KeyList, Body::new(), Some(query))?;
            match answer.get_mut("keys").map(Value::take) {
                Some(Value::Array(keys)) if !keys.is_empty() => out.extend(keys),
                _ => break,
            }
        }
        Ok(out)
    }
}

/// What was typed, as the body of a call.
fn body(fields: &KeyFields) -> Result<Body, String> {
    let json = |name: &str, text: &Option<String>| -> Result<Option<Value>, String> {
        let read = text.as_deref().map(serde_json::from_str).transpose();
        read.map_err(|_| format!("--{name}: write JSON, as {{\"name\": 1}}"))
    };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let words = |words: &Option<Vec<String>>| {
        // `--models ''` is an empty list.
        words.clone().map(|words| words.into_iter().filter(|word| !word.is_empty()).collect::<Value>())
    };
    let all = [
        ("key_alias", text(&fields.key_alias)),
        ("duration", text(&fields.duration)),
        ("rpm_limit", fields.rpm_limit.map(Value::from)),
        ("max_parallel_requests", fields.max_parallel_requests.map(Value::from)),
        ("model_rpm_limit", json("model_rpm_limit", &fields.model_rpm_limit)?),
        ("models", words(&fields.models)),
        ("allowed_routes", words(&fields.allowed_routes)),
        ("allowed_passthrough_routes", words(&fields.allowed_passthrough_routes)),
        ("denied_passthrough_routes", words(&fields.denied_passthrough_routes)),
        ("key_type", text(&fields.key_type)),
        ("team_id", text(&fields.team_id)),
        ("user_id", text(&fields.user_id)),
        ("tags", words(&fields.tags)),
        ("metadata", json("metadata", &fields.metadata)?),
    ];
    Ok(all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Keys in columns.
fn table(keys: &[Value]) -> String {
    const COLUMNS: &[(&str, &str)] = &[
        ("KEY", "key_name"),
        ("ALIAS", "key_alias"),
        ("STATUS", "status"),
        ("TYPE", "key_type"),
        ("RPM", "rpm_limit"),
        ("PARALLEL", "max_parallel_requests"),
        ("TEAM", "team_id"),
        ("EXPIRES", "expires"),
        ("TOKEN", "token"),
    ];
    let cell = |key: &Value, name: &str| match key.get(name) {
        Some(Value::String(text)) => crate::logger::neutralized(text).into_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    };
    let heads = COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads)
        .chain(keys.iter().map(|key| COLUMNS.iter().map(|(_, name)| cell(key, name)).collect()))
        .collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        out += line.trim_end();
        out.push('\n');
    }
    out
}
