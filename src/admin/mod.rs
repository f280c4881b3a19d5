//! The key API, its pure part: what a request's body asks for, and what a record looks like in an answer.
//!
//! `fields` reads a body into changes of a record, `duration` LiteLLM's spans of time, `shown` writes records as LiteLLM's
//! clients read them. The law: a field whose meaning is not kept is refused by name, never stored in silence; no answer holds a key
//! but the one that makes it. No endpoint is here yet, and no input or output ever will be.

mod duration;
mod fields;
mod shown;

pub use duration::span;
pub use fields::{BadField, apply, read};
pub use shown::{key, team};
