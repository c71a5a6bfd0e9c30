#!/usr/bin/env bash
# The history held against programs that nobody here wrote: OpenSSL checks the signature of its checkpoint, pymerkle builds the
# tree of RFC 9162 over the records as monitors fetch them, and must come to the same roots and the same proofs; and the
# command line names the record that was changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet --workspace --bins
server=${CARGO_TARGET_DIR:-target}/debug/sealfax-mailserver
{ [ -x target/tools/bin/pip ] || python3 -m venv target/tools; } && target/tools/bin/pip -q install pymerkle==7.0.0 \
  || { echo "pymerkle could not be installed"; exit 77; }
T=$(mktemp -d); started=
trap '[ -z "$started" ] || kill "$started" 2>/dev/null || true; rm -rf "$T"' EXIT
fail() { echo "$*"; cat "$T/said" 2>/dev/null; exit 1; }

cat >"$T/history.toml" <<END
[history]
host_name = "history.example"
http = "127.0.0.1:0"
data = "$T/history"
everybody_reads = true
[history.limits]
peer_connections = 100
peer_requests_per_second = 0
END
: >"$T/said"; "$server" serve --config "$T/history.toml" 2>>"$T/said" & started=$!
at=
for _ in $(seq 400); do
  at=$(sed -n 's/^History: HTTP at \([^,]*\),.*/\1/p' "$T/said")
  [ -n "$at" ] && break
  kill -0 $started 2>/dev/null || fail "the server did not start"
  sleep 0.05
done
target/tools/bin/python -W ignore tests/oracles/history_merkle.py "$at" "$T"
openssl pkeyutl -verify -pubin -inkey "$T/key.pem" -rawin -in "$T/text" -sigfile "$T/signature" >"$T/said" 2>&1 \
  || fail "OpenSSL does not take the checkpoint's signature"
kill -TERM $started; wait $started || fail "the server did not end well"
started=

# The folder alone, with the public key from elsewhere; then with one octet of a record changed.
key=$(cat "$T/key")
"$server" history --data "$T/history" verify --key "$key" --receipt "$T"/receipt-*.json --seen "$T/checkpoint" >"$T/said" 2>&1 \
  || fail "the folder is not taken for good"
python3 - "$T/history/records" <<'END'
import sys
path = sys.argv[1]
octets = bytearray(open(path, "rb").read())
at = octets.find(b"<41@a.example>")
octets[at + 1] ^= 1
open(path, "wb").write(octets)
END
if "$server" history --data "$T/history" --json verify --key "$key" >"$T/said" 2>/dev/null; then fail "a changed record was not seen"; fi
grep -q '"good":false.*"record":41' "$T/said" || fail "the changed record was not named"
if "$server" history --data "$T/history" list >"$T/said" 2>&1 && grep -qF '<40@' "$T/said"; then fail "a changed record was listed"; fi
echo "roots and proofs as pymerkle's, signed as OpenSSL sees it; a changed record is named"
