#!/usr/bin/env bash
# Mails that the openssl command makes now, with keys that did not exist a second ago, are opened or refused by ours.
set -euo pipefail
command -v openssl >/dev/null || { echo "openssl is not installed"; exit 77; }
SEALFAX_STRICT=1 cargo test --quiet -p sealfax-tests --test openssl_mails
