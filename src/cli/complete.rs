//! `tollgate complete`: a whole call without a server, by the models of a config, or by the one that is named.
//!
//! The law: stdin is the request, stdout the answer, a stream as it comes; what goes wrong is on stderr, and the exit code 1.

use std::io::{Read, Write, stdout};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::runtime::Builder;

use super::load::print;
use super::output::complain;
use super::settings::Settings;
use super::{BAD_CONFIG, BAD_USAGE, OK};
use crate::completion::Completion;
use crate::config;
use crate::config::env::{Environ, Process};
use crate::translate::Problem;
use crate::translate::openai::Named;

/// What a config that no file holds is called in messages.
const UNWRITTEN: &str = "--model";

/// A config of one model, as if somebody had written it.
struct Unwritten<'e> {
    below: &'e Process,
    text: String,
}

impl Environ for Unwritten<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.below.variable(name)
    }

    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.below.file(path)
    }

    fn text(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        if path == Path::new(UNWRITTEN) { Ok(self.text.clone().into_bytes()) } else { self.below.text(path) }
    }
}

/// Completes stdin by the adapter `id`.
pub(super) fn run(environ: &Process, settings: &Settings, id: &str, model: Option<&str>) -> u8 {
    let mut request = Vec::new();
    if let Err(error) = std::io::stdin().lock().read_to_end(&mut request) {
        complain(&format!("error: {error}\n"));
        return BAD_USAGE;
    }
    let named = match model.map(|model| with_model(&request, model)).unwrap_or(Ok(request)) {
        Ok(request) => request,
        Err(problem) => return refused(&problem),
    };
    let (config, report) = match (&settings.config, model) {
        (Some(path), _) => config::load(path, environ, &settings.overrides),
        (None, Some(model)) => {
            let name = Value::from(model);
            let text = format!("model_list: [{{model_name: {name}, litellm_params: {{model: {name}}}}}]\n");
            let environ = Unwritten { below: environ, text };
            config::load(&PathBuf::from(UNWRITTEN), &environ, &settings.overrides)
        }
        (None, None) => {
            complain("error: name a model with --model, or a config that has models with --config\n");
            return BAD_USAGE;
        }
    };
    print(&report);
    let Some(config) = config.filter(|_| report.is_clean()) else { return BAD_CONFIG };
    let completion = match Completion::new(&config, settings.adapters.clone()) {
        Ok(completion) => completion,
        Err(problems) => {
            complain(&format!("error: {problems}\n"));
            return BAD_CONFIG;
        }
    };
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return BAD_CONFIG };
    match runtime.block_on(completion.complete(id, named, show)) {
        Ok(()) => OK,
        Err(problem) => refused(&problem),
    }
}

fn with_model(request: &[u8], model: &str) -> Result<Vec<u8>, Problem> {
    match Named::read(request) {
        Ok(named) => Ok(named.renamed(request, model, &[])),
        // One that names no model gets one; what else is wrong with it is told later.
        Err(refusal) if refusal.place == "model" => match serde_json::from_slice::<Value>(request) {
            Ok(Value::Object(mut fields)) if !fields.contains_key("model") => {
                fields.insert("model".to_owned(), Value::from(model));
                Ok(Value::Object(fields).to_string().into_bytes())
            }
            _ => Err(refusal.told()),
        },
        Err(refusal) => Err(refusal.told()),
    }
}

fn refused(Problem { status, message }: &Problem) -> u8 {
    complain(&format!("error: {status}: {message}\n"));
    BAD_CONFIG
}

fn show(piece: &[u8]) {
    let mut out = stdout().lock();
    // Who reads no more need not be told.
    let _ = out.write_all(piece).and_then(|()| out.flush());
}
