//! The models of the file: groups of deployments by name, and what follows when one fails.
//!
//! The law: a deployment is a member of an upstream group like any other; a name beats a pattern, a longer pattern a shorter one,
//! and of equals the one that the file has first; what is asked under an alias is served by the group it stands for. What stands for
//! a `*` is part of a name and never of a path.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde_json::Value;
use smallvec::SmallVec;

use super::group::Group;
use super::health::Patience;
use crate::config::model::Alias;
use crate::provider::Provider;

/// The models that can be asked for.
#[derive(Debug, Default)]
pub struct Models {
    groups: FxHashMap<String, Arc<ModelGroup>>,
    /// Longest first; of equals the file's first.
    patterns: Vec<(Pattern, Arc<ModelGroup>)>,
    aliases: FxHashMap<String, Alias>,
    fallbacks: FxHashMap<String, Vec<String>>,
    default_fallbacks: Vec<String>,
    /// How often a request is tried again.
    pub retries: u32,
    /// How long the one that failed is left alone before it is asked again, at least.
    pub pause: Duration,
    /// When a deployment rests.
    pub patience: Patience,
}

/// Deployments of one name.
#[derive(Debug)]
pub struct ModelGroup {
    /// The name, or the pattern.
    pub name: String,
    /// Who serves it; or why nobody does.
    pub lead: Result<Group, String>,
}

/// What a deployment is beside an upstream.
#[derive(Debug)]
pub struct Deployment {
    /// Its id.
    pub id: String,
    /// Whose API it is.
    pub provider: &'static Provider,
    /// What the provider calls the model; `*` stands for what the group's did.
    pub model: String,
    /// The model whose rules hold, where that does not say it.
    pub base_model: Option<String>,
    /// The longest wait and silence where the answer is a stream.
    pub stream_silence: Duration,
    /// Parameters that a request has where the client names none.
    pub defaults: Vec<(String, Value)>,
    /// Parameters that it takes beyond its provider's usual ones.
    pub takes: Vec<String>,
}

/// A group that a request may go to.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The group.
    pub group: Arc<ModelGroup>,
    /// What the group's `*` stands for.
    pub star: Option<String>,
}

/// The names of one model.
pub type Names<'n> = SmallVec<[&'n str; 3]>;

/// A name with one `*`.
#[derive(Debug)]
struct Pattern {
    before: String,
    after: String,
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once('*')?;
        Some(Self { before: before.to_owned(), after: after.to_owned() })
    }

    fn star<'n>(&self, name: &'n str) -> Option<&'n str> {
        let star = name.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        // Where the model stands in a path, a server that decodes it first would be led elsewhere.
        let is_dots = |part: &str| matches!(part, "." | "..");
        let leads_away = star.split(['/', '\\']).any(is_dots) || star.contains(char::is_control);
        (!star.is_empty() && !leads_away).then_some(star)
    }

    fn length(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { fails: 3, cooldown: 5_000 }
    }
}

impl Models {
    /// Models, of their groups in the file's order.
    pub(super) fn new(groups: impl Iterator<Item = ModelGroup>, router: &crate::config::model::Router) -> Self {
        let mut models = Self {
            aliases: router.aliases.iter().map(|alias| (alias.name.clone(), alias.clone())).collect(),
            fallbacks: router.fallbacks.iter().cloned().collect(),
            default_fallbacks: router.default_fallbacks.clone(),
            retries: router.retries,
            pause: Duration::from_secs_f64(router.retry_after_seconds),
            patience: Patience { fails: router.allowed_fails, cooldown: millis(router.cooldown_seconds) },
            ..Self::default()
        };
        for group in groups {
            let group = Arc::new(group);
            match Pattern::parse(&group.name) {
                Some(pattern) => models.patterns.push((pattern, group)),
                None => {
                    models.groups.insert(group.name.clone(), group);
                }
            }
        }
        models.patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.length()));
        models
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.patterns.is_empty()
    }

    /// The group that serves `name`.
    pub fn find(&self, name: &str) -> Option<Asked> {
        let name = self.aliases.get(name).map_or(name, |alias| alias.group.as_str());
        let (group, star) = self.served(name)?;
        Some(Asked { group: Arc::clone(group), star: star.map(str::to_owned) })
    }

    /// The group that serves `name`, which is no alias, and what its `*` stands for.
    fn served<'n>(&self, name: &'n str) -> Option<(&Arc<ModelGroup>, Option<&'n str>)> {
        if let Some(group) = self.groups.get(name) {
            return Some((group, None));
        }
        self.patterns.iter().find_map(|(pattern, group)| Some((group, Some(pattern.star(name)?))))
    }

    /// Every name by which what `name` leads to is known: itself, what it is an alias of, and the group. Itself alone where it
    /// leads nowhere.
    pub fn known_as<'n>(&'n self, name: &'n str) -> Names<'n> {
        let meant = self.aliases.get(name).map(|alias| alias.group.as_str());
        let of_pattern = || self.served(meant.unwrap_or(name)).map(|(group, _)| group.name.as_str());
        let mut names: Names<'n> = std::iter::once(name).chain(meant).chain(of_pattern()).collect();
        names.dedup();
        names
    }

    /// The groups to try after `asked`, which was asked for under `name`.
    ///
    /// Who may ask for a group is served by its fallbacks too, whatever the lists and limits of his key say of those: the file's
    /// word, as in LiteLLM, where a key is judged by what it asks for.
    pub fn after(&self, name: &str, asked: &Asked) -> Vec<Asked> {
        let of_its_own = self.fallbacks.get(name).or_else(|| self.fallbacks.get(&asked.group.name));
        let names = of_its_own.unwrap_or(&self.default_fallbacks);
        let others = names.iter().filter_map(|name| self.find(name));
        others.filter(|other| !Arc::ptr_eq(&other.group, &asked.group) || other.star != asked.star).collect()
    }

    /// The names that can be asked for, sorted; patterns too.
    pub fn names(&self) -> Vec<&str> {
        let patterns = self.patterns.iter().map(|(_, group)| group.name.as_str());
        let aliases = self.aliases.values().filter(|alias| !alias.hidden).map(|alias| alias.name.as_str());
        let mut names: Vec<&str> = self.groups.keys().map(String::as_str).chain(aliases).chain(patterns).collect();
        names.sort_unstable();
        names
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<ModelGroup>> {
        self.groups.values().chain(self.patterns.iter().map(|(_, group)| group))
    }
}

impl Deployment {
    /// What the provider calls the model, where the group's `*` stood for `star`.
    pub fn model(&self, star: Option<&str>) -> String {
        match star {
            Some(star) => self.model.replacen('*', star, 1),
            None => self.model.clone(),
        }
    }

    /// The model whose rules hold.
    pub fn rules<'m>(&'m self, model: &'m str) -> &'m str {
        self.base_model.as_deref().unwrap_or(model)
    }
}

fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}
