#!/usr/bin/env bash
# The history server killed a thousand times at random moments under load, in a folder and over PostgreSQL.
#
#   tests/jobs/history-kills.sh [TIMES]
#
# A job of its own, because it takes its time; tests/run does the same twenty-five times.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --workspace --features pcsc --quiet
SEALFAX_KILLS=${1:-1000} SEALFAX_STRICT=1 cargo test --workspace --features pcsc --test history -- --nocapture --test-threads 1
