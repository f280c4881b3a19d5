//! `tollgate health`, which a container's health check runs.

use std::net::TcpListener;
use std::process::Output;

use crate::support::Origin;
use crate::support::gate::command;

fn health(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command().arg("health").args(arguments).envs(variables.iter().copied()).output().expect("the binary runs")
}

#[test]
fn only_a_200_is_healthy() {
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0),
        ("HTTP/1.1 204 No Content\r\n\r\n", 1),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 1),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 1),
        ("SSH-2.0-OpenSSH_9.2\r\n", 1),
        ("HTTP/1.1 200", 0),
        ("", 1),
    ] {
        let origin = Origin::start(move |exchange| {
            exchange.write(answer)?;
            exchange.reset();
            exchange.stream.shutdown(std::net::Shutdown::Both)
        });
        let port = origin.port.to_string();
        let output = health(&["--port", &port], &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{answer:?}: {stderr}");
        assert_eq!(stderr.is_empty(), code == 0, "{answer:?}: {stderr}");
        assert_eq!(origin.only().start, "GET /health/liveliness HTTP/1.1", "{answer:?}");
    }
}

#[test]
fn nobody_there_is_not_healthy() {
    let port = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address").port().to_string();
    let output = health(&["--port", &port], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("not healthy: 127.0.0.1:"), "{output:?}");
}

#[test]
fn it_asks_where_the_running_one_listens() {
    let origin = Origin::plain();
    let port = origin.port.to_string();
    for (arguments, variables) in [
        (vec!["--port", &port], vec![]),
        (vec!["--port", &port, "--host", "127.0.0.1"], vec![]),
        // "Everywhere" is no address to ask at.
        (vec!["--port", &port, "--host", "0.0.0.0"], vec![]),
        (vec!["--port", &port], vec![("HOST", "0.0.0.0")]),
        (vec!["--port", &port], vec![("HOST", "a-name-that-a-shell-set")]),
        (vec!["--port", &port, "--host", "127.0.0.1"], vec![("HOST", "127.9.9.9")]),
    ] {
        let output = health(&arguments, &variables);
        assert_eq!(output.status.code(), Some(0), "{arguments:?} {variables:?}: {output:?}");
    }
    assert_eq!(health(&["--host", "no address"], &[]).status.code(), Some(2));
}
