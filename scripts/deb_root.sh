#!/usr/bin/env bash
# Makes a root to install a Debian package in: scripts/deb_root.sh PACKAGE.deb FOLDER
#
# It holds the essential packages of this machine and what they and PACKAGE depend on, as they are installed here, with dpkg's
# records of them. The law: nothing else is in it, so what PACKAGE needs and does not say is missing there, as on a bare system.
# It needs root, and neither network nor mounts; so there is no /proc, and /dev has nothing but a file that swallows what is written.
# Their maintainer scripts are not run: what those would have made (alternatives, caches) is not there.
set -euo pipefail
umask 022

package=$1
root=$2
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# NAME:ARCHITECTURE of each, by dpkg's status. Of alternatives the first that is installed counts; versions are dpkg's to judge.
awk -v RS= -v FS='\n' -v wanted="$(dpkg-deb -f "$package" Depends)" -v native="$architecture" '
    function alone(name) { gsub(/[ \t]|\(.*|:.*/, "", name); return name }
    { name = depends = offers = architecture = ""; kept = vital = 0
      for (i = 1; i <= NF; i++) {
          if ($i ~ /^Package: /) name = substr($i, 10)
          else if ($i ~ /^Architecture: /) architecture = substr($i, 15)
          else if ($i ~ /^Status: .* ok installed$/) kept = 1
          else if ($i == "Essential: yes") vital = 1
          else if ($i ~ /^Provides: /) offers = substr($i, 11)
          else if ($i ~ /^(Pre-)?Depends: /) { sub(/^[^ ]* /, "", $i); depends = depends "," $i }
      }
      if (!kept || (architecture != native && architecture != "all")) next
      needs[name] = depends; provides[name] = offers; of[name] = architecture; by[name] = name
      if (vital) wanted = wanted "," name
    }
    END {
        for (name in provides) {
            n = split(provides[name], list, ",")
            for (i = 1; i <= n; i++) if (!(alone(list[i]) in by)) by[alone(list[i])] = name
        }
        while (wanted != "") {
            n = split(wanted, list, ","); wanted = ""
            for (i = 1; i <= n; i++) {
                m = split(list[i], choice, "|")
                for (k = 1; k <= m; k++) if (alone(choice[k]) in by) {
                    found = by[alone(choice[k])]
                    if (!(found in seen)) { seen[found] = 1; print found ":" of[found]; wanted = wanted "," needs[found] }
                    break
                }
            }
        }
    }' /var/lib/dpkg/status >"$work/names"

mkdir -p "$root"/{dev,proc,run,tmp,var/lib/dpkg/{info,updates}}
for folder in bin sbin lib lib32 lib64 libx32; do
    if [[ -L /$folder ]]; then
        mkdir -p "$root/usr/$folder"
        ln -s "usr/$folder" "$root/$folder"
    fi
done

while read -r name; do
    list=/var/lib/dpkg/info/$name.list
    # Most packages are recorded by the name alone.
    [[ -e $list ]] || list=/var/lib/dpkg/info/${name%:*}.list
    cat "$list" >>"$work/files"
    dpkg-query --control-path "$name" | xargs cp -t "$root/var/lib/dpkg/info" "$list"
done <"$work/names"
# Documentation may be missing where images are slim, and is not needed.
LC_ALL=C sort -u "$work/files" | grep -vE \
    '^/(\.|bin|sbin|lib|lib32|lib64|libx32|proc|dev)$|^/usr/share/(doc|man|info|locale|lintian)/' >"$work/sorted"
# tar leaves out what is not there, and says so for each.
tar -C / --no-recursion --ignore-failed-read --warning=no-failed-read -cf - -T "$work/sorted" 2>"$work/said" |
    tar -C "$root" --keep-directory-symlink -xf - || {
    cat "$work/said" >&2
    exit 1
}

awk -v RS= -v ORS='\n\n' -v FS='\n' '
    NR == FNR { for (i = 1; i <= NF; i++) names[$i] = 1; next }
    { name = architecture = ""
      for (i = 1; i <= NF; i++) {
          if ($i ~ /^Package: /) name = substr($i, 10)
          else if ($i ~ /^Architecture: /) architecture = substr($i, 15)
      }
    }
    name ":" architecture in names' "$work/names" /var/lib/dpkg/status >"$root/var/lib/dpkg/status"
cp /usr/share/base-passwd/passwd.master "$root/etc/passwd"
cp /usr/share/base-passwd/group.master "$root/etc/group"
install -m 666 /dev/stdin "$root/dev/null" </dev/null
echo "deb-root: $(wc -l <"$work/names") packages, $(du -sm "$root" | cut -f1) MB"
