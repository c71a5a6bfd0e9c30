#!/usr/bin/env bash
# The servers' package in a Debian of its own: it installs, its unit is one that systemd takes, its program starts as its user
# and takes a mail, what was configured survives an upgrade and a removal, and a purge leaves nothing behind but mail. dpkg,
# adduser and systemd are the witnesses.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" -eq 0 ] || { echo "a Debian root is made by root alone"; exit 77; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed"; exit 77; }
T=$(mktemp -d); chmod 755 "$T"; root=$T/root; started=
cleanup() { [ -z "$started" ] || kill -KILL "$started" 2>/dev/null || true; umount "$root/proc" 2>/dev/null || true; rm -rf "$T"; }
trap cleanup EXIT
fail() { echo "$*"; exit 1; }

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
mmdebstrap --quiet --variant=minbase --include=adduser,systemd,procps,libgcc-s1 "$suite" "$root" 2>"$T/said" \
  || { tail -n 3 "$T/said"; echo "no Debian root could be made"; exit 77; }
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet ${SEALFAX_CARGO:---workspace --features pcsc}
"${CARGO_TARGET_DIR:-target}/debug/sealfax-rig" package --server --arch amd64 --built --out "$T" >"$T/said" 2>&1 \
  || { tail -n 40 "$T/said"; fail "the package could not be made"; }
deb=$(echo "$T"/sealfax-mailserver_*_amd64.deb)
if command -v lintian >/dev/null; then
  lintian --fail-on error,warning "$deb" >"$T/said" 2>&1 || { cat "$T/said"; fail "lintian complains"; }
fi
dpkg-deb -R "$deb" "$T/next"
sed -i 's/^Version: .*/Version: 99.0-1/' "$T/next/DEBIAN/control"
echo '# of the next version' >>"$T/next/etc/sealfax-mailserver/server.toml"
(cd "$T/next" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -b "$T/next" "$T/next.deb" >/dev/null

cp "$deb" "$root/tmp/now.deb"; cp "$T/next.deb" "$root/tmp/next.deb"
mount -t proc proc "$root/proc"
in_root() { chroot "$root" env LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
dpkg_says() { in_root dpkg "$@" >"$T/said" 2>&1 || { cat "$T/said"; fail "dpkg $* failed"; }; }
(cd "$root" && find etc usr var -xdev | sort) >"$T/before"

dpkg_says -i /tmp/now.deb
in_root getent passwd sealfax-mail | grep ':/var/lib/sealfax-mailserver:' >/dev/null || fail "there is no user sealfax-mail"
config=/etc/sealfax-mailserver/server.toml
[ "$(in_root stat -c '%U:%G %a' $config)" = 'root:sealfax-mail 640' ] || fail "the configuration is not kept from others"
[ ! -L "$root/etc/systemd/system/multi-user.target.wants/sealfax-mailserver.service" ] || fail "it is enabled with the example's domain"
unit=$(in_root dpkg -L sealfax-mailserver | grep '/sealfax-mailserver\.service$')
in_root systemd-analyze verify "$unit" >"$T/said" 2>&1 || { cat "$T/said"; fail "systemd does not take the unit"; }
if grep -v postgresql.service "$T/said" | grep . >/dev/null; then cat "$T/said"; fail "systemd complains about the unit"; fi
exposure=$(in_root systemd-analyze security --offline=yes --no-pager "$unit" 2>/dev/null | sed -n 's/.*exposure level for .*: \([0-9.]*\).*/\1/p')
[ -z "$exposure" ] || awk "BEGIN { exit !($exposure < 3) }" || fail "systemd calls the unit's exposure $exposure"

# It starts as its user, with an account, and hands a mail out.
install -d -m 755 "$root/tmp/try"
printf '[mail]\nhost_name = "mail.b.test"\ndomains = ["b.test"]\nsmtp = "127.0.0.1:2625"\npop3 = "127.0.0.1:2610"\ndata = "/tmp/try/data"\ndns_servers = ["127.0.0.1:9"]\n' >"$root/tmp/try/server.toml"
in_root chown -R sealfax-mail:sealfax-mail /tmp/try
as_user() { chroot --userspec=sealfax-mail:sealfax-mail "$root" /usr/bin/sealfax-mailserver "$@"; }
as_user serve --check --config /tmp/try/server.toml 2>"$T/said" || { cat "$T/said"; fail "a good configuration is refused"; }
chroot --userspec=sealfax-mail:sealfax-mail "$root" /usr/bin/sealfax-mailserver serve --config /tmp/try/server.toml 2>"$T/journal" & started=$!
for _ in $(seq 400); do
  grep -q 'Mail: SMTP at' "$T/journal" && break
  kill -0 "$started" 2>/dev/null || { cat "$T/journal"; fail "it did not start"; }
  sleep 0.05
done
echo 'correct horse' | as_user account --config /tmp/try/server.toml add hanako@b.test 2>"$T/said" || { cat "$T/said"; fail "no account"; }
python3 - <<'PYTHON' || fail "no mail went through it"
import poplib, smtplib
smtplib.SMTP("127.0.0.1", 2625).sendmail("taro@a.test", ["hanako@b.test"], "Subject: x\r\n\r\ny\r\n")
box = poplib.POP3("127.0.0.1", 2610)
box.user("hanako@b.test"); box.pass_("correct horse")
assert box.stat()[0] == 1
PYTHON
kill -TERM "$started"; wait "$started" || fail "it did not stop well"; started=

echo '# of this office' >>"$root$config"
dpkg_says --force-confdef --force-confold -i /tmp/next.deb
grep -q '# of this office' "$root$config" || fail "the upgrade lost the office's configuration"
install -d -o 0 "$root/var/lib/sealfax-mailserver"; echo x >"$root/var/lib/sealfax-mailserver/mail"
dpkg_says -r sealfax-mailserver
grep -q '# of this office' "$root$config" || fail "the removal lost the configuration"
dpkg_says -P sealfax-mailserver
[ -e "$root/var/lib/sealfax-mailserver/mail" ] || fail "the purge threw mail away"
rm -r "$root/var/lib/sealfax-mailserver"
dpkg_says -i /tmp/now.deb; dpkg_says -P sealfax-mailserver
if in_root getent passwd sealfax-mail; then fail "the user is still there"; fi
(cd "$root" && find etc usr var -xdev | sort) >"$T/after"
left=$(comm -13 "$T/before" "$T/after" | grep -vE '^(var/lib/dpkg/|var/log/|var/cache/|etc/[a-z]*-$|etc/\.pwd\.lock$|var/lib/systemd/deb-systemd-helper)' || true)
[ -z "$left" ] || { echo "$left"; fail "this is left after a purge"; }
echo "installed, started, upgraded, removed and purged"
