#!/usr/bin/env bash
# report.html in a headless Chromium, clicked through as a person would: the demonstration's, that of every scenario, and one
# of two hundred scenarios with every verdict. Screenshots go to target/report-shots.
set -euo pipefail
demo=${1:-target/demo}
command -v chromium >/dev/null || { echo "chromium is not installed"; exit 77; }
command -v chromedriver >/dev/null || { echo "chromedriver is not installed (chromium-driver)"; exit 77; }
python=
for candidate in python3 /usr/bin/python3; do
  "$candidate" -c 'import selenium' 2>/dev/null && { python=$candidate; break; }
done
[ -n "$python" ] || { echo "Python's selenium is not installed (python3-selenium)"; exit 77; }
demo=$(cd "$demo" && pwd)
cd "$(dirname "$0")/../.."
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
many=${CARGO_TARGET_DIR:-target}/tmp/report-many
if [ -z "${SEALFAX_BUILT:-}" ] || [ ! -e "$many/report.html" ]; then
  cargo test --quiet ${SEALFAX_CARGO:---workspace} --test report >"$T/log" 2>&1 || { cat "$T/log"; exit 1; }
fi
shots=${CARGO_TARGET_DIR:-target}/report-shots
mkdir -p "$shots"
reports=("$demo/report.html" "$many/report.html")
[ -e "$demo/../rig/report.html" ] && reports+=("$(cd "$demo/../rig" && pwd)/report.html")
# The browser keeps its profile where it goes away again.
HOME="$T" TMPDIR="$T" "$python" tests/oracles/report_html.py "$shots" "${reports[@]}"
