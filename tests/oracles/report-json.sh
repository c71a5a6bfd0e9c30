#!/usr/bin/env bash
# report.json and every line of events.jsonl against the published schemas, by Python's jsonschema.
set -euo pipefail
demo=${1:-target/demo}
python=
for candidate in python3 /usr/bin/python3; do
  "$candidate" -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null && { python=$candidate; break; }
done
[ -n "$python" ] || { echo "Python's jsonschema is not installed (python3-jsonschema)"; exit 77; }
cd "$(dirname "$0")/../.."
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
many=${CARGO_TARGET_DIR:-target}/tmp/report-many
if [ -z "${SEALFAX_BUILT:-}" ] || [ ! -e "$many/report.html" ]; then
  cargo test --quiet ${SEALFAX_CARGO:---workspace} --test report >"$T/log" 2>&1 || { cat "$T/log"; exit 1; }
fi
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet --workspace --bins
"${CARGO_TARGET_DIR:-target}/debug/sealfax-rig" run preflight --json --out "$T/run" >"$T/summary.json" 2>"$T/log" \
  || { cat "$T/log"; exit 1; }
"$python" tests/oracles/report_json.py rig/schema "$T/summary.json" "$demo" "$(dirname "$demo")/rig" "$many"
