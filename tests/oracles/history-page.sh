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
command -v curl >/dev/null || { echo "curl is not installed"; exit 77; }
T=$(mktemp -d); started=()
trap 'kill "${started[@]}" 2>/dev/null || true; rm -rf "$T"' EXIT
fail() { echo "$*"; cat "$T/said" 2>/dev/null; exit 1; }

cat >"$T/server.toml" <<END
[mail]
host_name = "mail.a.example"
domains = ["a.example"]
smtp = "127.0.0.1:0"
pop3 = "127.0.0.1:0"
data = "$T/mail"
dns_servers = ["127.0.0.1:9"]
relay_from = ["127.0.0.1"]
administration_http = "127.0.0.1:0"
administrators = ["auditor@a.example"]
[history]
host_name = "history.example"
http = "127.0.0.1:0"
data = "$T/history"
auditors = ["auditor@a.example"]
utc_offset = "+09:00"
END
for who in taro auditor; do
  echo "correct horse" | "$server" account --config "$T/server.toml" add "$who@a.example" --name "$who" --adapter adapter.a.example 2>"$T/said" || fail "no account"
done
serve() { # serve NAME: starts it, and says where the history is
  NO_COLOR=1 "$server" serve --config "$T/$1.toml" 2>"$T/said" & started+=($!)
  for _ in $(seq 400); do
    grep '^History: HTTP at ' "$T/said" >/dev/null && break
    kill -0 ${started[-1]} 2>/dev/null || fail "the server did not start"
    sleep 0.05
  done
  at=$(sed -n 's/^History: HTTP at \([^,]*\),.*/\1/p' "$T/said")
}
serve server
smtp=$(sed -n 's/^Mail: SMTP at \([^,]*\),.*/\1/p' "$T/said")
administration=$(sed -n 's/^Administration: HTTP at //p' "$T/said")
shots=$target/history-shots
mkdir -p "$shots"
HOME="$T" TMPDIR="$T" "$python" tests/oracles/history_page.py "http://$at" "http://$administration" "$smtp" "$shots" \
  "$server" "$axe/axe_playwright_python/axe.min.js" \
  || { grep -v "registered as record" "$T/said" | tail -n 5; exit 1; }
# Who looked at what is in the journal.
for words in 'taro@a.example signed in' 'looked at transmission ' 'looked at the proof of transmission'; do
  grep -qF -- "$words" "$T/said" || fail "the journal does not say '$words'"
done
kill "${started[-1]}" && wait "${started[-1]}" || fail "the server did not end well"

# Under TLS: the cookie is this host's alone, browsers are told to come under TLS from now on, and a person's certificate is enough.
"$server" ca --data "$T/ca" create --plain-keys 2>/dev/null
(cd "$T" && "$server" ca --data "$T/ca" server localhost >/dev/null 2>&1) || fail "no certificate for the server"
ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${ec[@]}" -subj /CN=People -days 2 -keyout "$T/people.key" -out "$T/people.pem" 2>/dev/null
person() { # person NAME ADDRESS: a certificate with which a browser says who sits before it
  openssl req -new "${ec[@]}" -subj "/CN=$1" -keyout "$T/$1.key" -out "$T/csr" 2>/dev/null
  printf 'subjectAltName=email:%s\nextendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n' "$2" >"$T/extensions"
  openssl x509 -req -in "$T/csr" -CA "$T/people.pem" -CAkey "$T/people.key" -days 2 -extfile "$T/extensions" -out "$T/$1.pem" 2>/dev/null
}
person taro taro@a.example; person jiro jiro@c.example
cat "$T/server.toml" - >"$T/tls.toml" <<END
[history.tls]
certificate = "$T/localhost.pem"
key = "$T/localhost.key.pem"
clients = "$T/people.pem"
END
serve tls
get() { curl -sS --max-time 20 --resolve "localhost:${at##*:}:127.0.0.1" --cacert "$T/ca/root.pem" -o "$T/page" -D "$T/head" "$@"; }
get "https://localhost:${at##*:}/sign-in" || fail "no page under TLS"
tr -d '\r' <"$T/head" >"$T/fields"
grep -qiE '^set-cookie: __Host-sealfax=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Strict; Secure$' "$T/fields" || { cat "$T/fields"; fail "the cookie"; }
grep -qi '^strict-transport-security: max-age=31536000$' "$T/fields" || { cat "$T/fields"; fail "browsers are not told to stay under TLS"; }
as() { get --cert "$T/$1.pem" --key "$T/$1.key" "https://localhost:${at##*:}$2" || fail "the certificate of $1 is refused"; }
as taro /
grep -q 'taro@a.example' "$T/page" || { cat "$T/head"; fail "a person's certificate does not sign in"; }
if grep -q 'action="/sign-out"' "$T/page"; then fail "nobody signs out of a certificate"; fi
as taro /transmissions/0; grep -q '^HTTP/1.1 200' "$T/head" || fail "Taro does not see what he sent"
as jiro /transmissions/0; grep -q '^HTTP/1.1 404' "$T/head" || fail "Jiro sees what Taro sent"
