//! What deployments come of entries.

use std::path::Path;

use crate::config::env::Environ;
use crate::config::model::{Alias, Backend, Deployment, LAST, Models};
use crate::config::{Overrides, load};

/// A file and the variables beside it.
struct Given<'a>(&'a str, &'a [(&'a str, &'a str)]);

impl Environ for Given<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.1.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.as_bytes().to_vec())
    }
}

const VARIABLES: &[(&str, &str)] = &[
    ("OPENAI_API_KEY", "openai"),
    ("CO_API_KEY", "cohere"),
    ("GEMINI_API_KEY", "gemini"),
    ("AZURE_API_BASE", "https://azure.test/"),
    ("AZURE_API_KEY", "azure"),
    ("OLLAMA_API_BASE", "http://ollama.test:11434"),
    ("MISTRAL_API_KEY", ""),
];

fn models(text: &str, variables: &[(&str, &str)]) -> Models {
    let (config, report) = load(Path::new("t.yaml"), &Given(text, variables), &Overrides::default());
    assert!(report.is_clean(), "{text}: {:?}", report.problems);
    config.expect("a config").models
}

fn of(params: &str) -> Deployment {
    let text = format!("model_list: [{{model_name: m, litellm_params: {{{params}}}}}]\n");
    models(&text, VARIABLES).deployments.pop().expect("a deployment")
}

#[test]
fn an_entry_leads_to_its_provider() {
    for (params, provider, model, base, key) in [
        ("model: gpt-3.5-turbo", "openai", "gpt-3.5-turbo", "https://api.openai.com/v1", Some("openai")),
        ("model: openai/gpt-4o, api_key: own", "openai", "gpt-4o", "https://api.openai.com/v1", Some("own")),
        ("model: openai/org/x, api_base: 'http://up.test/v1/'", "openai", "org/x", "http://up.test/v1", Some("openai")),
        (
            "model: command-nightly",
            "cohere",
            "command-nightly",
            "https://api.cohere.ai/compatibility/v1",
            Some("cohere"),
        ),
        ("model: gemini/g", "gemini", "g", "https://generativelanguage.googleapis.com/v1beta/openai", Some("gemini")),
        ("model: azure/d", "azure", "d", "https://azure.test", Some("azure")),
        ("model: ollama/llama3", "ollama", "llama3", "http://ollama.test:11434/v1", None),
        ("model: vllm/a/b, api_base: 'http://up.test/v1'", "hosted_vllm", "a/b", "http://up.test/v1", None),
        ("model: mine, base_url: 'http://up.test/v1'", "custom_openai", "mine", "http://up.test/v1", None),
        ("model: gpt-4o, base_url: 'http://up.test/v1'", "openai", "gpt-4o", "http://up.test/v1", Some("openai")),
        (
            "model: mixtral, api_key: k, api_base: 'https://api.groq.com/openai/v1'",
            "groq",
            "mixtral",
            "https://api.groq.com/openai/v1",
            Some("k"),
        ),
        ("model: a/b, custom_llm_provider: openai", "openai", "a/b", "https://api.openai.com/v1", Some("openai")),
        ("model: openai/b, custom_llm_provider: openai", "openai", "b", "https://api.openai.com/v1", Some("openai")),
        (
            "model: fireworks_ai/llama, api_key: k",
            "fireworks_ai",
            "accounts/fireworks/models/llama",
            "https://api.fireworks.ai/inference/v1",
            Some("k"),
        ),
    ] {
        let deployment = of(params);
        let Backend::Provider { provider: known, base: found, key: held, .. } = &deployment.lead else {
            panic!("{params}: {:?}", deployment.lead)
        };
        let held = held.as_ref().map(|key| key.expose());
        assert_eq!(
            (known.name, deployment.model.as_str(), found.as_str(), held),
            (provider, model, base, key),
            "{params}"
        );
    }
}

#[test]
fn what_a_variable_says_of_a_base_is_secret() {
    for (params, expected) in [
        ("model: azure/d", true),
        ("model: azure/d, api_base: 'https://up.test'", false),
        ("model: azure/d, api_base: os.environ/AZURE_API_BASE", true),
        ("model: gpt-4o", false),
    ] {
        assert!(matches!(of(params).lead, Backend::Provider { secret, .. } if secret == expected), "{params}");
    }
}

#[test]
fn azure_has_a_version() {
    for (variable, params, expected) in [
        (None, "", Some("2025-02-01-preview")),
        (Some("2024-06-01"), "", Some("2024-06-01")),
        (Some("2024-06-01"), ", api_version: 2024-10-21", Some("2024-10-21")),
    ] {
        let text = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: azure/d, api_key: k, api_base: 'https://up.test'{params}}}}}]\n"
        );
        let variables: Vec<_> = variable.iter().map(|value| ("AZURE_API_VERSION", *value)).collect();
        let models = models(&text, &variables);
        let Some(Backend::Provider { version, .. }) = models.deployments.first().map(|deployment| &deployment.lead)
        else {
            panic!("{params}")
        };
        assert_eq!(version.as_deref(), expected, "{params}");
    }
    assert!(matches!(of("model: gpt-4o, api_version: v1").lead, Backend::Provider { version: None, .. }));
}

