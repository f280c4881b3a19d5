//! Sample models that misbehave, each in one way. The rule is in its name:
//!
//! | name begins with   | it                                                                            |
//! |--------------------|-------------------------------------------------------------------------------|
//! | `sample-error-NNN` | answers that status; 429, 503 and 529 with `retry-after: 7`                    |
//! | `sample-html`      | answers a page of HTML, with 502                                               |
//! | `sample-page`      | answers a page of HTML, with 200                                               |
//! | `sample-slow`      | takes a second to begin, and a quarter of one between two events               |
//! | `sample-cut`       | breaks the connection in the middle of its answer                              |
//! | `sample-no-done`   | ends its stream without a word of the end                                      |
//! | `sample-empty`     | has nothing to say: no choices, and a stream of nothing but its end            |
//! | `sample-late`      | says an error in the middle of its stream                                      |
//! | `sample-nonsense`  | says in the middle of its stream what is no JSON                               |
//! | `sample-whole`     | knows no streams: it answers one with the whole answer                         |
//! | anything else      | is well                                                                        |

use std::time::Duration;

use serde_json::{Value, json};

use crate::response::Response;

/// How a model behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Well,
    Failing(u16),
    Html(u16),
    Slow,
    Cut,
    NoDone,
    Empty,
    Late,
    Nonsense,
    Whole,
}

impl Mood {
    /// The one of a model.
    pub(crate) fn of(model: &str) -> Self {
        if let Some(status) = model.strip_prefix("sample-error-") {
            let status = status.get(..3).and_then(|digits| digits.parse().ok());
            return Self::Failing(status.filter(|status| (400..600).contains(status)).unwrap_or(500));
        }
        let moods = [
            ("sample-html", Self::Html(502)),
            ("sample-page", Self::Html(200)),
            ("sample-slow", Self::Slow),
            ("sample-cut", Self::Cut),
            ("sample-no-done", Self::NoDone),
            ("sample-empty", Self::Empty),
            ("sample-late", Self::Late),
            ("sample-nonsense", Self::Nonsense),
            ("sample-whole", Self::Whole),
        ];
        moods.iter().find(|(start, _)| model.starts_with(start)).map_or(Self::Well, |(_, mood)| *mood)
    }

    /// The answer that does not depend on what was asked.
    pub(crate) fn refusal(self) -> Option<Response> {
        match self {
            Self::Failing(status) => {
                let answer = Response::error(status, &format!("the sample model answers {status}"));
                Some(if matches!(status, 429 | 503 | 529) { answer.with("retry-after", "7") } else { answer })
            }
            Self::Html(status) => Some(Response::html(status, "<html><body><h1>Bad gateway</h1></body></html>\n")),
            _ => None,
        }
    }

    /// Whether it knows no streams.
    pub(crate) fn is_whole(self) -> bool {
        self == Self::Whole
    }

    /// A whole answer.
    pub(crate) fn whole(self, mut answer: Value) -> Response {
        if self == Self::Empty {
            answer["choices"] = json!([]);
        }
        self.timed(Response::json(200, answer))
    }

    /// A stream, its last event being the end mark.
    pub(crate) fn events(self, mut texts: Vec<String>) -> Response {
        let middle = texts.len() / 2;
        match self {
            Self::NoDone => texts.truncate(texts.len() - 1),
            Self::Cut => texts.truncate(middle),
            Self::Empty => drop(texts.drain(..texts.len() - 1)),
            Self::Late => {
                let error = json!({"message": "the sample model has had enough", "type": "server_error", "code": null});
                texts.truncate(middle);
                texts.push(json!({"error": error}).to_string());
            }
            Self::Nonsense => texts[middle] = "{\"choices\": [".to_owned(),
            _ => {}
        }
        self.timed(Response::events(texts))
    }

    fn timed(self, answer: Response) -> Response {
        match self {
            Self::Slow => answer.slowed(Duration::from_secs(1), Duration::from_millis(250)),
            Self::Cut => answer.cut(),
            _ => answer,
        }
    }
}
