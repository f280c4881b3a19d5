//! Credentials: a known key is found wherever it stands, or nothing of it leaves; a closed route lets in nobody without one.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};
use tollgate::admit::{self, Head, Step};
use tollgate::auth::Book;
use tollgate::config::env::Environ;
use tollgate::config::{self, Overrides};
use tollgate::snapshot::{self, Access, Lead, Snapshot};

use super::headers::sent;
use super::reading::{KEY, shows_key, with_key};

/// A route of each kind. The third takes Langfuse's pair, the fourth names a header of its own.
const ROUTES: &str = "
    - {path: /open, target: 'https://up.test/a', include_subpath: true, forward_headers: true}
    - {path: /keyed, target: 'https://up.test/b?own=1', include_subpath: true, auth: true, forward_headers: true}
    - {path: /langfuse, target: 'https://up.test/c', auth: true, custom_auth_parser: langfuse}
    - {path: '/mine/{id}', target: 'https://up.test/d/{id}?id={id}', headers: {litellm_user_api_key: x-mine}}
";

struct File(String);

impl Environ for File {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let text = format!("general_settings:\n  master_key: {KEY}\n  pass_through_endpoints:{ROUTES}");
        let (config, mut report) = config::load(Path::new("t.yaml"), &File(text), &Overrides::default());
        let compiled = config.and_then(|config| snapshot::compile(&config, &Arc::new(Book::passing()), &mut report));
        compiled.unwrap_or_else(|| panic!("{:?}", report.problems))
    })
}

/// The input is a request: its target, then `name: value` a line.
pub fn check(input: &[u8]) {
    let text = with_key(&String::from_utf8_lossy(input));
    let mut lines = text.lines();
    let target = lines.next().unwrap_or_default().as_bytes();
    let mut fields = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value.trim())) {
            fields.append(name, value);
        }
    }
    let head = Head {
        method: &Method::POST,
        target,
        headers: &fields,
        version: Version::HTTP_11,
        client: None,
        inside: false,
        now: tollgate::clock::Moment::default(),
    };
    let admission = match admit::step(snapshot(), head) {
        Step::Admit(admission) => admission,
        Step::Reject(refusal) => {
            let shown = format!("{:?}", refusal.rejection);
            assert!(!shows_key(shown.as_bytes()), "the refusal shows the key");
            return;
        }
        Step::Ask(_) | Step::Methods(_) | Step::Own(_) | Step::Metrics | Step::Manage(_) => return,
    };
    assert!(admission.route.access != Access::Key || admission.principal.is_some(), "admitted without a key");
    let Lead::Group(group) = &admission.route.lead else { return };
    let member = group.member(0);
    let asked = admission.path_and_query(member, snapshot());
    assert!(asked.starts_with(b"/"));
    assert!(!shows_key(&asked), "the key leaves in the target: {}", String::from_utf8_lossy(&asked));
    for (name, value) in &sent(&member.headers, fields, &snapshot().keyring) {
        assert!(!shows_key(value.as_bytes()), "the key leaves in {name}");
    }
}
