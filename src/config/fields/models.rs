//! Keys of models: their deployments, their credentials and the router between them.

use super::{Field, Kind, Shape, harmless, honoured, protective};

/// Why fallbacks of one kind of error are left undone.
pub(super) const BY_ERROR: &str = "fallbacks do not depend on the kind of failure; write `fallbacks`";
const TOKENS: &str = "tokens are not counted yet; `rpm` is kept";
const COSTS: &str = "costs are not counted yet";
const POLICY: &str = "`num_retries` holds for every kind of failure";
const STRATEGY: &str = "simple-shuffle has none";
const CHECKS: &str = "a deployment's `rpm` and its rest after failures are always looked at";
const TAGS: &str = "deployments are not told apart by tags";
const REDIS: &str = "there is no Redis connection";
const BUDGETS: &str = "budgets are not kept yet";

/// `router_settings`.
pub const ROUTER: Shape = Shape {
    path: "router_settings",
    closed: false,
    fields: &[
        honoured(
            "routing_strategy",
            Kind::Text,
            "how one of a group is picked: simple-shuffle (default), at random by `weight`, else by `rpm`, else by `tpm`",
        ),
        honoured("num_retries", Kind::Number, "how often a request is tried again, on another deployment; default 2"),
        honoured("retry_after", Kind::Number, "seconds before it is tried again, at least; default 0"),
        honoured("timeout", Kind::Number, "seconds to the first byte and of silence; default 600"),
        honoured("stream_timeout", Kind::Number, "the same where the answer is a stream; default as `timeout`"),
        honoured("allowed_fails", Kind::Number, "failures a minute after which a deployment rests; default 3"),
        honoured("cooldown_time", Kind::Number, "seconds that it rests; default 5; 0: it never does"),
        honoured("disable_cooldowns", Kind::Bool, "true: no deployment ever rests"),
        honoured("fallbacks", Kind::List, "`{group: [groups]}`: what is tried after a group, in order; `*`: after any"),
        honoured("default_fallbacks", Kind::List, "groups that are tried after any other"),
        honoured("model_group_alias", Kind::Map, "other names of groups: a group, or {model: group, hidden: true}"),
        harmless("routing_strategy_args", STRATEGY),
        harmless("routing_groups", "one strategy holds for every group"),
        harmless("retry_policy", POLICY),
        harmless("model_group_retry_policy", POLICY),
        harmless("allowed_fails_policy", "`allowed_fails` holds for every kind of failure"),
        harmless("max_fallbacks", "each group is tried once"),
        harmless("context_window_fallbacks", BY_ERROR),
        harmless("content_policy_fallbacks", BY_ERROR),
        harmless("enable_tag_filtering", TAGS),
        harmless("optional_pre_call_checks", CHECKS),
        harmless("enable_pre_call_checks", CHECKS),
        harmless("set_verbose", "--debug says more"),
        harmless("debug_level", "--debug says more"),
        harmless("cache_responses", "answers are not cached"),
        harmless("redis_host", REDIS),
        harmless("redis_port", REDIS),
        harmless("redis_password", REDIS),
        harmless("redis_url", REDIS),
        protective("provider_budget_config", BUDGETS),
    ],
};

/// An entry of `model_list`.
pub const MODEL: Shape = Shape {
    path: "model_list[]",
    closed: false,
    fields: &[
        honoured("model_name", Kind::Text, "what clients ask for; entries of one name are a group; may hold one `*`"),
        honoured("litellm_params", Kind::Map, "who serves it, and how"),
        honoured("model_info", Kind::Map, "what is known of it"),
        honoured("tollgate", Kind::Map, "what LiteLLM has no word for"),
    ],
};

/// `model_list[].tollgate`.
pub const MODEL_OWN: Shape = Shape {
    path: "model_list[].tollgate",
    closed: true,
    fields: &[honoured(
        "takes",
        Kind::List,
        "parameters that this model takes beyond its provider's usual ones: top_k, reasoning_content",
    )],
};

