//! Reading one mapping of the file: typed values out, problems into the report.
//!
//! The law: a key that the shape does not list is an error (or a notice, where LiteLLM allows any) with a suggestion; a
//! protective key refuses the file; a value of the wrong kind is an error and never guessed at. Booleans are booleans:
//! a quoted one is refused, so that no typing slip opens a route.

use crate::config::env::{Environ, Expanded, expand};
use crate::config::error::{Report, Site};
use crate::config::fields::{GENERAL, MODEL_INFO, MODEL_PARAMS, Shape, Standing};
pub use crate::config::raw::shorten;
use crate::config::raw::{Entry, Node, Value};

/// How parameters of a model begin that may be credentials of a cloud, and are nothing to send in a body.
const CLOUDS: &[&str] = &["aws_", "azure_", "gcs_", "oci_", "s3_", "vertex_", "watsonx_"];

/// A mapping being read.
pub struct Section<'a> {
    path: String,
    site: Site,
    entries: &'a [Entry],
}

impl<'a> Section<'a> {
    /// Opens `node`, which stands at `path`, and checks its keys against `shape`. `None` when it is no mapping.
    pub fn open(node: &'a Node, path: &str, shape: &Shape, accepted: &[String], report: &mut Report) -> Option<Self> {
        let site = Site { place: node.place.clone(), path: path.to_owned() };
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                report.problem(&site, format!("{} stands here", other.kind()), "write a mapping of keys and values");
                return None;
            }
        };
        let section = Self { path: path.to_owned(), site, entries };
        section.check_keys(shape, accepted, report);
        Some(section)
    }

    fn check_keys(&self, shape: &Shape, accepted: &[String], report: &mut Report) {
        for entry in self.entries {
            let site = self.site_of(entry);
            let name = entry.key.as_str();
            match shape.field(name) {
                Some(field) => match field.standing {
                    Standing::Honoured => {}
                    _ if is_off(&entry.node.value) => {}
                    Standing::Harmless => report.notice(&site, format!("`{name}` has no effect: {}", field.doc), ""),
                    Standing::Protective if accepts(accepted, shape.path, name) => {
                        report.notice(&site, format!("`{name}` is not enforced, as accepted: {}", field.doc), "");
                    }
                    Standing::Protective => report.problem(
                        &site,
                        format!("`{name}` would protect something, and Tollgate does not do it: {}", field.doc),
                        format!("remove it, or list it under tollgate.accept_unsupported: [{name}]"),
                    ),
                },
                None if shape.is_later(name) => {
                    report.problem(&site, format!("`{name}` is not served yet"), "remove it until it is");
                }
                None => unknown(&site, name, shape, report),
            }
        }
    }

    /// Where the mapping itself stands.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The entries, for mappings whose keys are the user's own.
    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    /// The site of `entry`.
    pub fn site_of(&self, entry: &Entry) -> Site {
        let path = if self.path.is_empty() { entry.key.clone() } else { format!("{}.{}", self.path, entry.key) };
        Site { place: entry.place.clone(), path }
    }

    /// The entry called `key`; an explicit null counts as absent.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key && !matches!(entry.node.value, Value::Null))
    }

    /// A boolean, written as one.
    pub fn boolean(&self, key: &str, report: &mut Report) -> Option<bool> {
        let entry = self.entry(key)?;
        if let Value::Bool(value) = entry.node.value {
            return Some(value);
        }
        let what = match &entry.node.value {
            Value::Text(text) => format!("the text \"{}\" is not a boolean", shorten(text)),
            other => format!("{} is not a boolean", other.kind()),
        };
        report.problem(&self.site_of(entry), what, "write true or false, without quotes");
        None
    }

    /// A finite number that is not negative; text is refused.
    pub fn number(&self, key: &str, report: &mut Report) -> Option<f64> {
        let entry = self.entry(key)?;
        let parsed = match &entry.node.value {
            Value::Number(text) => text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0),
            _ => None,
        };
        if parsed.is_none() {
            let what = match &entry.node.value {
                Value::Number(text) => format!("`{}` is not a number that can be used here", shorten(text)),
                other => format!("{} is not a number", other.kind()),
            };
            report.problem(&self.site_of(entry), what, "write a plain number that is not negative, without quotes");
        }
        parsed
    }

    /// A whole number; 0 means none.
    pub fn count(&self, key: &str, report: &mut Report) -> Option<usize> {
        let number = self.number(key, report)?;
        let whole = format!("{number}").parse::<u32>().ok().and_then(|whole| usize::try_from(whole).ok());
        if let (None, Some(entry)) = (whole, self.entry(key)) {
            let what = "this is not a whole number, or too large a one";
            report.problem(&self.site_of(entry), what, "write a whole number");
        }
        whole
    }

    /// Text without references; numbers and booleans are taken as they are written.
    pub fn text(&self, key: &str, report: &mut Report) -> Option<(String, Site)> {
        let entry = self.entry(key)?;
        let site = self.site_of(entry);
        scalar(&entry.node, &site, report).map(|text| (text, site))
    }

    /// Text with its references replaced.
    pub fn expanded(&self, key: &str, environ: &dyn Environ, report: &mut Report) -> Option<(Expanded, Site)> {
        let (text, site) = self.text(key, report)?;
        expand_at(&text, &site, environ, report).map(|expanded| (expanded, site))
    }

    /// A list, with the site of each item.
    pub fn list(&self, key: &str, report: &mut Report) -> Option<Vec<(&'a Node, Site)>> {
        let entry = self.entry(key)?;
        let site = self.site_of(entry);
        match &entry.node.value {
            Value::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, node)| {
                        (node, Site { place: node.place.clone(), path: format!("{}[{index}]", site.path) })
                    })
                    .collect(),
            ),
            other => {
                report.problem(
                    &site,
                    format!("{} is not a list", other.kind()),
                    "write a list: a `-` before each item",
                );
                None
            }
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str, report: &mut Report) -> Option<Vec<(String, Site)>> {
        let items = self.list(key, report)?;
        Some(
            items.into_iter().filter_map(|(node, site)| scalar(node, &site, report).map(|text| (text, site))).collect(),
        )
    }

    /// A mapping inside this one, with keys of `shape`.
    pub fn section(&self, key: &str, shape: &Shape, accepted: &[String], report: &mut Report) -> Option<Section<'a>> {
        let entry = self.entry(key)?;
        Section::open(&entry.node, &self.site_of(entry).path, shape, accepted, report)
    }

    /// A mapping inside this one whose keys are the user's own.
    pub fn map(&self, key: &str, report: &mut Report) -> Option<Section<'a>> {
        let entry = self.entry(key)?;
        let site = self.site_of(entry);
        match &entry.node.value {
            Value::Map(entries) => Some(Section { path: site.path.clone(), site, entries }),
            other => {
                report.problem(&site, format!("{} stands here", other.kind()), "write a mapping of names and values");
                None
            }
        }
    }
}

