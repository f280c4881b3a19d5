//! What comes side by side, one after another: OpenAI's deltas of text and of several tool calls may mix, while Anthropic's
//! blocks follow each other, and a closed one is never opened again.
//!
//! The law: the block in front streams at once; what belongs to another waits until its turn comes, in the order in which they
//! began. Text ends where something else begins; a call ends where its arguments are whole, or with the stream. So calls that
//! come one after another all stream, and mixed ones lose nothing. No more than [`HELD`] bytes wait.
//!
//! A call is not told before its arguments begin, or the stream ends: OpenAI sends a name whole, but a server may send it in
//! pieces, and a name that was told cannot be mended. Until then, a name of the same call that is another is its next piece,
//! as the SDKs of OpenAI add it up; one that is the same is the name again.
//!
//! Arguments that begin as an object stream as they come, also where they turn out to be none: what was sent cannot be taken back.
//! Others wait for their end, and are then what they are in a whole answer. Blanks after the end of a call that is closed are left
//! out; anything else there is refused.

use std::collections::{BTreeMap, VecDeque};

use super::super::Refusal;
use super::blocks::Blocks;
use super::extent::Extent;
use super::pieces::Called;
use super::{ids, response};

/// What may wait, and be remembered of calls: 8 MiB, as much as one event of the upstream's stream may have.
pub const HELD: usize = super::super::sse::LONGEST;

/// What a turn and a call cost beside their text.
const OVERHEAD: usize = 128;

/// Calls of one message. No model makes as many, and each delta looks for its own.
const CALLS: usize = 1024;

/// What is said in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Thinking,
    Text,
    /// Text too, but a block of its own.
    Refusal,
}

/// A block to be, or the one that is open in front.
#[derive(Debug)]
enum Turn {
    Words { kind: Kind, waiting: String },
    Call(usize),
}

/// A tool call that has begun.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    name: Option<String>,
    waiting: String,
    extent: Extent,
    /// Some of its arguments have come: its name is whole.
    has_arguments: bool,
    /// Whether they begin as an object, once that can be seen.
    is_object: Option<bool>,
    /// Its block has been opened, under its id or one of ours.
    is_told: bool,
    is_closed: bool,
}

/// The blocks of a stream.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queue: VecDeque<Turn>,
    calls: Vec<Call>,
    blocks: Blocks,
    is_open: bool,
    held: usize,
    said: u64,
}

/// What the blocks of calls are told by.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    /// The message's id.
    pub(super) message: &'a str,
    /// Names of tools that the request has shortened.
    pub(super) tools: &'a BTreeMap<String, String>,
}

impl Turns {
    /// Whether a tool is called.
    pub(super) fn has_calls(&self) -> bool {
        self.calls.iter().any(|call| call.is_told)
    }

    /// Whether the arguments of a call have not come to their end.
    pub(super) fn is_within_arguments(&self) -> bool {
        self.calls.iter().any(|call| call.is_object == Some(true) && !call.extent.is_whole())
    }

    /// Bytes of text and arguments, so far.
    pub(super) fn said(&self) -> u64 {
        self.said
    }

    /// Something is said in words.
    pub(super) fn say(&mut self, kind: Kind, text: &str, names: Names<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.said += text.len() as u64;
        let (is_open, is_alone) = (self.is_open, self.queue.len() == 1);
        match self.queue.back_mut() {
            Some(Turn::Words { kind: last, .. }) if *last == kind && is_open && is_alone => {
                words(&self.blocks, kind, text, out);
                return Ok(());
            }
            Some(Turn::Words { kind: last, waiting }) if *last == kind => {
                waiting.push_str(text);
                return self.hold(text.len());
            }
            _ => {}
        }
        self.hold(OVERHEAD + text.len())?;
        self.queue.push_back(Turn::Words { kind, waiting: text.to_owned() });
        self.advance(names, out)
    }

