//! A YAML file as a tree that remembers where everything stood.
//!
//! `serde_yaml` decides what the file *means* (anchors, merge keys, duplicate keys, expansion and depth limits); a second
//! pass over the same bytes by `saphyr-parser` remembers lines and the text of numbers, so that `1.10` stays `1.10`.
//! The law: a file is at most [`MAX_BYTES`] and [`MAX_NODES`] big, and is refused before it is expanded beyond that.
//!
//! It knows no key of the config: that is `validate`'s. It is the only file that names the YAML crates.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, Tag};
use serde_yaml::Value as Yaml;

use crate::config::error::Place;

/// The largest file that is read, in bytes: 100 times what 10,000 routes need would still be refused quickly.
pub const MAX_BYTES: usize = 16 << 20;
/// The most values and keys a file may hold, before and after its aliases are expanded.
pub const MAX_NODES: usize = 400_000;
/// How deep mappings and lists may nest; as deep as `serde_yaml` goes.
pub const MAX_DEPTH: usize = 120;

/// A value and where it stands.
#[derive(Clone)]
pub struct Node {
    /// Where the value begins.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// What YAML can say, with numbers kept as they were written.
#[derive(Clone)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; `yes`, `on` and quoted ones are [`Value::Text`].
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the file's order, merge keys applied.
    Map(Vec<Entry>),
}

/// One `key: value` line of a mapping.
#[derive(Clone)]
pub struct Entry {
    /// The key, as text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

/// Why bytes are no tree, with the line (0 when the parser gave none).
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// The problem in the parser's words, or ours.
    pub what: String,
}

impl Value {
    /// The name that messages use for this kind of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads `bytes` of the file called `file`.
pub fn parse(file: &Arc<str>, bytes: &[u8]) -> Result<Node, SyntaxError> {
    if bytes.len() > MAX_BYTES {
        let what =
            format!("the file is {} MiB big, more than the {} MiB that are read", bytes.len() >> 20, MAX_BYTES >> 20);
        return Err(SyntaxError { line: 0, what });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| SyntaxError {
        line: 1 + memchr::memchr_iter(b'\n', bytes.get(..error.valid_up_to()).unwrap_or_default()).count(),
        what: "the file is not UTF-8 text".into(),
    })?;
    tree(file, text).map_err(|error| SyntaxError { line: error.line.min(last_line(text)), ..error })
}

fn tree(file: &Arc<str>, text: &str) -> Result<Node, SyntaxError> {
    refuse_brackets(text)?;
    let marks = Marks::read(text)?;
    let mut yaml: Yaml = serde_yaml::from_str(text).map_err(yaml_error)?;
    yaml.apply_merge().map_err(yaml_error)?;
    let mut budget = MAX_NODES;
    zip(file, &yaml, marks.root.as_deref(), 1, &mut budget)
}

/// What is missing at the end, or left empty there, is found on a line that is not there.
fn last_line(text: &str) -> usize {
    1 + text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count()
}

/// Brackets nested far beyond any config cost the scanner time by the square of their number before it names their depth.
/// Those in quotes are counted too: a text with that many unpaired ones is no config's either.
fn refuse_brackets(text: &str) -> Result<(), SyntaxError> {
    let (mut depth, mut line) = (0_usize, 1);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'\n' => line += 1,
            _ => {}
        }
        if depth > 8 * MAX_DEPTH {
            return Err(SyntaxError { line, what: format!("the file nests more than {MAX_DEPTH} levels deep") });
        }
    }
    Ok(())
}

fn too_many() -> SyntaxError {
    SyntaxError { line: 0, what: format!("the file holds more than {MAX_NODES} values, anchors expanded") }
}

fn yaml_error(error: serde_yaml::Error) -> SyntaxError {
    let line = error.location().map_or(0, |location| location.line());
    // serde_yaml appends "at line N column M"; the place already says so.
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    if what.contains("repetition limit") {
        return SyntaxError { line, what: "anchors expand to too many values; write them out".into() };
    }
    let hint = if what.contains("cannot start any token") { " (a tab cannot indent)" } else { "" };
    SyntaxError { line, what: format!("this is not valid YAML: {what}{hint}") }
}

/// What the second pass remembers of a node: its line, a scalar's text, and its children.
enum Mark {
    Scalar(usize, Box<str>),
    List(usize, Vec<Rc<Mark>>),
    Map(usize, Fields),
}

/// The fields of a mapping, with the lines of their keys.
type Fields = HashMap<Box<str>, (usize, Rc<Mark>)>;

struct Marks {
    root: Option<Rc<Mark>>,
}

/// A list or mapping that is being read: its line, its anchor, its children.
enum Open {
    List(usize, usize, Vec<Rc<Mark>>),
    Map(usize, usize, Fields, Option<(Box<str>, usize)>),
}

