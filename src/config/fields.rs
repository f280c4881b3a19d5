//! Every key that a config file may hold, in one table: what kind of value it takes and what becomes of it.
//!
//! The law: a key is *honoured*, *harmless* to leave undone (one notice says so), or *protective*: leaving it undone would
//! make the proxy more open than the file says, so the file is refused unless `tollgate.accept_unsupported` names the key.
//! Unknown keys, suggestions and the JSON Schema are read from here; nothing else lists keys.
//!
//! It holds no rule about values: those are beside their types.

mod library;
mod models;
mod own;

pub use library::LITELLM;
pub use models::{CREDENTIAL, CREDENTIAL_VALUES, MODEL, MODEL_INFO, MODEL_OWN, MODEL_PARAMS, PARAMETER, ROUTER};
pub use own::{DNS, KEY, LIMITS, LISTEN, LISTEN_TLS, STORE, TIMEOUTS, TOLLGATE};

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Tollgate does what the key says.
    Honoured,
    /// Not done; nothing becomes more open by it. One notice says so.
    Harmless,
    /// Not done, and it would protect: the file is refused unless the operator accepts that in writing.
    Protective,
}

/// The kind of value a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything at all; not looked into.
    Any,
    /// `true` or `false`, never quoted.
    Bool,
    /// A list.
    List,
    /// A mapping.
    Map,
    /// A number that is not negative.
    Number,
    /// Text, or a number or boolean taken as text.
    Text,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// What becomes of it.
    pub standing: Standing,
    /// What it does, or why it is left undone.
    pub doc: &'static str,
}

/// A mapping of the file and the keys it may hold.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The dotted path of the mapping, `[]` for the entries of a list.
    pub path: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
    /// Whether a key that is not listed refuses the file; otherwise it is a notice.
    pub closed: bool,
}

const fn honoured(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, standing: Standing::Honoured, doc }
}

const fn harmless(name: &'static str, doc: &'static str) -> Field {
    Field { name, kind: Kind::Any, standing: Standing::Harmless, doc }
}

const fn protective(name: &'static str, doc: &'static str) -> Field {
    Field { name, kind: Kind::Any, standing: Standing::Protective, doc }
}

/// The top of the file.
pub const TOP: Shape = Shape {
    path: "",
    closed: false,
    fields: &[
        honoured("general_settings", Kind::Map, "master key, pass-through routes, proxy-wide settings"),
        honoured("litellm_settings", Kind::Map, "settings of LiteLLM's library; read for what protects"),
        honoured(
            "router_settings",
            Kind::Map,
            "how one of a model's deployments is picked, and what follows a failure",
        ),
        honoured("model_list", Kind::List, "models: what clients ask for, and who serves it"),
        honoured("environment_variables", Kind::Map, "variables that os.environ/NAME sees before the process's own"),
        honoured("include", Kind::List, "further files, merged into this one; relative to this file"),
        honoured("tollgate", Kind::Map, "what LiteLLM has no word for"),
        harmless("callback_settings", "callbacks are not sent"),
        harmless("finetune_settings", "fine-tuning files are not managed"),
        harmless("files_settings", "files are not managed"),
        honoured("credential_list", Kind::List, "credentials that entries of model_list refer to by name"),
        harmless("mcp_servers", "MCP servers are not served"),
        harmless("vector_store_registry", "vector stores are not served"),
        harmless("search_tools", "search tools are not served"),
        protective("guardrails", "guardrails are not run"),
    ],
};

