//! What stands in a call's query.
//!
//! The law: a parameter that is not known is refused by name, an empty one says nothing; of one that stands twice the last counts,
//! as in LiteLLM.

use super::fault::BadField;
use super::value::nearest;
use crate::auth::unescaped;

/// The parameters of a query, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `query`, whose parameters must be among `known`.
    pub fn read(query: Option<&[u8]>, known: &[&'static str]) -> Result<Self, BadField> {
        let mut out = Vec::new();
        for pair in query.unwrap_or_default().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (pair.get(..at), pair.get(at + 1..)),
                None => (Some(pair), None),
            };
            let (name, value) = (decoded(name.unwrap_or_default()), decoded(value.unwrap_or_default()));
            if !known.contains(&name.as_str()) {
                return Err(BadField::Unknown(nearest(&name, known)));
            }
            if !value.is_empty() {
                out.push((name, value));
            }
        }
        Ok(Self(out))
    }

    /// The value of `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number within `range`.
    pub fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, BadField> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let read = text.parse().ok().filter(|number| range.contains(number));
        read.map(Some).ok_or(BadField::Value(name, "a whole number within its bounds"))
    }

    /// `true` or `false`, in any case.
    pub fn flag(&self, name: &'static str) -> Result<bool, BadField> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no" | "off") => Ok(false),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some(_) => Err(BadField::Value(name, "true or false")),
        }
    }

    /// One of `words`.
    pub fn word(&self, name: &'static str, words: &[&str], wanted: &'static str) -> Result<Option<&str>, BadField> {
        match self.text(name) {
            Some(text) if !words.contains(&text) => Err(BadField::Value(name, wanted)),
            other => Ok(other),
        }
    }
}

/// `application/x-www-form-urlencoded`: `+` is a space, `%XX` an octet.
fn decoded(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8_lossy(&unescaped(&spaced)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_judged() {
        let read = |text: &str| Query::read(Some(text.as_bytes()), &["page", "search", "full"]);
        let query = read("search=a%20b+c&page=3&&full=True&search=").expect("valid");
        assert_eq!(query.text("search"), Some("a b c"));
        assert_eq!(query.number("page", 1..=100), Ok(Some(3)));
        assert_eq!(query.flag("full"), Ok(true));
        assert!(read("page=0").expect("valid").number("page", 1..=100).is_err());
        assert!(read("full=perhaps").expect("valid").flag("full").is_err());
        assert_eq!(read("pgae=1").expect_err("unknown"), BadField::Unknown(Some("page")));
        assert!(Query::read(None, &[]).expect("none").text("page").is_none());
    }
}
