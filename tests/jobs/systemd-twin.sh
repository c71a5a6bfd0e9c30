#!/usr/bin/env bash
# The board's package under systemd as process 1, on the Raspberry Pi that QEMU plays: a whole Debian 12 on its SD card, which
# installs, starts, guards, upgrades and removes the adapter as a board in the field does. dpkg, systemd, udev, polkit and the
# journal are the witnesses. What tests/oracles/package.sh sees in a root without a system is not looked at again.
#
#   tests/jobs/systemd-twin.sh      after `rig package --arch arm64` and `rig twin build`; as root
#
# A job of its own, because an emulated board takes its time. It listens on loopback only; what it fetches from Debian stays
# in target/twin/systemd for a week.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}; twin=$target/twin; store=$twin/systemd
unsupported() { echo "$*"; exit 77; }
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

[ "$(id -u)" -eq 0 ] || unsupported "a Debian root is made by root alone"
while read -r program package; do
  command -v "$program" >/dev/null || unsupported "$program is not installed: $package"
done <<<'qemu-system-aarch64 qemu-system-arm
mmdebstrap mmdebstrap
mkfs.ext4 e2fsprogs
setpriv util-linux
openssl openssl'
# Where the twin keeps the Debian that it is made of.
debian=$twin/cache/root
for part in "$twin"/{vmlinuz,board.dtb,initrd.cpio} "$debian/bin/busybox"; do
  [ -e "$part" ] || unsupported "there is no twin in $twin: cargo rig twin build makes it"
done
deb=$(ls -t "$target"/deb/sealfax-adapter_*_arm64.deb 2>/dev/null | head -n 1)
[ -n "$deb" ] || unsupported "there is no package in $target/deb: cargo rig package --arch arm64 makes it"

T=$(mktemp -d); qemu='' handler='' mounted=''
formats=/proc/sys/fs/binfmt_misc
cleanup() {
  [ -z "$qemu" ] || kill -KILL "$qemu" 2>/dev/null || true
  [ -z "$handler" ] || echo -1 >"$handler" || true
  [ -z "$mounted" ] || umount "$formats" || true
  rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
fail() { echo "$*"; tail -n 15 "$T/console" 2>/dev/null || true; exit 1; }

# While the root is made, its programs run here, by QEMU too: the kernel is told how, unless it knows, until we are through.
foreign_programs() {
  "$debian/bin/busybox" true 2>/dev/null && return
  local interpreter; interpreter=$(command -v qemu-aarch64-static || true)
  if [ -z "$interpreter" ]; then
    (cd "$store" && rm -rf qemu-user-static_*.deb user && apt-get -qq -o APT::Sandbox::User=root download qemu-user-static &&
      dpkg-deb -x qemu-user-static_*.deb user) >"$T/said" 2>&1 || return 1
    interpreter=$(realpath "$store/user/usr/bin/qemu-aarch64-static")
  fi
  [ -e $formats/register ] || { mount -t binfmt_misc binfmt_misc $formats && mounted=yes; } || return 1
  local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  echo ":sealfax-$$:M::$magic:$mask:$interpreter:FOC" >$formats/register || return 1
  handler=$formats/sealfax-$$
  "$debian/bin/busybox" true
}
packages=systemd-sysv,systemd,udev,dbus,kmod,adduser,pcscd,libccid,polkitd,libpcsclite1,libgcc-s1,iproute2,procps
mkdir -p "$store"
if [ "$(cat "$store/packages" 2>/dev/null)" != "$packages" ] || [ -z "$(find "$store/root.tar" -mtime -7 2>/dev/null)" ]; then
  say "a Debian 12 for arm64"
  rm -f "$store/packages"
  foreign_programs || unsupported "programs for arm64 do not run here: install qemu-user-static"
  mmdebstrap --quiet --arch=arm64 --skip=check/qemu --variant=minbase --include="$packages" bookworm "$store/root.tar" \
    2>"$T/said" || { tail -n 3 "$T/said"; unsupported "no Debian root could be made"; }
  echo "$packages" >"$store/packages"
fi

say "the SD card, with $(basename "$deb")"
root=$T/root; mkdir "$root"; tar -xf "$store/root.tar" -C "$root"
home=$root/root
echo board >"$root/etc/hostname"
cp "$deb" "$home/now.deb"
# The next version: another number, another example.
dpkg-deb -R "$deb" "$T/next"
sed -i 's/^Version: .*/Version: 99.0-1/' "$T/next/DEBIAN/control"
echo '# of the next version' >>"$T/next/etc/sealfax/adapter.toml"
dpkg-deb --root-owner-group -Zgzip -b "$T/next" "$home/next.deb" >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=Anchor -keyout /dev/null -out "$home/anchors.pem" 2>/dev/null
cp "$debian/bin/busybox" "$home/"
# What is a module in the kernel and belongs to what the adapter may use: screens, sound, the board's watchdog.
for module in drm snd soundcore drm_panel_orientation_quirks bcm2835_wdt; do
  (cd "$debian" && find lib/modules -name "$module.ko" -exec cp --parents {} "$root/usr/" \;)
done
cp "$(dirname "$0")/systemd-twin-guest.sh" "$home/check"; chmod 755 "$home/check"
cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Environment=LC_ALL=C SYSTEMD_COLORS=0 DEBIAN_FRONTEND=noninteractive HOME=%h
ExecStart=%h/check
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/ttyAMA0
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../check.service "$root/etc/systemd/system/multi-user.target.wants/check.service"
truncate -s 1G "$T/card"
mkfs.ext4 -q -F -m 0 -d "$root" "$T/card"
rm -rf "$root" "$T/next"

# The twin's own initial RAM file system, whose modules are those that the card and the ports need, with another init laid
# over it: the kernel takes one archive after the other.
cat >"$T/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /card
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for word in $(cat /proc/cmdline); do
  case $word in twin.epoch=*) date -s "@${word#twin.epoch=}" >/dev/null ;; esac
