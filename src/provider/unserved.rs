//! Providers that LiteLLM knows and that are not served, with one reason each.
//!
//! The law: a file that names one of them loads; the model answers with the reason, which says what to write instead where there is
//! something.

use super::Unserved;

const COMPATIBLE: &str =
    "its base is not in the table; if it speaks OpenAI's API, write openai/MODEL with its api_base";
const OWN_SCHEMA: &str = "it has a schema of its own, which is not spoken yet";
const OWN_TOKENS: &str = "its keys are exchanged for tokens, which is not done yet";
const NO_CHAT: &str = "it serves no chat models";

/// Every one of them.
pub const UNSERVED: &[Unserved] = &[
    Unserved {
        names: &["bedrock", "bedrock_converse", "bedrock_mantle", "amazon_nova"],
        why: "requests to Amazon Bedrock are signed (SigV4), which is not done yet",
    },
    Unserved {
        names: &["sagemaker", "sagemaker_chat", "sagemaker_nova"],
        why: "requests to Amazon SageMaker are signed (SigV4), which is not done yet",
    },
    Unserved {
        names: &["vertex_ai", "vertex_ai_beta"],
        why: "Vertex AI takes OAuth tokens, which are not fetched yet; gemini/MODEL serves Google's models with a key",
    },
    Unserved { names: &["palm"], why: "Google has switched it off; write gemini/MODEL" },
    Unserved { names: &["watsonx", "watsonx_text"], why: OWN_TOKENS },
    Unserved { names: &["gigachat"], why: OWN_TOKENS },
    Unserved { names: &["github_copilot", "chatgpt"], why: "it is for the account of a person, who signs in by hand" },
    Unserved { names: &["oci"], why: "requests to Oracle's cloud are signed, which is not done yet" },
    Unserved { names: &["snowflake"], why: OWN_TOKENS },
    Unserved { names: &["sap"], why: OWN_TOKENS },
    Unserved {
        names: &["text-completion-openai", "azure_text", "text-completion-codestral"],
        why: "the old Completions API, without chat, is not spoken",
    },
    Unserved {
        names: &["azure_ai"],
        why: "its bases differ by model; if the model speaks OpenAI's API, write openai/MODEL with its api_base",
    },
    Unserved { names: &["anthropic_text"], why: "the old Text Completions API is not spoken; write anthropic/MODEL" },
    Unserved { names: &["databricks"], why: "write openai/MODEL with api_base: https://WORKSPACE/serving-endpoints" },
    Unserved { names: &["huggingface"], why: "write openai/MODEL with api_base: https://router.huggingface.co/v1" },
    Unserved { names: &["cloudflare", "replicate", "nlp_cloud", "petals", "oobabooga", "predibase"], why: OWN_SCHEMA },
    Unserved {
        names: &["triton", "aleph_alpha", "clarifai", "maritalk", "bytez", "baseten", "langgraph"],
        why: OWN_SCHEMA,
    },
    Unserved { names: &["jina_ai", "voyage", "infinity", "topaz", "recraft", "deepgram"], why: NO_CHAT },
    Unserved {
        names: &["elevenlabs", "assemblyai", "runwayml", "black_forest_labs", "stability", "fal_ai"],
        why: NO_CHAT,
    },
    Unserved { names: &["aiohttp_openai"], why: "that is a library of LiteLLM's; write openai/MODEL" },
    Unserved { names: &["custom"], why: "Python code is not run" },
    Unserved {
        names: &[
            "ai21",
            "ai21_chat",
            "aiml",
            "anyscale",
            "apertis",
            "chutes",
            "codestral",
            "cometapi",
            "compactifai",
            "dashscope",
            "datarobot",
            "docker_model_runner",
            "empower",
            "featherless_ai",
            "friendliai",
            "galadriel",
            "github",
            "gradient_ai",
            "helicone",
            "heroku",
            "hyperbolic",
            "lambda_ai",
            "lemonade",
            "llamafile",
            "meta_llama",
            "minimax",
            "morph",
            "nano-gpt",
            "nebius",
            "novita",
            "nscale",
            "ovhcloud",
            "poe",
            "publicai",
            "ragflow",
            "sambanova",
            "synthetic",
            "v0",
            "vercel_ai_gateway",
            "volcengine",
            "wandb",
            "xinference",
            "zai",
        ],
        why: COMPATIBLE,
    },
];
