//! Many slow clients at once, as slowhttptest makes them: the service stays available, and each of them is cut in time.

use std::process::Command;

use crate::support::gate::routes;
use crate::support::{Gate, Origin, wait_until};

/// How many slow clients there are.
const CLIENTS: usize = 150;

fn attack(port: u16, mode: &[&str]) -> String {
    let url = format!("http://127.0.0.1:{port}/a");
    let clients = CLIENTS.to_string();
    let common = ["-c", &clients, "-r", &clients, "-l", "8", "-p", "5", "-v", "1", "-u", &url];
    let output = Command::new("slowhttptest").args(mode).args(common).output();
    let output = output.expect("slowhttptest runs; `make setup` and scripts/setup.sh test install it");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn slow_clients_are_cut_and_others_are_served() {
    for (mode, mark) in [
        (["-H", "-i", "5"].as_slice(), "\"reason\":\"head_timeout\""),
        (&["-B", "-i", "5", "-s", "8192"], "\"reason\":\"body_timeout\""),
        (&["-X", "-n", "5", "-z", "1", "-w", "10", "-y", "20", "-k", "1"], "\"broken\":true"),
    ] {
        let large = "x".repeat(4 << 20);
        let origin = Origin::start(move |exchange| exchange.ok(&large));
        let entry = format!("{{path: /a, target: '{}'}}", origin.url("/"));
        let gate = Gate::start(&routes(&[entry], "tollgate: {timeouts: {header: 1, body: 1, write: 1}}"));
        let report = attack(gate.port, mode);
        assert!(report.contains("service available") && report.contains("YES"), "{mode:?}: {report}");
        wait_until("every slow client has been cut", || gate.log().matches(mark).count() >= CLIENTS);
    }
}
