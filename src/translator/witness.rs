//! Who hears how a request for a model goes: the record of the request, its guards and its clocks.

use std::time::{Duration, Instant};

/// Hears what happens.
pub trait Witness: Send {
    /// An upstream is about to be asked, the first or another.
    fn asked(&mut self, deployment: &str, at: Instant);
    /// A connection to it stands, and was a pooled one.
    fn connected(&mut self, reused: bool);
    /// The head of the answer is sent to the client.
    fn answered(&mut self, status: u16);
    /// It is a stream.
    fn streams(&mut self);
    /// So many bytes of its body are.
    fn body(&mut self, bytes: usize);
    /// What comes next ends it: places that others wait for are free.
    fn release(&mut self);
    /// Whether the client's connection ends with this answer.
    fn ends_connection(&self) -> bool;
    /// How much of the time until the first upstream was asked was Tollgate's own.
    fn own(&self) -> Option<Duration>;
    /// What the operator should know.
    fn note(&mut self, text: &str);
}
