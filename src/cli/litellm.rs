//! LiteLLM's flags and variables that have no effect here, and why.
//!
//! The law: each is accepted, so that a start command moves over as it is; each one that is given has exactly one notice.
//! Flags that are honoured stand in `arguments`. Some of these flags do something else than serve in LiteLLM; they start no
//! server here either.

use clap::{Arg, ArgAction};

use super::arguments::Arguments;
use crate::config::error::{Problem, Site};

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// A value.
    Value,
    /// Nothing.
    Nothing,
    /// Nothing, and no server is started.
    NoServer,
}

/// A flag without effect.
#[derive(Debug)]
struct Flag {
    name: &'static str,
    takes: Takes,
    /// The variable that means the same.
    variable: Option<&'static str>,
    why: &'static str,
}

const fn flag(name: &'static str, takes: Takes, why: &'static str) -> Flag {
    Flag { name, takes, variable: None, why }
}

const fn named(name: &'static str, variable: &'static str, why: &'static str) -> Flag {
    Flag { name, takes: Takes::Value, variable: Some(variable), why }
}

const MODELS: &str = "models stand in the config file, under model_list";
const BODIES: &str = "bodies pass as they are";
const TARGETS: &str = "what an upstream is and gets stands in the config file";
const DATABASE: &str = "there is no database yet";
const SERVER: &str = "Tollgate is its own server";
const WORKERS: &str = "workers are threads and are not restarted";

const FLAGS: &[Flag] = &[
    flag("api_base", Takes::Value, TARGETS),
    flag("api_version", Takes::Value, TARGETS),
    flag("headers", Takes::Value, TARGETS),
    flag("model", Takes::Value, MODELS),
    flag("alias", Takes::Value, MODELS),
    flag("add_key", Takes::Value, MODELS),
    flag("save", Takes::Nothing, MODELS),
    flag("temperature", Takes::Value, BODIES),
    flag("max_tokens", Takes::Value, BODIES),
    flag("drop_params", Takes::Nothing, BODIES),
    flag("add_function_to_prompt", Takes::Nothing, BODIES),
    flag("request_timeout", Takes::Value, "write general_settings.pass_through_request_timeout"),
    flag("max_budget", Takes::Value, "spend is not counted yet, so nothing is limited by it"),
    flag("use_queue", Takes::Nothing, "requests are not queued"),
    flag("telemetry", Takes::Value, "nothing is reported to anybody"),
    flag("log_config", Takes::Value, "write tollgate.log_format"),
    flag("setup", Takes::NoServer, "tollgate init writes a first config"),
    flag("health", Takes::NoServer, "no model is ever called; ask a running Tollgate for /health/readiness"),
    flag("test", Takes::NoServer, "no model is ever called; tollgate explain says what becomes of a request"),
    flag("test_async", Takes::Nothing, "requests are not queued"),
    flag("num_requests", Takes::Value, "requests are not queued"),
    flag("iam_token_db_auth", Takes::Nothing, DATABASE),
    flag("azure_postgresql_auth", Takes::Nothing, DATABASE),
    flag("use_prisma_db_push", Takes::Nothing, DATABASE),
    flag("enforce_prisma_migration_check", Takes::Nothing, DATABASE),
    flag("use_v2_migration_resolver", Takes::Nothing, DATABASE),
    flag("use_legacy_migration_resolver", Takes::Nothing, DATABASE),
    flag("run_gunicorn", Takes::Nothing, SERVER),
    flag("run_hypercorn", Takes::Nothing, SERVER),
    flag("run_granian", Takes::Nothing, SERVER),
    named("granian_threads", "GRANIAN_RUNTIME_THREADS", "write --num_workers"),
    flag("ciphers", Takes::Value, "the cipher suites of TLS are the defaults of rustls"),
    flag("local", Takes::Nothing, "it has none in LiteLLM either"),
    flag("reload", Takes::Nothing, "the config is read at start"),
    named("keepalive_timeout", "KEEPALIVE_TIMEOUT", "a client's idle connection is closed after 60 s"),
    named("timeout_worker_healthcheck", "TIMEOUT_WORKER_HEALTHCHECK", WORKERS),
    named("max_requests_before_restart", "MAX_REQUESTS_BEFORE_RESTART", WORKERS),
    named("max_requests_before_restart_jitter", "MAX_REQUESTS_BEFORE_RESTART_JITTER", WORKERS),
    named("limit_concurrency", "LIMIT_CONCURRENCY", "write general_settings.global_max_parallel_requests"),
    named("prometheus_metrics_port", "PROMETHEUS_METRICS_PORT", "metrics are not served yet"),
];

