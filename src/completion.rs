//! A chat API in another schema without a server, for programs that have a config and want an answer.
//!
//! The law: the same translation, groups, retries and fallbacks as behind a listener; the config's keys and limits are for
//! callers, of whom there is none. [`Hosted`] is the same for who connects to a socket: whoever can open it may ask.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;

use crate::auth::Book;
use crate::config::Config;
use crate::config::error::Report;
use crate::resolve::Resolver;
use crate::snapshot::{self, Service, Snapshot};
use crate::translate::{Adapters, Problem};
use crate::translator::Translator;
use crate::trust::Trust;

/// Who completes requests.
pub struct Completion {
    snapshot: Snapshot,
    adapters: Adapters,
    translator: Translator,
    /// Read whenever an upstream is dialled for the first time.
    _trust: Trust,
}

impl Completion {
    /// Completes with the models of `config`, and `adapters`.
    ///
    /// # Errors
    /// What is wrong with the config, one problem a line.
    pub fn new(config: &Config, adapters: Adapters) -> Result<Self, String> {
        let mut report = Report::default();
        let draft = snapshot::draft(config, &Arc::new(Book::passing()), &adapters, None, &mut report);
        let problems = || report.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let (snapshot, _) = draft.ok_or_else(problems)?.publish();
        let trust = Trust::gather(config.network.ca_pem.as_ref().map(|(pem, _)| pem.as_slice()))
            .map_err(|error| format!("the trusted certificates cannot be read: {error}"))?;
        let conf = ServerConf { ca_file: Some(trust.path()), ..ServerConf::default() };
        let resolver = Arc::new(ArcSwap::from_pointee(Resolver::new(&config.network)));
        let translator = Translator::new(&conf, resolver);
        Ok(Self { snapshot, adapters, translator, _trust: trust })
    }

    /// Completes `request`, in the schema of the adapter of this id, and hands the answer to `take`, piece by piece: a stream
    /// as it comes.
    ///
    /// # Errors
    /// Nobody has answered, or the answer has ended with an error.
    pub async fn complete(
        &self,
        adapter_id: &str,
        request: impl Into<Bytes>,
        take: impl FnMut(&[u8]),
    ) -> Result<(), Problem> {
        let service = self.service(adapter_id)?;
        self.translator.complete(&self.snapshot, &service, request.into(), take).await
    }

    /// The adapter of this id as an application of Pingora's, for a `listening::Service` of one's own.
    ///
    /// # Errors
    /// There is no such adapter.
    pub fn hosted(self: &Arc<Self>, adapter_id: &str) -> Result<Hosted, Problem> {
        Ok(Hosted { service: self.service(adapter_id)?, completion: Arc::clone(self) })
    }

    fn service(&self, adapter_id: &str) -> Result<Service, Problem> {
        let adapter = self.adapters.find(adapter_id).ok_or_else(|| {
            let known = self.adapters.ids().collect::<Vec<_>>().join(", ");
            Problem { status: 404, message: format!("there is no adapter `{adapter_id}`; there are: {known}") }
        })?;
        Ok(Service::Adapter(Arc::clone(adapter)))
    }
}

/// One adapter of a [`Completion`], served on any path of a listener that is nobody's but its own: a Unix socket, say.
pub struct Hosted {
    completion: Arc<Completion>,
    service: Service,
}

#[async_trait]
impl HttpServerApp for Hosted {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let Completion { translator, snapshot, .. } = &*self.completion;
        if let Err(error) = translator.host(&mut session, snapshot, &self.service).await {
            log::debug!("a hosted request was not served: {error}");
        }
        None
    }
}

/// One request in the schema of the built-in adapter `adapter_id`, completed with the models of `config`.
///
/// # Errors
/// The config is wrong (500), nobody has answered, or the answer has ended with an error.
pub async fn adapter_completion(config: &Config, adapter_id: &str, request: &[u8]) -> Result<Vec<u8>, Problem> {
    let completion =
        Completion::new(config, Adapters::default()).map_err(|message| Problem { status: 500, message })?;
    let mut answer = Vec::new();
    completion.complete(adapter_id, Bytes::copy_from_slice(request), |piece| answer.extend_from_slice(piece)).await?;
    Ok(answer)
}
