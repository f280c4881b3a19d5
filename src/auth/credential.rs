//! Where a key may stand in a request, in the order that LiteLLM's clients rely on.
//!
//! 1. `x-litellm-api-key`, bare or after `Bearer`: when it is there it decides alone;
//! 2. `Authorization` after `Bearer` or `Basic` (any case);
//! 3. `api-key`, `x-api-key`, `x-goog-api-key`, `Ocp-Apim-Subscription-Key`, bare or after `Bearer`;
//! 4. `?key=` on Google's generateContent paths; 5. the header that the route names (`litellm_user_api_key`).
//!
//! `litellm_key_header_name` replaces 1 to 4 and wants `Bearer`. The law: all places are looked at; one known key in any of
//! them admits; two different known keys, or two lines of one of these headers, are refused, since another reader might pick
//! the other. On an open route lines that hold no known key are the caller's own, however many there are.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::key::Time;
use super::keyring::{Keyring, Principal};

/// The header that decides alone.
const DECIDES: HeaderName = HeaderName::from_static("x-litellm-api-key");

/// How the key stands in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Bare, or after `Bearer`.
    Plain,
    /// After `Bearer` or `Basic`.
    Scheme,
    /// After `Bearer`.
    Bearer,
}

/// The places where a route looks for a key.
#[derive(Clone, Debug)]
pub struct KeyPlaces {
    headers: Vec<(HeaderName, Form)>,
    /// A bit for each length that one of the names has, modulo 64: most fields of a request are none of them.
    lengths: u64,
    google: bool,
    langfuse: bool,
}

/// Why nobody is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFault {
    /// No credential at all.
    Missing,
    /// The key is blocked.
    Blocked,
    /// The key has ended.
    Expired,
    /// A header that holds a key stands twice.
    Repeated,
    /// Two different known keys.
    TwoKeys,
    /// There is a credential, and nobody knows it.
    Unknown,
}

impl KeyPlaces {
    /// The usual places, or `replaced` alone.
    pub fn new(replaced: Option<HeaderName>) -> Self {
        let headers = match replaced {
            Some(name) => vec![(name, Form::Bearer)],
            None => vec![
                (DECIDES, Form::Plain),
                (AUTHORIZATION, Form::Scheme),
                (HeaderName::from_static("api-key"), Form::Plain),
                (HeaderName::from_static("x-api-key"), Form::Plain),
                (HeaderName::from_static("x-goog-api-key"), Form::Plain),
                (HeaderName::from_static("ocp-apim-subscription-key"), Form::Plain),
            ],
        };
        let lengths = headers.iter().fold(0, |lengths, (name, _)| lengths | length_bit(name));
        Self { google: headers.len() > 1, headers, lengths, langfuse: false }
    }

    /// The same, with the header that a route names.
    pub fn with_header(mut self, name: HeaderName) -> Self {
        if !self.headers.iter().any(|(known, _)| *known == name) {
            self.lengths |= length_bit(&name);
            self.headers.push((name, Form::Plain));
        }
        self
    }

    /// The same, with the public half of Basic credentials taken as a key.
    pub fn with_langfuse(mut self) -> Self {
        self.langfuse = true;
        self
    }

