#!/usr/bin/env bash
# OpenSSL as client of our certificate server, and our client at OpenSSL's responder: good, revoked, unknown, nonce.
set -euo pipefail
for tool in openssl curl; do command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }; done
cd "$(dirname "$0")/../.."
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet --workspace --bins
[ -n "${SEALFAX_BUILT:-}" ] || cargo build --quiet --workspace --example ask-ocsp
bin=${CARGO_TARGET_DIR:-target}/debug
server=$bin/sealfax-mailserver
T=$(mktemp -d); started=()
trap 'for p in "${started[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$T"' EXIT
fail() { echo "$*"; exit 1; }

# --- An authority of ours, three certificates, one of them revoked.
"$server" ca --data "$T/ca" create --plain-keys 2>/dev/null
issue() { # issue NAME USE
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$T/$1.key" 2>/dev/null
  openssl pkey -in "$T/$1.key" -pubout -out "$T/$1.pub"
  "$server" ca --data "$T/ca" issue --name "$1" --address "$1@a.example" --use "$2" --public-key "$T/$1.pub" --out "$T/$1.pem" 2>/dev/null
}
issue taro sign; issue hanako encrypt; issue jiro sign
serial=$(openssl x509 -in "$T/jiro.pem" -noout -serial | cut -d= -f2)
"$server" ca --data "$T/ca" revoke "$serial" --reason 1 2>/dev/null

printf '[directory]\nhost_name = "directory.example"\nhttp = "127.0.0.1:0"\ndata = "%s"\n' "$T/ca" >"$T/server.toml"
"$server" serve --config "$T/server.toml" 2>"$T/server.log" & started+=($!)
at=
for _ in $(seq 200); do
  at=$(sed -n 's/^Certificates: HTTP at //p' "$T/server.log"); [ -n "$at" ] && break
  kill -0 "${started[0]}" 2>/dev/null || { cat "$T/server.log"; exit 1; }
  sleep 0.05
done
[ -n "$at" ] || fail "the certificate server did not start"

curl -sf "http://$at/certificates/anchor.pem" -o "$T/anchor.pem"
curl -sf "http://$at/certificates/issuing.cer" -o "$T/issuing.cer"
openssl x509 -inform DER -in "$T/issuing.cer" -out "$T/issuing.pem"

# --- The certificates are what they say.
openssl verify -purpose smimesign -CAfile "$T/anchor.pem" -untrusted "$T/issuing.pem" "$T/taro.pem" >/dev/null
openssl verify -purpose smimeencrypt -CAfile "$T/anchor.pem" -untrusted "$T/issuing.pem" "$T/hanako.pem" >/dev/null
openssl verify -purpose smimeencrypt -CAfile "$T/anchor.pem" -untrusted "$T/issuing.pem" "$T/taro.pem" >/dev/null 2>&1 \
  && fail "a signature certificate may encrypt"
openssl verify -purpose sslserver -CAfile "$T/anchor.pem" -untrusted "$T/issuing.pem" "$T/taro.pem" >/dev/null 2>&1 \
  && fail "a person's certificate may be a server's"

# --- OpenSSL asks. It checks the signature, the delegation and the nonce itself.
ask() { # ask CERTIFICATE OPTIONS...
  local certificate=$1; shift
  openssl ocsp -url "http://$at/ocsp" -issuer "$T/issuing.pem" "$@" -cert "$certificate" -CAfile "$T/anchor.pem" 2>&1
}
expect() { # expect WORD OUTPUT
  grep -q 'Response verify OK' <<<"$2" || { printf '%s\n' "$2"; fail "OpenSSL does not believe the answer"; }
  grep -qE "^[^ ]+: $1$" <<<"$2" || { printf '%s\n' "$2"; fail "expected '$1'"; }
  grep -q 'WARNING: no nonce' <<<"$2" && fail "no nonce in the answer" || true
}
expect good "$(ask "$T/taro.pem" -sha256 -nonce)"
expect good "$(ask "$T/hanako.pem" -nonce)"          # SHA-1 CertID, as most clients send
revoked=$(ask "$T/jiro.pem" -nonce)
expect revoked "$revoked"
grep -q 'Reason: keyCompromise' <<<"$revoked" || fail "the reason is missing"
# A serial number that was never issued.
stranger=$(openssl ocsp -url "http://$at/ocsp" -issuer "$T/issuing.pem" -serial 0x7123456789 -CAfile "$T/anchor.pem" -nonce 2>&1)
expect unknown "$stranger"
# Another anchor believes nothing of it.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/other.key" -subj /CN=Other -out "$T/other.pem" 2>/dev/null
{ openssl ocsp -url "http://$at/ocsp" -issuer "$T/issuing.pem" -cert "$T/taro.pem" -CAfile "$T/other.pem" 2>&1 || true; } \
  | grep -i 'Response Verify Failure' >/dev/null || fail "a stranger's anchor believed the answer"

