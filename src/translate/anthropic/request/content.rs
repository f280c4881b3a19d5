//! The blocks of a message become parts.
//!
//! The law: a text stays as it is; images and PDFs go in the two ways that both APIs know, inline and, for images, by URL;
//! what else a block says in words is inlined as text. A source that only Anthropic can open, and a block that is not known
//! at its place, are refused.

use serde_json::Value;

use super::super::super::Refusal;
use super::fields::Fields;
use super::object::object;
use super::place::{Dropped, Place, short};

/// Between texts that become one, everywhere.
const BLANK_LINE: &str = "\n\n";

/// Images of these types are taken by both APIs.
const IMAGES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];
/// A document without a title is called so.
const UNTITLED: &str = "document.pdf";
/// So much of the beginning and the end of Base64 is looked at.
const LOOKED_AT: usize = 4096;

/// The blocks of a content that is a list.
pub fn blocks<'v>(
    list: &'v [Value],
    at: &Place<'_>,
    mut each: impl FnMut(&Fields<'v, '_>, &'v str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for (index, value) in list.iter().enumerate() {
        let block = Fields::of(value, at.index(index))?;
        each(&block, block.needed_text("type")?)?;
    }
    Ok(())
}

/// A content that may be nothing but text: the texts of its blocks.
pub fn texts<'v>(content: &'v Value, at: &Place<'_>, dropped: &mut Dropped) -> Result<Vec<&'v str>, Refusal> {
    match content {
        Value::String(text) => Ok(vec![text]),
        Value::Array(list) => {
            let mut out = Vec::new();
            blocks(list, at, |block, kind| match kind {
                "text" => {
                    out.push(text(block, dropped)?);
                    Ok(())
                }
                _ => Err(misplaced(block, kind, "only text can stand here")),
            })?;
            Ok(out)
        }
        _ => Err(neither(at)),
    }
}

/// Texts as one; what says nothing leaves no gap.
pub fn joined<'v>(texts: impl IntoIterator<Item = &'v str>) -> String {
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(BLANK_LINE)
}

/// The refusal of a content that is neither text nor blocks.
pub fn neither(at: &Place<'_>) -> Refusal {
    at.refuse("Input should be a valid string or a list of content blocks")
}

/// The refusal of a block that cannot stand where it does.
pub fn misplaced(block: &Fields<'_, '_>, kind: &str, why: &str) -> Refusal {
    block.refuse("type", format!("a block of type `{}` cannot be carried: {why}", short(kind)))
}

/// The text of a text block. Its citations were for the reader.
pub fn text<'v>(block: &Fields<'v, '_>, dropped: &mut Dropped) -> Result<&'v str, Refusal> {
    block.tell_rest(&["type", "text", "citations", "cache_control"], dropped);
    block.needed_text("text")
}

/// A part of text.
pub fn text_part(text: impl Into<String>) -> Value {
    object([("type", "text".into()), ("text", Value::String(text.into()))])
}