    /// A piece of a tool call comes, or a call that `is_whole`.
    pub(super) fn call(
        &mut self,
        piece: &Called<'_>,
        is_whole: bool,
        names: Names<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let place = match self.continued(piece).filter(|_| !is_whole) {
            Some(place) => place,
            None => self.begin(piece)?,
        };
        let arguments = piece.arguments.as_ref();
        self.said += arguments.len() as u64;
        let is_first = matches!(self.queue.front(), Some(Turn::Call(first)) if *first == place);
        let streams = is_first && self.is_open;
        let Some(call) = self.calls.get_mut(place) else { return Ok(()) };
        let mut cost = 0;
        if let (Some(known), Some(more)) = (call.name.as_mut(), piece.name)
            && known != more
            && !call.has_arguments
        {
            known.push_str(more);
            cost += more.len();
        }
        for (known, given) in [(&mut call.id, piece.id), (&mut call.name, piece.name)] {
            if let (None, Some(given)) = (known.as_ref(), given) {
                *known = Some(given.to_owned());
                cost += given.len();
            }
        }
        call.extent.take(arguments);
        call.has_arguments |= !arguments.is_empty();
        let first = arguments.trim_ascii_start().bytes().next();
        call.is_object = call.is_object.or_else(|| first.map(|first| first == b'{'));
        if call.is_closed {
            return match arguments.trim_ascii().is_empty() {
                true => self.hold(cost),
                false => Err(Refusal::upstream("The upstream's tool call goes on after its arguments have ended.")),
            };
        }
        if streams && call.is_object == Some(true) && call.waiting.is_empty() {
            if !arguments.is_empty() {
                self.blocks.json(arguments, out);
            }
        } else {
            call.waiting.push_str(arguments);
            cost += arguments.len();
        }
        self.hold(cost)?;
        if streams {
            self.release(place, out);
        }
        self.advance(names, out)
    }

    /// Says what has waited of the arguments of the call at `place`, whose block is open, if they are an object.
    fn release(&mut self, place: usize, out: &mut Vec<u8>) {
        let Some(call) = self.calls.get_mut(place) else { return };
        if call.is_object == Some(true) && !call.waiting.is_empty() {
            let waiting = std::mem::take(&mut call.waiting);
            self.held = self.held.saturating_sub(waiting.len());
            self.blocks.json(&waiting, out);
        }
    }

    /// The call that `piece` goes on with; none where it begins one. A call begins with a name.
    fn continued(&self, piece: &Called<'_>) -> Option<usize> {
        let last = |matches: &dyn Fn(&Call) -> bool| self.calls.iter().rposition(matches);
        let place = match (piece.index, piece.id) {
            (Some(index), _) => last(&|call| call.index == Some(index)),
            (None, Some(id)) => last(&|call| call.id.as_deref() == Some(id)).or(self.calls.len().checked_sub(1)),
            (None, None) => self.calls.len().checked_sub(1),
        }?;
        let call = self.calls.get(place)?;
        // Some servers make a new id for every piece: without a name it is none.
        let (Some(name), Some(known)) = (piece.name, call.name.as_deref()) else { return Some(place) };
        let begins = match (piece.id, call.id.as_deref()) {
            (Some(id), Some(known)) => id != known,
            _ => {
                let goes_beyond = call.extent.is_whole() && !piece.arguments.trim_ascii().is_empty();
                // A name that goes on brings no id; and without an index nothing says of which call it is.
                let goes_on = !call.has_arguments && piece.index.is_some() && piece.id.is_none();
                piece.is_further || (name != known && !goes_on) || goes_beyond
            }
        };
        (!begins).then_some(place)
    }

    fn begin(&mut self, piece: &Called<'_>) -> Result<usize, Refusal> {
        if self.calls.len() >= CALLS {
            return Err(Refusal::upstream(format!("The upstream's answer has more than {CALLS} tool calls.")));
        }
        self.hold(OVERHEAD)?;
        let place = self.calls.len();
        self.calls.push(Call { index: piece.index, ..Call::default() });
        self.queue.push_back(Turn::Call(place));
        Ok(place)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.held += bytes;
        match self.held <= HELD {
            true => Ok(()),
            false => Err(Refusal::upstream("The upstream's answer mixes more than can be held to put it in a row.")),
        }
    }

