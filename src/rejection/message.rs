//! The sentences that clients read.
//!
//! The law: a sentence says what is wrong and how to mend it, and nothing that is not the client's to know.

use super::limited;
use super::{Denied, Rejection, UpstreamFault};
use crate::auth::AuthFault;

impl Rejection {
    /// The sentence that the client reads.
    pub fn message(&self) -> String {
        match self {
            Self::Auth { fault, places } => auth_message(*fault, places),
            Self::Denied(denied) => denied.text().into(),
            Self::Limited(exceeded) => limited::message(exceeded),
            Self::BadBody => "The request's fields or the framing of its body are not what HTTP asks for.".into(),
            Self::BadFrame(fault) => format!("The request was refused: {}.", fault.text()),
            Self::BadPath(error) => format!("The request was refused: {error}."),
            Self::BodyCoded => "A body with a content-encoding is not read here: send JSON as it is, without the field.".into(),
            Self::BodyTimeout => "The request body did not arrive in time.".into(),
            Self::BodyTooLarge(most) => format!("The request body is larger than the {most} bytes that are allowed."),
            Self::Expectation => "No expectation but `100-continue` can be met.".into(),
            Self::Flood => "Too many control frames.".into(),
            Self::ForeignOrigin => {
                "Models are open here to programs of this machine alone, as no key is set: a web page may not ask, and Host must be \
                 localhost or a loopback address. Set general_settings.master_key to serve others."
                    .into()
            }
            Self::HeadTimeout => "The head of the request did not arrive in time.".into(),
            Self::NotAnnounced => "The PROXY protocol is expected here, from the proxies that are trusted.".into(),
            Self::NoTls => "No TLS could be agreed on.".into(),
            Self::Overloaded => "The gateway can carry no more requests; try again in a moment.".into(),
            Self::TooManyConnections { .. } => "The gateway holds too many connections.".into(),
            Self::Guessing(seconds) => format!(
                "Authentication Error, too many invalid keys from this address. Try again in {seconds} s, with a valid key at once."
            ),
            Self::Instead(instead) => format!("This is not served here. {instead}"),
            Self::Management(fault) => fault.to_string(),
            Self::KeyInPath => "The path holds a Tollgate key, which is never sent on. Send it in a header.".into(),
            Self::Internal => {
                "The gateway failed to serve the request; its log has the reason under this call id.".into()
            }
            Self::Loop => "The request came back to the gateway that sent it: its target leads to itself.".into(),
            Self::MethodNotAllowed(methods) => {
                let mend = if *methods == ["POST", "OPTIONS"] { ": send POST with a JSON body (curl: -d)" } else { "" };
                format!("The route does not serve this method; it serves {}{mend}.", methods.join(", "))
            }
            Self::NoRoute { method, path, nearest: None } => format!("There is no route for {method} {path}."),
            Self::NoRoute { method, path, nearest: Some(nearest) } => {
                format!("There is no route for {method} {path}; the nearest configured path is {nearest}.")
            }
            Self::Reserved { method, path } => format!(
                "{method} {path} is not served yet: the path belongs to the gateway's own management, which no route of \
                 the config can take."
            ),
            Self::NoModel(model) => format!("There is no model `{model}` here; GET /v1/models lists those there are."),
            Self::ModelUnserved(why) => format!("This model is not served: {why}"),
            Self::Untranslated(problem) | Self::UpstreamSaid { problem, .. } => problem.message.clone(),
            Self::TooManyInFlight => "Too many requests are in flight; try again when some have ended.".into(),
            Self::UpstreamFailed(fault) => upstream_message(*fault).into(),
            Self::UpstreamTimeout => "The upstream did not answer in time.".into(),
            Self::Upgrade => "WebSocket is not enabled on this route; send a plain HTTP request.".into(),
        }
    }
}

impl Denied {
    fn text(self) -> &'static str {
        match self {
            Self::KeyType => "This key is for the key API and may not call routes.",
            Self::Model => "This key may not use this model.",
            Self::ModelUnknown => {
                "This key is limited to models, and the model of this route cannot be known before the request is forwarded. \
                 Name the route in the key's allowed_passthrough_routes, or set model_from on the route."
            }
            Self::Route => "This key may not use this route.",
            Self::TeamBlocked => "The team of this key is blocked.",
            Self::TeamGone => "The team of this key does not exist any more.",
        }
    }
}

fn auth_message(fault: AuthFault, places: &str) -> String {
    let what = match fault {
        AuthFault::Blocked => return "Authentication Error, Key is blocked.".into(),
        AuthFault::Expired => return "Authentication Error, Expired Key.".into(),
        AuthFault::Missing => "No api key passed in",
        AuthFault::Repeated => return "Authentication Error, a header with a key stands twice. Send one.".into(),
        AuthFault::TwoKeys => return "Authentication Error, the request holds two different keys. Send one.".into(),
        AuthFault::Unknown => "Invalid api key",
    };
    format!("Authentication Error, {what}. Send a Tollgate key as {places}.")
}

fn upstream_message(fault: UpstreamFault) -> &'static str {
    match fault {
        UpstreamFault::Connect => "The upstream of this route could not be connected to.",
        UpstreamFault::Resolve => "The name of this route's upstream did not resolve to an address that may be used.",
        UpstreamFault::Protocol => "The upstream of this route broke off, or did not answer in HTTP.",
        UpstreamFault::Tls => "No trusted TLS connection to this route's upstream could be made.",
    }
}
