#!/usr/bin/env bash
# OpenSSL opens and verifies the demonstration's mails with nothing but the files in pki/.
set -euo pipefail
command -v openssl >/dev/null || { echo "openssl is not installed"; exit 77; }
D=$1; T=$(mktemp -d); trap 'rm -rf "$T"' EXIT

# The sealed mail: the recipient's key opens it, the anchor alone proves the signer, and out comes the terminal's mail.
openssl cms -decrypt -in "$D/mail/2-sealed.eml" -inkey "$D/pki/recipient.key.pem" -out "$T/signed.eml"
openssl cms -verify -in "$T/signed.eml" -CAfile "$D/pki/anchor.pem" -signer "$T/signer.pem" -out "$T/inner.eml"
# What was sealed is that mail with the marks of RFC 9788; its body is the same, and so is the whole when they are taken off.
body() { sed '1,/^\r*$/d' "$1"; }
cmp <(body "$T/inner.eml") <(body "$D/mail/1-submitted.eml")
cmp "$D/mail/4-opened.eml" "$D/mail/1-submitted.eml"
grep -q '^ hp="cipher"' "$T/inner.eml" && grep -q '^HP-Outer: Subject: \[\.\.\.\]' "$T/inner.eml"
subject=$(grep -i '^Subject:' "$D/mail/1-submitted.eml"); grep -qF "$subject" "$T/inner.eml"
if grep -qF "$subject" "$D/mail/2-sealed.eml"; then echo "the subject stands outside"; exit 1; fi
openssl x509 -in "$T/signer.pem" -noout -email | grep -x 'taro@a.example' >/dev/null

# The wrong key opens nothing.
if openssl cms -decrypt -in "$D/mail/2-sealed.eml" -inkey "$D/pki/sender.key.pem" -out "$T/none" 2>/dev/null \
   && openssl cms -verify -in "$T/none" -CAfile "$D/pki/anchor.pem" -out /dev/null 2>/dev/null; then
  echo "the sender's key opened the mail"; exit 1
fi

# The confirmation is signed by the recipient's card and is a disposition notification of that very mail.
openssl cms -verify -in "$D/mail/5-confirmation.eml" -CAfile "$D/pki/anchor.pem" -signer "$T/confirmer.pem" -out "$T/mdn"
openssl x509 -in "$T/confirmer.pem" -noout -email | grep -x 'hanako@b.example' >/dev/null
id=$(grep -i '^Message-ID:' "$D/mail/1-submitted.eml" | tr -d '\r' | sed 's/^[^:]*: *//')
tr -d '\r' <"$T/mdn" | grep -F "Original-Message-ID: $id" >/dev/null
mic=$(openssl dgst -sha256 -binary "$T/inner.eml" | openssl base64 -A)
tr -d '\r' <"$T/mdn" | grep -F "Received-content-MIC: $mic, sha-256" >/dev/null

# A changed octet is refused.
sed 's/^Disposition:.*displayed/Disposition: manual-action\/MDN-sent-automatically; deleted/' "$D/mail/5-confirmation.eml" >"$T/forged.eml"
cmp -s "$T/forged.eml" "$D/mail/5-confirmation.eml" && { echo "nothing was forged"; exit 1; }
if openssl cms -verify -in "$T/forged.eml" -CAfile "$D/pki/anchor.pem" -out /dev/null 2>/dev/null; then
  echo "a forged confirmation was verified"; exit 1
fi
