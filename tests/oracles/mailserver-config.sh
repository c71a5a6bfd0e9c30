#!/usr/bin/env bash
# The mail server's example is good, what is wrong in a configuration is refused by name, and all three servers run from one
# file. Passwords have no place on a command line.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet --workspace --bins
server=${CARGO_TARGET_DIR:-target}/debug/sealfax-mailserver
T=$(mktemp -d); started=
trap '[ -z "$started" ] || kill "$started" 2>/dev/null || true; rm -rf "$T"' EXIT
fail() { echo "$*"; cat "$T/said" 2>/dev/null; exit 1; }
check() { "$server" serve --config "$1" --check >"$T/said" 2>&1; }
refused() { # refused TEXT WORD...: the file is refused, and each word stands in the answer
  printf '%s\n' "$1" >"$T/wrong.toml"; shift
  if check "$T/wrong.toml"; then fail "a wrong file was taken for good"; fi
  for word in "$@"; do grep -qF -- "$word" "$T/said" || fail "the answer does not say '$word'"; done
}

check mailserver/sealfax-mailserver.example.toml || fail "the example is refused"
refused "$(sed 's/^relay_port = .*/relay_prot = 25/' mailserver/sealfax-mailserver.example.toml)" relay_prot example
refused "$(sed 's/^\[history/[histroy/' mailserver/sealfax-mailserver.example.toml)" histroy
refused "$(sed 's/^queue_expiry = .*/queue_expiry = "5 moons"/' mailserver/sealfax-mailserver.example.toml)" queue_expiry
refused "$(sed 's/^host_name = "mail.*/host_name = "not a name"/' mailserver/sealfax-mailserver.example.toml)" host_name
refused '' '[mail]'
if "$server" serve --config "$T/absent.toml" --check >"$T/said" 2>&1; then fail "an absent file was taken for good"; fi
grep -qF absent.toml "$T/said" || fail "the answer does not name the absent file"

# No command takes a password as an argument.
for command in "account --config x add" "account --config x passwd" "account --config x" serve ca; do
  # shellcheck disable=SC2086
  "$server" $command --help >"$T/said" 2>&1
  if grep -qiE -- '--pass|<PASS' "$T/said"; then fail "'$command' takes a password on the command line"; fi
done

# One file, three servers, each on a port of its own.
"$server" ca --data "$T/ca" create --plain-keys 2>/dev/null
cat >"$T/all.toml" <<END
[mail]
host_name = "mail.b.example"
domains = ["b.example"]
smtp = "127.0.0.1:0"
pop3 = "127.0.0.1:0"
data = "$T/mail"
dns_servers = ["127.0.0.1:9"]
[directory]
host_name = "directory.example"
http = "127.0.0.1:0"
data = "$T/ca"
[history]
host_name = "history.example"
http = "127.0.0.1:0"
data = "$T/history"
END
"$server" serve --config "$T/all.toml" 2>"$T/said" & started=$!
for _ in $(seq 400); do
  grep -q '^History: HTTP at ' "$T/said" && break
  kill -0 $started 2>/dev/null || fail "the servers did not start"
  sleep 0.05
done
for server_line in 'Mail: SMTP at 127' 'Certificates: HTTP at 127' 'History: HTTP at 127'; do
  grep -q "^$server_line" "$T/said" || fail "no '$server_line'"
done
kill -TERM $started
wait $started || fail "the servers did not end well"
started=
grep -q '^Stopping' "$T/said" || fail "the servers did not say that they stop"
echo "one file, three servers"
