#!/usr/bin/env bash
# Makes the Debian package of the executable that is built: target/deb/tollgate_VERSION_ARCHITECTURE.deb, with dpkg's own tools.
#
#   scripts/deb.sh          make it
#   scripts/deb.sh name     only say where it is
#
#   DEBFULLNAME, DEBEMAIL   who stands behind the package; the default is an address that goes nowhere
#   SOURCE_DATE_EPOCH       the time that everything in it bears; default: the last commit's
#
# The law: what is in it is what `make install` installs, plus what Debian asks for; lintian finds no error and no warning, or there
# is no package; the same sources and executable make the same bytes.
# It does not build Tollgate, sign, or upload. The package fits the Debian it is made on, and later ones: Depends are computed here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022

fail() {
    printf 'deb: %s\n' "$*" >&2
    exit 1
}

bin_dir=${BIN_DIR:-${CARGO_TARGET_DIR:-target}/release}
out=${CARGO_TARGET_DIR:-target}/deb
maintainer="${DEBFULLNAME:-Tollgate maintainers} <${DEBEMAIL:-maintainers@tollgate.example}>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# A release that is to come sorts before it: 1.0.0-rc.1 is 1.0.0~rc.1.
release=$(sed -nE '/^\[package\]/,/^\[dep/s/^version = "(.*)"/\1/p' Cargo.toml)
version=${release/-/\~}
architecture=$(dpkg --print-architecture)
package=$out/tollgate_${version}_$architecture.deb
case ${1:-} in
    name)
        echo "$package"
        exit 0
        ;;
    "") ;;
    *) fail "unknown argument $1; there is: name" ;;
esac

built=$("$bin_dir/tollgate" --version) || fail "there is no executable in $bin_dir: make build"
[[ $built == "tollgate $release" || $built == "tollgate $release "* ]] ||
    fail "$bin_dir/tollgate says \"$built\", Cargo.toml $release: make build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
doc=$root/usr/share/doc/tollgate

DESTDIR=$root PREFIX=/usr SYSCONFDIR=/etc BIN_DIR=$bin_dir scripts/install.sh

# Debian's own places. postinst puts the file for secrets into /etc, at 0600.
mkdir -p "$root/DEBIAN"
mv "$root/etc/tollgate/tollgate.env" "$root/usr/share/tollgate/tollgate.env"
chmod 644 "$root/usr/share/tollgate/tollgate.env"
rm "$doc/LICENSE"
install -m 644 scripts/deb/copyright "$doc/copyright"
install -D -m 644 scripts/deb/lintian-overrides "$root/usr/share/lintian/overrides/tollgate"
"${PYTHON:-python3}" -B scripts/notices.py >"$doc/third-party-notices.txt"
cat >"$doc/changelog" <<END
tollgate ($version) unstable; urgency=medium

  * What has changed is in CHANGELOG.md beside this file.

 -- $maintainer  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
END
gzip -9n "$doc"/{changelog,third-party-notices.txt} "$root/usr/share/man/man1/tollgate.1"

# dpkg-shlibdeps wants to stand in a source package. The unit's ExecReload is /bin/kill, which procps brings.
mkdir "$work/debian"
printf 'Source: tollgate\n\nPackage: tollgate\nArchitecture: any\n' >"$work/debian/control"
executable=$root/usr/bin/tollgate
libraries=$(cd "$work" && dpkg-shlibdeps -O "$executable" | sed -n 's/^shlibs:Depends=//p')
[[ $libraries ]] || fail "dpkg-shlibdeps knows no library of $executable"

echo /etc/tollgate/config.yaml >"$root/DEBIAN/conffiles"
install -m 755 scripts/deb/{postinst,prerm,postrm} "$root/DEBIAN"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$architecture|" -e "s|@MAINTAINER@|$maintainer|" \
    -e "s|@SIZE@|$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)|" -e "s|@DEPENDS@|$libraries, procps|" \
    scripts/deb/control >"$root/DEBIAN/control"

mkdir -p "$out"
# lintian judges the name, too.
unjudged=$work/${package##*/}
dpkg-deb --root-owner-group --build "$root" "$unjudged" >/dev/null
lintian --allow-root --fail-on error,warning "$unjudged" || fail "lintian finds fault with it"
mv "$unjudged" "$package"
echo "deb: $package"