/// `general_settings`.
pub const GENERAL: Shape = Shape {
    path: "general_settings",
    closed: false,
    fields: &[
        honoured("master_key", Kind::Text, "the admin key; opens every route with auth: true"),
        honoured("pass_through_endpoints", Kind::List, "the routes"),
        honoured("pass_through_request_timeout", Kind::Number, "seconds to the first byte and of silence; default 600"),
        honoured(
            "litellm_key_header_name",
            Kind::Text,
            "the one header that holds `Bearer KEY`; replaces the usual places",
        ),
        honoured("max_request_size_mb", Kind::Number, "the largest request body in MB (10^6 bytes); more is 413"),
        honoured("global_max_parallel_requests", Kind::Number, "requests in flight over the whole proxy; more is 429"),
        honoured(
            "dangerously_permit_weak_or_unset_master_key",
            Kind::Bool,
            "accept a publicly known master key on any listener",
        ),
        harmless("database_connection_pool_limit", "there is no database connection"),
        harmless("database_connection_timeout", "there is no database connection"),
        honoured("database_url", Kind::Text, "refused: PostgreSQL is not served as key store yet; see tollgate.store"),
        harmless("user_api_key_cache_ttl", "keys are held whole, not cached"),
        harmless("user_api_key_cache_max_size", "keys are held whole, not cached"),
        harmless("public_routes", "routes stay as closed as their auth says"),
        harmless("use_x_forwarded_for", "the client address is the peer of the connection"),
        harmless("max_parallel_requests", "keys have the limits that they were given"),
        harmless("cancel_on_disconnect", "always so: the upstream is cancelled when the client leaves"),
        harmless("passthrough_managed_object_ids", "bodies are never rewritten"),
        harmless("token_rate_limit_type", "keys have the limits that they were given"),
        harmless("coordination_redis", "one process counts for itself"),
        harmless("allow_requests_on_db_unavailable", "there is no database connection"),
        harmless("allow_client_side_credentials", "targets come from the file alone"),
        harmless("include_call_id_in_error_body", "the call id is in the x-litellm-call-id header"),
        harmless("completion_model", "clients say which model they ask for"),
        harmless("enable_openai_websocket_passthrough", "WebSocket is not relayed yet"),
        harmless("disable_bedrock_agent_runtime_passthrough", "there are no built-in provider routes"),
        harmless("store_model_in_db", "there is no database connection"),
        harmless("user_header_name", "end users are not told apart yet"),
        harmless("user_header_mappings", "end users are not told apart yet"),
        harmless("alerting", "alerts are not sent"),
        harmless("alert_types", "alerts are not sent"),
        harmless("alerting_threshold", "alerts are not sent"),
        harmless("alerting_args", "alerts are not sent"),
        harmless("proxy_batch_write_at", "there is no database connection"),
        harmless("proxy_config_reload_interval_seconds", "the file is read at start"),
        harmless("disable_spend_logs", "spend is not recorded yet"),
        harmless("disable_master_key_return", "the master key is never returned"),
        harmless("background_health_checks", "models are not probed"),
        harmless("health_check_interval", "models are not probed"),
        protective("max_response_size_mb", "answers are not limited in size"),
        protective("allowed_routes", "keys are not limited to routes yet"),
        protective("admin_only_routes", "routes are not limited to admins yet"),
        protective("allowed_ips", "clients are not limited by address yet"),
        protective("custom_auth", "Python hooks are not run"),
        protective("custom_auth_run_common_checks", "Python hooks are not run"),
        protective("enable_jwt_auth", "JWTs are not checked"),
        protective("litellm_jwtauth", "JWTs are not checked"),
        protective("enable_oauth2_auth", "OAuth2 tokens are not checked"),
        protective("max_in_flight_requests_per_worker", "requests in flight are limited over the whole proxy only"),
        protective("max_queued_requests_per_worker", "requests are not queued"),
        protective("admission_queue_timeout_seconds", "requests are not queued"),
        protective("fail_closed_rate_limit_enforcement", "limits are not shared between processes yet"),
        protective("enforce_user_param", "bodies are not looked into"),
        protective("key_management_system", "secrets come from variables, files and systemd credentials"),
        protective("key_management_settings", "secrets come from variables, files and systemd credentials"),
    ],
};

/// An entry of `general_settings.pass_through_endpoints`.
pub const ENTRY: Shape = Shape {
    path: "general_settings.pass_through_endpoints[]",
    closed: true,
    fields: &[
        honoured("path", Kind::Text, "the path clients call; `{name}` stands for a segment or a part of one"),
        honoured("target", Kind::Text, "the URL requests are sent to, or an adapter"),
        honoured("targets", Kind::List, TARGETS),
        honoured("headers", Kind::Map, "headers set on the upstream request; they replace the client's"),
        honoured("auth", Kind::Bool, "true: a Tollgate key is required; false: open"),
        honoured("forward_headers", Kind::Bool, "true: the client's headers are sent on, but hop-by-hop ones and keys"),
        honoured("include_subpath", Kind::Bool, "true: everything below the path is served too"),
        honoured("methods", Kind::List, "the methods served; unset: all but CONNECT and TRACE"),
        honoured("timeout", Kind::Number, "seconds to the first byte and of silence"),
        honoured("default_query_params", Kind::Map, "parameters added where neither client nor target names them"),
        honoured("merge_query_params", Kind::Bool, "always so: the target's parameters are kept beside the client's"),
        honoured("cost_per_request", Kind::Number, "US dollars a request; noted in the access log"),
        honoured("id", Kind::Text, "a name for the route in logs"),
        honoured("custom_auth_parser", Kind::Text, "`langfuse`: the public half of Basic credentials is the key"),
        honoured("retry_non_idempotent", Kind::Bool, "true: POST is repeated too when a pooled connection was stale"),
        honoured("allow_metadata", Kind::Bool, "true: the target may be a link-local metadata address"),
        honoured("model_from", Kind::Text, "the header that says which model is asked for, for keys limited to models"),
        honoured("rpm_limit", Kind::Number, "requests a minute on this route; more is 429"),
        honoured("max_parallel_requests", Kind::Number, "requests at once on this route; more is 429"),
        honoured("tls", Kind::Map, "how this upstream is spoken to: its authority, a client certificate, its name"),
        honoured("tollgate", Kind::Map, "the keys that LiteLLM has no word for, apart"),
        harmless("is_from_config", "read-only in LiteLLM"),
        protective("guardrails", "guardrails are not run"),
    ],
};

/// `targets` of an entry.
const TARGETS: &str = "in place of `target` several: URLs, or mappings of target, headers, weight and order";

