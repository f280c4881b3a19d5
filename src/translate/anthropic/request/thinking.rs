//! How hard the model is to think: `thinking` and `output_config.effort` become `reasoning_effort`.
//!
//! The law: a budget below 2048 tokens is low, below 4096 medium, from there on high; a model that adapts takes the effort
//! that is asked for, else medium; effort alone is what it says; no thinking is no field, because a model that cannot think
//! would refuse one. `xhigh` and `max` are high, which is told: which models know more is not known here.

use super::super::super::{Chat, Refusal};
use super::fields::Fields;
use super::place::Dropped;

/// Below it effort is low.
const MEDIUM_FROM: u64 = 2048;
/// From it on effort is high.
const HIGH_FROM: u64 = 4096;

/// Reads both fields.
pub fn read(body: &Fields<'_, '_>, chat: &mut Chat, dropped: &mut Dropped) -> Result<(), Refusal> {
    let output = body.object("output_config")?;
    let (asked, is_lowered) = output.as_ref().map(effort).transpose()?.unwrap_or_default();
    let mut used = true;
    let effort = match body.object("thinking")? {
        None => asked,
        Some(thinking) => {
            let kind = thinking.needed_text("type")?;
            used = matches!(kind, "adaptive" | "between_tools") || asked.is_none();
            match thinking.text("display")? {
                None | Some("summarized") => {}
                Some("omitted" | "updates") => dropped.add(thinking.at("display")),
                Some(_) => {
                    return Err(thinking.refuse("display", "Input should be 'summarized', 'omitted' or 'updates'"));
                }
            }
            thinking.tell_rest(&["type", "budget_tokens", "display"], dropped);
            match kind {
                "enabled" => Some(of_budget(&thinking)?),
                "adaptive" => asked.or(Some("medium")),
                // When the model thinks cannot be said, only how much.
                "between_tools" => {
                    dropped.add(body.at("thinking"));
                    asked
                }
                "disabled" => None,
                _ => {
                    let message = "Input should be 'enabled', 'disabled', 'adaptive' or 'between_tools'";
                    return Err(thinking.refuse("type", message));
                }
            }
        }
    };
    if let Some(output) = &output
        && (is_lowered || !used)
    {
        dropped.add(output.at("effort"));
    }
    if let Some(effort) = effort {
        chat.insert("reasoning_effort".into(), effort.into());
    }
    Ok(())
}

fn of_budget(thinking: &Fields<'_, '_>) -> Result<&'static str, Refusal> {
    let budget = thinking.whole("budget_tokens", 1)?;
    Ok(match budget.ok_or_else(|| thinking.refuse("budget_tokens", "Field required"))? {
        ..MEDIUM_FROM => "low",
        MEDIUM_FROM..HIGH_FROM => "medium",
        _ => "high",
    })
}

/// The effort that is asked for, and whether it is less than that.
fn effort(output: &Fields<'_, '_>) -> Result<(Option<&'static str>, bool), Refusal> {
    Ok(match output.text("effort")? {
        None => (None, false),
        Some("low") => (Some("low"), false),
        Some("medium") => (Some("medium"), false),
        Some("high") => (Some("high"), false),
        Some("xhigh" | "max") => (Some("high"), true),
        Some(_) => {
            return Err(output.refuse("effort", "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"));
        }
    })
}
