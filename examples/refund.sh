#!/usr/bin/env bash
# A refund as one run: both pictures, the agent's own log and its decision in one sealed folder.
# Talks to the daemon's Unix socket with curl alone.
#
#   refund.sh SOCKET DESK_URL TRANSACTION AMOUNT
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2,5p' "$0"; exit 2; }
socket=$1 desk=$2 transaction=$3 amount=$4
page=$desk/transactions/$transaction

call() { # call PATH JSON
  curl --silent --show-error --fail-with-body --unix-socket "$socket" \
    -H 'content-type: application/json' -d "$2" "http://exhibit/api/v1$1"
}
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

run=$(call /runs "{\"workflow\":\"refund\",\"agent\":\"refund.sh\",\"subject\":\"$transaction\"}" | field run)
call "/runs/$run/captures" "{\"stage\":\"before\",\"url\":\"$page\"}" >/dev/null
call "/runs/$run/events" "{\"kind\":\"decision\",\"message\":\"refund $amount\"}" >/dev/null
curl --silent --show-error --fail-with-body -H 'content-type: application/json' \
  -d "{\"amount\":\"$amount\",\"reason\":\"Duplicate charge\"}" \
  "$desk/api/transactions/$transaction/refund" >/dev/null
call "/runs/$run/captures" "{\"stage\":\"after\",\"url\":\"$page\"}" >/dev/null
call "/runs/$run/seal" '{"outcome":"succeeded"}'
echo
