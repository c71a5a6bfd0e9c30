#!/usr/bin/env bash
# The history's pages in a headless Chromium, as the shipped program serves them: signed in, searched, verified and signed out by
# keyboard, in both languages, narrow and wide, light and dark, with and without script, and held against axe. Screenshots go to
# target/history-shots.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v chromium >/dev/null || { echo "chromium is not installed"; exit 77; }
command -v chromedriver >/dev/null || { echo "chromedriver is not installed (chromium-driver)"; exit 77; }
python=
for candidate in python3 /usr/bin/python3; do
  "$candidate" -c 'import selenium' 2>/dev/null && { python=$candidate; break; }
done
[ -n "$python" ] || { echo "Python's selenium is not installed (python3-selenium)"; exit 77; }
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet -p sealfax-mailserver
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
server=$target/debug/sealfax-mailserver
# Deque's checker comes in a Python package; our own checks are made without it as well.
axe=$target/tools/axe
[ -e "$axe/axe_playwright_python/axe.min.js" ] \
  || python3 -m pip -q install --no-deps --target "$axe" axe-playwright-python==0.1.8 >/dev/null 2>&1 || echo "without axe"
T=$(mktemp -d); started=
trap '[ -z "$started" ] || kill "$started" 2>/dev/null || true; rm -rf "$T"' EXIT
fail() { echo "$*"; cat "$T/said" 2>/dev/null; exit 1; }

cat >"$T/server.toml" <<END
[mail]
host_name = "mail.a.example"
domains = ["a.example"]
smtp = "127.0.0.1:0"
pop3 = "127.0.0.1:0"
data = "$T/mail"
dns_servers = ["127.0.0.1:9"]
[history]
host_name = "history.example"
http = "127.0.0.1:0"
data = "$T/history"
auditors = ["auditor@a.example"]
utc_offset = "+09:00"
END
for who in taro auditor; do
  echo "correct horse" | "$server" account --config "$T/server.toml" add "$who@a.example" --name "$who" 2>"$T/said" || fail "no account"
done
NO_COLOR=1 "$server" serve --config "$T/server.toml" 2>"$T/said" & started=$!
for _ in $(seq 400); do
  grep -q '^History: HTTP at ' "$T/said" && break
  kill -0 $started 2>/dev/null || fail "the server did not start"
  sleep 0.05
done
at=$(sed -n 's/^History: HTTP at \([^,]*\),.*/\1/p' "$T/said")
shots=$target/history-shots
mkdir -p "$shots"
HOME="$T" TMPDIR="$T" "$python" tests/oracles/history_page.py "http://$at" "$shots" "$server" "$axe/axe_playwright_python/axe.min.js" \
  || { grep -v "registered as record" "$T/said" | tail -n 5; exit 1; }
# Who looked at what is in the journal.
for words in 'taro@a.example signed in' 'looked at transmission ' 'looked at the proof of transmission'; do
  grep -qF -- "$words" "$T/said" || fail "the journal does not say '$words'"
done