/// Adds the parts of a block that a user may send or a tool may return; false where it is none.
pub fn parts(block: &Fields<'_, '_>, kind: &str, out: &mut Vec<Value>, dropped: &mut Dropped) -> Result<bool, Refusal> {
    match kind {
        "text" => out.push(text_part(text(block, dropped)?)),
        "image" => out.push(image(block, dropped)?),
        "document" => document(block, out, dropped)?,
        "search_result" => out.push(search_result(block, dropped)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn image(block: &Fields<'_, '_>, dropped: &mut Dropped) -> Result<Value, Refusal> {
    block.tell_rest(&["type", "source", "transformations", "cache_control"], dropped);
    transformations(block, dropped)?;
    let source = source(block)?;
    let url = match source.needed_text("type")? {
        "base64" => data_url(&source, IMAGES)?,
        "url" => {
            let url = source.word("url")?;
            // A model's server must not be led to read its own files.
            let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
            match scheme.as_deref() {
                Some("http" | "https") => url.to_owned(),
                _ => return Err(source.refuse("url", "Only HTTPS and HTTP URLs can be carried; or send it as base64")),
            }
        }
        "file" => return Err(file_source(&source)),
        _ => return Err(source.refuse("type", "Input should be 'base64' or 'url'")),
    };
    Ok(object([("type", "image_url".into()), ("image_url", object([("url", url.into())]))]))
}

/// What is to be done to an image: OpenAI scales one down as Anthropic does, but never says so.
fn transformations(block: &Fields<'_, '_>, dropped: &mut Dropped) -> Result<(), Refusal> {
    const NAME: &str = "oversized_image";
    let Some(asked) = block.object("transformations")? else { return Ok(()) };
    asked.tell_rest(&[NAME], dropped);
    match asked.text(NAME)? {
        None | Some("downsize") => Ok(()),
        Some("error") => {
            Err(asked.refuse(NAME, "OpenAI scales a large image down in silence: remove it and send a smaller one"))
        }
        Some(_) => Err(asked.refuse(NAME, "Input should be 'downsize' or 'error'")),
    }
}

fn document(block: &Fields<'_, '_>, out: &mut Vec<Value>, dropped: &mut Dropped) -> Result<(), Refusal> {
    block.tell_rest(&["type", "source", "title", "context", "citations", "cache_control"], dropped);
    no_citations(block, dropped)?;
    let (title, context) = (filled(block, "title")?, filled(block, "context")?);
    let head: Vec<_> = title.into_iter().chain(context).collect();
    let source = source(block)?;
    let inline = |text: &str| text_part(joined(head.iter().copied().chain([text])));
    match source.needed_text("type")? {
        "base64" => {
            let data = data_url(&source, &["application/pdf"])?;
            out.extend(context.map(text_part));
            let file = object([("filename", title.unwrap_or(UNTITLED).into()), ("file_data", data.into())]);
            out.push(object([("type", "file".into()), ("file", file)]));
        }
        "text" => match source.needed_text("media_type")? {
            "text/plain" => out.push(inline(source.needed_text("data")?)),
            _ => return Err(source.refuse("media_type", "Input should be 'text/plain'")),
        },
        "content" => match source.needed("content")? {
            Value::String(text) => out.push(inline(text)),
            Value::Array(list) => {
                if !head.is_empty() {
                    out.push(text_part(joined(head.iter().copied())));
                }
                blocks(list, &source.at("content"), |inner, kind| match kind {
                    "text" | "image" => parts(inner, kind, out, dropped).map(|_| ()),
                    _ => Err(misplaced(inner, kind, "a document holds text and images")),
                })?;
            }
            _ => return Err(neither(&source.at("content"))),
        },
        "url" => {
            let why =
                "the model cannot fetch a document by its URL: fetch it and send it as base64, type application/pdf";
            return Err(source.refuse("type", why));
        }
        "file" => return Err(file_source(&source)),
        _ => return Err(source.refuse("type", "Input should be 'base64', 'text' or 'content'")),
    }
    Ok(())
}

fn search_result(block: &Fields<'_, '_>, dropped: &mut Dropped) -> Result<Value, Refusal> {
    block.tell_rest(&["type", "source", "title", "content", "citations", "cache_control"], dropped);
    no_citations(block, dropped)?;
    let head = [block.needed_text("title")?, block.needed_text("source")?].join("\n");
    let content = match block.needed("content")? {
        list @ Value::Array(_) => texts(list, &block.at("content"), dropped)?,
        _ => return Err(block.refuse("content", "Input should be a valid list")),
    };
    Ok(text_part(joined([&*head].into_iter().chain(content))))
}

/// The model answers without citations, and who asked for them must know.
fn no_citations(block: &Fields<'_, '_>, dropped: &mut Dropped) -> Result<(), Refusal> {
    if let Some(citations) = block.object("citations")?
        && citations.flag("enabled")?
    {
        dropped.add(block.at("citations"));
    }
    Ok(())
}

fn filled<'v>(block: &Fields<'v, '_>, name: &str) -> Result<Option<&'v str>, Refusal> {
    Ok(block.text(name)?.filter(|text| !text.is_empty()))
}

fn source<'v, 's>(block: &'s Fields<'v, '_>) -> Result<Fields<'v, 's>, Refusal> {
    block.object("source")?.ok_or_else(|| block.refuse("source", "Field required"))
}

fn file_source(source: &Fields<'_, '_>) -> Refusal {
    source.refuse("type", "a file that was uploaded to Anthropic cannot be read here: send its contents as base64")
}

/// A base64 source as a URL.
fn data_url(source: &Fields<'_, '_>, types: &[&str]) -> Result<String, Refusal> {
    let kind = source.needed_text("media_type")?;
    if !types.contains(&kind) {
        return Err(source.refuse("media_type", format!("Input should be '{}'", types.join("', '"))));
    }
    let data = source.word("data")?;
    match is_base64(data) {
        true => Ok(["data:", kind, ";base64,", data].concat()),
        false if data.starts_with("data:") => Err(source.refuse("data", "send what stands behind `base64,` only")),
        false => Err(source.refuse("data", "this is not Base64, in its standard alphabet and without line ends")),
    }
}

/// Whether it may be Base64: it is not decoded, and of a long one only the beginning and the end are looked at.
fn is_base64(data: &str) -> bool {
    let octets = data.as_bytes();
    let body = octets.strip_suffix(b"==").or_else(|| octets.strip_suffix(b"=")).unwrap_or(octets);
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
    octets.len().is_multiple_of(4)
        && !body.is_empty()
        && body.iter().take(LOOKED_AT).all(plain)
        && body.iter().rev().take(LOOKED_AT).all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_told_by_its_look() {
        let long = "AAAA".repeat(10_000);
        for good in ["QQ==", "QUI=", "QUJD", "+/+/", &long] {
            assert!(is_base64(good), "{good}");
        }
        for bad in ["", "=", "==", "====", "Q", "QUJ", "QQ=", "Q===", "QU JD", "QUJ\n", "-_-_", "data:QQ", "QÉ=="] {
            assert!(!is_base64(bad), "{bad}");
        }
        assert!(!is_base64(&[&long, "\nAAA"].concat()));
    }
}