/// Variables that are no flag's.
const VARIABLES: &[(&str, &str)] = &[
    (
        "DATABASE_URL",
        "PostgreSQL is not served as key store yet: keys in it open no route, and new ones are kept in SQLite",
    ),
    ("DIRECT_URL", DATABASE),
    ("REDIS_URL", REDIS),
    ("REDIS_HOST", REDIS),
    ("REDIS_PORT", REDIS),
    ("REDIS_USERNAME", REDIS),
    ("REDIS_PASSWORD", REDIS),
    ("REDIS_SSL", REDIS),
    ("REDIS_CLUSTER_NODES", REDIS),
    ("REDIS_SENTINEL_NODES", REDIS),
    ("REDIS_SENTINEL_PASSWORD", REDIS),
    ("REDIS_SERVICE_NAME", REDIS),
];
const REDIS: &str = "Redis is not used yet: one process counts for itself";

/// The flags, for the command line. They are hidden: who types them knows them.
pub(super) fn flags() -> impl Iterator<Item = Arg> {
    FLAGS.iter().map(|flag| {
        let action = if flag.takes == Takes::Value { ArgAction::Append } else { ArgAction::Count };
        let arg = Arg::new(flag.name).long(flag.name).action(action).hide(true).global(true).help(flag.why);
        if flag.name == "model" { arg.short('m') } else { arg }
    })
}

/// The flags among `matches` that were given.
pub(super) fn given(matches: &clap::ArgMatches) -> Vec<&'static str> {
    let given = |flag: &&Flag| matches.value_source(flag.name) == Some(clap::parser::ValueSource::CommandLine);
    FLAGS.iter().filter(given).map(|flag| flag.name).collect()
}

/// Whether one of the flags `given` means that no server is started.
pub(super) fn no_server(given: &[&str]) -> bool {
    FLAGS.iter().any(|flag| flag.takes == Takes::NoServer && given.contains(&flag.name))
}

/// One notice for each flag and variable that has no effect.
pub(super) fn notices(arguments: &Arguments, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Problem> {
    let notice = |site: Site, why: &str| Problem { site, what: format!("has no effect: {why}"), mend: String::new() };
    let flags = FLAGS.iter().filter_map(|flag| match flag.variable {
        _ if arguments.without_effect.contains(&flag.name) => Some(notice(Site::flag(flag.name), flag.why)),
        Some(name) => variable(name).map(|_| notice(Site::variable(name), flag.why)),
        None => None,
    });
    let variables =
        VARIABLES.iter().filter_map(|(name, why)| variable(name).map(|_| notice(Site::variable(name), why)));
    flags.chain(variables).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn every_flag_is_accepted_with_one_notice() {
        for flag in FLAGS {
            for name in [flag.name.to_owned(), flag.name.replace('_', "-")] {
                let mut line = vec![OsString::from("tollgate"), format!("--{name}").into()];
                line.extend((flag.takes == Takes::Value).then(|| "1".into()));
                let arguments = Arguments::read(line).unwrap_or_else(|error| panic!("{name}: {error}"));
                let notices = notices(&arguments, &|_| Some("set".into()));
                let place = format!("--{}", flag.name);
                let count = notices.iter().filter(|notice| notice.site.place.to_string() == place).count();
                assert_eq!(count, 1, "{name}");
            }
        }
    }

    #[test]
    fn every_variable_has_one_notice_that_does_not_show_its_value() {
        let arguments = Arguments::read(["tollgate".into()]).expect("arguments");
        let notices = notices(&arguments, &|name| Some(format!("canary of {name}")));
        for name in VARIABLES.iter().map(|(name, _)| name).chain(FLAGS.iter().filter_map(|flag| flag.variable.as_ref()))
        {
            let place = format!("${name}");
            assert_eq!(notices.iter().filter(|notice| notice.site.place.to_string() == place).count(), 1, "{name}");
        }
        assert!(notices.iter().all(|notice| !notice.to_string().contains("canary")));
    }
}
