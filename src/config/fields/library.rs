//! Keys of LiteLLM's library, its router and its models. Models are not served yet: what is here is read, and protective
//! keys refuse the file.

use super::{Kind, Shape, harmless, honoured, protective};

/// `litellm_settings`.
pub const LITELLM: Shape = Shape {
    path: "litellm_settings",
    closed: false,
    fields: &[
        harmless("drop_params", "models are not served yet"),
        harmless("request_timeout", "models are not served yet"),
        harmless("num_retries", "models are not served yet"),
        harmless("fallbacks", "models are not served yet"),
        harmless("default_fallbacks", "models are not served yet"),
        harmless("context_window_fallbacks", "models are not served yet"),
        harmless("content_policy_fallbacks", "models are not served yet"),
        harmless("callbacks", "callbacks are not sent"),
        harmless("success_callback", "callbacks are not sent"),
        harmless("failure_callback", "callbacks are not sent"),
        harmless("service_callback", "callbacks are not sent"),
        harmless("cache", "answers are not cached"),
        harmless("cache_params", "answers are not cached"),
        harmless("set_verbose", "--debug says more"),
        harmless("json_logs", "the log format follows the terminal"),
        harmless("turn_off_message_logging", "bodies are never logged"),
        harmless("redact_user_api_key_info", "keys are never logged"),
        harmless("telemetry", "there is none"),
        harmless("sse_keepalive_ping_interval_seconds", "streams are relayed byte for byte"),
        harmless("include_cost_in_streaming_usage", "streams are relayed byte for byte"),
        harmless("use_chat_completions_url_for_anthropic_messages", "always so, once models are served"),
        harmless("strip_anthropic_total_tokens", "models are not served yet"),
        harmless("anthropic_messages_estimate_initial_input_tokens", "models are not served yet"),
        harmless("budget_exceeded_status_code", "budgets are not kept yet"),
        harmless("force_redis_hash_tag_grouping", "there is no Redis connection"),
        harmless("default_key_generate_params", "keys are not made by an API yet"),
        protective("max_budget", "budgets are not kept yet"),
        protective("budget_duration", "budgets are not kept yet"),
        honoured("require_auth_for_metrics_endpoint", Kind::Bool, "true: /metrics beside the routes asks for a key"),
        protective("max_end_user_budget_id", "budgets are not kept yet"),
        protective("upperbound_key_generate_params", "keys are not made by an API yet"),
        protective("guardrails", "guardrails are not run"),
    ],
};

/// `router_settings`.
pub const ROUTER: Shape = Shape {
    path: "router_settings",
    closed: false,
    fields: &[
        harmless("routing_strategy", "models are not served yet"),
        harmless("routing_strategy_args", "models are not served yet"),
        harmless("routing_groups", "models are not served yet"),
        harmless("num_retries", "models are not served yet"),
        harmless("retry_policy", "models are not served yet"),
        harmless("model_group_retry_policy", "models are not served yet"),
        harmless("retry_after", "models are not served yet"),
        harmless("timeout", "models are not served yet"),
        harmless("stream_timeout", "models are not served yet"),
        harmless("allowed_fails", "models are not served yet"),
        harmless("cooldown_time", "models are not served yet"),
        harmless("fallbacks", "models are not served yet"),
        harmless("default_fallbacks", "models are not served yet"),
        harmless("context_window_fallbacks", "models are not served yet"),
        harmless("content_policy_fallbacks", "models are not served yet"),
        harmless("model_group_alias", "models are not served yet"),
        harmless("enable_tag_filtering", "models are not served yet"),
        harmless("optional_pre_call_checks", "models are not served yet"),
        harmless("redis_host", "there is no Redis connection"),
        harmless("redis_port", "there is no Redis connection"),
        harmless("redis_password", "there is no Redis connection"),
        harmless("redis_url", "there is no Redis connection"),
        harmless("enable_pre_call_checks", "models are not served yet"),
        harmless("disable_cooldowns", "models are not served yet"),
    ],
};

/// An entry of `model_list`.
pub const MODEL: Shape = Shape {
    path: "model_list[]",
    closed: false,
    fields: &[
        harmless("model_name", "models are not served yet"),
        harmless("litellm_params", "models are not served yet"),
        harmless("model_info", "models are not served yet"),
    ],
};

/// `model_list[].litellm_params`. Keys that are not listed are parameters of the provider, as in LiteLLM.
pub const MODEL_PARAMS: Shape = Shape {
    path: "model_list[].litellm_params",
    closed: false,
    fields: &[
        harmless("model", "models are not served yet"),
        harmless("api_key", "models are not served yet"),
        harmless("api_base", "models are not served yet"),
        harmless("api_version", "models are not served yet"),
        harmless("rpm", "models are not served yet"),
        harmless("tpm", "models are not served yet"),
        harmless("itpm", "models are not served yet"),
        harmless("otpm", "models are not served yet"),
        harmless("rpd", "models are not served yet"),
        harmless("tpd", "models are not served yet"),
        harmless("timeout", "models are not served yet"),
        harmless("stream_timeout", "models are not served yet"),
        harmless("timeout_by_service_tier", "models are not served yet"),
        harmless("max_retries", "models are not served yet"),
        harmless("max_parallel_requests", "models are not served yet"),
        harmless("weight", "models are not served yet"),
        harmless("order", "models are not served yet"),
        harmless("tags", "models are not served yet"),
        harmless("use_in_pass_through", "models are not served yet"),
        harmless("litellm_credential_name", "models are not served yet"),
        harmless("input_cost_per_token", "models are not served yet"),
        harmless("output_cost_per_token", "models are not served yet"),
    ],
};

/// `model_list[].model_info`.
pub const MODEL_INFO: Shape = Shape {
    path: "model_list[].model_info",
    closed: false,
    fields: &[
        harmless("id", "models are not served yet"),
        harmless("base_model", "models are not served yet"),
        harmless("mode", "models are not served yet"),
        harmless("team_id", "models are not served yet"),
        harmless("access_groups", "models are not served yet"),
    ],
};
