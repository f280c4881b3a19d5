#!/usr/bin/env bash
# Installs what a bare Debian machine with Rust lacks, and nothing that is there.
#
#   scripts/setup.sh          what a build and `make run` need
#   scripts/setup.sh test     and what the tests need
#   scripts/setup.sh bench    and what the benches need
#   scripts/setup.sh deb      and what the Debian package and its test need
set -euo pipefail

# Servers often live outside a user's PATH.
PATH=$PATH:/usr/sbin:/sbin

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

packages=()
reasons=()

# need PACKAGE REASON COMMAND...: the package is missing when the command fails.
need() {
    local package=$1 reason=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        packages+=("$package")
        reasons+=("$package: $reason")
    fi
}

need ca-certificates "the root certificates that upstreams are verified by" test -s /etc/ssl/certs/ca-certificates.crt
need cmake "builds the compression library that Pingora links" command -v cmake
need curl "talks to Tollgate" command -v curl
need g++ "compiles the C++ parts of dependencies" command -v g++
need gcc "compiles the C parts of dependencies, and links" command -v gcc
need make "runs the Makefile" command -v make
need openssl "makes and reads certificates" command -v openssl
for extra in "$@"; do
    case $extra in
        test)
            need nodejs "runs the clients' own SDKs in TypeScript" command -v node
            need npm "installs those" command -v npm
            need python3 "runs the clients' own SDKs in the tests" command -v python3
            need slowhttptest "makes the slow clients of a test" command -v slowhttptest
            need python3-venv "keeps those SDKs apart from the system" python3 -c 'import ensurepip, venv'
            ;;
        bench)
            need haproxy "the yardstick that reloads are measured beside" command -v haproxy
            need nginx-light "the yardstick that the benches measure beside" command -v nginx
            need nghttp2-client "makes the load over HTTP/2" command -v h2load
            need wrk "makes the load of the benches" command -v wrk
            ;;
        deb)
            need dpkg-dev "says which libraries the Debian package depends on" command -v dpkg-shlibdeps
            need lintian "judges the Debian package" command -v lintian
            need procps "has the command that the unit reloads with, for the test's root" dpkg -s procps
            need python3 "gathers the notices of the crates that are linked" command -v python3
            ;;
        *) fail "unknown argument $extra; there are: test, bench, deb" ;;
    esac
done

command -v cargo >/dev/null ||
    fail "Rust is missing (cargo is not in PATH): install it from https://rustup.rs, then run this again"

if ((${#packages[@]} == 0)); then
    echo "setup: all there"
    exit 0
fi

echo "setup: installing what is missing:"
printf '  %s\n' "${reasons[@]}"
command -v apt-get >/dev/null ||
    fail "there is no apt here: install these yourself, by the names they have on this system: ${packages[*]}"

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}
((EUID == 0)) || command -v sudo >/dev/null ||
    fail "sudo is missing: run as root: apt-get install --no-install-recommends ${packages[*]}"

# A package that brings a server would start it. Debian asks this file first, and 101 means no.
policy=/usr/sbin/policy-rc.d
if [[ " ${packages[*]} " =~ " haproxy "|" nginx-light " && ! -e $policy ]]; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
fi

as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
echo "setup: installed ${packages[*]}"
