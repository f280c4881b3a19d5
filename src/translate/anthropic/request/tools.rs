//! The tools, and which of them the model is to use.
//!
//! The law: a tool keeps its name, as far as OpenAI takes it ([`super::names`]), its description and its schema. What only
//! Anthropic's servers run is refused by name. A choice that says nothing without tools is left out with them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::super::{Chat, Refusal};
use super::fields::Fields;
use super::names::Names;
use super::object::object;
use super::place::{Dropped, Place, short};
use super::{builtin, strict};

/// What every tool may say; none of the rest makes a difference to a model that is shown all tools at once.
const KNOWN: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "strict",
    "input_examples",
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "eager_input_streaming",
    "max_characters",
];

/// The most tools of a request: as many as Anthropic lets a model search. OpenAI takes 128.
const MOST: usize = 10_000;

/// Takes the schemas out of the tools of `body`, so that [`read`] need not copy them.
pub fn schemas(body: &mut Map<String, Value>) -> Vec<Option<Value>> {
    let tools = body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten();
    tools.map(|tool| tool.get_mut("input_schema").map(Value::take)).collect()
}

/// Reads `tools`, whose schemas are `schemas`, and `tool_choice`.
pub fn read(
    body: &Fields<'_, '_>,
    schemas: Vec<Option<Value>>,
    names: &Names,
    chat: &mut Chat,
    dropped: &mut Dropped,
) -> Result<(), Refusal> {
    let list = body.list("tools")?.map_or(&[][..], Vec::as_slice);
    let at = body.at("tools");
    if list.len() > MOST {
        return Err(at.refuse(format!("at most {MOST} tools can be carried, and there are {}", list.len())));
    }
    let mut tools = Vec::with_capacity(list.len());
    let mut known = HashSet::new();
    for (index, (value, schema)) in list.iter().zip(schemas).enumerate() {
        let tool = Fields::of(value, at.index(index))?;
        let name = tool_name(&tool)?;
        if !known.insert(name) {
            return Err(tool.refuse("name", "Tool names must be unique"));
        }
        let function = function(&tool, schema, names.told(name), dropped)?;
        tools.push(object([("type", "function".into()), ("function", function)]));
    }
    if !tools.is_empty() {
        chat.insert("tools".into(), tools.into());
    }
    choice(body, &known, names, chat, dropped)
}

/// The name of a tool that can be carried.
fn tool_name<'v>(tool: &Fields<'v, '_>) -> Result<&'v str, Refusal> {
    let kind = tool.text("type")?.unwrap_or("custom");
    if builtin::ELSEWHERE.iter().any(|beginning| kind.starts_with(beginning)) {
        let message = format!(
            "the tool `{}` is run by Anthropic or needs one of its models: remove it, or send a tool of your own with an \
             input_schema",
            short(kind)
        );
        return Err(tool.refuse("type", message));
    }
    let name = tool.word("name")?;
    match builtin::of(kind) {
        Some(known) if known.name != name => Err(tool.refuse("name", format!("Input should be '{}'", known.name))),
        None if kind != "custom" => {
            let message = format!("the tool `{}` is not known; there are {}", short(kind), builtin::KNOWN);
            Err(tool.refuse("type", message))
        }
        _ => Ok(name),
    }
}

fn function(tool: &Fields<'_, '_>, schema: Option<Value>, name: &str, dropped: &mut Dropped) -> Result<Value, Refusal> {
    let builtin = tool.text("type")?.and_then(builtin::of);
    let (own, parameters) = match builtin {
        Some(builtin) => (Some(builtin.description), builtin.parameters),
        None => (tool.text("description")?, parameters(tool, schema)?),
    };
    let mut function = Map::new();
    function.insert("name".into(), name.into());
    let description = with_examples(tool, own.unwrap_or_default())?;
    if !description.is_empty() {
        function.insert("description".into(), description.into());
    }
    // OpenAI would refuse the whole request.
    let held = tool.flag("strict")?;
    let can_be = held && strict::qualifies(&parameters);
    if held && !can_be {
        dropped.add(tool.at("strict"));
    }
    function.insert("parameters".into(), parameters);
    if can_be || (!held && tool.find("strict").is_some()) {
        function.insert("strict".into(), can_be.into());
    }
    if let Some(callers) = tool.list("allowed_callers")?
        && !callers.iter().any(|caller| caller == "direct")
    {
        dropped.add(tool.at("allowed_callers"));
    }
    tool.tell_rest(KNOWN, dropped);
    Ok(Value::Object(function))
}

/// The schema as it is written, with the least that OpenAI wants of one.
fn parameters(tool: &Fields<'_, '_>, schema: Option<Value>) -> Result<Value, Refusal> {
    let mut schema = match schema {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(schema)) => schema,
        Some(_) => return Err(tool.refuse("input_schema", "Input should be an object")),
    };
    match schema.get("type") {
        None | Some(Value::Null) => drop(schema.insert("type".into(), "object".into())),
        Some(Value::String(kind)) if kind == "object" => {}
        Some(_) => return Err(tool.at("input_schema").name("type").refuse("Input should be 'object'")),
    }
    if schema.get("properties").is_none_or(Value::is_null) {
        schema.insert("properties".into(), object([]));
    }
    if schema.get("required").is_some_and(Value::is_null) {
        schema.shift_remove("required");
    }
    Ok(Value::Object(schema))
}

/// OpenAI has no field for examples, but a model reads them in the description as well.
fn with_examples(tool: &Fields<'_, '_>, description: &str) -> Result<String, Refusal> {
    let mut text = description.to_owned();
    let at = tool.at("input_examples");
    for (index, example) in tool.list("input_examples")?.into_iter().flatten().enumerate() {
        Fields::of(example, at.index(index))?;
        text.push_str(match (index, text.is_empty()) {
            (0, true) => "Examples of its input:\n",
            (0, false) => "\n\nExamples of its input:\n",
            _ => "\n",
        });
        text.push_str(&example.to_string());
    }
    Ok(text)
}

fn choice(
    body: &Fields<'_, '_>,
    tools: &HashSet<&str>,
    names: &Names,
    chat: &mut Chat,
    dropped: &mut Dropped,
) -> Result<(), Refusal> {
    let Some(choice) = body.object("tool_choice")? else { return Ok(()) };
    let chosen = match choice.needed_text("type")? {
        "auto" => Value::from("auto"),
        "none" => "none".into(),
        "any" => "required".into(),
        "tool" => {
            let name = choice.word("name")?;
            if !tools.contains(name) {
                let message = format!("Tool '{}' not found in provided tools", short(name));
                return Err(choice.refuse("name", message));
            }
            object([("type", "function".into()), ("function", object([("name", names.told(name).into())]))])
        }
        _ => return Err(choice.refuse("type", "Input should be 'auto', 'any', 'tool' or 'none'")),
    };
    let one = choice.flag("disable_parallel_tool_use")?;
    choice.tell_rest(&["type", "name", "disable_parallel_tool_use"], dropped);
    if tools.is_empty() {
        return match chosen == "required" {
            true => Err(Place::TOP.name("tools").refuse("Field required: the tool_choice asks for a tool")),
            false => Ok(()),
        };
    }
    chat.insert("tool_choice".into(), chosen);
    if one {
        chat.insert("parallel_tool_calls".into(), false.into());
    }
    Ok(())
}
