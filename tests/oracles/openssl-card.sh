#!/usr/bin/env bash
# OpenSSL verifies what the virtual card signs, and the card decrypts what OpenSSL encrypts: RSA and P-256.
set -euo pipefail
command -v openssl >/dev/null || { echo "openssl is not installed"; exit 77; }
SEALFAX_STRICT=1 cargo test --quiet -p sealfax-tests --test openssl_card
