#!/usr/bin/env bash
# A refund under evidence: log, code and pictures in one sealed folder. curl alone.
#
#   exhibit demo --desk --scenario refund &      prints the desk's address
#   refund.sh SOCKET DESK_URL [TRANSACTION AMOUNT]
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5p' "$0"; exit 2; }
socket=$1 desk=$2 transaction=${3:-TX-1042} amount=${4:-48.50}
. "$(dirname "$0")/evidence.sh"
page=$desk/transactions/$transaction

open_run "{\"workflow\":\"refund\",\"agent\":\"refund.sh\",\"subject\":\"$transaction\",
  \"principal\":\"support-lead@example.com\"}"
code "$0"
capture before "$page"
log decision "refund $amount: the charge is a duplicate"
act "[{\"action\":\"navigate\",\"url\":\"$page/refund\"},
  {\"action\":\"fill\",\"selector\":\"[name=amount]\",\"value\":\"$amount\"},
  {\"action\":\"fill\",\"selector\":\"[name=reason]\",\"value\":\"Duplicate charge\"},
  {\"action\":\"click\",\"selector\":\"button\"},
  {\"action\":\"wait_for\",\"selector\":\".done\"},
  {\"action\":\"screenshot\",\"name\":\"the confirmation\"}]"
log tool-call "the desk says: $(curl --silent --fail "$desk/api/transactions/$transaction" | field status)"
capture after "$page"
seal succeeded "The duplicate charge was refunded"
