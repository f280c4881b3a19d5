//! The providers that are served, and whose models have names that need no prefix.
//!
//! The law: bases and variables are those of the providers' own references and of LiteLLM, in LiteLLM's order.

use super::{Auth, Provider, Style};

/// One that speaks as OpenAI does and takes its key as OpenAI does.
const COMPATIBLE: Provider = Provider {
    name: "",
    also: &[],
    base: None,
    base_end: "",
    auth: Auth::Bearer,
    key_variables: &[],
    base_variables: &[],
    version: None,
    model_start: "",
    series: &[],
    has_stream_options: true,
    is_open: false,
    style: Style::Compatible,
    source: "",
};

/// Every provider that is served.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "openai",
        base: Some("https://api.openai.com/v1"),
        key_variables: &["OPENAI_API_KEY"],
        base_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        series: &[("responses/", None)],
        style: Style::OpenAi,
        source: "https://platform.openai.com/docs/api-reference",
        ..COMPATIBLE
    },
    Provider {
        name: "custom_openai",
        also: &["openai_like"],
        key_variables: &["OPENAI_LIKE_API_KEY"],
        base_variables: &["OPENAI_LIKE_API_BASE"],
        is_open: true,
        source: "https://docs.litellm.ai/docs/providers/openai_compatible",
        ..COMPATIBLE
    },
    Provider {
        name: "azure",
        auth: Auth::Field("api-key"),
        key_variables: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
        base_variables: &["AZURE_API_BASE"],
        series: &[("o_series/", Some("o1")), ("gpt5_series/", Some("gpt-5")), ("responses/", None)],
        version: Some(("AZURE_API_VERSION", "2025-02-01-preview")),
        style: Style::Azure,
        source: "https://learn.microsoft.com/azure/ai-foundry/openai/reference",
        ..COMPATIBLE
    },
    Provider {
        name: "anthropic",
        base: Some("https://api.anthropic.com/v1"),
        base_end: "/v1",
        auth: Auth::Field("x-api-key"),
        key_variables: &["ANTHROPIC_API_KEY"],
        base_variables: &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
        style: Style::Anthropic,
        source: "https://docs.anthropic.com/en/api/messages",
        ..COMPATIBLE
    },
    Provider {
        name: "cohere",
        also: &["cohere_chat"],
        base: Some("https://api.cohere.ai/compatibility/v1"),
        base_end: "/compatibility/v1",
        key_variables: &["COHERE_API_KEY", "CO_API_KEY"],
        base_variables: &["COHERE_API_BASE"],
        has_stream_options: false,
        source: "https://docs.cohere.com/docs/compatibility-api",
        ..COMPATIBLE
    },
    Provider {
        name: "gemini",
        base: Some("https://generativelanguage.googleapis.com/v1beta/openai"),
        base_end: "/v1beta/openai",
        key_variables: &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
        base_variables: &["GEMINI_API_BASE"],
        source: "https://ai.google.dev/gemini-api/docs/openai",
        ..COMPATIBLE
    },
    Provider {
        name: "mistral",
        base: Some("https://api.mistral.ai/v1"),
        key_variables: &["MISTRAL_API_KEY"],
        base_variables: &["MISTRAL_API_BASE"],
        source: "https://docs.mistral.ai/api",
        ..COMPATIBLE
    },
    Provider {
        name: "groq",
        base: Some("https://api.groq.com/openai/v1"),
        key_variables: &["GROQ_API_KEY"],
        base_variables: &["GROQ_API_BASE"],
        source: "https://console.groq.com/docs/openai",
        ..COMPATIBLE
    },
    Provider {
        name: "together_ai",
        base: Some("https://api.together.xyz/v1"),
        key_variables: &["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"],
        base_variables: &["TOGETHER_AI_API_BASE"],
        source: "https://docs.together.ai/docs/openai-api-compatibility",
        ..COMPATIBLE
    },
    Provider {
        name: "deepseek",
        base: Some("https://api.deepseek.com"),
        key_variables: &["DEEPSEEK_API_KEY"],
        base_variables: &["DEEPSEEK_API_BASE"],
        source: "https://api-docs.deepseek.com",
        ..COMPATIBLE
    },
    Provider {
        name: "fireworks_ai",
        base: Some("https://api.fireworks.ai/inference/v1"),
        key_variables: &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
        base_variables: &["FIREWORKS_API_BASE"],
        model_start: "accounts/fireworks/models/",
        source: "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        ..COMPATIBLE
    },
    Provider {
        name: "openrouter",
        base: Some("https://openrouter.ai/api/v1"),
        key_variables: &["OPENROUTER_API_KEY", "OR_API_KEY"],
        base_variables: &["OPENROUTER_API_BASE"],
        source: "https://openrouter.ai/docs/api-reference/overview",
        ..COMPATIBLE
    },
    Provider {
        name: "xai",
        base: Some("https://api.x.ai/v1"),
        key_variables: &["XAI_API_KEY"],
        base_variables: &["XAI_API_BASE"],
        source: "https://docs.x.ai/docs/api-reference",
        ..COMPATIBLE
    },
    Provider {
        name: "perplexity",
        base: Some("https://api.perplexity.ai"),
        key_variables: &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        base_variables: &["PERPLEXITY_API_BASE"],
        source: "https://docs.perplexity.ai/guides/chat-completions-guide",
        ..COMPATIBLE
    },
    Provider {
        name: "deepinfra",
        base: Some("https://api.deepinfra.com/v1/openai"),
        key_variables: &["DEEPINFRA_API_KEY"],
        base_variables: &["DEEPINFRA_API_BASE"],
        source: "https://deepinfra.com/docs/openai_api",
        ..COMPATIBLE
    },
    Provider {
        name: "cerebras",
        base: Some("https://api.cerebras.ai/v1"),
        key_variables: &["CEREBRAS_API_KEY"],
        base_variables: &["CEREBRAS_API_BASE"],
        source: "https://inference-docs.cerebras.ai/resources/openai",
        ..COMPATIBLE
    },
    Provider {
        name: "nvidia_nim",
        base: Some("https://integrate.api.nvidia.com/v1"),
        key_variables: &["NVIDIA_NIM_API_KEY"],
        base_variables: &["NVIDIA_NIM_API_BASE"],
        source: "https://docs.api.nvidia.com/nim/reference/llm-apis",
        ..COMPATIBLE
    },
    Provider {
        name: "moonshot",
        base: Some("https://api.moonshot.ai/v1"),
        key_variables: &["MOONSHOT_API_KEY"],
        base_variables: &["MOONSHOT_API_BASE"],
        source: "https://platform.moonshot.ai/docs/api/chat",
        ..COMPATIBLE
    },
    Provider {
        name: "ollama",
        also: &["ollama_chat"],
        base: Some("http://localhost:11434/v1"),
        base_end: "/v1",
        key_variables: &["OLLAMA_API_KEY"],
        base_variables: &["OLLAMA_API_BASE"],
        is_open: true,
        source: "https://docs.ollama.com/api/openai-compatibility",
        ..COMPATIBLE
    },
    Provider {
        name: "hosted_vllm",
        also: &["vllm"],
        key_variables: &["HOSTED_VLLM_API_KEY", "VLLM_API_KEY"],
        base_variables: &["HOSTED_VLLM_API_BASE", "VLLM_API_BASE"],
        is_open: true,
        source: "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        ..COMPATIBLE
    },
    Provider {
        name: "lm_studio",
        key_variables: &["LM_STUDIO_API_KEY"],
        base_variables: &["LM_STUDIO_API_BASE"],
        is_open: true,
        source: "https://lmstudio.ai/docs/app/api/endpoints/openai",
        ..COMPATIBLE
    },
    Provider {
        name: "litellm_proxy",
        key_variables: &["LITELLM_PROXY_API_KEY"],
        base_variables: &["LITELLM_PROXY_API_BASE"],
        is_open: true,
        source: "https://docs.litellm.ai/docs/providers/litellm_proxy",
        ..COMPATIBLE
    },
];

