//! What an admitted request would be sent as: URL, headers, and the limits it is under.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{Asked, Page};
use crate::admit::Admission;
use crate::header::{Hop, SetHeader, Withheld, nominated, passed_name};
use crate::snapshot::{Lead, Member, Snapshot};

pub(super) fn rows(page: &mut Page, asked: &Asked, snapshot: &Snapshot, admission: &Admission) {
    let Lead::Group(group) = &admission.route.lead else { return };
    let member = group.member(0);
    let path = admission.path_and_query(member, snapshot);
    page.row("upstream", &format!("{} {}", asked.method, member.target.shown(&path)));
    headers(page, asked, snapshot, member);
    let body = match snapshot.request_bytes {
        Some(most) => format!("at most {most} bytes, byte for byte"),
        None => "of any size, byte for byte".to_owned(),
    };
    page.row("body", &body);
    let (connect, silence) = (seconds(snapshot.connect), seconds(member.silence));
    page.row("timeouts", &format!("{connect} for TCP and again for TLS, then {silence} of silence"));
    let stale = if asked.method.is_idempotent() || member.retry_non_idempotent {
        "once more also after a pooled connection was stale"
    } else {
        "not after a pooled connection was stale (retry_non_idempotent is off)"
    };
    page.row("retries", &format!("what the upstream has not begun with is sent again; {stale}"));
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// The fields that are sent, then the client's that are not.
fn headers(page: &mut Page, asked: &Asked, snapshot: &Snapshot, member: &Member) {
    let plan = &member.headers;
    let is_key = |value: &[u8]| snapshot.keyring.occurs_in(value);
    let mut sent = asked.headers.clone();
    // The server removes these before any plan is looked at.
    let of_connection: Vec<HeaderName> = asked.headers.get_all(header::CONNECTION).iter().flat_map(nominated).collect();
    for name in &of_connection {
        sent.remove(name);
    }
    let told = if snapshot.forwarded_headers { told(asked) } else { Vec::new() };
    let via = snapshot.pseudonym.via(http::Version::HTTP_11);
    let hop = Hop { host: &member.target.host_value, via, told: &told };
    let Ok(()) = plan.rewrite(&mut sent, hop, is_key);
    let mut names: Vec<&HeaderName> = sent.keys().collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let mut label = "headers";
    for name in names {
        for value in sent.get_all(name) {
            // The name that the process signs with is made anew at every start.
            let ours = *name == header::VIA && value == hop.via;
            let told = told.iter().any(|header| header.name == *name);
            let shown = match (ours, told) {
                (true, _) => "1.1 tollgate-…".to_owned(),
                (_, true) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
                _ => plan.shown(name, value),
            };
            let from = if plan.sets(name) {
                "the config"
            } else if ours || told || *name == header::HOST {
                "Tollgate"
            } else {
                "the client"
            };
            page.row(label, &format!("{name}: {shown}  ({from})"));
            label = "";
        }
    }
    withheld(page, &asked.headers, &of_connection, |name, value| plan.withheld(name, is_key(value)));
}

/// What `tollgate.forwarded_headers` adds for a client that no proxy has sent.
fn told(asked: &Asked) -> Vec<SetHeader> {
    let header = |name, value| SetHeader::plain(HeaderName::from_static(name), name, value);
    let mut out = vec![
        header("x-forwarded-for", HeaderValue::from_static("the client's address")),
        header("x-forwarded-proto", HeaderValue::from_static("http")),
    ];
    out.extend(asked.headers.get(header::HOST).map(|host| header("x-forwarded-host", host.clone())));
    out
}

fn withheld(
    page: &mut Page,
    headers: &HeaderMap,
    of_connection: &[HeaderName],
    why: impl Fn(&HeaderName, &[u8]) -> Option<Withheld>,
) {
    let mut label = "not sent";
    for (name, value) in headers.iter().filter(|(name, _)| **name != header::HOST) {
        let why = why(name, value.as_bytes());
        let text = match why {
            _ if of_connection.contains(name) => "Connection names it".to_owned(),
            None => continue,
            Some(Withheld::Tollgate) if passed_name(name).is_some() => "it is sent without its x-pass-".to_owned(),
            Some(Withheld::Connection) => "it speaks for the connection alone".to_owned(),
            Some(Withheld::Key) => "it holds a Tollgate key, which never leaves".to_owned(),
            Some(Withheld::NotForwarded) => "forward_headers: true would send it".to_owned(),
            Some(Withheld::Replaced) => "the config sets it".to_owned(),
            Some(Withheld::Tollgate) => "it is meant for Tollgate".to_owned(),
        };
        page.row(label, &format!("{name}: {text}"));
        label = "";
    }
}