/// An item of `targets` that is a mapping.
pub const MEMBER: Shape = Shape {
    path: "general_settings.pass_through_endpoints[].targets[]",
    closed: true,
    fields: &[
        honoured("target", Kind::Text, "the URL requests are sent to"),
        honoured("headers", Kind::Map, "headers set here, in place of the entry's own of the same name"),
        honoured("weight", Kind::Number, "its share beside its neighbours of the same order; default 1"),
        honoured("order", Kind::Number, "lower ones are tried first; unset: after all that have one"),
    ],
};

/// Keys of an entry that have a meaning one day, so that they answer "not yet" and not "unknown": plain in the entry, and in
/// its `tollgate`.
const ENTRY_LATER: &[&str] = &[
    "adapter",
    "balance",
    "budget",
    "cache",
    "circuit_breaker",
    "dialect",
    "fallbacks",
    "health_check",
    "hedge",
    "heartbeat",
    "limits",
    "queue",
    "retries",
    "shadow",
    "tpm_limit",
    "usage",
    "websocket",
];

/// The same of `tollgate`.
const TOLLGATE_LATER: &[&str] = &["allowed_ips", "prices", "queue", "reload", "tracing"];

/// `tollgate` inside an entry.
pub const ENTRY_OWN: Shape = Shape {
    path: "general_settings.pass_through_endpoints[].tollgate",
    closed: true,
    fields: &[
        honoured("targets", Kind::List, TARGETS),
        honoured("retry_non_idempotent", Kind::Bool, "true: POST is repeated too when a pooled connection was stale"),
        honoured("allow_metadata", Kind::Bool, "true: the target may be a link-local metadata address"),
        honoured("model_from", Kind::Text, "the header that says which model is asked for, for keys limited to models"),
        honoured("rpm_limit", Kind::Number, "requests a minute on this route; more is 429"),
        honoured("max_parallel_requests", Kind::Number, "requests at once on this route; more is 429"),
        honoured("tls", Kind::Map, "how this upstream is spoken to: its authority, a client certificate, its name"),
    ],
};

/// `tls` of an entry, plain or in its `tollgate`.
pub const ENTRY_TLS: Shape = Shape {
    path: "general_settings.pass_through_endpoints[].tls",
    closed: true,
    fields: &[
        honoured("ca", Kind::Text, "PEM file of the certificates trusted here, in place of the system's and ca_file"),
        honoured("cert", Kind::Text, "PEM file of the client certificate, the chain after it"),
        honoured("key", Kind::Text, "PEM file of the client certificate's private key"),
        honoured("sni", Kind::Text, "the name asked for and verified, in place of the target's host"),
        honoured("verify", Kind::Bool, "false: the upstream's certificate is not looked at; a warning says so"),
    ],
};

/// Every shape, for the schema and for the test that walks the table.
pub const SHAPES: &[Shape] = &[
    TOP,
    GENERAL,
    ENTRY,
    ENTRY_OWN,
    ENTRY_TLS,
    MEMBER,
    TOLLGATE,
    KEY,
    LISTEN,
    LISTEN_TLS,
    STORE,
    LIMITS,
    DNS,
    TIMEOUTS,
    LITELLM,
    ROUTER,
    MODEL,
    MODEL_PARAMS,
    MODEL_INFO,
    MODEL_OWN,
    CREDENTIAL,
    CREDENTIAL_VALUES,
];

impl Shape {
    /// The field `name`.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether `name` will have a meaning here one day.
    pub fn is_later(&self, name: &str) -> bool {
        let later = match self.path {
            path if path == ENTRY.path || path == ENTRY_OWN.path => ENTRY_LATER,
            path if path == TOLLGATE.path => TOLLGATE_LATER,
            _ => &[],
        };
        later.contains(&name)
    }

    /// The known key that `name` was most likely meant to be.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        let lower = name.to_ascii_lowercase().replace('-', "_");
        self.fields
            .iter()
            .map(|field| (strsim::damerau_levenshtein(&lower, field.name), field.name))
            .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_names_a_key_once() {
        for shape in SHAPES {
            for (index, field) in shape.fields.iter().enumerate() {
                assert!(
                    shape.fields[index + 1..].iter().all(|other| other.name != field.name),
                    "{}.{}",
                    shape.path,
                    field.name
                );
                assert!(!field.doc.is_empty());
            }
        }
    }

    #[test]
    fn what_comes_later_is_not_there_already() {
        for shape in SHAPES {
            let doubled: Vec<_> = shape.fields.iter().filter(|field| shape.is_later(field.name)).collect();
            assert!(doubled.is_empty(), "{}: {doubled:?}", shape.path);
        }
        for name in ["balance", "websocket", "heartbeat", "queue", "shadow"] {
            assert!(ENTRY.is_later(name) && ENTRY_OWN.is_later(name), "{name}");
        }
    }

    #[test]
    fn typing_slips_find_the_key_that_was_meant() {
        for (typed, meant) in [
            ("include_subpaths", Some("include_subpath")),
            ("Auth", Some("auth")),
            ("autth", Some("auth")),
            ("forward-headers", Some("forward_headers")),
            ("method", Some("methods")),
            ("zzz", None),
        ] {
            assert_eq!(ENTRY.nearest(typed), meant, "{typed}");
        }
    }
}
