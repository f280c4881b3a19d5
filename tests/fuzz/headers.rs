//! The header plan: no hop-by-hop field, no known key and no framing that the client did not have leaves; what the file sets
//! stands once.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tollgate::auth::Keyring;
use tollgate::header::{HeaderPlan, is_framing, is_hop_by_hop};
use tollgate::secret::Secret;

use super::reading::{KEY, shows_key, with_key};

/// The input is lines: `!all` forwards everything, `=name: value` is a header of the file, `name: value` one of the client.
pub fn check(input: &[u8]) {
    let text = with_key(&String::from_utf8_lossy(input));
    let mut plan = HeaderPlan::new(text.lines().any(|line| line == "!all"));
    let mut client = HeaderMap::new();
    for line in text.lines() {
        let ours = line.strip_prefix('=');
        // The file's own words may well hold the key; that is not for this plan to judge.
        let line = ours.map_or_else(|| line.to_owned(), |ours| ours.replace(KEY, ""));
        let Some((name, value)) = line.split_once(':') else { continue };
        if ours.is_some() {
            let _ = plan.set(name, &Secret::new(value.trim()));
        } else if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value.trim())) {
            client.append(name, value);
        }
    }
    let sent = sent(&plan, client.clone(), &Keyring::new(Some(Secret::new(KEY))));
    for (name, value) in &sent {
        let ours = plan.configured().iter().any(|header| header.name == *name);
        assert!(!is_hop_by_hop(name), "{name} is sent on");
        assert!(!name.as_str().starts_with("x-pass-") || ours, "{name} is sent on");
        assert!(ours || !shows_key(value.as_bytes()), "{name} holds the key");
        assert!(ours || !shows_key(name.as_str().as_bytes()), "the name {name} holds the key");
    }
    for name in sent.keys().filter(|name| is_framing(name)) {
        assert!(sent.get_all(name).iter().eq(client.get_all(name)), "{name} is not the client's own");
    }
    for header in plan.configured() {
        let values: Vec<_> = sent.get_all(&header.name).iter().collect();
        assert_eq!(values, [&header.value], "{}", header.name);
    }
}

/// The client's fields under `plan`, as they are sent.
pub fn sent(plan: &HeaderPlan, mut fields: HeaderMap, keyring: &Keyring) -> HeaderMap {
    let changes = plan.changes(&fields, |text| keyring.occurs_in(text));
    for name in changes.removed.iter().chain(changes.passed.iter().map(|(name, _)| name)) {
        fields.remove(name);
    }
    for (name, value) in changes.passed {
        fields.append(name, value);
    }
    for header in plan.configured() {
        fields.insert(header.name.clone(), header.value.clone());
    }
    fields
}
