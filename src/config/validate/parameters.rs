//! Parameters of requests in `litellm_params`: what the file says in YAML becomes JSON.
//!
//! The law: a number stays the number that was written; a reference has no meaning here, since what is sent in a body is no secret.

use serde_json::{Map, Number, Value as Json};

use crate::config::env::names_variable;
use crate::config::error::{Report, Site};
use crate::config::fields::{MODEL_PARAMS, PARAMETER};
use crate::config::raw::{Node, Value};
use crate::config::section::{Section, shorten};

/// What the client says itself, whatever the file has.
const CLIENTS_OWN: &[&str] = &["model", "messages", "stream", "input", "prompt", "stream_options"];

/// The parameters that stand in the section itself, and those under its `extra_body`.
pub(super) fn read(section: &Section<'_>, report: &mut Report) -> Vec<(String, Json)> {
    let mut out: Vec<(String, Json)> = Vec::new();
    let is_parameter = |name: &str| MODEL_PARAMS.field(name).is_some_and(|field| field.doc == PARAMETER);
    for entry in section.entries().iter().filter(|entry| is_parameter(&entry.key)) {
        if matches!(entry.node.value, Value::Null) {
            continue;
        }
        let value = json(&entry.node, &section.site_of(entry), report);
        out.extend(value.map(|value| (entry.key.clone(), value)));
    }
    let Some(extra) = section.map("extra_body", report) else { return out };
    for entry in extra.entries() {
        let site = extra.site_of(entry);
        if CLIENTS_OWN.contains(&entry.key.as_str()) {
            let what = format!("`{}` is for the client to say", shorten(&entry.key));
            report.problem(&site, what, "remove it");
        } else if out.iter().any(|(name, _)| *name == entry.key) {
            let what = format!("`{}` stands beside extra_body too", shorten(&entry.key));
            report.problem(&site, what, "keep one of the two");
        } else if let Some(value) = json(&entry.node, &site, report) {
            out.push((entry.key.clone(), value));
        }
    }
    out
}

fn json(node: &Node, site: &Site, report: &mut Report) -> Option<Json> {
    let value = match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(text) => match number(text) {
            Some(number) => Json::Number(number),
            None => {
                let what = format!("`{}` is not a number that JSON has", shorten(text));
                report.problem(site, what, "write a plain decimal number");
                return None;
            }
        },
        Value::Text(text) if names_variable(text) => {
            report.problem(site, "a parameter of requests is not expanded", "write the value itself");
            return None;
        }
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(|item| json(item, site, report)).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                map.insert(entry.key.clone(), json(&entry.node, site, report)?);
            }
            Json::Object(map)
        }
    };
    Some(value)
}

/// YAML writes some numbers as JSON does not: `.5`, `+1`, `0x10`.
fn number(text: &str) -> Option<Number> {
    serde_json::from_str::<Number>(text).ok().or_else(|| {
        let plain = text.strip_prefix('+').unwrap_or(text);
        let whole = plain.strip_prefix("0x").map(|digits| i64::from_str_radix(digits, 16));
        let whole = whole.or_else(|| plain.strip_prefix("0o").map(|digits| i64::from_str_radix(digits, 8)));
        match whole {
            Some(whole) => whole.ok().map(Number::from),
            None => plain.parse::<f64>().ok().and_then(Number::from_f64),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_were_written() {
        for (text, expected) in [
            ("0.7", Some("0.7")),
            ("1.10", Some("1.10")),
            ("1e2", Some("1e+2")),
            ("-3", Some("-3")),
            ("12345678901234567890123", Some("12345678901234567890123")),
            (".5", Some("0.5")),
            ("+1", Some("1.0")),
            ("0x10", Some("16")),
            ("0o17", Some("15")),
            (".inf", None),
            (".nan", None),
            ("0xzz", None),
        ] {
            assert_eq!(number(text).map(|number| number.to_string()).as_deref(), expected, "{text}");
        }
    }
}
