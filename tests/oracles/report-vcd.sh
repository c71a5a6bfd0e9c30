#!/usr/bin/env bash
# signals.vcd opened by other people's programs: sigrok, and GTKWave's vcd2fst; both see every lamp and buzzer.
set -euo pipefail
demo=${1:-target/demo}
command -v sigrok-cli >/dev/null || command -v vcd2fst >/dev/null || { echo "neither sigrok-cli nor gtkwave is installed"; exit 77; }
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
fail() { echo "$*"; exit 1; }
test -s "$demo/signals.vcd" || fail "there is no $demo/signals.vcd"
seen=()

for file in "$demo/signals.vcd" "$(dirname "$demo")/rig/signals.vcd"; do
  [ -e "$file" ] || continue
  lamps=$(grep -c '^\$var wire 1 .* [A-Za-z0-9_]*_lamp \$end' "$file" || true)
  changes=$(grep -cE '^[01]' "$file" || true)
  [ "$lamps" -gt 0 ] && [ "$changes" -gt "$lamps" ] || fail "$file has no lamp that changes"
  if command -v vcd2fst >/dev/null; then
    vcd2fst "$file" "$T/it.fst" >"$T/said" 2>&1 || { cat "$T/said"; fail "vcd2fst refuses $file"; }
    # Back again by the other tool: the same number of lamps, and as many changes of them.
    fst2vcd -f "$T/it.fst" -o "$T/back.vcd" >"$T/said" 2>&1 || { cat "$T/said"; fail "fst2vcd refuses what vcd2fst made"; }
    [ "$(grep -c '^\$var wire 1 .* [A-Za-z0-9_]*_lamp \$end' "$T/back.vcd")" = "$lamps" ] || fail "GTKWave does not see the $lamps lamps of $file"
    seen+=("gtkwave: $lamps lamps of $(basename "$(dirname "$file")")")
  fi
done
if command -v sigrok-cli >/dev/null; then
  # A run of many scenarios has more lamps than sigrok takes channels: the demonstration has a few.
  sigrok-cli -I vcd -i "$demo/signals.vcd" --show >"$T/show" 2>"$T/said" || { cat "$T/said"; fail "sigrok refuses $demo/signals.vcd"; }
  grep -q 'lamp' "$T/show" || { cat "$T/show" "$T/said"; fail "sigrok sees no lamp"; }
  grep -q 'buzzer' "$T/show" || { cat "$T/show"; fail "sigrok sees no buzzer"; }
  # A sample a millisecond: each lamp is dark at first, lit at some time, and dark in the end.
  sigrok-cli -I vcd:downsample=1000 -i "$demo/signals.vcd" -O csv:header=false:label=off >"$T/samples" 2>"$T/said" || { cat "$T/said"; fail "sigrok cannot read the samples"; }
  grep -E '^[01](,[01])*$' "$T/samples" >"$T/rows" || { head "$T/samples"; fail "sigrok reads no samples"; }
  for channel in $(sed -n 's/^- \(.*_lamp\): logic$/\1/p' "$T/show"); do
    column=$(grep -E '^- ' "$T/show" | grep -n -- "- $channel:" | cut -d: -f1)
    levels=$(cut -d, -f"$column" "$T/rows" | uniq | tr -d '\n')
    [[ $levels == 01*0 ]] || fail "sigrok sees $channel as $levels"
  done
  seen+=("sigrok: $(grep -c . "$T/rows") samples of $(grep -c ': logic' "$T/show") lines")
fi
(IFS=';'; echo "${seen[*]}")
