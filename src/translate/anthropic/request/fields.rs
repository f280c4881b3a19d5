//! The fields of an object of the request, and what each must be.
//!
//! The law: `null` is the same as absent, as the SDKs of Anthropic have it; what has another type is refused by its place, in
//! the words of Anthropic; a field that nobody asked for is told, never passed over.

use serde_json::{Map, Number, Value};

use super::super::super::Refusal;
use super::place::{Dropped, Place};

/// An object and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'v, 'p> {
    map: &'v Map<String, Value>,
    at: Place<'p>,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// The object `value`.
    pub fn of(value: &'v Value, at: Place<'p>) -> Result<Self, Refusal> {
        let map = value.as_object().ok_or_else(|| at.refuse("Input should be an object"))?;
        Ok(Self { map, at })
    }

    /// The body's.
    pub fn top(map: &'v Map<String, Value>) -> Self {
        Self { map, at: Place::TOP }
    }

    /// Where it stands.
    pub fn here(&self) -> &Place<'p> {
        &self.at
    }

    /// The place of the field `name`.
    pub fn at<'s>(&'s self, name: &'s str) -> Place<'s> {
        self.at.name(name)
    }

    /// The refusal of the field `name`.
    pub fn refuse(&self, name: &str, message: impl Into<String>) -> Refusal {
        self.at(name).refuse(message)
    }

    /// A field that is there.
    pub fn find(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub fn needed(&self, name: &str) -> Result<&'v Value, Refusal> {
        self.find(name).ok_or_else(|| self.refuse(name, "Field required"))
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<&'v str>, Refusal> {
        let text = |value: &'v Value| value.as_str().ok_or_else(|| self.refuse(name, "Input should be a valid string"));
        self.find(name).map(text).transpose()
    }

    /// A text that must be there and say something.
    pub fn word(&self, name: &str) -> Result<&'v str, Refusal> {
        match self.needed_text(name)? {
            "" => Err(self.refuse(name, "String should have at least 1 character")),
            text => Ok(text),
        }
    }

    /// A text that must be there.
    pub fn needed_text(&self, name: &str) -> Result<&'v str, Refusal> {
        self.needed(name)?;
        self.text(name).map(Option::unwrap_or_default)
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.find(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.refuse(name, "Input should be a valid boolean")),
        }
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<Option<&'v Vec<Value>>, Refusal> {
        let list = |value: &'v Value| value.as_array().ok_or_else(|| self.refuse(name, "Input should be a valid list"));
        self.find(name).map(list).transpose()
    }

    /// An object.
    pub fn object<'s>(&'s self, name: &'s str) -> Result<Option<Fields<'v, 's>>, Refusal> {
        self.find(name).map(|value| Fields::of(value, self.at(name))).transpose()
    }

    /// A whole number of at least `least`.
    pub fn whole(&self, name: &str, least: u64) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        // Nobody has so many of anything, and some readers hold no more.
        const MOST: u64 = i32::MAX as u64;
        let number = value.as_number().ok_or_else(|| self.refuse(name, "Input should be a valid integer"))?;
        match number.as_u64() {
            Some(whole) if whole > MOST => Err(self.refuse(name, format!("Input should be at most {MOST}"))),
            Some(whole) if whole >= least => Ok(Some(whole)),
            None if number.as_i64().is_none() => Err(self.refuse(name, "Input should be a valid integer")),
            _ => Err(self.refuse(name, format!("Input should be greater than or equal to {least}"))),
        }
    }

    /// A number from 0 to 1, as it is written.
    pub fn share(&self, name: &str) -> Result<Option<&'v Number>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let number = value.as_number().ok_or_else(|| self.refuse(name, "Input should be a valid number"))?;
        match number.as_f64() {
            Some(share) if (0.0..=1.0).contains(&share) => Ok(Some(number)),
            _ => Err(self.refuse(name, "Input should be between 0 and 1")),
        }
    }

    /// Tells of every field that is not among `known`.
    pub fn tell_rest(&self, known: &[&str], dropped: &mut Dropped) {
        for (name, value) in self.map {
            if !value.is_null() && !known.contains(&name.as_str()) {
                dropped.add(self.at(name));
            }
        }
    }
}
