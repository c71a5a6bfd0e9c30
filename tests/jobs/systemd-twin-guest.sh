#!/usr/bin/env bash
# The part of systemd-twin.sh that runs on the board, as root, when it is up: on the first start the package is installed,
# configured and made to suffer, on the second it is upgraded, removed and purged. What stands on standard output goes over
# the serial line to the job, which does what is said with "please".
# What the job put beside this script.
here=${0%/*}
unit=sealfax-adapter.service config=/etc/sealfax/adapter.toml second=$here/second
exec 3>&1
show() { systemctl show -P "$1" "${2:-$unit}"; }
seconds() { printf '%d.%d s' $(($1 / 1000000)) $(($1 / 100000 % 10)); }

# Each check is a function of which no command may fail; how far it came is the evidence.
ok() { # ok WHAT FUNCTION
  (set -ex; "$2") >/run/said 2>&1
  if [ $? -eq 0 ]; then echo "ok  $1"; return; fi
  echo "FAILED  $1"
  tail -n 20 /run/said
  systemctl --no-pager --full status "$unit" | head -n 20
  journalctl --no-pager -b -o short-monotonic -u "$unit" -u pcscd -u polkit -n 25
  exit 1
}
eventually() { # eventually SECONDS COMMAND...
  set +x
  local late=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $late ] || { echo "not in time: $*"; return 1; }; sleep 0.5; done
  set -x
}
runs() { [ "$(show ActiveState)/$(show SubState)" = active/running ]; }
restarted() { [ "$(show NRestarts)" = "$1" ] && runs; }
said() { journalctl -b -q -o cat _SYSTEMD_UNIT="$unit" + UNIT="$unit" | grep "$@"; }

boots() {
  systemctl is-system-running --wait || { systemctl --no-pager --failed; return 1; }
}
installs() {
  depmod; modprobe bcm2835_wdt
  dpkg -i "$here/now.deb"
  [ "$(systemctl is-enabled "$unit")" = enabled ]
  # Nobody has said whom to trust: not started, and no failure.
  [ "$(show ConditionResult) $(show ActiveState) $(show Result)" = 'no inactive success' ]
  [ -z "$(systemctl --no-legend --failed)" ]
  [ "$(show ActiveState pcscd.socket)" = active ]
}
# udev and the kernel took the rules, and said nothing against them.
devices() {
  udevadm settle
  [ "$(stat -c '%G %a' /dev/gpiochip0)" = 'sealfax 660' ]
  [ "$(stat -c '%G %a' /dev/fb0)" = 'video 660' ]
  [ "$(stat -c '%G %a' /dev/input/event0)" = 'input 660' ]
  [ "$(stat -c '%G %a' /dev/watchdog)" = 'sealfax 660' ]
  [ -z "$(journalctl -b -q -o cat -u systemd-udevd | grep sealfax)" ]
  local key value
  while IFS=' =' read -r key value; do
    [ "$(sysctl -n "$key")" = "$value" ]
  done < <(grep -v '^#' /usr/lib/sysctl.d/60-sealfax-adapter.conf)
}
# The examples as they are: each port has the name and the address that they promise.
ports() {
  cp /usr/share/doc/sealfax-adapter/examples/network/* /etc/systemd/network/
  udevadm control --reload
  # Not with --settle: it would wait for devices by the names that they had.
  udevadm trigger --action=add --subsystem-match=net
  udevadm settle
  [ -d /sys/class/net/faxport ] && [ -d /sys/class/net/netport ]
  udevadm test-builtin net_setup_link /sys/class/net/faxport 2>&1 | grep 'ID_NET_LINK_FILE=.*/70-sealfax-terminal.link'
  systemctl enable --now systemd-networkd
  addressed() { ip -4 -o address show "$1" | grep -F " $2/"; }
  eventually 30 addressed faxport 192.168.77.1
  eventually 30 addressed netport 192.0.2.77
  [ -z "$(journalctl -b -q -o cat -u systemd-networkd | grep -E '70-sealfax[^ ]*:[0-9]')" ]
}
configure() {
  sed -i -e 's/^intermediates/# &/' -e 's/^# \(\[ports\]\|terminal = "platform\|network = "platform\)/\1/' \
    -e 's/^# \(\[gpio\]\|lamp = \|buzzer = \|button = \)/\1/' \
    -e 's/^# \[display\]/[display]\nbackend = "framebuffer"/' "$config"
  echo '# of this office' >>"$config"
  install -m 644 "$here/anchors.pem" /etc/sealfax/anchors.pem
  sealfax-adapter run --check
}
# By its own word: systemd waits for READY=1.
starts() {
  [ "$(show Type) $(show NotifyAccess)" = 'notify main' ]
  systemctl start "$unit"
  runs
  [ -n "$(show StatusText)" ]
  said 'the adapter is ready'
  listens() { ss -Hltnp | grep -F "$1" | grep -F "pid=$(show MainPID),"; }
  eventually 20 listens 192.168.77.1:25
  listens 192.168.77.1:110
  listens 192.0.2.77:25
}
process() {
  local pid; pid=$(show MainPID)
  has() { [ "$(sed -n "s/^$1:\t*//p" "/proc/$pid/status")" = "$2" ]; }
  local id; id=$(id -u sealfax)
  has Uid "$id	$id	$id	$id"
  has NoNewPrivs 1; has Seccomp 2
  # Ports below 1024, and nothing else.
  local set; for set in CapBnd CapEff CapPrm CapAmb; do has $set 0000000000000400; done
  grep -qE '^Max core file size +0 +0 ' "/proc/$pid/limits"
  grep -qE '^Max locked memory +8388608 +8388608 ' "/proc/$pid/limits"
  [ "$(stat -c '%U %a' /var/lib/sealfax/adapter)" = 'sealfax 700' ]
}
# What the unit asks for is what systemd does, and where it can be tried, what the kernel does.
hardening() {
  local key value pid
  while IFS='=' read -r key value; do
    [ "$(show "$key")" = "$value" ]
  done < <(grep -E '^(Protect|Private|Restrict|NoNew|Lock|MemoryDeny|RemoveIPC|DevicePolicy)[A-Za-z]*=' "$(show FragmentPath)" |
    grep -v AddressFamilies)
  pid=$(show MainPID)
  inside() { nsenter -t "$pid" -m -- "$@"; }
  [ -n "$(inside touch /usr/x 2>&1 | grep 'Read-only')" ]
  [ -n "$(inside touch /etc/x 2>&1 | grep 'Read-only')" ]
  [ "$(inside ls -A /tmp /root 2>/dev/null | grep -c check)" = 0 ]
  inside touch /var/lib/sealfax/adapter/x; inside rm /var/lib/sealfax/adapter/x
  opens /dev/gpiochip0; opens /dev/fb0; opens /dev/input/event0
  refused /dev/mem; refused /dev/mmcblk0
  # Screens and sound that come later are of a kind that the kernel must know when the service starts.
  mknod /dev/late-screen c 226 63; mknod /dev/late-sound c 116 63
  opens /dev/late-screen; opens /dev/late-sound
  rm /dev/late-*
}
# As root among the unit's processes: only the unit's own devices can be opened. Who may and finds no device is well, too.
in_unit() { bash -c "echo \$\$ >/sys/fs/cgroup$(show ControlGroup)/cgroup.procs && : <$1" 2>&1; }
opens() { ! in_unit "$1" | grep 'not permitted' >&2; }
refused() { in_unit "$1" | grep 'not permitted'; }

journal() {
  said -q 'the adapter is ready'
  journalctl -b -q -o json _SYSTEMD_UNIT="$unit" | grep -q '"SEALFAX_STEP"'
  # A document's own lines.
  echo 'please: fax' >&3
  document() { [ -n "$(journalctl -b -q -F SEALFAX_TRANSMISSION)" ]; }
  eventually 60 document
  journalctl -b -q -o cat SYSLOG_IDENTIFIER=sealfax-adapter \
    SEALFAX_TRANSMISSION="$(journalctl -b -q -F SEALFAX_TRANSMISSION | head -n 1)"
}
# The reader is pcscd's; the rule of the package lets the user in, and nobody else of its kind. Debian 12's pcscd does not ask
# polkit yet, so its successor's actions are made known here.
polkit() {
  local actions=/usr/share/polkit-1/actions/pcscd.policy action other
  local nobody='<defaults><allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>yes</allow_active></defaults>'
  [ -n "$(pkaction | grep pcsc-lite)" ] || {
    echo '<policyconfig>'
    for action in access_pcsc access_card; do
      echo "<action id='org.debian.pcsc-lite.$action'><description>x</description><message>x</message>$nobody</action>"
    done
    echo '</policyconfig>'
  } >$actions
  systemctl restart polkit
  setpriv --reuid=nobody --clear-groups sleep 60 & other=$!
  for action in access_pcsc access_card; do
    pkcheck --action-id "org.debian.pcsc-lite.$action" --process "$(show MainPID)"
    [ -z "$(pkcheck --action-id "org.debian.pcsc-lite.$action" --process $other && echo allowed)" ]
  done
  kill $other
  [ "$(show ActiveState pcscd.service)" = active ]
  [ -z "$(journalctl -b -q -o cat -u pcscd -u polkit | grep -iE 'not authorized|error')" ]
}
fed() {
  [ "$(show WatchdogUSec)" = 30s ]
  local begin; begin=$(show ActiveEnterTimestampMonotonic)
  up() { local now; read -r now _ </proc/uptime; [ $((${now%.*} - begin / 1000000)) -ge 45 ]; }
  eventually 60 up
  restarted 0
  [ "$(show ActiveEnterTimestampMonotonic)" = "$begin" ]
}
stuck() {
  kill -STOP "$(show MainPID)"
  eventually 60 restarted 1
  said -q 'Watchdog timeout'
}
# Pin 17 is an output and high, as the registers say.
lit() {
  local function level
  function=$("$here/busybox" devmem 0x3f200004 32) level=$("$here/busybox" devmem 0x3f200034 32)
  [ $((function >> 21 & 7)) -eq 1 ] && [ $((level >> 17 & 1)) -eq 1 ]
}
# As if it had been killed with lamp and all.
killed() {
  "$here/busybox" devmem 0x3f20001c 32 $((1 << 17))
  lit
  kill -KILL "$(show MainPID)"
  eventually 30 restarted 2
  [ -n "$(show ExecStopPost | grep 'safe-state.*status=0')" ]
  ! lit || return 1
}

starts_at_boot() {
  boots
  restarted 0
  listens() { ss -Hltnp | grep -F "$1" | grep -F "pid=$(show MainPID),"; }
  eventually 20 listens 192.168.77.1:25
  eventually 20 listens 192.0.2.77:25
  hardening
}
upgrades() {
  local pid; pid=$(show MainPID)
  dpkg --force-confdef --force-confold -i "$here/next.deb"
  runs
  [ "$(dpkg-query -W -f '${Version}' sealfax-adapter)" = 99.0-1 ]
  [ "$(show MainPID)" != "$pid" ]
  restarted 0
  grep -q '# of this office' "$config"
  [ "$(stat -c '%U:%G %a' "$config")" = 'root:sealfax 640' ]
}
removes() {
  local pid; pid=$(show MainPID)
  dpkg -r sealfax-adapter
  [ ! -e "/proc/$pid" ] && [ -z "$(pgrep -u sealfax)" ]
  [ "$(show ActiveState) $(show Result)" = 'inactive success' ]
  [ ! -e /usr/bin/sealfax-adapter ]
  grep -q '# of this office' "$config"
  [ -e /etc/sealfax/anchors.pem ]
}
purges() {
  dpkg -P sealfax-adapter
  [ -z "$(getent passwd sealfax; getent group sealfax)" ]
  [ ! -e /etc/sealfax ] && [ ! -e /var/lib/sealfax ]
  [ -z "$(find /etc/systemd/system -name 'sealfax*')" ]
  [ "$(show LoadState)" = not-found ]
  [ -z "$(systemctl --no-legend --failed)" ]
}

if [ ! -e $second ]; then
  ok "boots, and nothing failed" boots
  echo "time: boot to multi-user $(seconds "$(show ActiveEnterTimestampMonotonic multi-user.target)")"
  ok "installs: enabled, and waits for its anchors" installs
  ok "devices and kernel settings are as the rules say" devices
  ok "the examples name and address the ports" ports
  ok "a configuration for this board" configure
  ok "starts, and says so" starts
  echo "time: the service active after $(seconds $(($(show ActiveEnterTimestampMonotonic) - $(show InactiveExitTimestampMonotonic))))"
  ok "its process has its user's rights and no more" process
  ok "the unit's walls stand" hardening
  ok "the journal knows a document's lines" journal
  ok "polkit lets it, and no other, to the readers" polkit
  ok "feeds the watchdog" fed
  ok "stuck, it is started anew" stuck
  ok "killed, it leaves no light and is started anew" killed
  touch $second
  echo 'please: power'
  systemctl reboot
else
  ok "starts with the board" starts_at_boot
  echo "time: with the board active $(seconds "$(show ActiveEnterTimestampMonotonic)") after power"
  ok "upgrades: restarted, the office's configuration kept" upgrades
  ok "removed: stopped, the configuration kept" removes
  ok "purged: nothing left" purges
  echo 'please: power'
fi
