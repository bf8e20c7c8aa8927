#!/usr/bin/env bash
# Check evidence without any software of Exhibit's: coreutils, findutils, ssh-keygen, openssl, and
# Python's standard library (verify_log.py, beside this script) for the log.
#
#   verify.sh --trust DIR [--at TIME] FOLDER                            one evidence folder
#   verify.sh --trust DIR [--at TIME] --store STORE [--checkpoint KEPT]…   a whole store
#
# DIR holds whom you trust, and comes from the operator BY ANOTHER WAY than the evidence:
#   allowed_signers   the keys that sign evidence (ssh-keygen(1), ALLOWED SIGNERS)
#   revoked_keys      keys of these that are not to be believed any more, if there are any
#   log.vkey          the public key of the store's log (c2sp.org/signed-note)
#   tsa-ca.pem        authorities whose timestamps count, if you trust any (RFC 3161)
# KEPT is a copy of STORE/log/checkpoint that you kept at an earlier visit.
# TIME is when signing keys are judged where no timestamp over the signature says when they signed: a
# day, or a time such as 2026-11-01T08:00:00Z, such as when you received the evidence. Without it, the
# time of sealing counts, by the folder's own word.
#
# Prints PASS or FAIL for each check; ends with 0 when all passed, 1 when one failed, 2 when it
# could not begin. Where a store has archived runs or keeps bundles of other stores, zstd and tar are
# needed as well.
# Nothing in the evidence is run. Written for bash 5.2, OpenSSH 9.2, OpenSSL 3.0
# and Python 3.11, as in Debian 12. docs/FORMAT.md says what each file is.
set -uo pipefail
unset CDPATH EXHIBIT_UNPACKED
export LC_ALL=C TZ=UTC
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd) || exit 2

stop() { printf 'verify.sh: %s\n' "$*" >&2; exit 2; }
usage() { stop "usage: verify.sh --trust DIR [--at TIME] FOLDER | --trust DIR [--at TIME] --store STORE [--checkpoint KEPT]…"; }

trust='' store='' folder='' moment='' kept=()
while [ $# -gt 0 ]; do
  case $1 in
    --trust | --store | --checkpoint) [ $# -ge 2 ] && [ -e "$2" ] || stop "$1 needs a path that exists"
      path=$(realpath -- "$2") ;;&
    --trust) trust=$path; shift 2 ;;
    --store) store=$path; shift 2 ;;
    --checkpoint) kept+=("$path"); shift 2 ;;
    --at) [[ ${2-} =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z)?$ ]] && moment=$(date -ud "$2" +%Y%m%d%H%M%SZ) ||
        stop "--at needs a day or a time, such as 2026-11-01T08:00:00Z"
      shift 2 ;;
    --) shift; break ;;
    -*) usage ;;
    *) break ;;
  esac
