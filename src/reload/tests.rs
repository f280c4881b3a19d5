//! In which order reloads are made, and for whom.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;

use super::*;
use crate::auth::Book;
use crate::config::env::Environ;
use crate::config::{self, Overrides};
use crate::snapshot;

const PATIENCE: Duration = Duration::from_secs(20);

struct Nothing;

impl Environ for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(b"general_settings: {master_key: sk-master-0123456789}".to_vec())
    }
}

/// What was begun, in order.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Vec<&'static str>>>);

impl Observer for Begun {
    fn begins(&self) {
        self.0.lock().push("begun");
    }

    fn keeps(&self, _: &Texts) {}

    fn kept(&self, _: u64) -> Result<Texts, String> {
        self.0.lock().push("kept");
        Err("there is none".into())
    }

    fn ended(&self, _: &Outcome) {}
}

/// A reloader whose first reload waits for `go`, and none of which has a good config.
fn reloader(begun: &Begun, go: mpsc::Receiver<()>) -> Reloads {
    let (config, mut report) = config::load(Path::new("t.yaml"), &Nothing, &Overrides::default());
    let config = config.unwrap_or_else(|| panic!("{:?}", report.problems));
    let in_force = snapshot::compile(&config, &Arc::new(Book::passing()), &mut report).expect("a snapshot");
    let (reloads, asked) = channel(Texts::default());
    let (seen, go) = (begun.clone(), Mutex::new(go));
    let source: Source = Box::new(move |_, texts| {
        seen.0.lock().push(if texts.is_some() { "entries" } else { "file" });
        // Once it has ended, nobody is waited for.
        let _ = go.lock().recv();
        Err(vec!["no good".into()])
    });
    let in_force = Arc::new(ArcSwap::from_pointee(in_force));
    let told = Box::new(begun.clone());
    tokio::spawn(Reloader::new(asked, config, in_force, source, Box::new(|_, _| {}), told).run());
    reloads
}

#[tokio::test]
async fn what_waits_for_entries_is_one_reload_and_nobody_overtakes() {
    let (go_on, go) = mpsc::channel();
    let begun = Begun::default();
    let reloads = reloader(&begun, go);
    let ask = |wish| {
        let (answer, answered) = oneshot::channel();
        reloads.ask.send((wish, answer)).expect("the reloader listens");
        answered
    };
    let mut answers = vec![ask(Wish::File)];
    while begun.0.lock().len() < 2 {
        tokio::task::yield_now().await;
    }
    // While one runs others come: three for entries, one for the file, and so on.
    (0..2).for_each(|_| reloads.notify(Wish::Entries));
    answers.push(ask(Wish::Entries));
    answers.extend([ask(Wish::File), ask(Wish::File)]);
    answers.extend([ask(Wish::Entries), ask(Wish::Entries), ask(Wish::Kept(7)), ask(Wish::Entries)]);
    drop(go_on);
    for answer in answers {
        let outcome = timeout(PATIENCE, answer).await.expect("in time").expect("everybody is answered");
        assert!(matches!(outcome, Outcome::Refused { generation: 1, .. }), "{outcome:?}");
    }
    let expected = ["file", "entries", "file", "file", "entries", "kept", "entries"];
    let seen: Vec<&str> = begun.0.lock().iter().copied().filter(|what| *what != "begun").collect();
    assert_eq!(seen, expected);
    assert_eq!(begun.0.lock().len(), 2 * expected.len(), "each is begun once");
}