done
while read -r module; do insmod "$module"; done </lib/modules/order
while [ ! -e /dev/mmcblk0 ]; do sleep 0.05; done
mount -t ext4 /dev/mmcblk0 /card
for at in dev proc sys; do mount --move /$at /card/$at; done
exec switch_root /card /lib/systemd/systemd
INIT
newc() { # newc NAME MODE FILE: one entry of an archive, on standard output
  printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
    0 "$2" 0 0 1 0 "$(stat -c %s "$3")" 0 0 0 0 $((${#1} + 1)) 0 "$1"
}
{
  cat "$twin/initrd.cpio"
  for entry in "init 33261 $T/init" "TRAILER!!! 0 /dev/null"; do
    set -- $entry
    newc "$@" >"$T/entry"; truncate -s %4 "$T/entry"; cat "$3" >>"$T/entry"; truncate -s %4 "$T/entry"; cat "$T/entry"
  done
} >"$T/initrd"

port=$((20000 + RANDOM % 12000))
# The command line of the bench `twin` (rig/src/twin/machine.rs), but that the ports sit where the package's examples have
# them, that their networks have the examples' addresses, and that the board has IPv6.
power_on() {
  exec 3< <(exec setpriv --pdeathsig KILL -- qemu-system-aarch64 -M raspi3b -accel tcg,thread=single -display none \
    -monitor none -no-reboot -kernel "$twin/vmlinuz" -dtb "$twin/board.dtb" -initrd "$T/initrd" \
    -append "console=ttyS1,115200 loglevel=4 panic=1 iomem=relaxed nokaslr kvm-arm.mode=none cryptomgr.notests audit=0 \
apparmor=0 selinux=0 vt.global_cursor_default=0 SYSTEMD_COLORS=0 twin.epoch=$(date +%s)" \
    -global bcm2835-fb.xres=1280 -global bcm2835-fb.yres=720 -global bcm2835-fb.bpp=32 -global bcm2835-fb.pixo=0 \
    -serial stdio -serial "file:$T/console" -drive "if=sd,format=raw,file=$T/card" \
    -netdev "user,id=terminal,ipv6=off,net=192.168.77.0/24,host=192.168.77.2,restrict=on,hostfwd=tcp:127.0.0.1:$port-192.168.77.1:25" \
    -netdev "user,id=network,ipv6=off,net=192.0.2.0/24,host=192.0.2.2,dhcpstart=192.0.2.77,restrict=on" \
    -device usb-hub -device usb-ccid -device usb-net,netdev=terminal,mac=52:54:00:00:00:02 \
    -device usb-net,netdev=network,mac=52:54:00:00:00:01 -device usb-kbd </dev/null 2>"$T/qemu.log")
  qemu=$!
}
# What the fax machine does until its mail waits for a card: the answer to the end of the data is not waited for.
fax() {
  exec 4<>"/dev/tcp/127.0.0.1/$port"
  local line
  read -r -t 60 line <&4
  for line in 'HELO fax' 'MAIL FROM:<fax@b.example>' 'RCPT TO:<hanako@a.example>' DATA; do
    printf '%s\r\n' "$line" >&4; read -r -t 60 line <&4
    case $line in [23]*) ;; *) fail "the adapter answers the fax machine: $line" ;; esac
  done
  printf '%s\r\n' 'From: fax@b.example' 'To: hanako@a.example' 'Subject: a page' '' 'a page' . >&4
}

summary=''
for start in first second; do
  say "power on, the $start time"
  power_on
  heard=''
  while IFS= read -r -t 200 -u 3 line; do
    line=${line%$'\r'}
    case $line in
      usbnet:*) ;; # QEMU's own
      'please: fax') fax ;;
      'please: power') heard=yes ;;
      'time: '*) summary="$summary${summary:+, }${line#time: }"; say "${line#time: }" ;;
      'FAILED'*) echo "$line"; while IFS= read -r -t 5 -u 3 line; do echo "  ${line%$'\r'}"; done; fail "the board's last words" ;;
      *) say "$line" ;;
    esac
    [ $SECONDS -lt 900 ] || fail "it takes too long"
    [ -z "$heard" ] || [ $start = first ] || break
  done
  [ -n "$heard" ] || { cat "$T/qemu.log"; fail "nothing more is heard of the board"; }
  kill -KILL "$qemu" 2>/dev/null || true
  wait "$qemu" 2>/dev/null || true
  qemu=''
done
echo "$summary; installed, started, guarded, upgraded, removed and purged in $SECONDS s"
