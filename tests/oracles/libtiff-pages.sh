#!/usr/bin/env bash
# libtiff reads the pages, finds profile S in them, and sees the same pixels before and after the journey.
set -euo pipefail
for tool in tiffinfo tiffcp tiffcmp; do command -v $tool >/dev/null || { echo "$tool is not installed (libtiff-tools)"; exit 77; }; done
D=$1; T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
for page in sent printed; do
  tiffinfo "$D/pages/$page.tif" >"$T/$page.info" 2>"$T/$page.warnings"
  test ! -s "$T/$page.warnings" || { cat "$T/$page.warnings"; exit 1; }
  grep -q 'Image Width: 1728' "$T/$page.info"
  grep -q 'Compression Scheme: CCITT Group 3' "$T/$page.info"
  grep -q 'FillOrder: lsb-to-msb' "$T/$page.info"
  tiffcp -c none -r 100000 "$D/pages/$page.tif" "$T/$page.tif"
done
tiffcmp "$T/sent.tif" "$T/printed.tif"
