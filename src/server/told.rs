//! Who hears of reloads: what counts them, systemd, and the history of good configs.

use std::sync::Arc;

use crate::clock::Moment;
use crate::config::noted::Texts;
use crate::history::History;
use crate::metrics::Metrics;
use crate::reload::{Observer, Outcome};
use crate::systemd;

/// Who is told of reloads: metrics, systemd and the history.
pub(super) struct Told {
    metrics: Arc<Metrics>,
    history: Option<History>,
}

impl Told {
    /// They are told of the config that the process starts with, whose texts these are.
    pub(super) fn new(metrics: Arc<Metrics>, history: Option<History>, texts: &Texts) -> Self {
        let told = Self { metrics, history };
        told.keeps(texts);
        // Whatever an earlier process had pinned: a start reads the file.
        told.pinned(None);
        told
    }

    fn pinned(&self, number: Option<u64>) {
        if let Some(Err(error)) = self.history.as_ref().map(|history| history.pin(number)) {
            log::warn!("the history cannot say what is pinned: {error}");
        }
    }
}

impl Observer for Told {
    fn begins(&self) {
        systemd::reloading();
    }

    fn keeps(&self, texts: &Texts) {
        let kept = self.history.as_ref().map(|history| history.keep(texts, Moment::now().calendar));
        // That it cannot be kept harms no request.
        if let Some(Err(error)) = kept {
            log::warn!("the config is not kept in the history: {error}");
        }
    }

    fn kept(&self, number: u64) -> Result<Texts, String> {
        let history = self.history.as_ref().ok_or("no config was kept: there is no state folder, set --state-dir")?;
        history.texts(number).map_err(|error| error.to_string())
    }

    fn ended(&self, outcome: &Outcome) {
        if let Outcome::Applied { pinned, .. } = outcome {
            self.pinned(*pinned);
        }
        self.metrics.reloaded(if outcome.is_applied() { "applied" } else { "refused" });
        self.metrics.forget();
        systemd::ready(&outcome.summary());
    }
}
