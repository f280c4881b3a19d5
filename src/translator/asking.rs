//! A request for a model, read: which model, and what it is to be asked.
//!
//! The law: the body is read whole, within its limit, before anybody is asked; what an adapter may know of the request's head
//! is never a key.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use pingora::prelude::Error;
use pingora::protocols::http::ServerSession;
use serde_json::Value;
use tokio::time::timeout;

use crate::admit::{Heard, Pending};
use crate::rejection::Rejection;
use crate::snapshot::{Service, Snapshot};
use crate::translate::anthropic::request::request_to_count;
use crate::translate::openai::Named;
use crate::translate::{Call, Chat, Refusal, Translated};

/// What is put aside for a body before it comes.
const FIRST: usize = 16 << 10;
/// How long a client may pause.
const PAUSE: Duration = Duration::from_secs(60);
/// The most that is put aside because somebody declares it.
const MOST_AHEAD: usize = 1 << 20;

/// The head of a request, as adapters see it, and its body.
#[derive(Debug)]
pub struct Asking {
    head: Heard,
    /// As the client sent it.
    pub(super) body: Bytes,
    /// What it asks.
    pub(super) question: Question,
    /// What the way back knows of its translation, once there is one.
    remembered: OnceLock<Result<Remembered, Refusal>>,
    /// The chat, until somebody is asked it.
    chat: Mutex<Option<Chat>>,
}

/// What is asked of a model.
#[derive(Debug)]
pub(super) enum Question {
    /// A chat in a schema of its own.
    Chat {
        /// The model, as the client calls it.
        model: String,
        /// Whether the answer is to be a stream.
        stream: bool,
    },
    /// Anthropic's Messages, which Anthropic's own models take as they are: translated when another is asked.
    Messages(Named),
    /// What OpenAI's own clients ask.
    Plain(Named),
}

/// What a translated request leaves behind.
#[derive(Debug)]
pub(super) struct Remembered {
    /// For the way back.
    pub(super) notes: Value,
    /// Fields that were left out.
    pub(super) dropped: Vec<String>,
}

/// Why a request cannot be read.
#[derive(Debug)]
pub enum Unread {
    /// What is wrong with it.
    Refused(Rejection),
    /// The connection has failed.
    Failed(Box<Error>),
}

impl Asking {
    /// Reads the request that `pending` is about. `trickles`: whether so many bytes are fewer than should have come by now.
    ///
    /// # Errors
    /// Its body is too large, does not come whole, or cannot be translated.
    pub async fn read(
        http: &mut ServerSession,
        snapshot: &Snapshot,
        pending: &Pending,
        id: &str,
        trickles: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Self, Unread> {
        let body = read_body(http, pending.most_bytes(snapshot), trickles).await?;
        let service = pending.service().ok_or(Unread::Refused(Rejection::Internal))?;
        Self::of(service, heard(http.req_header(), snapshot, service, id), body).map_err(Unread::Refused)
    }

    /// A request that has been read.
    ///
    /// # Errors
    /// It cannot be translated.
    pub fn of(service: &Service, head: Heard, body: Bytes) -> Result<Self, Rejection> {
        let unread = Question::Chat { model: String::new(), stream: false };
        let mut asking = Self { head, body, question: unread, remembered: OnceLock::new(), chat: Mutex::new(None) };
        asking.question = asking.understood(service).map_err(|refusal| Rejection::Untranslated(refusal.told()))?;
        Ok(asking)
    }

    fn understood(&self, service: &Service) -> Result<Question, Refusal> {
        match service {
            Service::Adapter(adapter) if !adapter.is_messages() => {
                self.remember(service).map_err(Clone::clone)?;
                let chat = self.chat.lock();
                let said = |name| chat.as_ref().and_then(|chat| chat.get(name));
                let model = said("model").and_then(Value::as_str).unwrap_or_default().to_owned();
                Ok(Question::Chat { model, stream: said("stream").and_then(Value::as_bool).unwrap_or(false) })
            }
            Service::Adapter(_) | Service::CountTokens => Named::read(&self.body).map(Question::Messages),
            Service::Chat | Service::Completions | Service::Embeddings | Service::List => {
                Named::read(&self.body).map(Question::Plain)
            }
        }
    }

    /// What the way back knows of the translation; none where nothing is translated. `native`: whether the deployment speaks the
    /// client's language.
    pub(super) fn remembered(&self, service: &Service, native: bool) -> Option<Result<&Remembered, &Refusal>> {
        match &self.question {
            Question::Plain(_) => None,
            _ if native => None,
            _ => Some(self.remember(service)),
        }
    }

    /// What a model that speaks OpenAI's language is asked. It is translated once more where another is asked after the first, so
    /// that nobody holds it while the first is waited for.
    pub(super) fn chat(&self, service: &Service) -> Result<Chat, Refusal> {
        self.remember(service).map_err(Clone::clone)?;
        match self.chat.lock().take() {
            Some(chat) => Ok(chat),
            None => self.translate(service).map(|translated| translated.chat),
        }
    }

    fn remember(&self, service: &Service) -> Result<&Remembered, &Refusal> {
        let remembered = self.remembered.get_or_init(|| {
            let Translated { chat, notes, dropped } = self.translate(service)?;
            *self.chat.lock() = Some(chat);
            Ok(Remembered { notes, dropped })
        });
        remembered.as_ref()
    }

    fn translate(&self, service: &Service) -> Result<Translated, Refusal> {
        match service {
            Service::Adapter(adapter) => adapter.request(&self.call(), &self.body),
            _ => request_to_count(&self.body),
        }
    }

    /// What an adapter may know.
    pub fn call(&self) -> Call<'_> {
        self.head.call()
    }

