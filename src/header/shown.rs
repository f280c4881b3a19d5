//! A field of an upstream's request as a person may see it.
//!
//! The law: a value of the file is shown unless it came from a reference or its name is one that credentials have; of the
//! client's only what describes the call is shown. What is hidden keeps its scheme, which is where most slips are.

use http::header::{HeaderName, HeaderValue};

use super::{HeaderPlan, is_descriptive};

/// What stands for a hidden value.
const STARS: &str = "***";
/// Schemes that are shown before a hidden credential.
const SCHEMES: &[&str] = &["apikey", "basic", "bearer", "key", "token"];

impl HeaderPlan {
    /// The value of the field `name`, its secret replaced by stars.
    pub fn shown(&self, name: &HeaderName, value: &HeaderValue) -> String {
        let secret = match self.configured().iter().find(|header| header.name == *name) {
            Some(header) => header.secret,
            None => !is_descriptive(name),
        };
        if secret { masked(value) } else { String::from_utf8_lossy(value.as_bytes()).into_owned() }
    }
}

/// Stars, after the scheme where there is a known one.
fn masked(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    match text.split_once(' ') {
        Some((scheme, _)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            format!("{scheme} {STARS}")
        }
        _ => STARS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn secrets_are_stars() {
        let mut plan = HeaderPlan::new(true);
        plan.set("Authorization", &Secret::new("bearer s3cret")).expect("set");
        plan.set("X-Token", &Secret::new("s3cret word")).expect("set");
        plan.set_shown("X-Tenant", &Secret::new("blue")).expect("set");
        for (name, value, expected) in [
            ("authorization", "bearer s3cret", "bearer ***"),
            ("x-token", "s3cret word", "***"),
            ("x-tenant", "blue", "blue"),
            ("content-type", "application/json", "application/json"),
            ("cookie", "session=s3cret", "***"),
            ("x-other", "Basic s3cret", "Basic ***"),
        ] {
            let shown = plan.shown(&HeaderName::from_static(name), &HeaderValue::from_static(value));
            assert_eq!(shown, expected, "{name}");
        }
    }
}
