#!/usr/bin/env bash
# Installs the Debian package for real, and takes it through its life: install, serve, reload, upgrade, remove, purge.
#
# In a root of its own (scripts/deb_root.sh): no network, no mount, nothing but chroot; a Depends that is missing is a failure.
# What the unit says (ExecStart, ExecReload, EnvironmentFile) is read from the installed unit and done, as a user without powers.
# The law: what is asked for is looked at, and anything else ends the test; it ends no process but those it has started.
# There is no systemd in that root: a stand-in for systemctl notes what it is told. How systemd runs a unit is not tried here; its
# notices are, in tests/blackbox/service.rs. What this machine cannot do is said; with DEB_TEST_STRICT=1 it is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin
umask 022

fail() {
    printf 'deb-test: %s\n' "$*" >&2
    exit 1
}

said() {
    printf 'deb-test: %s\n' "$*"
}

not_tried() {
    printf 'deb-test: NOT TRIED: %s\n' "$*" >&2
    [[ ${DEB_TEST_STRICT:-} != 1 ]] || exit 1
}

if ((EUID != 0)); then
    not_tried "everything: a root of its own needs root"
    exit 0
fi

package=$(realpath "${1:?deb-test: which package?}")
base=$(mktemp -d)
root=$base/root
# The user of the service walks through it.
chmod 755 "$base"
own=/usr/share/doc/tollgate/examples/own-user
main=
# shellcheck disable=SC2329 # the traps call it
clean() {
    if [[ $main ]]; then
        kill -KILL "$main" 2>/dev/null || true
        wait "$main" 2>/dev/null || true
    fi
    rm -rf "$base"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

dpkg_in_root() {
    in_root dpkg "$@" >"$base/dpkg.log" 2>&1 </dev/null || fail "dpkg $* ends with $?: $(<"$base/dpkg.log")"
}

# expect WHAT COMMAND...: the command must succeed.
expect() {
    local what=$1
    shift
    "$@" || fail "not so: $what"
}

absent() {
    [[ ! -e $root$1 && ! -L $root$1 ]]
}

mode() {
    [[ $(stat -c %a "$root$1") == "$2" ]]
}

told() {
    grep -qx -- "$1" "$root/told" || fail "systemctl was not told \"$1\" but: $(<"$root/told")"
}

unit() {
    sed -n "s/^$1=//p" "$root/usr/lib/systemd/system/tollgate.service"
}

# Does what ExecStart says, below the root, with what EnvironmentFile and StateDirectory would give; the system picks the ports.
start() {
    local words variables file
    read -ra words <<<"$(unit ExecStart)"
    file=$(unit EnvironmentFile)
    mapfile -t variables < <(grep -v '^#' "$root${file#-}" | grep .)
    : >"$base/log"
    chmod 644 "$base/log"
    env -i "${variables[@]}" STATE_DIRECTORY="$root/var/lib/private/$(unit StateDirectory)" \
        setpriv --reuid 61234 --regid 61234 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
        "${words[@]/#\//$root/}" --port 0 >"$base/log" 2>&1 </dev/null &
    main=$!
    await "it listens" grep -q '^listening on http://127.0.0.1:' "$base/log"
    address=$(sed -n 's/^listening on \(http:\/\/127.0.0.1:[0-9]*\)$/\1/p' "$base/log")
}

# await WHAT COMMAND...: within 15 s, as long as the process lives.
await() {
    local what=$1 tries=300
    shift
    until "$@"; do
        if ! kill -0 "$main" 2>/dev/null || ((tries-- == 0)); then
            fail "not so: $what: $(<"$base/log")"
        fi
        sleep 0.05
    done
}

stop() {
    kill -TERM "$main"
    wait "$main" || fail "SIGTERM ends it with $?: $(<"$base/log")"
    main=
}

# answers STATUS PATH [CURL'S ARGUMENTS]
answers() {
    [[ $(curl -s -o /dev/null -w '%{http_code}' "${@:3}" "$address$2") == "$1" ]]
}

# judge UNIT WHAT: systemd's own word on its sandbox.
judge() {
    systemd-analyze security --offline=true --threshold=15 --no-pager "$1" >"$base/security" ||
        fail "systemd-analyze security finds $1 over 1.5: $(tail -n 1 "$base/security")"
    said "$2: $(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p' "$base/security") of at most 1.5"
}

scripts/deb_root.sh "$package" "$root" || fail "there is no root to install in"

# --- installed where systemd does not run, as in a container ---
cp "$package" "$root/first.deb"
dpkg_in_root -i /first.deb
version=$(in_root dpkg-query -W -f "\${Version}" tollgate)
expect "the config is 0644" mode /etc/tollgate/config.yaml 644
expect "the file for secrets is 0600" mode /etc/tollgate/tollgate.env 600
expect "the unit is enabled" test -L "$root/etc/systemd/system/multi-user.target.wants/tollgate.service"
expect "all files are as packed" in_root dpkg --verify tollgate
in_root tollgate check --config /etc/tollgate/config.yaml >/dev/null 2>&1 || fail "check refuses the installed config"
said "installed $version"

if command -v systemd-analyze >/dev/null; then
    judge "$root/usr/lib/systemd/system/tollgate.service" "exposure of the unit"
    mkdir "$base/own"
    cat "$root"/usr/lib/systemd/system/tollgate.service <(echo "[Service]") \
        <(sed 1,/^.Service/d "$root$own/tollgate.own-user.conf") >"$base/own/tollgate.service"
    judge "$base/own/tollgate.service" "exposure with a user of its own"
else
    not_tried "what systemd-analyze says: it is not installed"
fi

# --- served as the unit says ---
secret=sk-deb-test-0123456789abcdef
echo "TOLLGATE_MASTER_KEY=$secret" >>"$root/etc/tollgate/tollgate.env"
state=$root/var/lib/private/tollgate
# systemd would hide the upper folder from everybody and mount the lower one for the service.
install -d -m 755 "$root/var/lib/private/other"
install -d -m 700 -o 61234 -g 61234 "$state"
ln -s private/tollgate "$root/var/lib/tollgate"
start
answers 200 /livez || fail "/livez: $(<"$base/log")"
expect "the store is made in the state folder" test -s "$state/tollgate.db"
answers 404 /probe || fail "the installed config has a route"
sed -e 's|# master_key: |master_key: |' \
    -e 's|^  pass_through_endpoints: \[\]|  pass_through_endpoints: [{path: /probe, target: "http://127.0.0.1:9/", auth: true}]|' \
    "$root/etc/tollgate/config.yaml" >"$base/changed.yaml"
cat "$base/changed.yaml" >"$root/etc/tollgate/config.yaml"
read -ra words <<<"$(unit ExecReload)"
in_root "${words[@]/\$MAINPID/$main}" || fail "ExecReload ends with $?: ${words[*]}"
await "reloaded: the route asks for a key" answers 401 /probe
answers 502 /probe -H "Authorization: Bearer $secret" || fail "the key of tollgate.env does not open the route: $(<"$base/log")"
answers 200 /livez || fail "/livez after the reload: $(<"$base/log")"
stop
# Root makes a key in the store of another user, and what it leaves there must still be that user's to open.
made=$(in_root tollgate key generate --state-dir /var/lib/tollgate --key_alias deb-test 2>"$base/key.log") ||
    fail "tollgate key generate: $(<"$base/key.log")"
made=$(grep -o 'sk-[A-Za-z0-9_-]*' <<<"$made")
said "served, reloaded by ExecReload, and ended with 0"

# --- upgraded where systemd runs; the higher version ships another config ---
mkdir "$root/run/systemd" "$root/run/systemd/system"
printf '#!/bin/sh\necho "$*" >>/told\n' | install -m 755 /dev/stdin "$root/usr/bin/systemctl"
dpkg-deb -R "$package" "$base/next"
sed -i "s/^Version: .*/Version: $version+next/" "$base/next/DEBIAN/control"
echo "# the next version's" >>"$base/next/etc/tollgate/config.yaml"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$base/next" "$root/next.deb" >/dev/null
cp "$root/etc/tollgate/tollgate.env" "$base/env"
dpkg_in_root --force-confold -i /next.deb
expect "it is the next version" test "$(in_root dpkg-query -W -f "\${Status} \${Version}" tollgate)" = "install ok installed $version+next"
expect "the changed config is kept" cmp "$base/changed.yaml" "$root/etc/tollgate/config.yaml"
expect "the new one lies beside it" grep -qx "# the next version's" "$root/etc/tollgate/config.yaml.dpkg-dist"
expect "the secrets are kept" cmp "$base/env" "$root/etc/tollgate/tollgate.env"
expect "they are still 0600" mode /etc/tollgate/tollgate.env 600
told "--system daemon-reload"
told ".*restart tollgate.service"
start
answers 401 /probe || fail "the kept config is not in force: $(<"$base/log")"
answers 502 /probe -H "Authorization: Bearer $made" || fail "a key made by root does not open the route: $(<"$base/log")"
stop
said "upgraded to $version+next: config and secrets are kept, and serve"

# --- removed, and purged ---
: >"$root/told"
dpkg_in_root -r tollgate
told ".*stop tollgate.service"
told "--system daemon-reload"
for file in /usr/bin/tollgate /usr/lib/systemd/system/tollgate.service /usr/share/tollgate /usr/share/doc/tollgate; do
    expect "$file is gone" absent "$file"
done
expect "the config stays" cmp "$base/changed.yaml" "$root/etc/tollgate/config.yaml"
expect "the secrets stay" cmp "$base/env" "$root/etc/tollgate/tollgate.env"
expect "the keys stay" test -s "$state/tollgate.db"
dpkg_in_root -P tollgate
find "$root" -xdev -iname '*tollgate*' >"$base/left"
[[ ! -s $base/left ]] || fail "purged, and still there: $(<"$base/left")"
expect "another service's state stays" test -d "$root/var/lib/private/other"
said "removed: config, secrets and keys stay; purged: nothing does"

# --- installed where the service cannot start ---
printf '#!/bin/sh\necho "$*" >>/told\ncase "$*" in *is-enabled*) echo enabled ;; *is-active*|*start*) exit 3 ;; esac\n' | install -m 755 /dev/stdin "$root/usr/bin/systemctl"
: >"$root/told"
dpkg_in_root -i /first.deb
told ".*start tollgate.service"
expect "it is installed" test "$(in_root dpkg-query -W -f "\${Status}" tollgate)" = "install ok installed"
if command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
    # As tollgate.sysusers says.
    install -D -m 644 "$root$own/tollgate.sysusers" "$root/etc/sysusers.d/tollgate.conf"
    install -D -m 644 "$root$own/tollgate.tmpfiles" "$root/etc/tmpfiles.d/tollgate.conf"
    systemd-sysusers --root="$root" >"$base/own.log" 2>&1 || fail "systemd-sysusers: $(<"$base/own.log")"
    systemd-tmpfiles --root="$root" --create tollgate.conf || fail "systemd-tmpfiles refuses tollgate.tmpfiles"
    expect "the config is its own user's to read" test "$(in_root stat -c '%U:%G %a' /etc/tollgate/config.yaml)" = "root:tollgate 640"
else
    not_tried "a user of its own: systemd-sysusers and systemd-tmpfiles are not installed"
fi
dpkg_in_root -P tollgate
said "a service that does not start is no failure of the package"
