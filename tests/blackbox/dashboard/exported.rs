//! What one answer of `/metrics` exports: families with their types, series with their labels.
//!
//! The law: a line that is not understood ends the test, and so does a series that stands twice, which Prometheus would drop. Series
//! whose labels all say `other` are left out: they are there before anything has happened, so they prove nothing.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// What is exported.
#[derive(Debug, Default)]
pub struct Exported {
    /// `counter`, `gauge` or `histogram`, by the family's name.
    pub kinds: BTreeMap<String, String>,
    /// By the name that a query uses, so a histogram is here three times.
    series: BTreeMap<String, Vec<Labels>>,
}

impl Exported {
    /// Reads Prometheus' text format.
    pub fn read(text: &str) -> Self {
        let (mut out, mut seen) = (Self::default(), BTreeSet::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
                assert!(out.kinds.insert(name.into(), kind.into()).is_none(), "{name} is declared twice");
            } else if !line.starts_with('#') {
                let (name, labels) = sample(line).unwrap_or_else(|| panic!("no sample: {line}"));
                assert!(seen.insert((name.clone(), labels.clone())), "a series stands twice: {line}");
                let mut others = labels.iter().filter(|(label, _)| *label != "le").peekable();
                let rest = others.peek().is_some() && others.all(|(_, value)| value == "other");
                let series = out.series.entry(name).or_default();
                if !rest {
                    series.push(labels);
                }
            }
        }
        out
    }

    /// The family that a name in a query belongs to, and its series. None: there is no such name.
    pub fn find(&self, name: &str) -> Option<(&str, &[Labels])> {
        let series = self.series.get(name)?;
        let parts = ["", "_bucket", "_sum", "_count"];
        let families = parts.iter().filter_map(|part| self.kinds.get_key_value(name.strip_suffix(part)?));
        let family = families.map(|(family, _)| family.as_str()).next()?;
        Some((family, series))
    }
}

/// The name and labels of a line `name{label="value"} 1`.
fn sample(line: &str) -> Option<(String, Labels)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.into(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    rest.trim().parse::<f64>().ok()?;
    Some((name.into(), labels))
}

/// The text before a closing quote, and what stands after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}
