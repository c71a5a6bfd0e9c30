#!/usr/bin/env bash
# The adapter's package in a Debian of its own: it installs, its program starts as its user, its unit is one that systemd takes,
# what was configured survives an upgrade and a removal, and a purge leaves nothing behind. dpkg, adduser and systemd are the
# witnesses.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" -eq 0 ] || { echo "a Debian root is made by root alone"; exit 77; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed"; exit 77; }
pkg-config --exists libpcsclite 2>/dev/null || { echo "libpcsclite-dev is not installed"; exit 77; }
T=$(mktemp -d); chmod 755 "$T"; root=$T/root; started=
cleanup() { [ -z "$started" ] || kill -KILL "$started" 2>/dev/null || true; umount "$root/proc" 2>/dev/null || true; rm -rf "$T"; }
trap cleanup EXIT
fail() { echo "$*"; exit 1; }

# A machine that cannot reach Debian has no root to try it in.
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
mmdebstrap --quiet --variant=minbase --include=adduser,systemd,libpcsclite1,libgcc-s1 "$suite" "$root" 2>"$T/said" \
  || { tail -n 3 "$T/said"; echo "no Debian root could be made"; exit 77; }

# What is tried is what is around the program, so the one that the tests have built will do; the field's own is in the board's
# package, whose program the twin runs.
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet ${SEALFAX_CARGO:---workspace --features pcsc}
"${CARGO_TARGET_DIR:-target}/debug/sealfax-rig" package --arch amd64 --built --out "$T" >"$T/said" 2>&1 \
  || { tail -n 40 "$T/said"; fail "the package could not be made"; }
deb=$(echo "$T"/sealfax-adapter_*_amd64.deb)
size=$(stat -c %s "$deb")
dpkg-deb -f "$deb" Depends | grep libpcsclite1 >/dev/null || fail "it does not depend on libpcsclite1"
if command -v lintian >/dev/null; then
  lintian --fail-on error,warning "$deb" >"$T/said" 2>&1 || { cat "$T/said"; fail "lintian complains"; }
fi

