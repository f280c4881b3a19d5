//! Every place of a key, and every way to get it wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;

use super::*;
use crate::secret::Secret;

fn ask(places: &KeyPlaces, lines: &[(&'static str, &str)], path: &str, query: &str) -> Result<Principal, AuthFault> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).expect("value"));
    }
    let keyring = Keyring::new(Some(Secret::new("sk-master-0123456789")));
    places.authenticate(&headers, path.as_bytes(), Some(query.as_bytes()), &keyring, false, 0)
}

fn basic_line(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

const KEY: &str = "sk-master-0123456789";

#[test]
fn every_place_admits_the_known_key() {
    let places = KeyPlaces::new(None).with_header(HeaderName::from_static("x-mine"));
    let bearer = format!("Bearer {KEY}");
    let odd = format!("bEaReR   {KEY}  ");
    let basic = format!("Basic {KEY}");
    for (name, value) in [
        ("x-litellm-api-key", KEY),
        ("x-litellm-api-key", &bearer),
        ("authorization", &bearer),
        ("authorization", &odd),
        ("authorization", &basic),
        ("api-key", KEY),
        ("x-api-key", KEY),
        ("x-api-key", &bearer),
        ("x-goog-api-key", KEY),
        ("ocp-apim-subscription-key", KEY),
        ("x-mine", KEY),
    ] {
        assert_eq!(ask(&places, &[(name, value)], "/", ""), Ok(Principal::Master), "{name}: {value}");
    }
    let google = "/v1beta/models/g:streamGenerateContent";
    assert_eq!(ask(&places, &[], google, &format!("alt=sse&key={KEY}")), Ok(Principal::Master));
    assert_eq!(ask(&places, &[], "/v1/rerank", &format!("key={KEY}")), Err(AuthFault::Missing));
}

#[test]
fn what_is_no_key_is_refused() {
    let places = KeyPlaces::new(None);
    for value in
        ["", "Bearer", "Bearer ", KEY, "Digest sk-master-0123456789", "Bearer sk-master-0123456788", "Bearer sk, sk"]
    {
        assert_eq!(ask(&places, &[("authorization", value)], "/", ""), Err(AuthFault::Unknown), "{value}");
    }
    assert_eq!(ask(&places, &[], "/", ""), Err(AuthFault::Missing));
    assert_eq!(ask(&places, &[("x-mine", KEY)], "/", ""), Err(AuthFault::Missing));
}

#[test]
fn one_decides_and_doubles_are_refused() {
    let places = KeyPlaces::new(None);
    let bearer = format!("Bearer {KEY}");
    let unknown_decides = [("x-litellm-api-key", "sk-other"), ("authorization", bearer.as_str())];
    assert_eq!(ask(&places, &unknown_decides, "/", ""), Err(AuthFault::Unknown));
    let decides = [("x-litellm-api-key", KEY), ("authorization", "Bearer own")];
    assert_eq!(ask(&places, &decides, "/", ""), Ok(Principal::Master));
    let beside = [("authorization", "Bearer own"), ("x-api-key", KEY)];
    assert_eq!(ask(&places, &beside, "/", ""), Ok(Principal::Master));
    let twice = [("authorization", bearer.as_str()), ("authorization", "Bearer own")];
    assert_eq!(ask(&places, &twice, "/", ""), Err(AuthFault::Repeated));
    let own = [("authorization", "Bearer a"), ("authorization", "Bearer b"), ("x-api-key", KEY)];
    assert_eq!(ask(&places, &own, "/", ""), Err(AuthFault::Repeated));
    let same = [("authorization", bearer.as_str()), ("x-api-key", KEY)];
    assert_eq!(ask(&places, &same, "/", ""), Ok(Principal::Master));
}

#[test]
fn a_replaced_header_is_the_only_place() {
    let places = KeyPlaces::new(Some(HeaderName::from_static("x-company-key")));
    assert_eq!(ask(&places, &[("x-company-key", &format!("Bearer {KEY}"))], "/", ""), Ok(Principal::Master));
    assert_eq!(ask(&places, &[("x-company-key", KEY)], "/", ""), Err(AuthFault::Unknown));
    assert_eq!(ask(&places, &[("authorization", &format!("Bearer {KEY}"))], "/", ""), Err(AuthFault::Missing));
}

#[test]
fn langfuse_takes_the_public_half() {
    let places = KeyPlaces::new(None).with_langfuse();
    assert_eq!(ask(&places, &[("authorization", &basic_line(KEY, "anything"))], "/", ""), Ok(Principal::Master));
    assert_eq!(ask(&places, &[("authorization", &basic_line("anything", KEY))], "/", ""), Err(AuthFault::Unknown));
    assert_eq!(
        ask(&KeyPlaces::new(None), &[("authorization", &basic_line(KEY, "x"))], "/", ""),
        Err(AuthFault::Unknown)
    );
}
