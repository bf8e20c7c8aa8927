#!/usr/bin/env bash
# A change of somebody's role under evidence, with its approval. curl alone.
#
#   exhibit demo --desk --scenario access-change &      prints the desk's address
#   access_change.sh SOCKET DESK_URL [PERSON ROLE APPROVAL]
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5p' "$0"; exit 2; }
socket=$1 desk=$2 person=${3:-alice} role=${4:-Admin} approval=${5:-APR-118}
. "$(dirname "$0")/evidence.sh"
page=$desk/people/$person

open_run "{\"workflow\":\"access-change\",\"agent\":\"access_change.sh\",\"subject\":\"$person\",
  \"principal\":\"identity-team@example.com\"}"
code "$0"
capture before "$page"
log log "the team asks for the role $role"
log approval "approved by the owner of the system: $approval"
act "[{\"action\":\"navigate\",\"url\":\"$page/role\"},
  {\"action\":\"select\",\"selector\":\"[name=role]\",\"value\":\"$role\"},
  {\"action\":\"fill\",\"selector\":\"[name=approval]\",\"value\":\"$approval\"},
  {\"action\":\"screenshot\",\"name\":\"the form, filled in\"},
  {\"action\":\"click\",\"selector\":\"button\"},
  {\"action\":\"wait_for\",\"selector\":\"[role=status]\"}]"
now=$(curl --silent --fail "$desk/api/people/$person" | field role)
log tool-call "the desk says: $now"
capture after "$page"
[ "$now" = "$role" ] && outcome=succeeded || outcome=failed
seal "$outcome" "The role is $now"