    /// Opens what is in front, and closes it where it has ended and something waits behind it.
    fn advance(&mut self, names: Names<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        loop {
            if !self.is_open && (!self.is_ready() || !self.open(names, out)) {
                return Ok(());
            }
            let is_over = match self.queue.front() {
                Some(Turn::Call(place)) => self.calls.get(*place).is_none_or(|call| call.extent.is_whole()),
                Some(Turn::Words { .. }) => true,
                None => false,
            };
            if !is_over || self.queue.len() < 2 {
                return Ok(());
            }
            self.close(out)?;
        }
    }

    /// Whether what is in front can be told: of a call no more of its name can come.
    fn is_ready(&self) -> bool {
        match self.queue.front() {
            Some(Turn::Call(place)) => self.calls.get(*place).is_some_and(|call| call.has_arguments),
            Some(Turn::Words { .. }) => true,
            None => false,
        }
    }

    /// Opens the block in front, and says what has waited. Not if there is none, nor before a call has its name.
    fn open(&mut self, names: Names<'_>, out: &mut Vec<u8>) -> bool {
        match self.queue.front_mut() {
            None => return false,
            Some(Turn::Words { kind, waiting }) => {
                match kind {
                    Kind::Thinking => self.blocks.open_thinking(out),
                    Kind::Text | Kind::Refusal => self.blocks.open_text(out),
                }
                let waiting = std::mem::take(waiting);
                words(&self.blocks, *kind, &waiting, out);
                self.held = self.held.saturating_sub(OVERHEAD + waiting.len());
            }
            Some(Turn::Call(place)) => {
                let place = *place;
                let Some(call) = self.calls.get(place) else { return false };
                let Some(name) = call.name.as_deref() else { return false };
                let given = call.id.as_deref();
                let is_taken = |id| self.calls.iter().any(|other| other.is_told && other.id.as_deref() == Some(id));
                let id = given.filter(|id| !is_taken(*id)).map(str::to_owned);
                let id = id.unwrap_or_else(|| ids::tool(names.message, place));
                let name = names.tools.get(name).map_or(name, String::as_str);
                self.blocks.open_tool(&id, name, out);
                if let Some(call) = self.calls.get_mut(place) {
                    call.is_told = true;
                }
                self.release(place, out);
            }
        }
        self.is_open = true;
        true
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if let Some(Turn::Call(place)) = self.queue.pop_front()
            && let Some(call) = self.calls.get_mut(place)
        {
            call.is_closed = true;
            let waiting = std::mem::take(&mut call.waiting);
            self.held = self.held.saturating_sub(waiting.len());
            // What has streamed does not wait; what is no object, or nothing, does.
            let input = response::input(&waiting)?;
            if input.get() != response::NONE {
                self.blocks.json(input.get(), out);
            }
        }
        self.blocks.close(out);
        self.is_open = false;
        Ok(())
    }

    /// Nothing more comes: everything that waits is said, and closed.
    ///
    /// # Errors
    /// A call that has never been given a name, or whose arguments are too many.
    pub(super) fn end(&mut self, names: Names<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        while !self.queue.is_empty() {
            if self.is_open || self.open(names, out) {
                self.close(out)?;
                continue;
            }
            // Only a call without a name is not opened. A place that was left empty is no call.
            if let Some(Turn::Call(place)) = self.queue.pop_front()
                && let Some(call) = self.calls.get(place)
                && (call.id.is_some() || !call.waiting.trim_ascii().is_empty())
            {
                return Err(Refusal::upstream("The upstream's tool call has no name."));
            }
        }
        Ok(())
    }
}

fn words(blocks: &Blocks, kind: Kind, text: &str, out: &mut Vec<u8>) {
    match kind {
        Kind::Thinking => blocks.thinking(text, out),
        Kind::Text | Kind::Refusal => blocks.text(text, out),
    }
}
