//! The form of the answer: `output_config.format`, or `output_format` as it was called first, becomes `response_format`.
//!
//! The law: the schema stays as it is written. OpenAI is held to it where it can be, by [`super::strict`]; elsewhere the
//! model is shown it and does its best, because a strict request would be refused and a changed schema is another one.

use super::super::super::{Chat, Refusal};
use super::fields::Fields;
use super::object::object;
use super::place::Dropped;
use super::strict;

/// OpenAI wants a name, and Anthropic has none.
const NAME: &str = "answer";

/// Reads both fields.
pub fn read(body: &Fields<'_, '_>, chat: &mut Chat, dropped: &mut Dropped) -> Result<(), Refusal> {
    let output = body.object("output_config")?;
    if let Some(output) = &output {
        output.tell_rest(&["effort", "format"], dropped);
    }
    let old = body.object("output_format")?;
    let new = output.as_ref().map(|output| output.object("format")).transpose()?.flatten();
    let format = match (new, old) {
        (None, None) => return Ok(()),
        (Some(format), None) | (None, Some(format)) => format,
        (Some(_), Some(_)) => {
            return Err(body.refuse("output_format", "output_config.format says the same: keep that one"));
        }
    };
    if format.needed_text("type")? != "json_schema" {
        return Err(format.refuse("type", "Input should be 'json_schema'"));
    }
    let schema = format.needed("schema")?;
    Fields::of(schema, format.at("schema"))?;
    format.tell_rest(&["type", "schema"], dropped);
    let strict = strict::qualifies(schema).into();
    let schema = object([("name", NAME.into()), ("schema", schema.clone()), ("strict", strict)]);
    let value = object([("type", "json_schema".into()), ("json_schema", schema)]);
    chat.insert("response_format".into(), value);
    Ok(())
}
