#!/bin/sh
# Makes the certificates of conf/tls.conf anew: an authority, the server's certificate, and two clients'.
# They are examples, valid for a hundred years, and their keys are public: make your own.
set -eu
cd "$(dirname "$0")"

certificate() { # NAME SUBJECT EXTENSION...
  name=$1 subject=$2
  shift 2
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -subj "$subject" -out "$name.csr"
  printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" "$@" >"$name.ext"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -extfile "$name.ext" -out "$name.pem"
  rm "$name.csr" "$name.ext"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 36500 \
  -subj "/O=natsx examples/CN=example authority" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
certificate server "/O=natsx examples/CN=localhost" \
  "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1" "extendedKeyUsage=serverAuth"
certificate ann "/O=natsx examples/CN=ann" "subjectAltName=email:ann@example.com" "extendedKeyUsage=clientAuth"
certificate sensor "/O=natsx examples/OU=cellar/CN=sensor" "extendedKeyUsage=clientAuth"
rm -f ca.key ca.srl
