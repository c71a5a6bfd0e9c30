#!/usr/bin/env bash
# junit.xml against the schema that Surefire and Jenkins have in common, by xmllint; every attachment it names is a file; and a
# run with every verdict, whose counts are right.
set -euo pipefail
demo=${1:-target/demo}
command -v xmllint >/dev/null || { echo "xmllint is not installed (libxml2-utils)"; exit 77; }
cd "$(dirname "$0")/../.."
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
fail() { echo "$*"; exit 1; }

many=${CARGO_TARGET_DIR:-target}/tmp/report-many
if [ -z "${SEALFAX_BUILT:-}" ] || [ ! -e "$many/report.html" ]; then
  cargo test --quiet ${SEALFAX_CARGO:---workspace} --test report >"$T/log" 2>&1 || { cat "$T/log"; exit 1; }
fi
attached=0
for folder in "$demo" "$(dirname "$demo")/rig" "$many"; do
  file=$folder/junit.xml
  [ -e "$file" ] || { [ "$folder" != "$demo" ] && continue; fail "there is no $file"; }
  xmllint --nonet --noout --schema tests/oracles/report-junit.xsd "$file" 2>"$T/said" || { cat "$T/said"; exit 1; }
  # The counts are those of the elements.
  for pair in tests:testcase failures:failure errors:error skipped:skipped; do
    said=$(xmllint --xpath "string(/testsuites/testsuite/@${pair%%:*})" "$file")
    counted=$(xmllint --xpath "count(//${pair##*:})" "$file")
    [ "$said" = "$counted" ] || fail "$file says $said ${pair%%:*}, there are $counted"
  done
  while read -r path; do
    test -s "$path" || fail "$file names $path, which is not there"
    attached=$((attached + 1))
  done < <(sed -n 's/.*\[\[ATTACHMENT|\(.*\)\]\].*/\1/p' "$file")
done
[ "$attached" -gt 10 ] || fail "only $attached attachments are named"
for element in failure error skipped flakyFailure; do
  [ "$(xmllint --xpath "count(//$element)" "$many/junit.xml")" -gt 0 ] || fail "no verdict became $element"
done
# The schema refuses what it should.
sed 's/time="/time="x/' "$demo/junit.xml" >"$T/wrong.xml"
xmllint --nonet --noout --schema tests/oracles/report-junit.xsd "$T/wrong.xml" 2>/dev/null && fail "the schema takes anything"
echo "valid, $attached attachments are there"
