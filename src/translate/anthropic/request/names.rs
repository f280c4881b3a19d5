//! The names of tools. OpenAI takes letters, digits, `_` and `-`, and 64 of them; Anthropic takes more.
//!
//! The law: a name that OpenAI takes stays. Another one has `_` for what is not taken, is cut to 55 characters and ends in `_`
//! and eight digits of its hash, so that the same name is always cut the same way, and no two names of a request become one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::fields::Fields;

/// The longest name that OpenAI takes.
const LONGEST: usize = 64;
/// What is left of a longer one.
const KEPT: usize = 55;

/// The names of one request that OpenAI does not take.
#[derive(Debug, Default)]
pub struct Names {
    /// What each became.
    cut: HashMap<String, String>,
}

impl Names {
    /// The names in `body`: of its tools, of the tool it chooses and of the calls in its history, wherever they are readable.
    /// What is not is refused by who reads it for good.
    pub fn of(body: &Fields<'_, '_>) -> Self {
        let mut found = BTreeSet::new();
        let mut find = |value: &Value| {
            if let Some(name) = value.get("name").and_then(Value::as_str) {
                found.insert(name.to_owned());
            }
        };
        entries(body.find("tools")).iter().for_each(&mut find);
        body.find("tool_choice").into_iter().for_each(&mut find);
        for message in entries(body.find("messages")) {
            let blocks = entries(message.get("content")).iter();
            blocks.filter(|block| block.get("type").is_some_and(|kind| kind == "tool_use")).for_each(&mut find);
        }
        Self::among(found)
    }

    fn among(names: BTreeSet<String>) -> Self {
        let (taken, other): (BTreeSet<_>, BTreeSet<_>) = names.into_iter().partition(|name| is_taken(name));
        let mut used = taken;
        let mut cut = HashMap::new();
        for name in other {
            let mut short = shorten(&name, 0);
            let mut round = 1_u32;
            while !used.insert(short.clone()) {
                short = shorten(&name, round);
                round += 1;
            }
            cut.insert(name, short);
        }
        Self { cut }
    }

    /// The name that OpenAI is told for `name`.
    pub fn told<'n>(&'n self, name: &'n str) -> &'n str {
        self.cut.get(name).map_or(name, String::as_str)
    }

    /// What was cut, by what it became.
    pub fn into_cut(self) -> BTreeMap<String, String> {
        self.cut.into_iter().map(|(name, short)| (short, name)).collect()
    }
}

fn entries(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn is_taken(name: &str) -> bool {
    name.len() <= LONGEST && name.chars().all(is_plain)
}

/// The name cut; `round` makes another one of it where that is used already.
fn shorten(name: &str, round: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(name);
    if round > 0 {
        hash.update(round.to_be_bytes());
    }
    let mut short: String = name.chars().take(KEPT).map(|c| if is_plain(c) { c } else { '_' }).collect();
    short.push('_');
    for octet in hash.finalize().iter().take(4) {
        short.push_str(&format!("{octet:02x}"));
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Names {
        Names::among(list.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_name_that_is_taken_stays() {
        let longest = "x".repeat(64);
        for name in ["a", "A-b_9", "-", &longest] {
            assert_eq!(names(&[name]).told(name), name);
            assert!(names(&[name]).into_cut().is_empty());
        }
    }

    #[test]
    fn another_is_cut_and_known_again() {
        // printf '%s' NAME | sha256sum | cut -c 1-8
        let long = "x".repeat(65);
        for (name, short) in [
            (&*long, format!("{}_{}", "x".repeat(55), "9537c5fd")),
            ("a.b", "a_b_".to_owned() + "2e7336dc"),
            ("größe", "gr__e_".to_owned() + "d353a267"),
        ] {
            let names = names(&[name]);
            assert_eq!(names.told(name), short, "{name}");
            assert_eq!(names.into_cut(), BTreeMap::from([(short, name.to_owned())]));
        }
    }

    #[test]
    fn no_two_names_become_one() {
        let long = "x".repeat(65);
        let first = shorten(&long, 0);
        let names = names(&[&long, &first, "a.b", "a b", "a_b"]);
        assert_eq!(names.told(&first), first, "a name that is taken is never changed for another's sake");
        assert_ne!(names.told(&long), first);
        let told: BTreeSet<_> = [&*long, &*first, "a.b", "a b", "a_b"].map(|name| names.told(name).to_owned()).into();
        assert_eq!(told.len(), 5);
        assert!(told.iter().all(|name| is_taken(name)));
    }
}