impl Marks {
    /// Walks the parser's events once. Ends at the first error, which `serde_yaml` then reports in its own words.
    fn read(text: &str) -> Result<Self, SyntaxError> {
        let mut anchors: HashMap<usize, Rc<Mark>> = HashMap::new();
        let mut stack: Vec<Open> = Vec::new();
        let mut root = None;
        let (mut nodes, mut documents) = (0_usize, 0_usize);
        let last = last_line(text);
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            nodes += 1;
            if nodes > MAX_NODES {
                return Err(too_many());
            }
            let line = span.start.line().min(last);
            if stack.len() > MAX_DEPTH {
                return Err(SyntaxError { line, what: format!("the file nests more than {MAX_DEPTH} levels deep") });
            }
            documents += usize::from(matches!(event, Event::DocumentStart(_)));
            if documents > 1 {
                return Err(SyntaxError { line, what: "a second document begins here; a config is one".into() });
            }
            if let Event::Scalar(.., Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag)) = &event
            {
                known_tag(tag, line)?;
            }
            let (anchor, mark) = match event {
                Event::Scalar(text, _, anchor, _) => (anchor, Rc::new(Mark::Scalar(line, text.into()))),
                Event::Alias(anchor) => {
                    (0, anchors.get(&anchor).cloned().unwrap_or_else(|| Rc::new(Mark::Scalar(line, "".into()))))
                }
                Event::SequenceStart(anchor, _) => {
                    stack.push(Open::List(line, anchor, Vec::new()));
                    continue;
                }
                Event::MappingStart(anchor, _) => {
                    stack.push(Open::Map(line, anchor, HashMap::new(), None));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match stack.pop() {
                    Some(open) => open.close(),
                    None => break,
                },
                _ => continue,
            };
            if anchor != 0 {
                anchors.insert(anchor, Rc::clone(&mark));
            }
            match stack.last_mut() {
                Some(open) => open.push(line, mark)?,
                None => root = root.or(Some(mark)),
            }
        }
        Ok(Self { root })
    }
}

/// The tags of YAML's own schema. Others name types of some program, which no config should.
fn known_tag(tag: &Tag, line: usize) -> Result<(), SyntaxError> {
    let known = tag.is_yaml_core_schema()
        && matches!(tag.suffix.as_str(), "str" | "int" | "float" | "bool" | "null" | "map" | "seq");
    if known {
        return Ok(());
    }
    Err(SyntaxError { line, what: format!("the tag `{}{}` has no meaning here: leave it out", tag.handle, tag.suffix) })
}

impl Open {
    fn close(self) -> (usize, Rc<Mark>) {
        match self {
            Self::List(line, anchor, items) => (anchor, Rc::new(Mark::List(line, items))),
            Self::Map(line, anchor, fields, _) => (anchor, Rc::new(Mark::Map(line, fields))),
        }
    }

    fn push(&mut self, line: usize, mark: Rc<Mark>) -> Result<(), SyntaxError> {
        match self {
            Self::List(_, _, items) => items.push(mark),
            Self::Map(_, _, fields, pending) => match pending.take() {
                None => *pending = Some((mark.text().into(), line)),
                Some((key, line)) => {
                    if let Some((first, _)) = fields.get(&key) {
                        let key = shorten(&key);
                        let what = format!("the key `{key}` stands twice, first at line {first}");
                        return Err(SyntaxError { line, what });
                    }
                    fields.insert(key, (line, mark));
                }
            },
        }
        Ok(())
    }
}

impl Mark {
    fn line(&self) -> usize {
        match self {
            Self::Scalar(line, _) | Self::List(line, _) | Self::Map(line, _) => *line,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Scalar(_, text) => text,
            _ => "",
        }
    }

    fn items(&self) -> &[Rc<Self>] {
        match self {
            Self::List(_, items) => items,
            _ => &[],
        }
    }

    /// The field `key`, looked for in the merged mappings too.
    fn field(&self, key: &str) -> Option<&(usize, Rc<Self>)> {
        let Self::Map(_, fields) = self else { return None };
        fields.get(key).or_else(|| {
            let (_, merged) = fields.get("<<")?;
            merged.field(key).or_else(|| merged.items().iter().find_map(|item| item.field(key)))
        })
    }
}

/// Joins meaning and place.
fn zip(
    file: &Arc<str>,
    yaml: &Yaml,
    mark: Option<&Mark>,
    line: usize,
    budget: &mut usize,
) -> Result<Node, SyntaxError> {
    *budget = budget.checked_sub(1).ok_or_else(too_many)?;
    let line = mark.map_or(line, Mark::line);
    let value = match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Number(number) => {
            let written = mark.map(Mark::text).filter(|text| !text.is_empty()).map(str::to_owned);
            Value::Number(written.unwrap_or_else(|| number.to_string()))
        }
        Yaml::String(text) => Value::Text(text.clone()),
        // `known_tag` has refused what is not YAML's own.
        Yaml::Tagged(tagged) => return zip(file, &tagged.value, mark, line, budget),
        Yaml::Sequence(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let mark = mark.and_then(|mark| mark.items().get(index)).map(Rc::as_ref);
                nodes.push(zip(file, item, mark, line, budget)?);
            }
            Value::List(nodes)
        }
        Yaml::Mapping(fields) => {
            let mut entries = Vec::with_capacity(fields.len());
            for (key, value) in fields {
                let key = key_text(key);
                let (key_line, mark) = match mark.and_then(|mark| mark.field(&key)) {
                    Some((line, mark)) => (*line, Some(mark.as_ref())),
                    None => (line, None),
                };
                let node = zip(file, value, mark, key_line, budget)?;
                entries.push(Entry { key, place: Place { file: Arc::clone(file), line: key_line }, node });
            }
            Value::Map(entries)
        }
    };
    Ok(Node { place: Place { file: Arc::clone(file), line }, value })
}

/// The first characters of a value that is safe to show.
pub fn shorten(text: &str) -> String {
    let shown: String = text.chars().flat_map(char::escape_debug).take(40).collect();
    if text.chars().count() > 40 { format!("{shown}…") } else { shown }
}

fn key_text(key: &Yaml) -> String {
    match key {
        Yaml::String(text) => text.clone(),
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(value) => value.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