# The next version: another number, another example.
dpkg-deb -R "$deb" "$T/next"
sed -i 's/^Version: .*/Version: 99.0-1/' "$T/next/DEBIAN/control"
echo '# of the next version' >>"$T/next/etc/sealfax/adapter.toml"
(cd "$T/next" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -b "$T/next" "$T/next.deb" >/dev/null

cp "$deb" "$root/tmp/now.deb"; cp "$T/next.deb" "$root/tmp/next.deb"
mount -t proc proc "$root/proc"
in_root() { chroot "$root" env LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
dpkg_says() { in_root dpkg "$@" >"$T/said" 2>&1 || { cat "$T/said"; fail "dpkg $* failed"; }; }
(cd "$root" && find etc usr var -xdev | sort) >"$T/before"

# Installed.
dpkg_says -i /tmp/now.deb
in_root getent passwd sealfax | grep ':/var/lib/sealfax:' >/dev/null || fail "there is no user sealfax"
in_root id -nG sealfax | grep -w video >/dev/null || fail "the user cannot use the screen"
[ "$(in_root stat -c '%U:%G %a' /etc/sealfax/adapter.toml)" = 'root:sealfax 640' ] || fail "the configuration is not kept from others"
for file in usr/bin/sealfax-adapter usr/lib/udev/rules.d/60-sealfax-adapter.rules usr/lib/sysctl.d/60-sealfax-adapter.conf \
  usr/share/polkit-1/rules.d/sealfax-pcscd.rules usr/share/doc/sealfax-adapter/README.Debian \
  usr/share/doc/sealfax-adapter/copyright usr/share/doc/sealfax-adapter/examples/network/70-sealfax-terminal.network \
  etc/systemd/system/multi-user.target.wants/sealfax-adapter.service; do
  [ -e "$root/$file" ] || [ -L "$root/$file" ] || fail "/$file is missing"
done
unit=$(in_root dpkg -L sealfax-adapter | grep '/sealfax-adapter\.service$')
in_root systemd-analyze verify "$unit" >"$T/said" 2>&1 || { cat "$T/said"; fail "systemd does not take the unit"; }
if grep -v pcscd.socket "$T/said" | grep . >/dev/null; then cat "$T/said"; fail "systemd complains about the unit"; fi
exposure=$(in_root systemd-analyze security --offline=yes --no-pager "$unit" 2>/dev/null | sed -n 's/.*exposure level for .*: \([0-9.]*\).*/\1/p')
[ -z "$exposure" ] || awk "BEGIN { exit !($exposure < 3) }" || fail "systemd calls the unit's exposure $exposure"

# Its program checks the example, and misses what only the administrator has.
if in_root sealfax-adapter run --check >"$T/said" 2>&1; then fail "anchors that are not there were found"; fi
grep -q anchors.pem "$T/said" || { cat "$T/said"; fail "the missing anchors are not named"; }

# It starts as its user, on a configuration that fits this machine.
install -d -m 755 "$root/tmp/try"
"${CARGO_TARGET_DIR:-target}/debug/sealfax-mailserver" ca --data "$T/ca" create --plain-keys >/dev/null 2>&1
install -m 644 "$T/ca/root.pem" "$root/etc/sealfax/anchors.pem"
sed -e 's/192\.168\.77\.1:25/127.0.0.1:0/; s/192\.168\.77\.1:110/127.0.0.1:0/; s/192\.0\.2\.77:25/127.0.0.1:0/' \
  -e 's/^intermediates/# intermediates/; s/^log = .*/log = "json"/' -e 's#^data = .*#data = "/tmp/try/data"#' \
  "$root/etc/sealfax/adapter.toml" >"$root/tmp/try/adapter.toml"
in_root chown -R sealfax:sealfax /tmp/try
in_root sealfax-adapter run --check --config /tmp/try/adapter.toml >"$T/said" 2>&1 || { cat "$T/said"; fail "a good configuration is refused"; }
chroot --userspec=sealfax:sealfax "$root" /usr/bin/sealfax-adapter run --config /tmp/try/adapter.toml 2>"$T/journal" & started=$!
for _ in $(seq 400); do
  grep -q 'the adapter is ready' "$T/journal" && break
  kill -0 "$started" 2>/dev/null || { cat "$T/journal"; fail "it did not start"; }
  sleep 0.05
done
grep -q 'the adapter is ready' "$T/journal" || { cat "$T/journal"; fail "it was not ready in time"; }
kill -TERM "$started"; wait "$started" || fail "it did not stop well"; started=

# Upgraded: what the administrator wrote stays, what they did not touch is new.
echo '# of this office' >>"$root/etc/sealfax/adapter.toml"
dpkg_says --force-confdef --force-confold -i /tmp/next.deb
grep -q '# of this office' "$root/etc/sealfax/adapter.toml" || fail "the upgrade lost the office's configuration"
[ "$(in_root stat -c '%U:%G %a' /etc/sealfax/adapter.toml)" = 'root:sealfax 640' ] || fail "the upgrade opened the configuration"
[ "$(in_root dpkg-query -W -f '${Version}' sealfax-adapter)" = 99.0-1 ] || fail "it was not upgraded"

# Removed, the configuration stays; purged, nothing does.
install -d "$root/var/lib/sealfax/adapter"; echo x >"$root/var/lib/sealfax/adapter/ledger.redb"
dpkg_says -r sealfax-adapter
[ ! -e "$root/usr/bin/sealfax-adapter" ] || fail "the program is still there"
grep -q '# of this office' "$root/etc/sealfax/adapter.toml" || fail "the removal lost the configuration"
dpkg_says -P sealfax-adapter
if in_root getent passwd sealfax || in_root getent group sealfax; then fail "the user is still there"; fi
(cd "$root" && find etc usr var -xdev | sort) >"$T/after"
# What dpkg and adduser keep for themselves.
left=$(comm -13 "$T/before" "$T/after" | grep -vE '^(var/lib/dpkg/|var/log/|var/cache/|etc/[a-z]*-$|etc/\.pwd\.lock$|var/lib/systemd/deb-systemd-helper)' || true)
[ -z "$left" ] || { echo "$left"; fail "this is left after a purge"; }
echo "$((size / 1024)) KiB; installed, started, upgraded, removed and purged"
