#!/usr/bin/env bash
# `cargo test` where there is nothing but a C compiler: a Debian 12 of its own with gcc and Rust, without a network beyond
# loopback, and in it a fresh clone of what is committed here. What it cannot test there it says it cannot, and nothing fails.
#
#   tests/jobs/bare-debian.sh [FOLDER]     as root; needs mmdebstrap, util-linux, iproute2 and git
#
# FOLDER keeps the build for the next time. The crates are this machine's (cargo fetch); the compiler is rustup's.
set -euo pipefail
cd "$(dirname "$0")/../.."
unsupported() { echo "$*"; exit 77; }
[ "$(id -u)" -eq 0 ] || unsupported "a Debian root is made by root alone"
for program in mmdebstrap unshare ip git cargo; do
  command -v $program >/dev/null || unsupported "$program is not installed"
done
cargo fetch --quiet --locked
toolchain=$(rustc --print sysroot) home=$(cd "${CARGO_HOME:-$HOME/.cargo}" && pwd)

T=$(mktemp -d); chmod 755 "$T"
trap 'rm -rf --one-file-system "$T"' EXIT
keep=${1:-$T/target}; mkdir -p "$keep"; keep=$(cd "$keep" && pwd)
mmdebstrap --quiet --variant=minbase --include=gcc,libc6-dev bookworm "$T/debian" http://deb.debian.org/debian
git clone --quiet . "$T/debian/sealfax"
mkdir -p "$T"/debian/{toolchain,target} "$T/debian$home/registry"
cat >"$T/debian/go" <<'IN'
#!/bin/sh
set -eu
export PATH=/toolchain/bin:/usr/bin:/bin CARGO_HOME=$1 CARGO_TARGET_DIR=/target CARGO_NET_OFFLINE=true HOME=/tmp
cd /sealfax
for peer in openssl tiffinfo curl python3 pcscd slapd qemu-system-aarch64 chromium pkg-config make; do
  if command -v $peer; then echo "$peer is not to be here"; exit 1; fi
done
cargo test --workspace --locked --no-fail-fast
IN
chmod +x "$T/debian/go"
# Its own mounts, processes and network: all of it goes with the last process.
unshare --mount --pid --fork --net --kill-child sh -euc '
  ip link set lo up
  mount --make-rprivate /
  mount --bind "$1" "$0/toolchain"; mount --bind "$2/registry" "$0$2/registry"; mount --bind "$3" "$0/target"
  mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"
  exec chroot "$0" /go "$2"' "$T/debian" "$toolchain" "$home" "$keep"
