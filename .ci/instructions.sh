#!/usr/bin/env bash
# Instructions the server spends on one message of a fixed conversation, counted by callgrind.
#
#   .ci/instructions.sh            compare with the figure in .ci/instructions: more than 5 % above fails
#   .ci/instructions.sh --write    write the figure
#
# A count, not a time: it says the same on a busy machine. NATSX_BIN is the server (default: target/ci/natsx).
set -euo pipefail
cd "$(dirname "$0")/.."
server=${NATSX_BIN:-${CARGO_TARGET_DIR:-target}/ci/natsx}
few=2000 many=102000

count() { # MESSAGES: instructions of a server's life with so many messages
  python3 -B .ci/instructions.py "$server" "$1"
}

base=$(count $few)
figure=$((($(count $many) - base) / (many - few)))
echo "    $figure instructions a message"
if [ "${1:-}" = --write ]; then
  echo "$figure" > .ci/instructions
  exit
fi
if [ ! -f .ci/instructions ]; then
  echo "    no figure to compare with: write one with .ci/instructions.sh --write"
  exit
fi
kept=$(cat .ci/instructions)
if [ $((figure * 100)) -gt $((kept * 105)) ]; then
  echo "    more than 5 % above the $kept of .ci/instructions" >&2
  exit 1
fi
echo "    kept figure: $kept"
