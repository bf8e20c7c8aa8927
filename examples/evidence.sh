# What the example programs share: talking to the daemon's Unix socket with curl alone.
# Needs $socket; open_run sets $run.

send() { # send PATH MEDIA_TYPE CURL_ARGUMENTS...
  local path=$1 media_type=$2
  shift 2
  curl --silent --show-error --fail-with-body --unix-socket "$socket" \
    -H "content-type: $media_type" -H "x-exhibit-run: ${run:-}" "$@" "http://exhibit/api/v1$path"
}
call() { send "$1" application/json -d "$2"; } # call PATH JSON
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# What ends before its run is sealed leaves it sealed as failed.
sealed=
failed() { # failed STATUS
  trap - EXIT
  if [ "$1" -ne 0 ] && [ -n "${run:-}" ] && [ -z "$sealed" ]; then
    seal failed "the program ended with $1" || echo "run $run stays open" >&2
  fi
}
trap 'failed $?' EXIT

open_run() { run=$(curl --silent --show-error --fail-with-body --unix-socket "$socket" \
  -H 'content-type: application/json' -d "$1" http://exhibit/api/v1/runs |
  sed 's/.*"run":"\([^"]*\)".*/\1/'); }
log() { call "/runs/$run/events" "{\"kind\":\"$1\",\"message\":\"$2\"}" >/dev/null; } # log KIND TEXT
capture() { # capture STAGE URL
  call "/runs/$run/captures" "{\"stage\":\"$1\",\"url\":\"$2\",\"waitUntil\":\"load\"}" >/dev/null
}
code() { # code FILE: attach the program that runs, and name it as the code
  local name=${1##*/}
  send "/runs/$run/attachments?name=$name" text/x-shellscript --data-binary "@$1" >/dev/null
  call "/runs/$run/code" "{\"attachment\":\"$name\",\"path\":\"examples/$name\"}" >/dev/null
}
act() { # act STEPS: in a page that is recorded meanwhile
  local session recording done
  session=$(call /sessions '{}' | field session_id)
  recording=$(call "/runs/$run/recordings" "{\"session_id\":\"$session\"}" | field recording)
  done=$(call /sequence "{\"session_id\":\"$session\",\"steps\":$1,\"stage\":\"during\"}")
  call "/runs/$run/recordings/$recording/stop" '{}' >/dev/null
  send "/sessions/$session" application/json -X DELETE
  case $done in *'"status":"error"'*) echo "a step failed: $done" >&2; return 1 ;; esac
}
seal() { # seal OUTCOME REASON: prints the receipt
  sealed=yes
  call "/runs/$run/seal" "{\"outcome\":\"$1\",\"reason\":\"$2\"}"
  echo
  echo "$1: run $run is sealed; exhibit show $run" >&2
}