done
if [ $# -eq 1 ]; then [ -d "$1" ] || stop "that folder is not there"; folder=$(realpath -- "$1"); fi
[ -n "$trust" ] && [ $# -le 1 ] || usage
if [ -n "$store" ]; then [ -z "$folder" ] || usage; else [ -n "$folder" ] && [ ${#kept[@]} -eq 0 ] || usage; fi
for tool in sha256sum find ssh-keygen openssl python3; do
  command -v "$tool" >/dev/null || stop "$tool is not installed"
done
# A key that comes with the evidence proves nothing.
case $trust/ in "${store:-$folder}"/*) stop "DIR lies in what is to be checked" ;; esac
[ -f "$trust/allowed_signers" ] || stop "DIR/allowed_signers is not there"
[ -f "$trust/log.vkey" ] || [ -z "$store" ] || stop "DIR/log.vkey is not there: a store needs it"

scratch=$(mktemp -d) || exit 2
trap 'rm -rf -- "$scratch"' EXIT

failed=0
# check NUMBER NAME WHAT COMMAND…: run the command, say whether it passed, show what it printed.
check() {
  local number=$1 name=$2 what=$3 word=PASS
  shift 3
  "$@" >"$scratch/said" 2>&1 </dev/null || { word=FAIL failed=1; }
  printf '%s %2s %-13s %s\n' "$word" "$number" "$name" "$what"
  # Names in evidence are hostile: no control character reaches the terminal.
  if [ $word = FAIL ]; then head -n 20 "$scratch/said" | cat -v | sed 's/^/            | /'; return 1; fi
}
python() { python3 -I -B "$here/verify_log.py" "$@"; }

# --- One folder; these run inside it. ---------------------------------------------------------

run_id='[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
part='[A-Za-z0-9_][A-Za-z0-9._-]{0,99}' # of a name: no space, no leading dot or hyphen

plain_files() { # No links, devices, pipes; no empty folders; a folder named after a run.
  local other
  other=$(find . ! -type d ! -type f -print -o -type d -empty -print) && [ -z "$other" ] || { echo "$other"; return 1; }
  [[ ${PWD##*/} =~ ^$run_id$ ]] || { echo "the folder is not named after a run"; return 1; }
  grep -qF -- "\"run\":\"${PWD##*/}\"" seal.json || { echo "seal.json is of another run"; return 1; }
}
manifests() { # Digest, two spaces, a plain name; names sorted, each once.
  local file names
  for file in tagmanifest-sha256.txt manifest-sha256.txt; do
    names=$part; [ $file = manifest-sha256.txt ] && names="data(/$part)+"
    [ -s $file ] && [ -z "$(tail -c1 $file)" ] || { echo "$file does not end with a line"; return 1; }
    ! grep -navE "^[0-9a-f]{64}  $names\$" $file || return 1
    cut -c67- $file | sort -uc || return 1
  done
  # The signature is over these, all of them.
  cut -c67- tagmanifest-sha256.txt | grep -vxF report.html |
    diff - <(printf '%s\n' VERIFY.txt bag-info.txt bagit.txt manifest-sha256.txt) || return 1
  [ ! -e report.html ] || grep -qE '^.{64}  report\.html$' tagmanifest-sha256.txt
}
nothing_added() { # Below data/ is what the manifest lists, and nothing else.
  diff <(cut -c67- manifest-sha256.txt) <(find data -type f | sort)
}
root_names() { # Beside data/ is what the format names, and nothing else.
  local name all=(data bagit.txt bag-info.txt manifest-sha256.txt VERIFY.txt
    tagmanifest-sha256.txt tagmanifest-sha256.txt.sig seal.json)
  local known=" ${all[*]} report.html seal.json.tlog-proof $stamp $request "
  for name in "${all[@]}"; do [ -e "$name" ] || { echo "$name is not there"; return 1; }; done
  while IFS= read -rd '' name; do
    [[ $known == *" $name "* ]] || { echo "$name is not of the format"; return 1; }
  done < <(find . -mindepth 1 -maxdepth 1 -printf '%P\0')
}
# revoked TIME: the keys that are revoked for what was there at TIME, by an authority's word; all of
# them where none says so. What a folder says of its own time is worth nothing then.
revoked() {
  local line
  while IFS= read -r line || [ -n "$line" ]; do
    [[ $line =~ ^[^\ ]+\ [^\ ]+\ since=([0-9]{14}Z)(\ |$) && -n $1 && $1 < ${BASH_REMATCH[1]} ]] || printf '%s\n' "$line"
  done <"$trust/revoked_keys"
}
stamp=tagmanifest-sha256.txt.sig.tsr request=tagmanifest-sha256.txt.sig.tsq
# stamp_time STAMP OPTION FILE: the moment of a timestamp over it (-data) or that answers it
# (-queryfile), by an authority in tsa-ca.pem. Without -attime openssl refuses good old ones and
# accepts ones dated before their certificate.
stamp_time() {
  local time
  time=$(openssl ts -reply -in "$1" -text | sed -n 's/^Time stamp: //p') && time=$(date -ud "$time" +%s) ||
    { echo "$1 is no timestamp" >&2; return 1; }
  openssl ts -verify "$2" "$3" -in "$1" -CAfile "$trust/tsa-ca.pem" -attime "$time" >&2 && echo "$time"
}
accuracy() { # accuracy STAMP: seconds by which it may be off, by the authority's word; ten minutes count at most.
  local off
  off=$(openssl ts -reply -in "$1" -text | sed -nE 's/^Accuracy: (0x[0-9A-F]+) seconds.*/\1/p')
  echo $((off > 600 ? 600 : off))
}
timestamp() { # Over the signature, by an authority that is trusted, near the time of sealing.
  local time sealed off
  [ -e $stamp ] || return 0 # That there must be one, seal.json says.
  time=$(stamp_time $stamp -queryfile $request) && time=$(stamp_time $stamp -data tagmanifest-sha256.txt.sig) || return 1
  sealed=$(sed -nE 's/.*"sealed_at":"([^"]*)".*/\1/p' seal.json) && sealed=$(date -ud "$sealed" +%s) || return 1
  off=$(accuracy $stamp)
  [ $((sealed - time)) -le $((off + 60)) ] && [ $((time - sealed)) -le $((off + 600)) ] ||
    { echo "sealed at $(date -ud @"$sealed"), it says; there at $(date -ud @"$time"), says the authority"; return 1; }
}
signature() { # By a key that is trusted and not revoked, for evidence, at the time of the timestamp, or of sealing.
  local at principal time there='' more=()
  at=$(sed -nE 's/.*"sealed_at":"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]+Z".*/\1\2\3\4\5\6Z/p' seal.json)
  [[ $at =~ ^[0-9]{14}Z$ ]] || { echo "seal.json says no time"; return 1; }
  at=${moment:-$at}
  if [ -f "$trust/tsa-ca.pem" ] && [ -e $stamp ] && time=$(stamp_time $stamp -data tagmanifest-sha256.txt.sig); then
    at=$(date -ud @"$time" +%Y%m%d%H%M%SZ) there=$at
  fi
  # A timestamp over the log says so of every seal below it.
  [ -z "$believed" ] || [[ -n $there && $there < $believed ]] || there=$believed
  if [ -f "$trust/revoked_keys" ]; then revoked "$there" >"$scratch/revoked"; more=(-r "$scratch/revoked"); fi
  while read -r principal _ || [ -n "$principal" ]; do
    case $principal in '' | \#*) continue ;; esac
    principal=${principal//\"/} principal=${principal%%,*}
    ssh-keygen -Y verify -f "$trust/allowed_signers" -I "$principal" -n evidence@exhibit \
      -Overify-time="$at" "${more[@]}" -s tagmanifest-sha256.txt.sig <tagmanifest-sha256.txt && return 0
  done <"$trust/allowed_signers"
  return 1
}
sound() { # By whatever key, for evidence.
  ssh-keygen -Y check-novalidate -n evidence@exhibit -s tagmanifest-sha256.txt.sig <tagmanifest-sha256.txt
}
proof() { # From seal.json to a checkpoint that the log signed; also by a proof that lies beside the folder.
  local file
  for file in seal.json.tlog-proof ${beside:+"$beside"}; do
    [ -z "$stranger" ] || [ -e "$file" ] || continue
    python proof . "$file" >"$scratch/note" || return 1
    [ -n "$stranger" ] || signed_note "$scratch/note" || return 1
  done
}

# A checkpoint is a signed note: the log's name, its size, its root; a blank line; and lines
# "— NAME BASE64", whose first four bytes tell the key and whose other 64 are the signature.
signed_note() { # signed_note FILE: is it signed with a key in log.vkey?
  local vkey name id key der='\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00' # an Ed25519 key in DER
  [ -f "$1" ] || { echo "it is not there"; return 1; }
  sed '/^$/,$d' "$1" >"$scratch/text"
  while IFS= read -r vkey || [ -n "$vkey" ]; do
    [[ $vkey =~ ^([^+ ]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$ ]] || continue
    name=${BASH_REMATCH[1]} id=${BASH_REMATCH[2]} key=${BASH_REMATCH[3]}
    [ "$(head -n1 "$scratch/text")" = "$name" ] || continue
    { printf %b "$der"; base64 -d <<<"$key" | tail -c +2; } >"$scratch/key.der"
    : >"$scratch/signature"
    while read -r dash by signature; do
      [ "$dash" = '—' ] && [ "$by" = "$name" ] || continue
      [ "$(base64 -d <<<"$signature" 2>/dev/null | head -c4 | od -An -tx1 | tr -d ' \n')" = "$id" ] || continue
      base64 -d <<<"$signature" | tail -c +5 >>"$scratch/signature"
    done < <(sed '1,/^$/d' "$1")
    openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$scratch/key.der" \
      -in "$scratch/text" -sigfile "$scratch/signature" && return 0
  done <"$trust/log.vkey"
  echo "not signed by the log that is trusted"
  return 1
}

# Of a folder in a kept bundle of another store: whether DIR says nothing of its key, and the proof beside it.
# Of one of the store's: when its seal was there at the latest, by a timestamp over the log.
# Of one whose seal is in the log and that is not moved to its place yet: that its proof may be missing.
stranger='' beside='' believed='' unproven=''
folder() ( # folder PATH: all checks of one folder
  failed=0
  cd -- "$1" || exit 1
  # What is no plain file is not read, and neither is what a malformed manifest names.
  check 1 plain-files 'plain files only, named after its run' plain_files || exit 1
  check 2 manifests 'the manifests are well-formed' manifests || exit 1
  check 3 tag-files 'the files beside data/ are those that were signed for' sha256sum --strict --quiet -c tagmanifest-sha256.txt
  check 4 payload 'the files below data/ are those that were recorded' sha256sum --strict --quiet -c manifest-sha256.txt
  check 5 nothing-added 'nothing was added below data/' nothing_added
  check 6 root 'nothing was added or removed beside data/' root_names
  if [ -z "$stranger" ]; then
    check 7 signature 'signed with a key that is trusted' signature
  else
    check 7 signature 'signed with a key of which DIR says nothing: of another store' sound
  fi
  check 8 seal 'seal.json is what the other files give' python seal .
  check 9 chain 'no event was removed, changed or moved' python chain .
  if [ -n "$stranger" ]; then
    check 10 proof 'the seal is in a log, of another store' proof
  elif [ -n "$unproven" ] && [ ! -e seal.json.tlog-proof ]; then
    echo 'SKIP 10 proof         it is written when the folder is moved to its place'
  elif [ -f "$trust/log.vkey" ]; then
    check 10 proof 'the seal is in the log that is trusted' proof
  else
    echo 'SKIP 10 proof         there is no log.vkey in DIR'
  fi
  if [ -n "$stranger" ]; then
    : # Whom its own store believes about time is not known here.
  elif [ -f "$trust/tsa-ca.pem" ]; then
    check 18 timestamp 'the signature was there when it says, by the word of an authority' timestamp
  elif [ -e $stamp ]; then
    echo 'SKIP 18 timestamp     there is no tsa-ca.pem in DIR'
  fi
  exit $failed
)

# --- A store; these run inside it. -------------------------------------------------------------

places() { # Below runs/ are folders named by day and run, each run under the day in its id.
  local path id seconds other
  [ -d runs ] && [ ! -L runs ] || { echo "there is no runs/"; return 1; }
  other=$(find runs -mindepth 1 -maxdepth 4 -regextype posix-extended \
    ! \( -type d -regex "runs/[0-9]{4}(/[0-9]{2}(/[0-9]{2}(/$run_id)?)?)?" \) \
    ! \( -type f -regex "runs/[0-9]{4}/[0-9]{2}/[0-9]{2}/$run_id\.tar\.zst" \)) && [ -z "$other" ] ||
    { echo "$other"; return 1; }
  while IFS= read -rd '' path; do
    id=${path##*/} id=${id%.tar.zst} seconds=$((16#${id:0:8}${id:9:4} / 1000))
    [ "${path%.tar.zst}" = "runs/$(date -u -d "@$seconds" +%Y/%m/%d)/$id" ] || { echo "$path is of another day"; return 1; }
  done < <(find runs -mindepth 4 -maxdepth 4 -print0)
}
archives() { # Each is the one that the log holds; then it is unpacked: the folder of its run, and nothing else.
  local id path other
  python archives . >"$scratch/archives" || return 1
  while read -r id path; do
    [[ $id =~ ^$run_id$ ]] || continue
    zstd -dcq -- "$path" >"$scratch/tar" && tar -tf "$scratch/tar" --quoting-style=escape >"$scratch/names" ||
      { echo "$path cannot be unpacked"; return 1; }
    other=$(grep -vE "^runs/$id(/$part)*/?$" "$scratch/names") && { printf '%s holds %s\n' "$path" "$other"; return 1; }
    tar -xf "$scratch/tar" -C "$unpacked" --strip-components=1 --no-same-owner --no-same-permissions || return 1
  done <"$scratch/archives"
}
imports() { # Each is one that the log holds; then it is unpacked: folders of runs, their proofs, and nothing else.
  local path other into
  python imports . >"$scratch/imports" || return 1
  while IFS= read -r path; do
    [ -n "$path" ] || continue
    into=${path##*/} into=$taken/${into%.tar.zst}
    zstd -dcq -- "$path" >"$scratch/tar" && tar -tf "$scratch/tar" --quoting-style=escape >"$scratch/names" ||
      { echo "$path cannot be unpacked"; return 1; }
    other=$(grep -vE "^(runs/$run_id(/$part)*/?|proofs/$run_id\.tlog-proof)$" "$scratch/names") &&
      { printf '%s holds %s\n' "$path" "$other"; return 1; }
    grep -q '^runs/' "$scratch/names" || { echo "$path holds no folder"; return 1; }
    mkdir -- "$into" && tar -xf "$scratch/tar" -C "$into" --no-same-owner --no-same-permissions || return 1
  done <"$scratch/imports"
}
history_signed() {
  local note
  [ -d checkpoints ] || { echo "there is no checkpoints/"; return 1; }
  python history . || return 1
  while IFS= read -rd '' note; do
    signed_note "$note" || { printf '%s\n' "$note"; return 1; }
  done < <(find checkpoints -type f -name '*.note' -print0)
}
kept_hold() {
  local note
  for note in "${kept[@]}"; do signed_note "$note" || { printf '%s\n' "$note"; return 1; }; done
  python kept . "${kept[@]}"
}

timestamps() { # Each is over its checkpoint's text, by an authority in tsa-ca.pem, judged at its own time.
  local stamp note time wrong=0
  : >"$scratch/stamps"
  while IFS= read -rd '' stamp; do
    [[ $stamp =~ ^(checkpoints/[x0-9/]+)(\.[0-9]+)?\.tsr$ ]] || { echo "$stamp"; wrong=1; continue; }
    note=${BASH_REMATCH[1]}.note
    sed '/^$/,$d' "$note" >"$scratch/text" && time=$(stamp_time "$stamp" -data "$scratch/text") &&
      { [ ! -e "${note%.note}.tsq" ] || stamp_time "$stamp" -queryfile "${note%.note}.tsq" >/dev/null; } ||
      { printf '%s\n' "$stamp"; wrong=1; continue; }
    # How many entries were there, and when at the latest: fractions of a second are left out above.
    echo "$(sed -n 2p "$scratch/text") $((time + $(accuracy "$stamp") + 1))" >>"$scratch/stamps"
  done < <(find checkpoints -type f -name '*.tsr' -print0)
  return $wrong
}

stamp_order() { # Runs were stamped in the order in which the log holds their seals, give or take ten minutes.
  local path time off latest=0
  while IFS= read -r path; do
    [ -e "$path/$stamp" ] || continue
    # Whether it counts is a check of the folder.
    time=$(stamp_time "$path/$stamp" -data "$path/tagmanifest-sha256.txt.sig" 2>/dev/null) || continue
    off=$(accuracy "$path/$stamp")
    [ $((time + off + 600)) -ge $latest ] || { printf '%s\n' "$path was stamped before one that stands before it"; return 1; }
    [ $((time - off)) -le $latest ] || latest=$((time - off))
  done < <(python order .)
}

if [ -n "$folder" ]; then
  folder "$folder" || failed=1
else
  cd -- "$store" || exit 2
  unpacked=$scratch/unpacked taken=$scratch/taken
  mkdir -- "$unpacked" "$taken" || exit 2
  if [ -n "$(find runs -mindepth 4 -maxdepth 4 -type f -name '*.tar.zst' 2>/dev/null | head -c1)" ]; then
    for tool in zstd tar; do command -v "$tool" >/dev/null || stop "$tool is needed for archived runs and is not installed"; done
    export EXHIBIT_UNPACKED=$unpacked
  fi
  if [ -n "$(find imported -type f 2>/dev/null | head -c1)" ]; then
    for tool in zstd tar; do command -v "$tool" >/dev/null || stop "$tool is needed for kept bundles and is not installed"; done
  fi
  check 11 checkpoint 'the log is signed by the key that is trusted' signed_note log/checkpoint
  check 12 tiles 'all tiles and the root follow from the entries' python tiles .
  [ -z "${EXHIBIT_UNPACKED-}" ] || check 21 archives 'each archive is the one in the log, of one run' archives
  check 13 history 'every checkpoint in checkpoints/ and in proofs still holds' history_signed
  [ ${#kept[@]} -eq 0 ] || check 14 kept 'every checkpoint that you kept still holds' kept_hold
  check 15 places 'each run lies under its day, and nothing else' places
  check 16 runs 'log and folders tell of the same runs' python runs .
  if [ -f "$trust/tsa-ca.pem" ]; then
    check 17 timestamps 'every timestamp is over its checkpoint' timestamps
    check 19 stamp-order 'runs were stamped in the order of the log' stamp_order
    python there . "$scratch/stamps" >"$scratch/there" 2>/dev/null
  fi
  check 20 custody 'no event of custody was changed or removed' python custody .
  check 22 imports 'each kept bundle of another store is one in the log' imports
  while IFS= read -rd '' path; do
    printf 'folder %q\n' "$path"
    run=${path##*/} believed=''
    if [[ $run =~ ^$run_id$ ]] && [ -e "$scratch/there" ]; then
      believed=$(sed -nE "s/^$run ([0-9]+)$/\1/p" "$scratch/there")
      [ -z "$believed" ] || believed=$(date -ud "@$believed" +%Y%m%d%H%M%SZ)
    fi
    folder "$path" || failed=1
  done < <(find runs -mindepth 4 -maxdepth 4 -type d -print0; find "$unpacked" -mindepth 1 -maxdepth 1 -type d -print0)
  while IFS= read -r path; do
    [ -n "$path" ] || continue
    believed='' unproven=yes
    printf 'folder %q\n' "$path"
    folder "$path" || failed=1
  done < <(python unpublished .)
  unproven=''
  # A key of which the auditor was told nothing is one for the auditor of the store that the bundle comes from.
  while IFS= read -rd '' path; do
    run=${path##*/} from=${path%/runs/*}
    stranger='' believed='' beside=$from/proofs/$run.tlog-proof
    [ -e "$beside" ] || beside=''
    python named "$path/tagmanifest-sha256.txt.sig" "$trust/allowed_signers" "$trust/revoked_keys" >/dev/null 2>&1 || stranger=yes
    printf 'folder %q\n' "imported/${from##*/}.tar.zst/runs/$run"
    folder "$path" || failed=1
  done < <(find "$taken" -mindepth 3 -maxdepth 3 -type d -path '*/runs/*' -print0)
fi
if [ $failed = 0 ]; then echo 'all checks passed'; else echo 'NOT INTACT: a check failed'; fi
exit $failed