# --- By GET (RFC 6960 A.1), with curl.
openssl ocsp -issuer "$T/issuing.pem" -cert "$T/taro.pem" -no_nonce -reqout "$T/request.der" >/dev/null 2>&1
path=$(openssl base64 -A -in "$T/request.der" | sed -e 's/+/%2B/g' -e 's,/,%2F,g' -e 's/=/%3D/g')
curl -sf -D "$T/head" "http://$at/ocsp/$path" -o "$T/answer.der"
grep -qi '^content-type: application/ocsp-response' "$T/head" || { cat "$T/head"; fail "wrong content type"; }
{ openssl ocsp -respin "$T/answer.der" -issuer "$T/issuing.pem" -cert "$T/taro.pem" -CAfile "$T/anchor.pem" 2>&1 || true; } | grep ': good$' >/dev/null \
  || fail "GET is answered otherwise than POST"

# --- Nonsense is answered by an OCSP error, and the server lives on.
head -c 500 /dev/urandom >"$T/noise"
curl -s -H 'Content-Type: application/ocsp-request' --data-binary @"$T/noise" "http://$at/ocsp" -o "$T/answer.der"
{ openssl ocsp -respin "$T/answer.der" -issuer "$T/issuing.pem" -cert "$T/taro.pem" -noverify 2>&1 || true; } | grep -i 'malformedrequest' >/dev/null \
  || fail "nonsense is not answered by malformedRequest"
expect good "$(ask "$T/taro.pem" -nonce)"

# --- The other way round: a PKI and a responder all of OpenSSL's making, asked by our client.
"$bin/examples/ask-ocsp" "$at" /ocsp "$T/taro.pem" "$T/issuing.pem" | grep -x good >/dev/null || fail "our client at our server"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/ca.key" -subj /CN=Theirs -out "$T/ca.pem" -days 10 2>/dev/null
theirs() { # theirs NAME SERIAL EXTENSIONS
  openssl req -new -newkey rsa:2048 -nodes -keyout "$T/their-$1.key" -subj "/CN=$1" -out "$T/csr" 2>/dev/null
  openssl x509 -req -in "$T/csr" -CA "$T/ca.pem" -CAkey "$T/ca.key" -set_serial "0x$2" -days 10 -extfile <(printf '%b' "$3") \
    -out "$T/their-$1.pem" 2>/dev/null
}
theirs good 11 'keyUsage=digitalSignature\n'
theirs revoked 12 'keyUsage=digitalSignature\n'
theirs absent 13 'keyUsage=digitalSignature\n'
theirs responder 14 'keyUsage=digitalSignature\nextendedKeyUsage=OCSPSigning\nnoCheck=yes\n'
theirs usurper 15 'keyUsage=digitalSignature\n'
printf 'V\t401231235959Z\t\t11\tunknown\t/CN=good\nR\t401231235959Z\t260101000000Z,keyCompromise\t12\tunknown\t/CN=revoked\n' >"$T/index"
responder() { # responder SIGNER OPTIONS...: sets `port`
  local signer=$1; shift
  openssl ocsp -index "$T/index" -CA "$T/ca.pem" -rsigner "$T/their-$signer.pem" -rkey "$T/their-$signer.key" -port 0 -ignore_err "$@" \
    >"$T/$signer.log" 2>&1 & started+=($!)
  port=
  for _ in $(seq 200); do
    port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)\( PID.*\)\?$/\1/p' "$T/$signer.log" | head -1); [ -n "$port" ] && break
    sleep 0.05
  done
  [ -n "$port" ] || { cat "$T/$signer.log"; fail "openssl's responder did not start"; }
}
ours() { "$bin/examples/ask-ocsp" "127.0.0.1:$port" / "$T/their-$1.pem" "$T/ca.pem"; }
responder responder -rmd sha256 -nmin 5
for word in good revoked; do
  [ "$(ours $word)" = $word ] || fail "our client: $word is not $word but $(ours $word)"
done
[ "$(ours absent)" = unknown ] || fail "our client: unknown"
# A certificate of the same authority without OCSPSigning may not answer.
responder usurper -rmd sha256 -nmin 5
[ "$(ours good)" = OCSP-005 ] || fail "our client believed a usurper: $(ours good)"
echo "OpenSSL believes our responder, we believe OpenSSL's"