    /// How many bytes its body has.
    pub fn length(&self) -> u64 {
        self.body.len() as u64
    }

    /// The model, as the client calls it.
    pub fn model(&self) -> &str {
        match &self.question {
            Question::Chat { model, .. } => model,
            Question::Messages(named) | Question::Plain(named) => &named.model,
        }
    }

    /// Whether the answer is to be a stream.
    pub fn streams(&self) -> bool {
        match &self.question {
            Question::Chat { stream, .. } => *stream,
            Question::Messages(named) | Question::Plain(named) => named.stream,
        }
    }
}

/// What `service` may know of `request`.
pub fn heard(request: &RequestHeader, snapshot: &Snapshot, service: &Service, id: &str) -> Heard {
    Heard::of(snapshot, service, &request.method, request.raw_path(), &request.headers, id)
}

/// Reads a body of JSON.
pub(super) async fn read_body(
    http: &mut ServerSession,
    most: u64,
    trickles: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Bytes, Unread> {
    // Nobody here reads a coding, and what has one is no JSON to anybody who does not.
    if http.req_header().headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Unread::Refused(Rejection::BodyCoded));
    }
    let declared = http.req_header().headers.get(http::header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut first: Option<Bytes> = None;
    let mut body = BytesMut::new();
    loop {
        let read = timeout(PAUSE, http.read_request_body()).await;
        match read.map_err(|_| Unread::Refused(Rejection::BodyTimeout))? {
            Ok(None) => break,
            Ok(Some(bytes)) => {
                let held = first.as_ref().map_or(body.len(), Bytes::len);
                if trickles((held + bytes.len()) as u64) {
                    return Err(Unread::Refused(Rejection::BodyTimeout));
                }
                if (held + bytes.len()) as u64 > most {
                    return Err(Unread::Refused(Rejection::BodyTooLarge(most)));
                }
                match (&first, body.is_empty()) {
                    // Most bodies come in one piece, which need not be copied.
                    (None, true) => first = Some(bytes),
                    (before, _) => {
                        if let Some(before) = before {
                            body.reserve(declared.unwrap_or(FIRST).min(MOST_AHEAD).max(before.len() + bytes.len()));
                            body.extend_from_slice(before);
                            first = None;
                        }
                        body.extend_from_slice(&bytes);
                    }
                }
            }
            Err(error) => return Err(Unread::Failed(error)),
        }
    }
    Ok(first.unwrap_or_else(|| body.freeze()))
}
