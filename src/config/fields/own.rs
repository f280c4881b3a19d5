//! The keys under `tollgate`, for which LiteLLM has no word.

use super::{Kind, Shape, honoured};

/// `tollgate`.
pub const TOLLGATE: Shape = Shape {
    path: "tollgate",
    closed: true,
    fields: &[
        honoured("listen", Kind::List, "addresses to listen on; default 127.0.0.1:4000 and [::1]:4000"),
        honoured(
            "admin_listen",
            Kind::Text,
            "`address:port` where /metrics is served; default 127.0.0.1, at the next port after the first of `listen`; false: nowhere",
        ),
        honoured("metrics_on_main", Kind::Bool, "true: /metrics is served beside the routes too, without a key"),
        honoured("default_auth", Kind::Bool, "what an entry without `auth` means"),
        honoured("accept_unsupported", Kind::List, "protective keys that may be left undone"),
        honoured("allow_metadata", Kind::Bool, "true: any target may be a link-local metadata address"),
        honoured("retry_non_idempotent", Kind::Bool, "the default of the entries' key of that name"),
        honoured("ca_file", Kind::Text, "PEM certificates trusted beside the system's"),
        honoured("resolve", Kind::Map, "`host` or `host:port` to `address` or `address:port`, as curl's --resolve"),
        honoured("dns", Kind::Map, "name servers"),
        honoured("timeouts", Kind::Map, "timeouts of the whole proxy"),
        honoured(
            "log_format",
            Kind::Text,
            "the access log: `text`, `json` or `auto` (text on a terminal or under --debug); default auto",
        ),
        honoured(
            "log_to",
            Kind::Text,
            "where the access log goes: `stdout` (default), `journald`, `journald:/SOCKET` of a namespace, or a path; false: nowhere",
        ),
        honoured(
            "log_sample",
            Kind::Number,
            "the share of requests without any fault that have an access line, above 0 and at most 1; default 1",
        ),
        honoured(
            "log_level",
            Kind::Text,
            "what is said on stderr: debug, info (default), warning or error; flags and LITELLM_LOG win",
        ),
        honoured("api_secrets", Kind::List, "variables that entries made by the API may refer to; default none"),
        honoured(
            "api_private_targets",
            Kind::Bool,
            "true: entries made by the API may lead to loopback and private addresses",
        ),
        honoured("watch", Kind::Bool, "true: the config is read again when one of its files changes, as after SIGHUP"),
        honoured("limits", Kind::Map, "what clients may use of the proxy"),
        honoured("adapters", Kind::Map, "names that targets have, each with the adapter that is meant: anthropic"),
        honoured("keys", Kind::List, "virtual keys that need no store"),
        honoured(
            "store",
            Kind::Map,
            "where keys are kept that the key API makes; default tollgate.db in the state folder",
        ),
        honoured(
            "passthrough_grants",
            Kind::Text,
            "`open` (default): a key without allowed_passthrough_routes may use every route; `required`: none, as in LiteLLM",
        ),
        honoured(
            "trusted_proxies",
            Kind::List,
            "networks whose X-Forwarded-For, Forwarded and PROXY protocol are believed",
        ),
        honoured("forwarded_headers", Kind::Bool, "true: X-Forwarded-For, -Proto and -Host are sent to upstreams"),
    ],
};

/// An entry of `tollgate.listen` that is a mapping.
pub const LISTEN: Shape = Shape {
    path: "tollgate.listen[]",
    closed: true,
    fields: &[
        honoured("address", Kind::Text, "`address:port`, as in an entry that is text"),
        honoured("tls", Kind::Map, "the certificate; without it clients speak plainly"),
        honoured("proxy_protocol", Kind::Bool, "true: the trusted proxies announce every client by the PROXY protocol"),
    ],
};

/// `tollgate.listen[].tls`.
pub const LISTEN_TLS: Shape = Shape {
    path: "tollgate.listen[].tls",
    closed: true,
    fields: &[
        honoured("cert", Kind::Text, "a PEM file with the certificate and those that lead to its authority"),
        honoured("key", Kind::Text, "a PEM file with its key"),
        honoured("client_ca", Kind::Text, "a PEM file with authorities: clients must show a certificate of theirs"),
    ],
};

