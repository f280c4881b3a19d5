//! A chat API in another schema, on models that speak OpenAI's Chat Completions.
//!
//! The pivot is OpenAI chat: an [`Adapter`] turns a caller's request into it, and the model's answer, stream or error back.
//! `anthropic` is the built-in adapter, `sse` reads and writes event streams, `transform` takes one back to the client,
//! `failure` reads what an upstream says went wrong, and `json` reads JSON within bounds. `openai` is what needs no translation,
//! `count` counts tokens, and `adapters` are those a process has.
//! The law: pure, no I/O, no clock; whatever it is given, it answers or refuses, naming the place; what cannot be carried is
//! refused, never dropped in silence; nothing grows with a stream's length but what is bounded here.
//!
//! It does not know models, keys or upstreams: `translator`, floors above, calls it.

mod adapters;
pub mod anthropic;
mod choice;
pub mod count;
pub mod failure;
pub mod json;
pub mod openai;
pub mod sse;
pub mod transform;

pub use adapters::{ANTHROPIC, Adapters, Taken};
use serde_json::{Map, Value};

/// What an adapter may know of the call besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The call's id, as the log has it.
    pub id: &'a str,
    /// The method.
    pub method: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// What the path's `{name}`s stand for, decoded.
    pub captures: &'a [(String, String)],
    /// The query, as it was sent.
    pub query: Option<&'a str>,
    /// The fields that [`Adapter::headers`] asks for, names in lower case. Never one that may hold a key.
    pub headers: &'a [(String, String)],
}

/// A request in OpenAI's schema: the body of `POST /v1/chat/completions`.
pub type Chat = Map<String, Value>;

/// A caller's request, translated.
#[derive(Clone, Debug, Default)]
pub struct Translated {
    /// What the model is asked. `model` is the caller's word for it; `stream` says how the answer comes.
    pub chat: Chat,
    /// What the way back needs to know: handed to [`Adapter::response`] and [`Adapter::stream`] as it is.
    pub notes: Value,
    /// Fields that make no difference and were left out, by their dotted place. The client is told in a header.
    pub dropped: Vec<String>,
}

/// Why a request or an answer cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// Where, dotted (`messages.0.content.1.source`); empty for the whole.
    pub place: String,
    /// What is wrong, and how to mend it.
    pub message: String,
}

/// What went wrong, for [`Adapter::error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer; in a stream, the one it would have had.
    pub status: u16,
    /// What to tell. Nothing in it is secret.
    pub message: String,
}

/// A chat API in a schema of its own.
///
/// The three steps of the specification and one for errors. Nothing is kept between them but what they are handed, so that
/// an implementation may as well be a script whose every call is a fresh one.
pub trait Adapter: std::fmt::Debug + Send + Sync {
    /// The request fields, in lower case, that the adapter reads.
    fn headers(&self) -> &[&str] {
        &[]
    }

    /// Whether the caller's schema is Anthropic's own Messages, which Anthropic's deployments take as it is.
    fn is_messages(&self) -> bool {
        false
    }

    /// A caller's request becomes OpenAI's. The body is whole, and its size has been judged. The same request may be translated once
    /// more for another attempt, and must become the same.
    ///
    /// # Errors
    /// What cannot be carried, by its place.
    fn request(&self, call: &Call<'_>, body: &[u8]) -> Result<Translated, Refusal>;

    /// The model's whole answer, a `chat.completion`, becomes the caller's.
    ///
    /// # Errors
    /// An answer that is none.
    fn response(&self, call: &Call<'_>, notes: &Value, answer: &Value) -> Result<Vec<u8>, Refusal>;

    /// The translator of one streamed answer.
    fn stream(&self, call: &Call<'_>, notes: &Value) -> Box<dyn Stream>;

    /// The body of an answer that says what went wrong, before anything was streamed.
    fn error(&self, call: &Call<'_>, problem: &Problem) -> Vec<u8>;
}

/// One streamed answer on its way back.
pub trait Stream: Send {
    /// Takes what has happened and appends to `out` what the caller gets: whole events of an event stream. After
    /// [`Event::Done`], [`Event::Failed`] or an error nothing more comes.
    ///
    /// # Errors
    /// A chunk that is none, or more than is held. The next event is then [`Event::Failed`].
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), Refusal>;
}

/// What happens in a stream.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A `chat.completion.chunk`; or a whole `chat.completion`, from a server that knows no streams.
    Chunk(&'a Value),
    /// The model's stream has ended in order: by `[DONE]`, or by its end where it never sends that.
    Done,
    /// Nothing has come for a while, and the caller may wonder.
    Quiet,
    /// The model's stream has failed, and nobody can mend it.
    Failed(&'a Problem),
}

impl Refusal {
    /// A request that must be mended at `place`: 400.
    pub fn at(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, place: place.into(), message: message.into() }
    }

    /// An answer that makes no sense: 502.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self { status: 502, place: String::new(), message: message.into() }
    }

    /// In one sentence.
    pub fn told(self) -> Problem {
        let message = match self.place.is_empty() {
            true => self.message,
            false => format!("{}: {}", self.place, self.message),
        };
        Problem { status: self.status, message }
    }
}
