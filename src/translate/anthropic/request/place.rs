//! Where in a request something stands: `messages.3.content.1.source`.
//!
//! The law: a place costs nothing until it is written; a name that the client chose is written as plain short ASCII, since it
//! ends in messages and headers.

use std::fmt;

use super::super::super::Refusal;

/// The most that is written of one name.
const LONGEST: usize = 64;

/// A place in the body.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    above: Option<&'p Place<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Top,
    Name(&'p str),
    Index(usize),
}

impl<'p> Place<'p> {
    /// The body itself.
    pub const TOP: Place<'static> = Place { above: None, step: Step::Top };

    /// The field `name` of what stands here.
    pub fn name(&'p self, name: &'p str) -> Self {
        Self { above: Some(self), step: Step::Name(name) }
    }

    /// The entry `index` of what stands here.
    pub fn index(&'p self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index) }
    }

    /// The refusal of what stands here.
    pub fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal::at(self.to_string(), message)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
            if !matches!(above.step, Step::Top) {
                f.write_str(".")?;
            }
        }
        match self.step {
            Step::Top => Ok(()),
            Step::Index(index) => index.fmt(f),
            Step::Name(name) => short(name).fmt(f),
        }
    }
}

/// What a message may show of a word of the client.
pub fn short(word: &str) -> String {
    word.chars().flat_map(char::escape_default).take(LONGEST).collect()
}

/// The places of what was left out.
#[derive(Debug, Default)]
pub struct Dropped(Vec<String>);

impl Dropped {
    /// As many are told; a client that sends more of them knows by then.
    const MOST: usize = 32;

    /// What stands at `place` was left out.
    pub fn add(&mut self, place: Place<'_>) {
        if self.0.len() < Self::MOST {
            self.0.push(place.to_string());
        }
    }

    /// All of them.
    pub fn into_places(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_dotted_and_harmless() {
        let top = Place::TOP;
        let messages = top.name("messages");
        let third = messages.index(3);
        assert_eq!(third.name("source").to_string(), "messages.3.source");
        assert_eq!(top.to_string(), "");
        assert_eq!(top.name("a\r\nb: é").to_string(), "a\\r\\nb: \\u{e9}");
        assert_eq!(top.name(&"x".repeat(1000)).to_string().len(), LONGEST);
    }

    #[test]
    fn no_body_makes_the_list_long() {
        let mut dropped = Dropped::default();
        (0..1000).for_each(|index| dropped.add(Place::TOP.index(index)));
        assert_eq!(dropped.into_places().len(), Dropped::MOST);
    }
}
