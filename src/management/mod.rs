//! The key API, its pure part: LiteLLM's calls, what they may hold and what they answer.
//!
//! `call` is which path asks for what, `rights` who may ask and of whom, `key`, `team` and `endpoint` read and show the nouns, `value` and
//! `duration` read what stands in a body, `query` what stands in a URL, `fault` is every way to say no. The law: a field whose
//! meaning is not kept is refused by name, never stored in silence; no answer holds a key but the one that makes it. Nothing here
//! reads or writes: the book and the store are `admin`'s.

mod call;
mod duration;
pub mod endpoint;
mod fault;
pub mod key;
mod query;
mod rights;
pub mod team;
mod value;

pub use call::{Asked, Call, advice};
pub use duration::span;
pub use fault::{BadField, Fault};
pub use query::Query;
pub use rights::{Asker, Scope};
pub use value::{Body, is_empty, label, read, word, words};