/// The text of a scalar; a problem for anything else.
pub fn scalar(node: &Node, site: &Site, report: &mut Report) -> Option<String> {
    match &node.value {
        Value::Text(text) | Value::Number(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        other => {
            report.problem(site, format!("{} stands here", other.kind()), "write text");
            None
        }
    }
}

/// [`expand`], with the faults put into the report.
pub fn expand_at(text: &str, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<Expanded> {
    match expand(text, environ) {
        Ok(expanded) => Some(expanded),
        Err(faults) => {
            for fault in faults {
                report.problem(site, fault.to_string(), fault.mend());
            }
            None
        }
    }
}

/// A key set to nothing, false or empty asks for nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Accepted by its own name or by its dotted one.
fn accepts(accepted: &[String], shape: &str, name: &str) -> bool {
    accepted
        .iter()
        .any(|entry| entry == name || entry.strip_prefix(shape).and_then(|rest| rest.strip_prefix('.')) == Some(name))
}

fn unknown(site: &Site, name: &str, shape: &Shape, report: &mut Report) {
    if shape.path.is_empty() {
        // The usual home of anchors.
        if name.starts_with("x-") {
            return;
        }
        // A file pasted without its indentation is valid YAML that says something else entirely.
        if let Some(home) = home(name) {
            report.problem(
                site,
                format!("`{name}` stands at the top of the file and belongs under {home}"),
                "indent it: the file has lost its indentation",
            );
            return;
        }
    }
    // LiteLLM keeps whatever stands there, for who reads it.
    if shape.path == MODEL_INFO.path {
        return;
    }
    if shape.path == MODEL_PARAMS.path && CLOUDS.iter().any(|start| name.starts_with(start)) {
        report.notice(
            site,
            format!("`{}` has no effect: it is for a provider that is not served yet", shorten(name)),
            "",
        );
        return;
    }
    let what = format!("`{}` is not a key that is known here", shorten(name));
    let mend = match shape.nearest(name) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if shape.path == MODEL_PARAMS.path => "write it under extra_body to send it to the model".into(),
        None => "remove it".into(),
    };
    if shape.closed {
        report.problem(site, what, mend);
    } else {
        report.notice(site, what, mend);
    }
}

/// Where a key belongs that was found at the top of the file.
fn home(name: &str) -> Option<&'static str> {
    match name {
        "target" | "headers" | "path" | "include_subpath" | "forward_headers" | "auth" => {
            Some("an entry of general_settings.pass_through_endpoints")
        }
        _ => GENERAL.field(name).map(|_| "general_settings"),
    }
}
