#!/usr/bin/env bash
# What README.md tells people to type exists: commands and their options, files, folders; and what it tells them to try
# on the demonstration's artefacts (the folder given as argument) comes out well.
set -euo pipefail
demo=$(cd "${1:-target/demo}" 2>/dev/null && pwd || true)
cd "$(dirname "$0")/../.."
test -f README.md || { echo "there is no README.md"; exit 1; }
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
target=${CARGO_TARGET_DIR:-target}
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet --workspace --bins
wrong=0
complain() { echo "README.md: $*"; wrong=1; }

# Commands: the lines of fenced blocks, without prompt, comment and continuation.
awk '/^ *```/ { inside = !inside; next } inside' README.md | sed -e 's/^ *\$ //' -e 's/ #.*$//' \
  | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' >"$T/commands"
# And what stands in the text as `cargo rig ...` or `sealfax-...`.
grep -oE '`(cargo rig|sealfax-(adapter|mailserver|rig)) [^`]+`' README.md | tr -d '`' >>"$T/commands" || true
checked=0
check() { # check PROGRAM ARGUMENT...: subcommands as far as they are words, then every option, stand in --help
  local program=$1; shift
  local words=() argument help
  help=$("$program" --help 2>&1)
  for argument in "$@"; do
    case "$argument" in
      -*) ;;
      *)
        if grep -qE "^  $argument( |$)" <<<"$help"; then
          words+=("$argument"); help=$("$program" "${words[@]}" --help 2>&1)
        elif [ ${#words[@]} -eq 0 ]; then
          complain "$(basename "$program") has no command '$argument'"
        fi ;;
    esac
  done
  for argument in "$@"; do
    case "$argument" in
      --help | -h | --version | -V) ;;
      --*) grep -qE -- "(^| )${argument%%=*}([ =,]|$)" <<<"$help" \
             || complain "$(basename "$program") ${words[*]} has no option ${argument%%=*}" ;;
    esac
  done
  checked=$((checked + 1))
}
while read -r line; do
  # Each command of a pipeline or sequence by itself; quotes and redirections are of no interest here.
  while read -r command; do
    read -ra part <<<"$command"
    [ ${#part[@]} -gt 0 ] || continue
    while [ ${#part[@]} -gt 0 ] && [[ ${part[0]} == sudo || ${part[0]} == *=* ]]; do part=("${part[@]:1}"); done
    [ ${#part[@]} -gt 0 ] || continue
    case "$(basename -- "${part[0]}")" in
      sealfax-adapter | sealfax-mailserver | sealfax-rig)
        check "$target/debug/$(basename -- "${part[0]}")" "${part[@]:1}" ;;
      cargo)
        [ "${part[1]:-}" = rig ] && check "$target/debug/sealfax-rig" "${part[@]:2}" ;;
      run) test -x "${part[0]}" || complain "${part[0]} is not there or not executable" ;;
    esac
  done < <(printf '%s\n' "$line" | sed -e 's/&&/\n/g' -e 's/[|;&]/\n/g' -e 's/[<>] *[^ ]*//g')
done <"$T/commands"
test $checked -gt 0 || complain "no command of ours stands in a code block"

# Files and folders: relative links, and words in code that begin with a top-level folder.
{ grep -oE '\]\([^)#]+' README.md | cut -c3- | grep -vE '^[a-z]+:' || true
  grep -oE '`(adapter|drivers|mailserver|rig|fixtures|tests)/[A-Za-z0-9_./-]*`' README.md | tr -d '`' || true
} | sort -u >"$T/files"
while read -r file; do
  test -e "$file" || complain "$file does not exist"
done <"$T/files"
# The comparisons that anyone can make on the demonstration's artefacts.
awk '/^ *```/ { inside = !inside; next } inside' README.md | sed -e 's/^ *\$ //' | grep -E '^(openssl|cmp) ' >"$T/tries" || true
tried=0
if [ -n "$demo" ] && command -v openssl >/dev/null; then
  cp -r "$demo" "$T/demo"
  while read -r try; do
    (cd "$T/demo" && bash -c "set -o pipefail; $try") >"$T/out" 2>&1 </dev/null || { cat "$T/out"; complain "this fails: $try"; }
    tried=$((tried + 1))
  done <"$T/tries"
fi
grep -nE '@@|TODO|FIXME' README.md && complain "it is not finished" || true
echo "$checked commands and $(wc -l <"$T/files") names checked, $tried commands tried"
exit $wrong
