#!/usr/bin/env bash
# The mail server killed a thousand times at random moments under load, on the embedded store and on PostgreSQL.
#
#   tests/jobs/mail-kills.sh [TIMES]
#
# A job of its own, because it takes its time; tests/run does the same twenty-five times.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --workspace --features pcsc --quiet
SEALFAX_KILLS=${1:-1000} SEALFAX_STRICT=1 cargo test --workspace --features pcsc --test mail_kills -- --nocapture --test-threads 1
