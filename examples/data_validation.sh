#!/usr/bin/env bash
# The checks of a batch of payments under evidence. curl alone.
#
#   exhibit demo --desk --scenario data-validation &      prints the desk's address
#   data_validation.sh SOCKET DESK_URL [BATCH]
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5p' "$0"; exit 2; }
socket=$1 desk=$2 batch=${3:-2026-11}
. "$(dirname "$0")/evidence.sh"
page=$desk/batches/$batch

open_run "{\"workflow\":\"data-validation\",\"agent\":\"data_validation.sh\",
  \"subject\":\"payments $batch\",\"principal\":\"data-team@example.com\"}"
code "$0"
capture before "$page"
log log "the batch has arrived"
act "[{\"action\":\"navigate\",\"url\":\"$page\"},
  {\"action\":\"click\",\"selector\":\"button\"},
  {\"action\":\"wait_for\",\"selector\":\".check\"},
  {\"action\":\"screenshot\",\"name\":\"the checks\"}]"
case $(curl --silent --fail "$desk/api/batches/$batch") in
  *'"passed":false'*) outcome=failed verdict="a check failed" ;;
  *'"passed":true'*) outcome=succeeded verdict="every check passed" ;;
  *) outcome=failed verdict="nothing was checked" ;;
esac
log decision "$verdict"
capture after "$page"
seal "$outcome" "$verdict"
