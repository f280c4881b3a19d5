//! `tollgate.listen`, and what the command line says instead of it.
//!
//! The law: an address is listened on once; a certificate comes with its key; who announces clients is trusted by name.

use std::path::{Path, PathBuf};

use crate::config::error::{Report, Site};
use crate::config::fields::{LISTEN, LISTEN_TLS};
use crate::config::listen::{self, Listen, Tls};
use crate::config::raw::{Node, Value};
use crate::config::section::{Section, scalar, shorten};
use crate::config::{Edge, Overrides};

/// Where to listen, and how.
pub(super) fn read(
    own: Option<&Section<'_>>,
    overrides: &Overrides,
    folder: &Path,
    edge: &Edge,
    top: &Site,
    report: &mut Report,
) -> Vec<Listen> {
    let port = overrides.port.unwrap_or(listen::DEFAULT_PORT);
    // They are read even where the command line wins, so that what is wrong with them is said.
    let entries = own.and_then(|own| own.list("listen", report)).unwrap_or_default();
    let read = read_entries(entries, folder, edge, report);
    let mut out = match (&overrides.host, overrides.port) {
        // The command line has been checked by the time a file is read.
        (Some(host), _) => like(listen::host(host, port).unwrap_or_else(|| listen::loopback(port)), read.first()),
        (None, _) if read.is_empty() => listen::loopback(port),
        (None, Some(port)) => moved(read, port),
        (None, None) => read,
    };
    if let (Some(cert), Some(key)) = (&overrides.tls_cert, &overrides.tls_key) {
        let tls = Tls { cert: cert.clone(), key: key.clone(), client_ca: None, site: top.clone() };
        for listen in &mut out {
            listen.tls.get_or_insert_with(|| tls.clone());
        }
    }
    out
}

/// An address of the command line is spoken to as the file's first is: nothing is less guarded for having moved.
fn like(mut listens: Vec<Listen>, first: Option<&Listen>) -> Vec<Listen> {
    for (listen, first) in listens.iter_mut().zip(first.into_iter().cycle()) {
        listen.tls.clone_from(&first.tls);
        listen.announced = first.announced;
    }
    listens
}

/// The same addresses at another port, each once.
fn moved(listens: Vec<Listen>, port: u16) -> Vec<Listen> {
    let mut out: Vec<Listen> = Vec::new();
    for mut listen in listens {
        listen.address.set_port(port);
        if !out.iter().any(|known| known.address == listen.address) {
            out.push(listen);
        }
    }
    out
}

fn read_entries(entries: Vec<(&Node, Site)>, folder: &Path, edge: &Edge, report: &mut Report) -> Vec<Listen> {
    let mut out: Vec<Listen> = Vec::new();
    for (node, site) in entries {
        for new in read_entry(node, &site, folder, edge, report) {
            if out.iter().any(|known| known.address == new.address) {
                let what = format!("`{}` is listened on already", new.address);
                report.problem(&site, what, "list each address once");
            } else {
                out.push(new);
            }
        }
    }
    out
}

fn read_entry(node: &Node, site: &Site, folder: &Path, edge: &Edge, report: &mut Report) -> Vec<Listen> {
    let Value::Map(_) = node.value else {
        return scalar(node, site, report).map_or_else(Vec::new, |text| address(&text, site, report));
    };
    let Some(section) = Section::open(node, &site.path, &LISTEN, &[], report) else { return Vec::new() };
    let Some((text, place)) = section.text("address", report) else {
        if section.entry("address").is_none() {
            report.problem(site, "`address` is missing", "write address: ADDRESS:PORT");
        }
        return Vec::new();
    };
    let mut out = address(&text, &place, report);
    let tls = section.section("tls", &LISTEN_TLS, &[], report).and_then(|tls| read_tls(&tls, folder, report));
    let announced = section.boolean("proxy_protocol", report).unwrap_or(false);
    if announced && edge.trusted_proxies.is_empty() {
        report.problem(
            site,
            "`proxy_protocol` believes whoever connects, and no proxy is trusted",
            "list the proxies' networks under tollgate.trusted_proxies",
        );
    }
    for listen in &mut out {
        listen.tls.clone_from(&tls);
        listen.announced = announced;
    }
    out
}

/// `tollgate.admin_listen`; none: nobody said.
pub(super) fn admin(own: &Section<'_>, report: &mut Report) -> Option<Vec<Listen>> {
    if own.entry("admin_listen").is_some_and(|entry| matches!(entry.node.value, Value::Bool(false))) {
        return Some(Vec::new());
    }
    own.text("admin_listen", report).map(|(text, site)| address(&text, &site, report))
}

fn address(text: &str, site: &Site, report: &mut Report) -> Vec<Listen> {
    listen::address(text).unwrap_or_else(|| {
        let what = format!("`{}` is not an address to listen on", shorten(text));
        report.problem(site, what, "write ADDRESS:PORT, as 127.0.0.1:4000 or [::1]:4000");
        Vec::new()
    })
}

fn read_tls(section: &Section<'_>, folder: &Path, report: &mut Report) -> Option<Tls> {
    let mut path = |key: &str, needed: bool| -> Option<PathBuf> {
        if needed && section.entry(key).is_none() {
            report.problem(section.site(), format!("`{key}` is missing"), format!("write {key}: FILE.pem"));
        }
        section.text(key, report).map(|(text, _)| folder.join(text))
    };
    let (cert, key, client_ca) = (path("cert", true), path("key", true), path("client_ca", false));
    Some(Tls { cert: cert?, key: key?, client_ca, site: section.site().clone() })
}