#[test]
fn a_group_is_weighed_by_one_measure() {
    for (entries, expected) in [
        (["", "", ""], [1.0, 1.0, 1.0]),
        ([", rpm: 10", ", rpm: 40", ""], [10.0, 40.0, 40.0]),
        ([", tpm: 10", ", tpm: 40", ""], [10.0, 40.0, 40.0]),
        ([", tpm: 10", ", rpm: 40", ""], [40.0, 40.0, 40.0]),
        ([", weight: 3, rpm: 5", ", rpm: 40", ", weight: 0"], [3.0, 1.0, 0.0]),
        ([", rpm: 0", "", ""], [0.0, 1.0, 1.0]),
    ] {
        let mut text = "model_list:\n  - {model_name: other, litellm_params: {model: gpt-4o, weight: 9}}\n".to_owned();
        for entry in entries {
            text += &format!("  - {{model_name: m, litellm_params: {{model: gpt-4o{entry}}}}}\n");
        }
        let models = models(&text, VARIABLES);
        let weights: Vec<f64> = models.deployments.iter().skip(1).map(|deployment| deployment.weight).collect();
        assert_eq!(weights, expected, "{entries:?}");
    }
}

#[test]
fn ids_are_one_deployments_each_and_hold_no_key() {
    let id = |params: &str| of(params).id;
    assert_eq!(id("model: gpt-4o, api_key: one"), id("model: gpt-4o, api_key: two"));
    assert_eq!(id("model: gpt-4o, rpm: 5"), id("rpm: 5, model: gpt-4o"));
    for settings in ["rpm: 6", "timeout: 9", "weight: 2", "temperature: 1", "order: 3", "max_parallel_requests: 1"] {
        assert_eq!(id("model: gpt-4o, rpm: 5"), id(&format!("model: gpt-4o, {settings}")), "{settings}");
    }
    for other in ["model: gpt-4", "model: groq/gpt-4o, api_key: k", "model: gpt-4o, api_base: 'http://up.test/v1'"] {
        assert_ne!(id("model: gpt-4o"), id(other), "{other}");
    }
    // A base that is nobody's to see is no part of what everybody sees.
    let azure = |base: &str| id(&format!("model: azure/d, api_base: {base}"));
    assert_eq!(azure("os.environ/AZURE_API_BASE"), azure("os.environ/OLLAMA_API_BASE"));
    let entry = "{model_name: m, litellm_params: {model: gpt-4o, api_key: one}}";
    let models = models(&format!("model_list: [{entry}, {entry}, {entry}]\n"), &[]);
    let ids: Vec<&str> = models.deployments.iter().map(|deployment| deployment.id.as_str()).collect();
    let [first, second, third] = ids[..] else { panic!("{ids:?}") };
    assert_eq!((second, third), (format!("{first}-2").as_str(), format!("{first}-3").as_str()));
}

#[test]
fn what_an_entry_says_is_taken_as_it_stands() {
    let deployment = of("model: gpt-4o, rpm: 5, max_parallel_requests: 2, order: 1, timeout: 3, stream_timeout: 0.5, \
         temperature: 0.20, stop: [a, null], extra_body: {top_k: 5}, extra_headers: {X-A: b}, organization: o");
    assert_eq!((deployment.requests, deployment.parallel, deployment.order), (Some(5), Some(2), 1));
    assert_eq!((deployment.timeout_seconds, deployment.stream_timeout_seconds), (Some(3.0), Some(0.5)));
    let defaults: Vec<String> = deployment.defaults.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(defaults, ["temperature=0.20", "stop=[\"a\",null]", "top_k=5"]);
    let names: Vec<&str> = deployment.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(names, ["X-A", "OpenAI-Organization"]);
    let bare = of("model: gpt-4o");
    assert_eq!((bare.order, bare.weight, bare.requests, bare.timeout_seconds), (LAST, 1.0, None, None));
}

#[test]
fn the_router_takes_both_sections() {
    let text = "model_list: [{model_name: m, litellm_params: {model: gpt-4o}}, {model_name: n, litellm_params: {model: gpt-4}}]
litellm_settings: {num_retries: 7, request_timeout: 8, allowed_fails: 9, fallbacks: [{m: [n]}], default_fallbacks: [m]}
router_settings: {num_retries: 1, model_group_alias: {a: m, b: {model: n, hidden: true}}, disable_cooldowns: true}
";
    let router = models(text, VARIABLES).router;
    assert_eq!((router.retries, router.allowed_fails, router.cooldown_seconds), (1, 9, 0.0));
    assert_eq!((router.timeout_seconds, router.stream_timeout_seconds), (Some(8.0), None));
    assert_eq!(router.fallbacks, [("m".to_owned(), vec!["n".to_owned()])]);
    assert_eq!(router.default_fallbacks, ["m"]);
    let alias = |name: &str, group: &str, hidden| Alias { name: name.into(), group: group.into(), hidden };
    assert_eq!(router.aliases, [alias("a", "m", false), alias("b", "n", true)]);
}

#[test]
fn models_are_open_only_where_nobody_has_a_key() {
    let list = "model_list: [{model_name: m, litellm_params: {model: gpt-4o}}]\n";
    for (more, expected) in [
        ("", true),
        ("general_settings: {master_key: sk-1234}\n", false),
        ("tollgate: {keys: [{key: sk-aaaaaaaaaaaaaaaaaaaa}]}\n", false),
        ("tollgate: {store: {sqlite: x.db}}\n", false),
        ("tollgate: {default_auth: false}\ngeneral_settings: {master_key: sk-1234}\n", false),
    ] {
        assert_eq!(models(&format!("{list}{more}"), VARIABLES).is_open, expected, "{more}");
    }
}
