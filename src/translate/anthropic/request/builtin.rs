//! The tools that Anthropic defines and the client runs: their schemas, which a Claude knows without being told.
//!
//! The law: a schema has the commands and parameters that Anthropic's reference lists for that version of the tool, so that
//! the client gets calls that it knows. A version that is not listed here is not guessed at.

use serde_json::{Map, Value, json};

/// A tool of Anthropic's.
pub struct Builtin {
    /// The name that it must have.
    pub name: &'static str,
    /// What the model is told of it.
    pub description: &'static str,
    /// The schema of its input.
    pub parameters: Value,
}

/// The beginnings of the types of tools that Anthropic's own servers run, or that only a Claude can use.
pub const ELSEWHERE: &[&str] = &[
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "computer_",
    "browser_",
    "tool_search_tool_",
    "mcp_toolset",
    "advisor_",
];

/// The types that [`of`] knows.
pub const KNOWN: &str = "custom, bash_20250124, text_editor_20250728, text_editor_20250429, text_editor_20250124 and \
    memory_20250818";

/// The tool of type `kind`.
pub fn of(kind: &str) -> Option<Builtin> {
    Some(match kind {
        "bash_20241022" | "bash_20250124" => Builtin {
            name: "bash",
            description: "Runs a command in a bash session that lasts from call to call, and returns what it prints.",
            parameters: object(
                &[
                    ("command", text("The command to run. Needed unless the session is restarted.")),
                    ("restart", json!({"type": "boolean", "description": "True to restart the session."})),
                ],
                &[],
            ),
        },
        "text_editor_20241022" | "text_editor_20250124" => Builtin {
            name: "str_replace_editor",
            description: "Shows, creates and edits text files: view, create, str_replace, insert, undo_edit.",
            parameters: editor(&["view", "create", "str_replace", "insert", "undo_edit"], "new_str"),
        },
        "text_editor_20250429" | "text_editor_20250728" => Builtin {
            name: "str_replace_based_edit_tool",
            description: "Shows, creates and edits text files: view, create, str_replace, insert.",
            parameters: editor(&["view", "create", "str_replace", "insert"], "insert_text"),
        },
        "memory_20250818" => Builtin {
            name: "memory",
            description: "Keeps notes in files below /memories that last from conversation to conversation. Look there \
                before a task, and write down what will be needed later.",
            parameters: memory(),
        },
        _ => return None,
    })
}

/// The editor of `commands`, which calls the text to insert `inserted`.
fn editor(commands: &[&str], inserted: &str) -> Value {
    let mut fields = vec![
        ("command", json!({"type": "string", "enum": commands, "description": "What to do."})),
        ("path", text("The file, or for view a folder too.")),
        ("view_range", range()),
        ("file_text", text("For create: the text of the new file.")),
        ("old_str", text("For str_replace: the text to replace, exactly as it stands, once, with its white space.")),
        ("new_str", text("For str_replace: the text that replaces it.")),
        ("insert_line", line()),
    ];
    match inserted {
        "new_str" => {
            let both = "For str_replace: the text that replaces it. For insert: the text to insert.";
            fields.iter_mut().filter(|(name, _)| *name == inserted).for_each(|(_, schema)| *schema = text(both));
        }
        _ => fields.push(("insert_text", text("For insert: the text to insert."))),
    }
    object(&fields, &["command", "path"])
}

fn memory() -> Value {
    let commands = ["view", "create", "str_replace", "insert", "delete", "rename"];
    object(
        &[
            ("command", json!({"type": "string", "enum": commands, "description": "What to do."})),
            ("path", text("The file or folder; for all commands but rename.")),
            ("view_range", range()),
            ("file_text", text("For create: the text of the file.")),
            ("old_str", text("For str_replace: the text to replace.")),
            ("new_str", text("For str_replace: the text that replaces it.")),
            ("insert_line", line()),
            ("insert_text", text("For insert: the text to insert.")),
            ("old_path", text("For rename: the path as it is.")),
            ("new_path", text("For rename: the path as it shall be.")),
        ],
        &["command"],
    )
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn line() -> Value {
    json!({"type": "integer", "description": "For insert: the line after which to insert; 0 is the beginning."})
}

fn range() -> Value {
    json!({
        "type": "array",
        "items": {"type": "integer"},
        "description": "For view of a file: its first and last line, counted from 1; a last line of -1 is the end.",
    })
}

fn object(fields: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<_, _> = fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required})
}
