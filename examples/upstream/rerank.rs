//! Cohere v1 rerank. The score counts shared words and word pairs: crude, but it depends on the input.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{api::next_id, request::Request, response::Response};

/// The documents most like the query first; 400 in Cohere's error shape.
pub(crate) fn rerank(request: &Request) -> Response {
    rerank_results(&request.body).unwrap_or_else(|message| Response::json(400, json!({"message": message})))
}

fn rerank_results(body: &[u8]) -> Result<Response, &'static str> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let query = terms(body["query"].as_str().ok_or("query must be a text")?);
    let documents = body["documents"].as_array().filter(|list| !list.is_empty()).ok_or("documents must be a list")?;
    let top_n = match &body["top_n"] {
        Value::Null => documents.len(),
        number => match number.as_u64() {
            Some(n @ 1..) => usize::try_from(n).unwrap_or(usize::MAX),
            _ => return Err("top_n must be a whole number from 1"),
        },
    };
    let mut scored = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let text = document.as_str().or_else(|| document["text"].as_str());
        scored.push((index, relevance(&query, &terms(text.ok_or("a document is a text or {\"text\": …}")?))));
    }
    scored.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let results: Vec<_> =
        scored.iter().take(top_n).map(|(index, score)| json!({"index": index, "relevance_score": score})).collect();
    let meta = json!({"api_version": {"version": "1"}, "billed_units": {"search_units": 1}});
    Ok(Response::json(200, json!({"id": next_id("rerank"), "results": results, "meta": meta})))
}

/// The words of a text in lower case, and each pair of neighbours.
fn terms(text: &str) -> HashSet<String> {
    let text = text.to_lowercase();
    let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).map(|pair| pair.join(" "));
    words.iter().map(|word| (*word).to_owned()).chain(pairs).collect()
}

/// How much of the query stands in the document, less a little for what else stands there: 0 nothing, 1 the same text.
fn relevance(query: &HashSet<String>, document: &HashSet<String>) -> f64 {
    let shared = query.intersection(document).count() as f64;
    if shared == 0.0 { 0.0 } else { shared / (0.9 * query.len() as f64 + 0.1 * document.len() as f64) }
}
