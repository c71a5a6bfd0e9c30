#!/usr/bin/env bash
# Makes what `cargo rig package --arch arm64` needs on an amd64 Debian: a C compiler and libpcsclite for arm64 from Debian, and
# in DIR a Rust compiler with the standard library of both machines, unpacked beside rustup's and never installed.
#
#   tests/cross-setup.sh DIR      as root; then: export SEALFAX_CROSS=DIR
#
# Debian's compiler for its browsers, rustc-web, is the newest that a stable release has; cargo stays rustup's.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: tests/cross-setup.sh DIR" >&2; exit 2; }
mkdir -p "$1"; dir=$(cd "$1" && pwd)
if [ -x "$dir/rustc" ] && "$dir/rustc" --version >/dev/null 2>&1; then echo "$dir has a compiler already"; exit 0; fi
[ "$(dpkg --print-architecture)" = amd64 ] || { echo "this is made on amd64" >&2; exit 77; }
[ "$(id -u)" -eq 0 ] || { echo "this installs packages: run it as root" >&2; exit 77; }
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
# apt downloads as another user.
chmod 755 "$T"
# The compiler comes from the security archive, which a small Debian may not look into.
mkdir "$T/sources"; cp -a /etc/apt/sources.list.d/. "$T/sources/"
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] http://deb.debian.org/debian-security $codename-security main" >"$T/sources/sealfax-security.list"
sources=(-o "Dir::Etc::SourceParts=$T/sources")
apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "${sources[@]}" "$@"; }

if ! dpkg --print-foreign-architectures | grep -qx arm64; then dpkg --add-architecture arm64; fi
apt update
apt install -y --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross pkg-config libpcsclite-dev:arm64 \
  dpkg-dev libxml2 libz3-4 libedit2 >/dev/null

version=$(apt-cache "${sources[@]}" policy rustc-web | sed -n 's/^ *Candidate: //p')
case "$version" in
  '' | '(none)') echo "this Debian has no rustc-web; it is in its security archive" >&2; exit 1 ;;
esac
series=${version%%.*}.$(cut -d. -f2 <<<"$version")
(cd "$T" && apt download "rustc-web=$version" "libstd-rust-web-$series=$version" \
  "libstd-rust-web-dev=$version" "libstd-rust-web-dev:arm64=$version")
llvm=$(dpkg-deb -f "$T"/libstd-rust-web-"$series"_*_amd64.deb Depends | grep -oE 'libllvm[0-9]+' | head -n 1)
(cd "$T" && apt download "$llvm")
for package in "$T"/*.deb; do dpkg-deb -x "$package" "$dir"; done
for tool in rustc rustdoc; do
  # It finds its own libraries, whoever calls it.
  cat >"$dir/$tool" <<END
#!/bin/sh
LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec $dir/usr/bin/$tool "\$@"
END
  chmod 755 "$dir/$tool"
done
"$dir/rustc" --version