/// `model_list[].litellm_params`.
pub const MODEL_PARAMS: Shape = Shape {
    path: "model_list[].litellm_params",
    closed: false,
    fields: &[
        honoured("model", Kind::Text, "PROVIDER/NAME, or a NAME that says whose it is"),
        honoured("custom_llm_provider", Kind::Text, "the provider, in place of the prefix of `model`"),
        honoured("api_key", Kind::Text, "the provider's key; unset: the provider's usual variables"),
        honoured("api_base", Kind::Text, "the URL below which the provider's API is; unset: his own"),
        honoured("base_url", Kind::Text, "the same"),
        honoured("api_version", Kind::Text, "Azure's api-version; unset: $AZURE_API_VERSION, else 2025-02-01-preview"),
        honoured("litellm_credential_name", Kind::Text, "an entry of credential_list, for what is not written here"),
        honoured(
            "rpm",
            Kind::Number,
            "requests a minute; when used up, the others of the group serve; its weight, too",
        ),
        honoured("tpm", Kind::Number, "its weight where the group has neither `weight` nor `rpm`; not a limit yet"),
        honoured("weight", Kind::Number, "its share beside the others of the group; default 1"),
        honoured("order", Kind::Number, "lower ones are tried first; unset: after all that have one"),
        honoured("max_parallel_requests", Kind::Number, "requests at once; when used up, the others serve"),
        honoured("timeout", Kind::Number, "seconds to the first byte and of silence; default as the router's"),
        honoured("stream_timeout", Kind::Number, "the same where the answer is a stream"),
        honoured("extra_headers", Kind::Map, "further headers of every request"),
        honoured("headers", Kind::Map, "the same"),
        honoured("organization", Kind::Text, "OpenAI's organization, a header"),
        honoured("extra_body", Kind::Map, "further parameters that a request has where the client names none"),
        harmless("itpm", TOKENS),
        harmless("otpm", TOKENS),
        harmless("rpd", "requests are counted by the minute; `rpm` is kept"),
        harmless("tpd", TOKENS),
        harmless("timeout_by_service_tier", "`timeout` holds for every tier"),
        harmless("max_retries", "router_settings.num_retries holds"),
        harmless("num_retries", "router_settings.num_retries holds"),
        harmless("cooldown_time", "router_settings.cooldown_time holds"),
        harmless("tags", TAGS),
        harmless("drop_params", "requests pass as they are, and an adapter refuses what it cannot carry"),
        harmless("additional_drop_params", "requests pass as they are"),
        harmless("allowed_openai_params", "requests pass as they are"),
        harmless("use_in_pass_through", "there are no built-in provider routes; write one with the key in its headers"),
        harmless("use_litellm_proxy", "the provider is asked itself"),
        harmless("input_cost_per_token", COSTS),
        harmless("output_cost_per_token", COSTS),
        harmless("input_cost_per_second", COSTS),
        harmless("output_cost_per_second", COSTS),
        harmless("cache_read_input_token_cost", COSTS),
        harmless("cache_creation_input_token_cost", COSTS),
        harmless("azure_ad_token", "Entra ID is not asked; write api_key"),
        harmless("tenant_id", "Entra ID is not asked; write api_key"),
        harmless("client_id", "Entra ID is not asked; write api_key"),
        harmless("client_secret", "Entra ID is not asked; write api_key"),
        harmless("region_name", "write api_base"),
        harmless("mock_response", "no answer is made up"),
        protective("max_budget", BUDGETS),
        protective("budget_duration", BUDGETS),
        protective("default_api_key_rpm_limit", "keys have the limits that they were given"),
        protective("default_api_key_tpm_limit", "keys have the limits that they were given"),
        protective("max_file_size_mb", "files are not limited in size; general_settings.max_request_size_mb is kept"),
        parameter("temperature"),
        parameter("top_p"),
        parameter("top_k"),
        parameter("min_p"),
        parameter("n"),
        parameter("max_tokens"),
        parameter("max_completion_tokens"),
        parameter("stop"),
        parameter("seed"),
        parameter("presence_penalty"),
        parameter("frequency_penalty"),
        parameter("repetition_penalty"),
        parameter("logit_bias"),
        parameter("logprobs"),
        parameter("top_logprobs"),
        parameter("response_format"),
        parameter("parallel_tool_calls"),
        parameter("tool_choice"),
        parameter("reasoning_effort"),
        parameter("thinking"),
        parameter("verbosity"),
        parameter("modalities"),
        parameter("service_tier"),
        parameter("safety_identifier"),
        parameter("prompt_cache_key"),
        parameter("prompt_cache_retention"),
        parameter("store"),
        parameter("user"),
        parameter("web_search_options"),
        parameter("dimensions"),
        parameter("encoding_format"),
    ],
};

/// What the doc of a key is that is a parameter of requests.
pub const PARAMETER: &str = "a parameter that a request has where the client names none";

const fn parameter(name: &'static str) -> Field {
    honoured(name, Kind::Any, PARAMETER)
}

/// `model_list[].model_info`. LiteLLM keeps whatever stands here, for who reads it.
pub const MODEL_INFO: Shape = Shape {
    path: "model_list[].model_info",
    closed: false,
    fields: &[
        honoured("id", Kind::Text, "what the deployment is known by; unset: a digest of the entry"),
        honoured("base_model", Kind::Text, "the model whose rules hold, where `model` does not say it, as on Azure"),
        honoured("mode", Kind::Text, "what it is for: chat, embedding and the like"),
        harmless("access_groups", "keys name models themselves"),
        protective("team_id", "models are not kept to a team yet"),
        protective("access_windows", "models are not kept to times of day"),
        protective("blocked", "models are not paused yet"),
    ],
};

/// An entry of `credential_list`.
pub const CREDENTIAL: Shape = Shape {
    path: "credential_list[]",
    closed: false,
    fields: &[
        honoured("credential_name", Kind::Text, "what litellm_credential_name refers to"),
        honoured("credential_values", Kind::Map, "api_key, api_base, api_version for who refers to it"),
        honoured("credential_info", Kind::Map, "words for who reads the file"),
    ],
};

/// `credential_list[].credential_values`.
pub const CREDENTIAL_VALUES: Shape = Shape {
    path: "credential_list[].credential_values",
    closed: false,
    fields: &[
        honoured("api_key", Kind::Text, "the provider's key"),
        honoured("api_base", Kind::Text, "the URL below which the provider's API is"),
        honoured("base_url", Kind::Text, "the same"),
        honoured("api_version", Kind::Text, "Azure's api-version"),
        honoured("organization", Kind::Text, "OpenAI's organization, a header"),
    ],
};
