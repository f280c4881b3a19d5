#!/usr/bin/env bash
# Puts Tollgate and what belongs to it where a Debian system looks: executable, unit, manual page, completions, schema, examples.
#
#   scripts/install.sh            install, below DESTDIR if that is set
#   scripts/install.sh remove     remove what it installs; the config, the secrets and the state stay
#
# The law: a file in SYSCONFDIR that is there is never written and never removed.
# It does not build, makes no user, and enables and starts nothing: `systemctl enable --now tollgate` does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022

verb=${1:-install}
bin=${BIN_DIR:-${CARGO_TARGET_DIR:-target}/release}/tollgate
destdir=${DESTDIR:-}
prefix=${PREFIX:-/usr}
etc=${SYSCONFDIR:-/etc}/tollgate
share=$prefix/share
doc=$share/doc/tollgate
examples=$doc/examples
# Where zsh looks: Debian gives packages a folder of their own, and /usr/local the usual one.
zsh=$share/zsh/site-functions
[[ $prefix != /usr ]] || zsh=$share/zsh/vendor-completions

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# put MODE SOURCE TARGET: one file, installed or removed.
put() {
    if [[ $verb == remove ]]; then
        rm -f "$destdir$3"
    else
        install -D -m "$1" "$2" "$destdir$3"
    fi
}

# keep MODE SOURCE TARGET: one file that belongs to the administrator from its first moment.
keep() {
    if [[ -e $destdir$3 || -L $destdir$3 ]]; then
        echo "install: $destdir$3 is yours, and stays as it is"
    elif [[ $verb == install ]]; then
        install -D -m "$1" "$2" "$destdir$3"
    fi
}

case $verb in
    install)
        [[ -x $bin ]] || {
            echo "install: there is no $bin: run \`make build\` first, as yourself" >&2
            exit 1
        }
        "$bin" man >"$work/man"
        for shell in bash zsh fish; do
            "$bin" completions "$shell" >"$work/$shell"
        done
        # The unit is written for /usr and /etc.
        sed -e "s#/usr/bin/tollgate#$prefix/bin/tollgate#g" -e "s#/etc/tollgate/#$etc/#g" conf/tollgate.service >"$work/unit"
        ;;
    remove) ;;
    *)
        echo "install: unknown argument $verb; there is: remove" >&2
        exit 1
        ;;
esac

put 755 "$bin" "$prefix/bin/tollgate"
put 644 "$work/unit" "$prefix/lib/systemd/system/tollgate.service"
put 644 "$work/man" "$share/man/man1/tollgate.1"
put 644 "$work/bash" "$share/bash-completion/completions/tollgate"
put 644 "$work/zsh" "$zsh/_tollgate"
put 644 "$work/fish" "$share/fish/vendor_completions.d/tollgate.fish"
put 644 conf/config.schema.json "$share/tollgate/config.schema.json"
for file in README.md CHANGELOG.md LICENSE; do
    put 644 "$file" "$doc/$file"
done
for file in docs/providers/*.md; do
    put 644 "$file" "$doc/providers/${file##*/}"
done
for file in conf/{full,starter}.yaml conf/providers/*.yaml; do
    put 644 "$file" "$examples/${file#conf/}"
done
for file in tollgate.sysusers tollgate.tmpfiles tollgate.own-user.conf; do
    put 644 "conf/$file" "$examples/own-user/$file"
done

keep 644 conf/service.yaml "$etc/config.yaml"
keep 600 conf/tollgate.env "$etc/tollgate.env"

if [[ $verb == remove ]]; then
    for folder in "$examples"/{own-user,providers,} "$doc"/{providers,} "$share/tollgate"; do
        rmdir "$destdir$folder" 2>/dev/null || true
    done
fi