/// An entry of `tollgate.keys`.
pub const KEY: Shape = Shape {
    path: "tollgate.keys[]",
    closed: true,
    fields: &[
        honoured("key", Kind::Text, "the key, by a reference such as os.environ/NAME; begins with sk-"),
        honoured("hash", Kind::Text, "instead of the key its SHA-256, as 64 hexadecimal digits"),
        honoured("key_alias", Kind::Text, "a name for it"),
        honoured("key_type", Kind::Text, "default, llm_api, management or read_only"),
        honoured("rpm_limit", Kind::Number, "requests a minute; 0: none"),
        honoured("max_parallel_requests", Kind::Number, "requests at once; 0: none"),
        honoured("model_rpm_limit", Kind::Map, "requests a minute, by model"),
        honoured("models", Kind::List, "the models it may use; empty: all"),
        honoured("allowed_routes", Kind::List, "the paths it may call; empty: all"),
        honoured("allowed_passthrough_routes", Kind::List, "the pass-through routes it may use; empty: all"),
        honoured("denied_passthrough_routes", Kind::List, "those that it may not use, whatever else is said"),
        honoured("expires", Kind::Text, "when it ends, as 2027-01-31T00:00:00Z"),
        honoured("blocked", Kind::Bool, "true: it opens nothing"),
        honoured("team_id", Kind::Text, "its team, which /team/new makes; until then it opens nothing"),
        honoured("user_id", Kind::Text, "its user"),
        honoured("tags", Kind::List, "words for reports"),
    ],
};

/// `tollgate.store`.
pub const STORE: Shape = Shape {
    path: "tollgate.store",
    closed: true,
    fields: &[honoured("sqlite", Kind::Text, "a file, which is made if there is none; its salt stands beside it")],
};

/// `tollgate.limits`.
pub const LIMITS: Shape = Shape {
    path: "tollgate.limits",
    closed: true,
    fields: &[
        honoured("header_bytes", Kind::Number, "bytes of a request's head; default 65536; more is 431"),
        honoured("header_fields", Kind::Number, "fields of a request's head; default 100; more is 431"),
        honoured("target_bytes", Kind::Number, "bytes of a request's target; default 16384; more is 414"),
        honoured("connections", Kind::Number, "connections held; default half of the files the process may open"),
        honoured("connections_per_address", Kind::Number, "connections from one address; default unlimited"),
        honoured("rpm_limit", Kind::Number, "requests a minute over the whole proxy; more is 429"),
        honoured(
            "failed_keys_per_address",
            Kind::Number,
            "requests a minute from one address whose key nobody knows; default 1000; more are 429",
        ),
        honoured("in_flight", Kind::Number, "requests served at once; default 10000; more is 503"),
        honoured(
            "memory_mb",
            Kind::Number,
            "memory in MB (10^6 bytes) above which requests are 503; default 90 % of a container's",
        ),
        honoured("body_rate", Kind::Number, "bytes a second that a request's body must bring; default 240; 0: any"),
    ],
};

/// `tollgate.dns`.
pub const DNS: Shape = Shape {
    path: "tollgate.dns",
    closed: true,
    fields: &[honoured("servers", Kind::List, "`address` or `address:port` of name servers; default: the system's")],
};

/// `tollgate.timeouts`.
pub const TIMEOUTS: Shape = Shape {
    path: "tollgate.timeouts",
    closed: true,
    fields: &[
        honoured("connect", Kind::Number, "seconds for TCP, and again for TLS; default 5"),
        honoured("idle", Kind::Number, "seconds an unused upstream connection is kept; default 30"),
        honoured(
            "header",
            Kind::Number,
            "seconds for a request's whole head, and for a TLS handshake; default 10; then 408",
        ),
        honoured("keepalive", Kind::Number, "seconds a client's connection may wait for its next request; default 75"),
        honoured("body", Kind::Number, "seconds over which limits.body_rate is measured; default 20; then 408"),
        honoured("write", Kind::Number, "seconds a client may take nothing of an answer; default 60"),
        honoured(
            "drain_notice",
            Kind::Number,
            "seconds after a stop in which every answer is its connection's last, before listeners close; default 2",
        ),
        honoured("drain", Kind::Number, "seconds that requests may take to end after that; default 30"),
        honoured("drain_streams", Kind::Number, "the same for streams of events; default as `drain`"),
    ],
};
