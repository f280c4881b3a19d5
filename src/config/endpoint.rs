//! One entry of `general_settings.pass_through_endpoints` as the file has it: references replaced, nothing parsed yet.
//!
//! The law: what is secret is known here by its name or its origin, and asked of nobody else.

use super::env::Expanded;
use super::error::Site;
use crate::secret::Secret;

/// One entry of `general_settings.pass_through_endpoints`.
#[derive(Debug, PartialEq)]
pub struct Endpoint {
    /// The entry.
    pub site: Site,
    /// A name for logs.
    pub id: Option<(String, Site)>,
    /// The path, as written; none when it could not be read, which the report has said.
    pub path: Option<(String, Site)>,
    /// Where it leads; none when it could not be read.
    pub target: Option<(TargetText, Site)>,
    /// Several targets in place of that one.
    pub targets: Vec<MemberText>,
    /// Headers set on the upstream request.
    pub headers: Vec<HeaderText>,
    /// Whether a key is required; none: nobody said, and every listener is loopback.
    pub auth: Option<bool>,
    /// Whether the client's headers are sent on.
    pub forward_headers: bool,
    /// Whether everything below the path is served too.
    pub include_subpath: bool,
    /// The methods served, as written; none: all.
    pub methods: Option<Vec<(String, Site)>>,
    /// Seconds to the first byte and of silence.
    pub silence_seconds: f64,
    /// Parameters added where neither client nor target names them.
    pub default_query: Vec<QueryText>,
    /// US dollars a request.
    pub cost_per_request: Option<f64>,
    /// Whether the public half of Basic credentials is the key.
    pub langfuse_credentials: bool,
    /// A further header that holds the key.
    pub user_key_header: Option<(String, Site)>,
    /// The header that says which model is asked for.
    pub model_from: Option<(String, Site)>,
    /// Requests a minute.
    pub requests: Option<u32>,
    /// Requests at once.
    pub parallel: Option<u32>,
    /// Whether POST is repeated when a pooled connection was stale.
    pub retry_non_idempotent: bool,
    /// Whether the target may be a link-local metadata address.
    pub allow_metadata: bool,
    /// Whether it may be an address that the internet does not lead to.
    pub allow_private: bool,
    /// Whether the API has made it.
    pub is_made: bool,
    /// How the upstream is spoken to, where it differs from the rest.
    pub tls: Option<TlsText>,
}

/// One of several targets of an entry.
#[derive(Debug, PartialEq)]
pub struct MemberText {
    /// The item.
    pub site: Site,
    /// Where it leads; none when it could not be read.
    pub target: Option<(TargetText, Site)>,
    /// Headers set in place of the entry's own of the same name.
    pub headers: Vec<HeaderText>,
    /// Its share beside its neighbours of the same order.
    pub weight: f64,
    /// Lower ones are tried first; [`super::model::LAST`]: the file gives it none.
    pub order: u32,
}

/// `tls` of an entry: its files read, not parsed yet.
#[derive(Debug, PartialEq)]
pub struct TlsText {
    /// The mapping.
    pub site: Site,
    /// PEM certificates trusted in place of all others.
    pub ca: Option<(Vec<u8>, Site)>,
    /// The client certificate.
    pub identity: Option<IdentityText>,
    /// The name asked for and verified.
    pub sni: Option<(String, Site)>,
    /// Whether the upstream must prove who it is.
    pub verify: bool,
}

/// A client certificate and its key.
#[derive(Debug, PartialEq)]
pub struct IdentityText {
    /// PEM certificates, the client's own first.
    pub cert: (Vec<u8>, Site),
    /// The PEM key.
    pub key: (Secret, Site),
}

/// A target, references replaced, not parsed yet.
#[derive(Debug, PartialEq)]
pub enum TargetText {
    /// An adapter, by the name in the file and by its own.
    Adapter {
        /// As the file has it.
        name: String,
        /// Which: `anthropic`, or one that the program has registered.
        id: String,
    },
    /// A URL.
    Url {
        /// Everything before the query.
        base: String,
        /// Whether any of that came from a reference, so that no message may repeat it.
        secret: bool,
        /// The query's parameters, in order.
        query: Vec<QueryText>,
    },
}

/// A query parameter of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryText {
    /// Its name.
    pub name: String,
    /// Its value; none for a bare name in a target.
    pub value: Option<Expanded>,
    /// Whether name and value are in the form a URL wants already: the literal parts of a target.
    pub encoded: bool,
}

/// A header of the file.
#[derive(Debug, PartialEq)]
pub struct HeaderText {
    /// Its name, as written.
    pub name: String,
    /// Its value.
    pub value: Expanded,
    /// Where it stands.
    pub site: Site,
}

impl Endpoint {
    /// What tells this entry from every other of the file: what it serves.
    pub fn identity(&self) -> String {
        let methods = self.methods.iter().flatten().map(|(method, _)| method.to_ascii_uppercase());
        let below = if self.include_subpath { "/*" } else { "" };
        format!("{}{below} {}", self.name(), methods.collect::<Vec<_>>().join(","))
    }

    /// The path as written, for messages.
    pub fn name(&self) -> &str {
        self.path.as_ref().map_or("the entry", |(path, _)| path)
    }

    /// Whether an upstream request of this entry carries a secret of ours: a value from a reference, or any value under
    /// a name that credentials are known to have.
    pub fn injects_secret(&self) -> bool {
        let members = self.targets.iter();
        let headers = self.headers.iter().chain(members.clone().flat_map(|member| &member.headers));
        let targets = self.target.iter().chain(members.filter_map(|member| member.target.as_ref()));
        let mut query = self.default_query.iter();
        headers.into_iter().any(HeaderText::is_secret)
            || targets.into_iter().any(|(target, _)| target.is_secret())
            || query.any(QueryText::is_secret)
    }
}

impl TargetText {
    /// Whether what is sent there carries a secret of ours.
    fn is_secret(&self) -> bool {
        match self {
            Self::Adapter { .. } => true,
            Self::Url { query, .. } => query.iter().any(QueryText::is_secret),
        }
    }
}

impl HeaderText {
    /// Whether nobody may see its value.
    pub fn is_secret(&self) -> bool {
        self.value.secret || is_credential_name(&self.name)
    }
}

impl QueryText {
    /// Whether its value must not be overridden by a client.
    pub fn is_secret(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value.secret || is_credential_name(&self.name))
    }
}

/// Names under which APIs are known to take credentials.
pub fn is_credential_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie" | "key" | "apikey" | "api-key" | "sig")
        || ["-key", "-token", "-secret", "password"].iter().any(|ending| name.ends_with(ending))
        || matches!(name.as_str(), "token" | "secret")
}
