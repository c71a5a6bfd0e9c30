#!/bin/sh
# A certificate authority of the openssl command: a request on standard input, a certificate on standard output, told
# by --address, --name, --usage and --days what to certify. It checks the request's own signature, as every one should.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
while [ $# -gt 0 ]; do
  case "$1" in
    --address) address=$2 ;;
    --name) name=$2 ;;
    --usage) usage=$2 ;;
    --days) days=$2 ;;
    *) echo "ca: what is $1?" >&2; exit 2 ;;
  esac
  shift 2
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/request.pem"
openssl req -in "$work/request.pem" -verify -noout >&2 2>"$work/complaint" || { cat "$work/complaint" >&2; exit 1; }
case "$usage" in
  sign) key_usage=digitalSignature,nonRepudiation ;;
  encrypt)
    if openssl req -in "$work/request.pem" -noout -text | grep -q rsaEncryption; then key_usage=keyEncipherment; else key_usage=keyAgreement; fi ;;
esac
cat >"$work/extensions" <<END
basicConstraints = critical,CA:FALSE
keyUsage = critical,$key_usage
extendedKeyUsage = emailProtection
subjectAltName = email:$address
END
openssl x509 -req -in "$work/request.pem" -CA "$here/ca.pem" -CAkey "$here/ca.key" -days "$days" \
  -set_serial "0x$(openssl rand -hex 8 | sed 's/^./4/')" -extfile "$work/extensions" 2>"$work/complaint" ||
  { cat "$work/complaint" >&2; exit 1; }
