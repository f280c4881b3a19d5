//! The turns of a conversation.
//!
//! The law is OpenAI's: a call is followed at once by the results of all its tools, and by them alone. So messages of one side
//! in a row are one turn, as Anthropic takes them; the results of a turn go first, then its messages in their order. What a
//! tool returned besides text follows in the user's message, since a tool's can hold none.
//! An assistant's thoughts stay, as `reasoning_content`; what only Anthropic can read of them does not.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::super::Refusal;
use super::content::{self, blocks, joined, misplaced, neither, text_part};
use super::fields::Fields;
use super::names::Names;
use super::object::object;
use super::place::{Dropped, short};

/// What Anthropic's servers called and found. What matters of it is in what the assistant said next; the findings themselves
/// are mostly sealed.
const ELSEWHERE: &[&str] = &[
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "mcp_tool_listing",
    "advisor_tool_result",
    // Where another model of Anthropic's took over.
    "fallback",
];

/// Reads `system` and `messages`.
pub fn read(body: &Fields<'_, '_>, names: &Names, dropped: &mut Dropped) -> Result<Vec<Value>, Refusal> {
    let mut turns = Turns::new(names, dropped);
    if let Some(system) = body.find("system") {
        turns.lead = content::texts(system, &body.at("system"), turns.dropped)?;
    }
    let list = body.list("messages")?.ok_or_else(|| body.refuse("messages", "Field required"))?;
    if list.is_empty() {
        return Err(body.refuse("messages", "at least one message is required"));
    }
    let at = body.at("messages");
    let last_of_user = list.iter().rposition(|message| message.get("role").is_some_and(|role| role == "user"));
    for (index, value) in list.iter().enumerate() {
        let message = Fields::of(value, at.index(index))?;
        match message.needed_text("role")? {
            "user" => turns.user(&message)?,
            "assistant" => turns.assistant(&message)?,
            role @ ("system" | "developer") => turns.system(&message, role, last_of_user > Some(index))?,
            _ => return Err(message.refuse("role", "Input should be 'user', 'assistant' or 'system'")),
        }
    }
    turns.end()
}

/// The conversation so far.
struct Turns<'v, 'n> {
    names: &'n Names,
    dropped: &'n mut Dropped,
    /// The system prompt, and what the system said before anybody else.
    lead: Vec<&'v str>,
    out: Vec<Value>,
    said: Option<Said<'v>>,
    /// Results of the user's turn that is open, and its messages.
    results: Vec<Value>,
    asked: Vec<Value>,
    /// Calls that wait for their results: how many came before, and where they stand.
    waiting: HashMap<&'v str, (usize, String)>,
    calls: HashSet<&'v str>,
}

/// The assistant's turn that is open.
#[derive(Default)]
struct Said<'v> {
    texts: Vec<&'v str>,
    thoughts: Vec<&'v str>,
    calls: Vec<Value>,
}

impl<'v, 'n> Turns<'v, 'n> {
    fn new(names: &'n Names, dropped: &'n mut Dropped) -> Self {
        Self {
            names,
            dropped,
            lead: Vec::new(),
            out: Vec::new(),
            said: None,
            results: Vec::new(),
            asked: Vec::new(),
            waiting: HashMap::new(),
            calls: HashSet::new(),
        }
    }

    /// The system says something; `is_passed` if the user says something after it.
    fn system(&mut self, message: &Fields<'v, '_>, role: &str, is_passed: bool) -> Result<(), Refusal> {
        // OpenAI has one effort for the whole request.
        message.tell_rest(&["role", "content", "clear_at"], self.dropped);
        let is_cleared = match message.text("clear_at")? {
            None | Some("never") => false,
            Some("next_user_message") => is_passed,
            Some(_) => return Err(message.refuse("clear_at", "Input should be 'next_user_message' or 'never'")),
        };
        let content = match message.find("content") {
            None if message.find("output_config").is_some() => return Ok(()),
            _ => message.needed("content")?,
        };
        if is_cleared {
            return Ok(());
        }
        let texts = content::texts(content, &message.at("content"), self.dropped)?;
        self.end_of_assistant();
        if role == "system" && self.out.is_empty() && self.asked.is_empty() {
            self.lead.extend(texts);
        } else {
            self.asked.push(object([("role", role.into()), ("content", joined(texts).into())]));
        }
        Ok(())
    }

    fn user(&mut self, message: &Fields<'v, '_>) -> Result<(), Refusal> {
        message.tell_rest(&["role", "content"], self.dropped);
        self.end_of_assistant();
        let at = message.at("content");
        let content = match message.needed("content")? {
            Value::String(text) => Value::from(text.as_str()),
            Value::Array(list) if list.is_empty() => {
                return Err(at.refuse("all messages must have non-empty content"));
            }
            Value::Array(list) => {
                // What tools returned besides text stands before what the user adds.
                let (mut returned, mut own) = (Vec::new(), Vec::new());
                blocks(list, &at, |block, kind| match kind {
                    "tool_result" => self.result(block, &mut returned),
                    _ if content::parts(block, kind, &mut own, self.dropped)? => Ok(()),
                    _ => Err(misplaced(block, kind, "a user message holds text, images, documents and tool results")),
                })?;
                returned.append(&mut own);
                if returned.is_empty() {
                    return Ok(());
                }
                returned.into()
            }
            _ => return Err(neither(&at)),
        };
        self.asked.push(object([("role", "user".into()), ("content", content)]));
        Ok(())
    }