/// How names begin that LiteLLM knows without a prefix, the longer before the shorter; none: it does not.
pub(super) const BARE: &[(&str, Option<&str>)] = &[
    ("gpt-3.5-turbo-instruct", Some("text-completion-openai")),
    ("davinci-002", Some("text-completion-openai")),
    ("babbage-002", Some("text-completion-openai")),
    ("ft:davinci-002", Some("text-completion-openai")),
    ("ft:babbage-002", Some("text-completion-openai")),
    ("gpt-oss", None),
    ("gpt-", Some("openai")),
    ("chatgpt-", Some("openai")),
    ("ft:gpt-", Some("openai")),
    ("ft:o", Some("openai")),
    ("codex-mini", Some("openai")),
    ("computer-use-preview", Some("openai")),
    ("text-embedding-3", Some("openai")),
    ("text-embedding-ada", Some("openai")),
    ("omni-moderation", Some("openai")),
    ("text-moderation", Some("openai")),
    ("dall-e", Some("openai")),
    ("whisper-1", Some("openai")),
    ("tts-1", Some("openai")),
    ("*", Some("openai")),
    ("claude-", Some("anthropic")),
    ("command", Some("cohere")),
    ("c4ai-", Some("cohere")),
    ("embed-english", Some("cohere")),
    ("embed-multilingual", Some("cohere")),
    ("embed-v4", Some("cohere")),
    ("gemini-", Some("vertex_ai")),
    ("text-embedding-0", Some("vertex_ai")),
    ("text-multilingual-embedding", Some("vertex_ai")),
];

/// How names begin that LiteLLM knows by their prefix alone, and whose they are.
pub(super) const LIKELY: &[(&str, &str)] = &[
    ("mistral-", "mistral"),
    ("ministral-", "mistral"),
    ("magistral-", "mistral"),
    ("codestral-", "mistral"),
    ("devstral-", "mistral"),
    ("pixtral-", "mistral"),
    ("open-mistral-", "mistral"),
    ("open-mixtral-", "mistral"),
    ("deepseek-", "deepseek"),
    ("grok-", "xai"),
    ("sonar", "perplexity"),
    ("kimi-", "moonshot"),
];
