#!/usr/bin/env bash
# Runs the ```sh blocks of README.md, docs/ and conf/*.md against a fresh pair of Tollgate and sample upstream, so that nothing
# is printed there that does not work.
#
#   <!-- not run: REASON -->   on the line before a block (empty lines may stand between): skipped, with the reason
#   # expect: TEXT             in a block: its output must hold TEXT; several lines, several texts
#
# localhost:4000 and 127.0.0.1:4000 become the real address, `tollgate` is the one just built, and the variables of
# conf/quickstart.yaml are set. A block fails when any of its commands does; in a block that expects nothing an HTTP
# error counts as one too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=$(realpath -m "${BIN_DIR:-${CARGO_TARGET_DIR:-target}/release}")
work=$(mktemp -d)
run=
# shellcheck disable=SC2329 # the traps call it
stop() {
    trap '' INT TERM HUP
    if [[ -n $run ]]; then
        kill -TERM "$run" 2>/dev/null || true
        wait "$run" || true
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM HUP

PORT=0 READY_FILE=$work/ready BIN_DIR=$bin scripts/run.sh >"$work/run.log" 2>&1 &
run=$!
tries=1200
until [[ -s $work/ready ]]; do
    if ! kill -0 "$run" 2>/dev/null || ((tries-- == 0)); then
        cat "$work/run.log" >&2
        echo "readme: scripts/run.sh did not get ready" >&2
        exit 1
    fi
    sleep 0.05
done
# shellcheck source=/dev/null
. "$work/ready"
export UPSTREAM_PORT UPSTREAM_SECRET=not-the-real-one
if [[ -f conf/example.env ]]; then
    set -a
    # shellcheck source=/dev/null
    . conf/example.env
    set +a
    # shellcheck source=/dev/null
    . "$work/ready"
fi
export PATH=$bin:$PATH

# Each block becomes NUMBER.sh, with NUMBER.from (file:line) and, where it is marked, NUMBER.skip (the reason).
shopt -s nullglob
files=(README.md docs/*.md docs/*/*.md conf/*.md)
awk -v work="$work" '
    FNR == 1 { reason = ""; inside = 0; other = 0 }
    inside && /^[ \t]*```[ \t]*$/ { inside = 0; close(block); next }
    inside { print substr($0, 1, indent) ~ /^[ \t]*$/ ? substr($0, indent + 1) : $0 >> block; next }
    other { if ($0 ~ /^[ \t]*```[ \t]*$/) other = 0; next }
    /^[ \t]*```sh[ \t]*$/ {
        name = sprintf("%s/%03d", work, ++count)
        block = name ".sh"
        indent = index($0, "`") - 1
        printf "" > block
        print FILENAME ":" FNR > (name ".from"); close(name ".from")
        if (reason != "") { print reason > (name ".skip"); close(name ".skip") }
        inside = 1; reason = ""
        next
    }
    /^[ \t]*```/ { other = 1; reason = ""; next }
    /^[ \t]*<!-- not run: .* -->[ \t]*$/ { reason = $0; gsub(/^[ \t]*<!-- not run: | -->[ \t]*$/, "", reason); next }
    NF { reason = "" }
' "${files[@]}"

passed=0
failed=0
for block in "$work"/[0-9]*.sh; do
    name=${block%.sh}
    from=$(<"$name.from")
    if [[ -s $name.skip ]]; then
        printf 'skip  %s  %s\n' "$from" "$(<"$name.skip")"
        continue
    fi
    sed -i -E "s/(localhost|127\.0\.0\.1):4000/127.0.0.1:$TOLLGATE_PORT/g" "$block"
    sed -n 's/^[[:space:]]*# expect: //p' "$block" >"$name.expect"
    curl='command curl --silent --show-error'
    [[ -s $name.expect ]] || curl+=' --fail'
    printf 'curl() { %s "$@"; }\n' "$curl" | cat - "$block" >"$name.run"
    problem=
    timeout 60 bash -euo pipefail "$name.run" </dev/null >"$name.out" 2>&1 || problem="ended with status $?"
    while [[ -z $problem ]] && IFS= read -r text; do
        grep -qF -- "$text" "$name.out" || problem="the output does not hold: $text"
    done <"$name.expect"
    if [[ -z $problem ]]; then
        passed=$((passed + 1))
        printf 'pass  %s\n' "$from"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s  %s\n' "$from" "$problem"
        sed 's/^/      | /' "$name.out"
    fi
done

printf '%s passed, %s failed\n' "$passed" "$failed"
((failed == 0 && passed > 0))