    /// The result of a tool: its text becomes a message, the rest is added to `returned`.
    fn result(&mut self, block: &Fields<'v, '_>, returned: &mut Vec<Value>) -> Result<(), Refusal> {
        block.tell_rest(&["type", "tool_use_id", "content", "is_error", "cache_control"], self.dropped);
        let id = block.word("tool_use_id")?;
        if self.waiting.remove(id).is_none() {
            let message = format!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {}. Each `tool_result` block must have a \
                 corresponding `tool_use` block in the previous message, and there is one for each",
                short(id)
            );
            return Err(block.refuse("tool_use_id", message));
        }
        let mut parts = Vec::new();
        match block.find("content") {
            None => {}
            Some(Value::String(text)) => parts.push(text_part(text)),
            Some(Value::Array(list)) => {
                let at = block.at("content");
                blocks(list, &at, |inner, kind| match kind {
                    "tool_reference" => {
                        parts.push(text_part(format!(
                            "There is the tool {}.",
                            self.names.told(inner.word("tool_name")?)
                        )));
                        Ok(())
                    }
                    _ if content::parts(inner, kind, &mut parts, self.dropped)? => Ok(()),
                    _ => Err(misplaced(inner, kind, "a tool result holds text, images, documents and search results")),
                })?;
            }
            Some(_) => return Err(neither(&block.at("content"))),
        }
        let (texts, mut rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.get("text").is_some());
        let mut text = joined(texts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)));
        if !rest.is_empty() {
            if text.is_empty() {
                text.push_str("The result is in the next message.");
            }
            returned.push(text_part(format!("From the result of the tool call {id}:")));
            returned.append(&mut rest);
        }
        if block.flag("is_error")? {
            text = if text.is_empty() { "The tool failed.".to_owned() } else { format!("The tool failed:\n{text}") };
        }
        self.results.push(object([("role", "tool".into()), ("tool_call_id", id.into()), ("content", text.into())]));
        Ok(())
    }

    fn assistant(&mut self, message: &Fields<'v, '_>) -> Result<(), Refusal> {
        message.tell_rest(&["role", "content"], self.dropped);
        let content = message.needed("content")?;
        self.end_of_user()?;
        let mut said = self.said.take().unwrap_or_default();
        let at = message.at("content");
        match content {
            Value::String(text) => said.texts.push(text),
            Value::Array(list) => blocks(list, &at, |block, kind| self.say(block, kind, &mut said))?,
            _ => return Err(neither(&at)),
        }
        self.said = Some(said);
        Ok(())
    }

    fn say(&mut self, block: &Fields<'v, '_>, kind: &str, said: &mut Said<'v>) -> Result<(), Refusal> {
        match kind {
            "text" => said.texts.push(content::text(block, self.dropped)?),
            "thinking" => said.thoughts.push(block.needed_text("thinking")?),
            "redacted_thinking" => {}
            // It failed, and stands for nothing.
            "compaction" if block.find("content").is_none() => {}
            "tool_use" => said.calls.push(self.call(block)?),
            _ if ELSEWHERE.contains(&kind) => self.dropped.add(*block.here()),
            _ => return Err(misplaced(block, kind, "an assistant message holds text, thinking and tool calls")),
        }
        Ok(())
    }

    fn call(&mut self, block: &Fields<'v, '_>) -> Result<Value, Refusal> {
        block.tell_rest(&["type", "id", "name", "input", "caller", "cache_control"], self.dropped);
        let id = block.word("id")?;
        if !self.calls.insert(id) {
            return Err(block.refuse("id", "`tool_use` ids must be unique"));
        }
        self.waiting.insert(id, (self.calls.len(), block.here().to_string()));
        let name = self.names.told(block.word("name")?);
        let input = block.needed("input")?;
        Fields::of(input, block.at("input"))?;
        let function = object([("name", name.into()), ("arguments", input.to_string().into())]);
        Ok(object([("id", id.into()), ("type", "function".into()), ("function", function)]))
    }

    fn end_of_assistant(&mut self) {
        let Some(said) = self.said.take() else { return };
        let mut message = Map::new();
        message.insert("role".into(), "assistant".into());
        let text = joined(said.texts);
        let silent = text.is_empty() && !said.calls.is_empty();
        message.insert("content".into(), if silent { Value::Null } else { text.into() });
        let thoughts = joined(said.thoughts);
        if !thoughts.is_empty() {
            message.insert("reasoning_content".into(), thoughts.into());
        }
        if !said.calls.is_empty() {
            message.insert("tool_calls".into(), said.calls.into());
        }
        self.out.push(Value::Object(message));
    }

    fn end_of_user(&mut self) -> Result<(), Refusal> {
        if self.said.is_some() {
            return Ok(());
        }
        self.all_answered()?;
        self.out.append(&mut self.results);
        self.out.append(&mut self.asked);
        Ok(())
    }

    fn all_answered(&self) -> Result<(), Refusal> {
        let Some((id, (_, place))) = self.waiting.iter().min_by_key(|(_, (before, _))| before) else { return Ok(()) };
        let message = format!(
            "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a \
             corresponding `tool_result` block in the next message",
            short(id)
        );
        Err(Refusal::at(place.as_str(), message))
    }

    fn end(mut self) -> Result<Vec<Value>, Refusal> {
        self.end_of_assistant();
        self.end_of_user()?;
        let lead = joined(self.lead);
        if !lead.is_empty() {
            self.out.insert(0, object([("role", "system".into()), ("content", lead.into())]));
        }
        match self.out.is_empty() {
            true => Err(Refusal::at("messages", "at least one message is required")),
            false => Ok(self.out),
        }
    }
}
