#!/usr/bin/env bash
# Python's smtplib and poplib, which know nothing of us, against a real server process; then kill -9 right after 250.
set -euo pipefail
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
cd "$(dirname "$0")/../.."
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet --workspace --bins
python3 tests/oracles/python_mail.py "${CARGO_TARGET_DIR:-target}/debug/sealfax-mailserver"
