#!/usr/bin/env bash
# A million fax files that were tampered with at random: none makes a decoder panic, go on for ever or take too much memory.
#
#   tests/jobs/mutated-pages.sh [HOW MANY] [SEED]
#
# A job of its own, because it takes some minutes; tests/run does the same with a few thousand.
set -euo pipefail
cd "$(dirname "$0")/../.."
SEALFAX_MUTATIONS=${1:-1000000} SEALFAX_SEED=${2:-8} cargo test --package sealfax-ifax --test mutated_pages -- --nocapture