    /// The places in words, for whoever sent no key. `path` is the last segment of the request's path.
    pub fn described(&self, path: &[u8]) -> String {
        let mut places: Vec<String> = Vec::new();
        for (name, form) in &self.headers {
            let place = match form {
                // Upper and lower case are the same; this is how clients write it.
                Form::Scheme => "`Authorization: Bearer KEY`".to_owned(),
                Form::Bearer => format!("`{name}: Bearer KEY`"),
                Form::Plain => format!("`{name}: KEY`"),
            };
            // The one that most clients use comes first.
            places.insert(if *form == Form::Scheme { 0 } else { places.len() }, place);
        }
        if self.langfuse {
            places.push("the public key of Basic credentials".to_owned());
        }
        if self.google && is_google(path) {
            places.push("`?key=KEY`".to_owned());
        }
        match places.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    /// Who is calling. `query` is looked at on Google's paths alone; `open`: nobody needs a key; `now`: by
    /// the calendar.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        path: &[u8],
        query: Option<&[u8]>,
        keyring: &Keyring,
        open: bool,
        now: Time,
    ) -> Result<Principal, AuthFault> {
        // One walk over the request's fields is cheaper than a look-up for each place.
        let mut lines: SmallVec<[(usize, &HeaderValue); 4]> = SmallVec::new();
        for (name, value) in headers {
            if self.lengths & length_bit(name) == 0 {
                continue;
            }
            if let Some(place) = self.headers.iter().position(|(known, _)| known == name) {
                lines.push((place, value));
            }
        }
        let decides =
            self.headers.first().is_some_and(|(name, _)| *name == DECIDES) && lines.iter().any(|line| line.0 == 0);
        let mut seen = Seen::default();
        for (place, line) in lines.iter().filter(|(place, _)| !decides || *place == 0) {
            let Some((_, form)) = self.headers.get(*place) else { continue };
            let repeated = lines.iter().filter(|(other, _)| other == place).count() > 1;
            seen.look(form.key(line.as_bytes()), self.langfuse, line.as_bytes(), repeated, keyring);
        }
        if self.google && !decides && is_google(path) {
            for value in query.unwrap_or_default().split(|byte| *byte == b'&') {
                if let Some(key) = value.strip_prefix(b"key=") {
                    seen.look(Some(key), false, key, false, keyring);
                }
            }
        }
        let principal = seen.verdict(open)?;
        if let Some(key) = principal.key() {
            if key.record.blocked {
                return Err(AuthFault::Blocked);
            }
            if key.record.expires.is_some_and(|expires| expires <= now) {
                return Err(AuthFault::Expired);
            }
        }
        Ok(principal)
    }
}

/// What has been found so far.
#[derive(Default)]
struct Seen {
    any: bool,
    repeated: bool,
    known: Option<Principal>,
    fault: Option<AuthFault>,
}

impl Seen {
    fn look(&mut self, key: Option<&[u8]>, langfuse: bool, line: &[u8], repeated: bool, keyring: &Keyring) {
        self.any = true;
        self.repeated |= repeated;
        let public_half = if langfuse { super::keyring::basic(line) } else { None };
        let public_half = public_half.as_deref().and_then(|pair| pair.split(|byte| *byte == b':').next());
        for token in [key, public_half].into_iter().flatten() {
            let Some(principal) = keyring.find(token) else { continue };
            if repeated {
                self.fault = Some(AuthFault::Repeated);
            }
            if self.known.as_ref().is_some_and(|other| *other != principal) {
                self.fault = Some(AuthFault::TwoKeys);
            }
            self.known = Some(principal);
        }
    }

    fn verdict(self, open: bool) -> Result<Principal, AuthFault> {
        match (self.fault, self.known) {
            (Some(fault), _) => Err(fault),
            (None, _) if self.repeated && !open => Err(AuthFault::Repeated),
            (None, Some(principal)) => Ok(principal),
            (None, None) if self.any => Err(AuthFault::Unknown),
            (None, None) => Err(AuthFault::Missing),
        }
    }
}

impl Form {
    /// The key in a header line of this form.
    fn key(self, line: &[u8]) -> Option<&[u8]> {
        let scheme = scheme(line);
        match (self, scheme) {
            (Self::Plain, Some((scheme, token))) if scheme.eq_ignore_ascii_case(b"bearer") => Some(token),
            (Self::Plain, _) => Some(line.trim_ascii()),
            (Self::Scheme, Some((scheme, token))) => {
                (scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"basic")).then_some(token)
            }
            (Self::Bearer, Some((scheme, token))) => scheme.eq_ignore_ascii_case(b"bearer").then_some(token),
            (Self::Scheme | Self::Bearer, None) => None,
        }
    }
}

/// `scheme 1*SP token` (RFC 9110 section 11.4), trimmed.
pub(super) fn scheme(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii();
    let at = line.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = line.split_at(at);
    Some((scheme, token.trim_ascii()))
}

fn length_bit(name: &HeaderName) -> u64 {
    1 << (name.as_str().len() % 64)
}

/// Google's SDKs put the key into the query of these calls.
fn is_google(path: &[u8]) -> bool {
    memchr::memmem::find(path, b"enerateContent").is_some()
        || path.ends_with(b":countTokens")
        || path.ends_with(b":embedContent")
}

#[cfg(test)]
mod tests;
