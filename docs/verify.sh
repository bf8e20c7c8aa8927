#!/usr/bin/env bash
# Check evidence without any software of Exhibit's: coreutils, findutils, ssh-keygen, openssl, and
# Python's standard library (verify_log.py and verify_container.py, beside this script).
#
#   verify.sh --trust DIR [--at TIME] [--proof FILE] FOLDER             one evidence folder
#   verify.sh --trust DIR [--at TIME] BUNDLE.tar.zst                    what was sent as one file
#   verify.sh --trust DIR [--at TIME] --store STORE [--checkpoint KEPT]… [--witnessed-since TIME]
#                                                                       a whole store
#
# DIR holds whom you trust, and comes from the operator BY ANOTHER WAY than the evidence:
#   allowed_signers   the keys that sign evidence (ssh-keygen(1), ALLOWED SIGNERS)
#   revoked_keys      keys of these that are not to be believed any more, if there are any
#   log.vkey          the public key of the store's log (c2sp.org/signed-note), or
#   trust-policy.txt  that key, witnesses, and how many of these you need (c2sp.org/tlog-policy)
#   tsa-ca.pem        authorities whose timestamps count, if you trust any (RFC 3161)
# KEPT is a copy of STORE/log/checkpoint that you kept at an earlier visit, FILE a later proof of the
# folder (exhibit log proof). An old state of the store, put back whole, verifies: KEPT tells, and so
# does --witnessed-since, by which the witnesses you need must have looked at the log after TIME.
# TIME is when signing keys are judged where no timestamp over the signature says when they signed: a
# day, or a time such as 2026-11-01T08:00:00Z, such as when you received the evidence. Without it, the
# time of sealing counts, by the folder's own word.
#
# Prints PASS, FAIL or UNREAD for each check, and NOTE for what the daemon itself found and put into the
# log; ends with 0 when all passed, 1 when one failed, 2 when it could not begin, 3 when none failed and
# something could not be read. UNREAD is neither intact nor altered: check again as somebody who may read
# it, on a disk that works. For a bundle, and where a store has archived runs or keeps bundles of other
# stores, zstd and tar are needed as well; what they unpack was judged byte by byte before.
# A store must be at rest: stop its daemon, or check a snapshot or a copy. `exhibit verify` reads again what
# a daemon moves meanwhile; this script does not, and says in a NOTE when the log grew while a check failed.
# Nothing in the evidence is run. Written for bash 5.2, OpenSSH 9.2, OpenSSL 3.0
# and Python 3.11, as in Debian 12. docs/FORMAT.md says what each file is.
set -uo pipefail
unset CDPATH EXHIBIT_UNPACKED EXHIBIT_CHECKPOINT EXHIBIT_TREE
export LC_ALL=C TZ=UTC
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd) || exit 2

stop() { printf 'verify.sh: %s\n' "$*" >&2; exit 2; }
usage() {
  stop "usage: verify.sh --trust DIR [--at TIME] [--proof FILE] FOLDER | --trust DIR [--at TIME] BUNDLE |" \
    "--trust DIR [--at TIME] --store STORE [--checkpoint KEPT]… [--witnessed-since TIME]"
}

trust='' store='' folder='' moment='' since='' later='' kept=()
while [ $# -gt 0 ]; do
  case $1 in
    --trust | --store | --checkpoint | --proof) [ $# -ge 2 ] && [ -e "$2" ] || stop "$1 needs a path that exists"
      path=$(realpath -- "$2") ;;&
    --trust) trust=$path; shift 2 ;;
    --store) store=$path; shift 2 ;;
    --checkpoint) kept+=("$path"); shift 2 ;;
    --proof) later=$path; shift 2 ;;
    --at | --witnessed-since)
      [[ ${2-} =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z)?$ ]] && time=$(date -ud "$2" +%s) ||
        stop "$1 needs a day or a time, such as 2026-11-01T08:00:00Z"
      if [ "$1" = --at ]; then moment=$time; else since=$time; fi
      shift 2 ;;
    --) shift; break ;;
    -*) usage ;;
    *) break ;;
  esac
done
if [ $# -eq 1 ]; then [ -d "$1" ] || [ -f "$1" ] || stop "that folder is not there"; folder=$(realpath -- "$1"); fi
[ -n "$trust" ] && [ $# -le 1 ] || usage
if [ -n "$store" ]; then
  [ -z "$folder$later" ] || usage
else
  [ -n "$folder" ] && [ ${#kept[@]} -eq 0 ] && [ -z "$since" ] || usage
fi
for tool in sha256sum find ssh-keygen openssl python3; do
  command -v "$tool" >/dev/null || stop "$tool is not installed"
done
# A key that comes with the evidence proves nothing.
case $trust/ in "${store:-$folder}"/*) stop "DIR lies in what is to be checked" ;; esac
[ -f "$trust/allowed_signers" ] || stop "DIR/allowed_signers is not there"
logs=''
if [ -e "$trust/trust-policy.txt" ] || [ -e "$trust/log.vkey" ]; then logs=yes; fi
[ -n "$logs" ] || [ -z "$store" ] || stop "DIR/log.vkey is not there: a store needs it"
# What python3 names may be a wrapper that takes longer to start than a check.
interpreter=$(python3 -I -S -c 'import sys; print(sys.executable)') && [ -x "$interpreter" ] || stop "python3 does not start"
python() { "$interpreter" -I -S -B "$here/verify_log.py" "$@"; }
scratch=$(mktemp -d) || exit 2
trap 'rm -rf -- "$scratch"' EXIT
weak=$(python trust "$trust" "$scratch/principals" ${since:+since} 2>"$scratch/said") ||
  stop "DIR cannot be used: $(cat -v "$scratch/said")"

failed=0 unread=0
# check NUMBER NAME WHAT COMMAND…: run the command, say whether it passed, show what it printed. A
# command ends with 3 when it could not read what it needed, and found nothing wrong with the rest.
check() {
  local number=$1 name=$2 what=$3 word=PASS
  shift 3
  "$@" >"$scratch/said" 2>&1 </dev/null
  case $? in 0) ;; 3) word=UNREAD unread=1 ;; *) word=FAIL failed=1 ;; esac
  printf '%s %2s %-13s %s\n' "$word" "$number" "$name" "$what"
  # Names in evidence are hostile: no control character reaches the terminal.
  if [ $word != PASS ]; then head -n 20 "$scratch/said" | cat -v | sed 's/^/            | /'; return 1; fi
  grep -a '^note: ' "$scratch/said" | head -n 20 | cat -v | sed 's/^/            | /'
  return 0
}
# legible FILE…: 3 when one of them is there and cannot be read; what is no plain file is not read.
legible() {
  local file
  for file; do
    [ -e "$file" ] || reachable "$file" || return 3
    [ ! -f "$file" ] || cat -- "$file" >/dev/null || return 3
  done
}
# reachable PATH: whether it can be told that nothing is there.
reachable() {
  local said
  said=$(stat -- "$1" 2>&1 >/dev/null) || [[ $said == *': No such file or directory' || $said == *': Not a directory' ]] ||
    { printf '%s\n' "$said"; return 1; }
}
# sums MANIFEST: the files that it lists have their digests. 3 when some could not be read.
sums() {
  local code=0 name
  legible "$1" || return 3
  sha256sum --strict -c "$1" >"$scratch/sums" 2>"$scratch/why" && return 0
  grep -v ': OK$' "$scratch/sums"
  cat "$scratch/why"
  while IFS= read -r name; do
    [[ $name == *': FAILED open or read' ]] || { [[ $name == *': OK' ]] || return 1; continue; }
    name=${name%': FAILED open or read'}
    [ -e "$name" ] || ! reachable "$name" || return 1
    code=3
  done <"$scratch/sums"
  [ $code = 3 ] || return 1
  return 3
}
container() { "$interpreter" -I -S -B "$here/verify_container.py" "$@"; }

# --- One folder; these run inside it. ---------------------------------------------------------

run_id='[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
part='[A-Za-z0-9_][A-Za-z0-9._-]{0,99}' # of a name: no space, no leading dot or hyphen

plain_files() { # No links, devices, pipes; no empty folders; a folder named after a run.
  local other found=0
  other=$(find . ! -type d ! -type f -print -o -type d -empty -print) || found=3
  [ -z "$other" ] || { echo "$other"; return 1; }
  # A name with a line feed would be two to whoever reads lines.
  other=$(find . -mindepth 1 -regextype posix-extended ! -regex "\./($part/)*$part" -print) || found=3
  [ -z "$other" ] || { echo "$other"; return 1; }
  [[ ${PWD##*/} =~ ^$run_id$ ]] || { echo "the folder is not named after a run"; return 1; }
  legible seal.json tagmanifest-sha256.txt.sig $stamp || return 3
  facts=$(python facts . "$whom") && [ "${facts%% *}" = "${PWD##*/}" ] ||
    { echo "seal.json is of another run"; return 1; }
  return $found
}
manifests() { # Digest, two spaces, a plain name; names sorted, each once.
  local file names
  legible tagmanifest-sha256.txt manifest-sha256.txt || return 3
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
sizes() { # No file is larger than its kind may be, nor data/ than bag-info.txt says: nobody hashes for hours.
  python sizes .
}
nothing_added() { # Below data/ is what the manifest lists, and nothing else.
  find data -type f >"$scratch/found" || {
    # What could not be listed is missing from it, and that of which one can tell may not be more.
    sort "$scratch/found" | comm -13 <(cut -c67- manifest-sha256.txt) - | grep . && return 1
    return 3
  }
  diff <(cut -c67- manifest-sha256.txt) <(sort "$scratch/found")
}
root_names() { # Beside data/ is what the format names, and nothing else.
  local name all=(data bagit.txt bag-info.txt manifest-sha256.txt VERIFY.txt
    tagmanifest-sha256.txt tagmanifest-sha256.txt.sig seal.json)
  local -A known=()
  for name in "${all[@]}" report.html seal.json.tlog-proof "$stamp" "$request"; do known[$name]=yes; done
  for name in "${all[@]}"; do [ -e "$name" ] || { echo "$name is not there"; return 1; }; done
  while IFS= read -rd '' name; do
    [ -n "${known[$name]-}" ] || { echo "$name is not of the format"; return 1; }
  done < <(find . -mindepth 1 -maxdepth 1 -printf '%P\0')
}
# revoked TIME: the keys that are revoked for what was there at that second, by an authority's word; all
# of them where none says so. What a folder says of its own time is worth nothing then.
revoked() {
  local line since word='[^[:blank:]]+[[:blank:]]+'
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ -n $1 && $line =~ ^[[:blank:]]*$word${word}since=([0-9]{14}Z)([[:blank:]]|$) ]]; then
      since=${BASH_REMATCH[1]}
      since=$(date -ud "${since:0:8} ${since:8:2}:${since:10:2}:${since:12:2}" +%s) || since=0
      [ "$1" -ge "$since" ] || continue
    fi
    printf '%s\n' "$line"
  done <"$trust/revoked_keys"
}
stamp=tagmanifest-sha256.txt.sig.tsr request=tagmanifest-sha256.txt.sig.tsq
timestamp() { # Over the signature, by an authority that is trusted, near the time of sealing.
  [ -e $stamp ] || reachable $stamp || return 3
  [ ! -e $stamp ] || python timestamp . "$whom" # That there must be one, seal.json says.
}
signature() { # By a key that is trusted and not revoked, for evidence, at the time of the timestamp, or of sealing.
  local at principal there='' more=()
  legible seal.json tagmanifest-sha256.txt tagmanifest-sha256.txt.sig $stamp || return 3
  [ -n "$facts" ] || { echo "seal.json says no time"; return 1; }
  at=${facts% *} at=${moment:-${at#* }}
  if [ "${facts##* }" != - ]; then at=${facts##* } there=$at; fi
  # A timestamp over the log says so of every seal below it.
  [ -z "$believed" ] || { [ -n "$there" ] && [ "$there" -lt "$believed" ]; } || there=$believed
  if [ -f "$trust/revoked_keys" ]; then revoked "$there" >"$scratch/revoked"; more=(-r "$scratch/revoked"); fi
  at=$(date -ud "@$at" +%Y%m%d%H%M%SZ) || return 1
  while IFS= read -r principal; do
    ssh-keygen -Y verify -f "$trust/allowed_signers" -I "$principal" -n evidence@exhibit \
      -Overify-time="$at" "${more[@]}" -s tagmanifest-sha256.txt.sig <tagmanifest-sha256.txt && return 0
  done <"$scratch/principals"
  return 1
}
sound() { # By whatever key, for evidence.
  legible tagmanifest-sha256.txt tagmanifest-sha256.txt.sig || return 3
  ssh-keygen -Y check-novalidate -n evidence@exhibit -s tagmanifest-sha256.txt.sig <tagmanifest-sha256.txt
}
proof() { # From seal.json to a checkpoint that the log signed; also by a proof that lies beside the folder.
  local file
  for file in "${later:-seal.json.tlog-proof}" ${beside:+"$beside"}; do
    [ -z "$stranger" ] || [ -e "$file" ] || continue
    python proof . "$file" "$whom" "$quorum" || return $?
  done
}

# Of a folder in a kept bundle of another store: whether DIR says nothing of its key, and the proof beside it.
# Of one of the store's: when its seal was there at the latest, by a timestamp over the log.
# Of one whose seal is in the log and that is not moved to its place yet: that its proof may be missing.
# What witnesses saw of a store's log they saw of all folders in it.
stranger='' beside='' believed='' unproven='' quorum=quorum
[ -z "$store" ] || quorum=-
folder() ( # folder PATH: all checks of one folder; ends as the script does
  failed=0 unread=0 facts='' whom=$trust
  if [ -n "$stranger" ]; then whom=-; fi
  ended() { [ $failed = 0 ] && [ $unread = 1 ] && exit 3; exit $failed; }
  cd -- "$1" || { reachable "$1/." || { echo 'UNREAD  1 plain-files   the folder cannot be entered'; exit 3; }; exit 1; }
  # What is no plain file is not read, and neither is what a malformed manifest names, nor what lies
  # where nobody can look for such.
  check 1 plain-files 'plain files only, named after its run' plain_files || [ $failed = 0 ] && find . >/dev/null 2>&1 || ended
  check 23 sizes 'no file is larger than it can be' sizes || [ $failed = 0 ] || ended
  check 2 manifests 'the manifests are well-formed' manifests || ended
  check 3 tag-files 'the files beside data/ are those that were signed for' sums tagmanifest-sha256.txt
  check 4 payload 'the files below data/ are those that were recorded' sums manifest-sha256.txt
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
  elif [ -n "$logs" ]; then
    check 10 proof 'the seal is in the log that is trusted' proof
  else
    echo 'SKIP 10 proof         there is no log.vkey in DIR'
  fi
  # Whom its own store believes about time is not known here.
  if [ -z "$stranger" ] && [ -f "$trust/tsa-ca.pem" ]; then
    check 18 timestamp 'the signature was there when it says, by the word of an authority' timestamp
  elif [ -e $stamp ]; then
    check 18 timestamp 'the timestamp is sound; nobody is believed about time (no tsa-ca.pem)' timestamp
  fi
  ended
)
# one PATH: check that folder, and remember how it ended.
newest() { # the digest of the newest checkpoint, where that is a plain file: on a pipe one would wait
  if [ -f log/checkpoint ] && [ ! -L log/checkpoint ]; then head -c 65536 log/checkpoint | sha256sum; fi
}

one() {
  folder "$1"
  case $? in 0) ;; 3) unread=1 ;; *) failed=1 ;; esac
}

# --- A store; these run inside it. -------------------------------------------------------------

places() { # Below runs/ are folders named by day and run, each run under the day in its id.
  local path id seconds other found=0
  for path in archiving checkpoints custody imported log open purging quarantine runs; do
    reachable $path || return 3
    [ ! -L $path ] && { [ ! -e $path ] || [ -d $path ]; } || { echo "$path is no folder"; return 1; }
  done
  [ -d runs ] && [ ! -L runs ] || { echo "there is no runs/"; return 1; }
  other=$(find runs -mindepth 1 -maxdepth 4 -regextype posix-extended \
    ! \( -type d -regex "runs/[0-9]{4}(/[0-9]{2}(/[0-9]{2}(/$run_id)?)?)?" \) \
    ! \( -type f -regex "runs/[0-9]{4}/[0-9]{2}/[0-9]{2}/$run_id\.tar\.zst" \)) || found=3
  [ -z "$other" ] || { echo "$other"; return 1; }
  while IFS= read -rd '' path; do
    id=${path##*/} id=${id%.tar.zst} seconds=$((16#${id:0:8}${id:9:4} / 1000))
    [ "${path%.tar.zst}" = "runs/$(date -u -d "@$seconds" +%Y/%m/%d)/$id" ] || { echo "$path is of another day"; return 1; }
  done < <(find runs -mindepth 4 -maxdepth 4 -print0)
  return $found
}
# unpack FILE INTO [RUN]: make the files of a bundle, or of the archive of RUN, after all of it was judged
# to be what Exhibit's own writer makes of them, so that tar sees the same files as every other reader. A
# bundle that would fill the disk is given up before anything is written.
unpack() {
  local file=$1 into=$2 room
  shift 2
  room=$(df --output=avail -B1 -- "$into" | tail -n1) || return 1
  container frame "$file" && zstd -dcq -M8MB -- "$file" | container tar "$((room - room / 8))" "$@" >"$scratch/names" ||
    { printf '%s\n' "$file"; return 1; }
  zstd -dcq -M8MB -- "$file" | tar -x -C "$into" --no-same-owner --no-same-permissions || { printf '%s\n' "$file"; return 1; }
  # And those are the files that were judged.
  diff <(sort "$scratch/names") <(cd -- "$into" && find runs/*-* proofs/* \( -type d -printf '%p/\n' -o -printf '%p\n' \) 2>/dev/null | sort)
}
archives() { # Each is the one that the log holds; then it is unpacked: the folder of its run, and nothing else.
  local id path found=0
  python archives . >"$scratch/archives" || { found=$?; [ $found = 3 ] || return 1; }
  while read -r id path; do
    [[ $id =~ ^$run_id$ ]] || continue
    mkdir -- "$scratch/one" && unpack "$path" "$scratch/one" "$id" &&
      mv -- "$scratch/one/runs/$id" "$unpacked/" && rm -r -- "$scratch/one" || return 1
  done <"$scratch/archives"
  return $found
}
imports() { # Each is one that the log holds; then it is unpacked: folders of runs, their proofs, and nothing else.
  local path into found=0
  python imports . >"$scratch/imports" || { found=$?; [ $found = 3 ] || return 1; }
  while IFS= read -r path; do
    [ -n "$path" ] || continue
    into=${path##*/} into=$taken/${into%.tar.zst}
    mkdir -- "$into" && unpack "$path" "$into" || return 1
  done <"$scratch/imports"
  return $found
}
believing() { [ -z "$weak" ] || { echo "$weak"; return 1; }; }
if [ -n "$logs" ]; then check 25 policy 'DIR says whom to believe about the log' believing; fi
if [ -f "$folder" ]; then
  for tool in zstd tar; do command -v "$tool" >/dev/null || stop "$tool is needed for bundles and is not installed"; done
  mkdir -- "$scratch/sent" || exit 2
  if check 24 bundle 'it is a bundle, in the one form that Exhibit writes' unpack "$folder" "$scratch/sent"; then
    for path in "$scratch/sent/runs/"*; do
      run=${path##*/} beside=$scratch/sent/proofs/$run.tlog-proof
      [ -e "$beside" ] || beside=''
      printf 'folder runs/%s\n' "$run"
      one "$path"
    done
  fi
elif [ -n "$folder" ]; then
  one "$folder"
else
  cd -- "$store" || exit 2
  began=$(newest)
  unpacked=$scratch/unpacked taken=$scratch/taken
  mkdir -- "$unpacked" "$taken" || exit 2
  if [ -n "$(find runs -mindepth 4 -maxdepth 4 -type f -name '*.tar.zst' 2>/dev/null | head -c1)" ]; then
    for tool in zstd tar; do command -v "$tool" >/dev/null || stop "$tool is needed for archived runs and is not installed"; done
    export EXHIBIT_UNPACKED=$unpacked
  fi
  if [ -n "$(find imported -type f 2>/dev/null | head -c1)" ]; then
    for tool in zstd tar; do command -v "$tool" >/dev/null || stop "$tool is needed for kept bundles and is not installed"; done
  fi
  # All checks are of one state of the log, also where somebody exchanges it meanwhile.
  if [ -f log/checkpoint ] && [ ! -L log/checkpoint ] && head -c 1000000 -- log/checkpoint >"$scratch/checkpoint" 2>/dev/null; then
    export EXHIBIT_CHECKPOINT=$scratch/checkpoint
  fi
  check 11 checkpoint 'the log is signed by the key that is trusted' python signed "$trust" log/checkpoint
  check 12 tiles 'all tiles and the root follow from the entries' python tiles . && export EXHIBIT_TREE=held
  [ -z "${EXHIBIT_UNPACKED-}" ] || check 21 archives 'each archive is the one in the log, of one run' archives
  check 13 history 'every checkpoint in checkpoints/ and in proofs still holds' python history . "$trust"
  [ ${#kept[@]} -eq 0 ] || check 14 kept 'every checkpoint that you kept still holds' python kept . "$trust" "${kept[@]}"
  if [ -e "$trust/trust-policy.txt" ]; then
    check 26 witnesses 'enough witnesses cosigned, and lately where you asked' python witnesses . "$trust" ${since:+"$since"}
  fi
  check 15 places 'each run lies under its day, and nothing else' places
  check 16 runs 'log and folders tell of the same runs' python runs .
  check 17 timestamps 'every timestamp is over its checkpoint' python stamps . "$trust" "$scratch/stamps"
  if [ -f "$trust/tsa-ca.pem" ]; then
    check 19 stamp-order 'runs were stamped in the order of the log' python order . "$trust"
    python dated . "$scratch/stamps" >"$scratch/there" 2>/dev/null
  fi
  check 27 revocations 'no run is signed with a key after the log revokes it' python revocations . "$trust" "$scratch/there"
  check 20 custody 'no event of custody was changed or removed' python custody .
  check 22 imports 'each kept bundle of another store is one in the log' imports
  # What the daemon itself found. How the evidence is now, the checks say.
  python findings . 2>/dev/null | cat -v | sed 's/^/NOTE    findings      /'
  while IFS= read -rd '' path; do
    printf 'folder %q\n' "$path"
    run=${path##*/} believed=''
    if [[ $run =~ ^$run_id$ ]] && [ -e "$scratch/there" ]; then
      believed=$(sed -nE "s/^$run ([0-9]+)$/\1/p" "$scratch/there")
    fi
    one "$path"
  done < <(find runs -mindepth 4 -maxdepth 4 -type d -print0; find "$unpacked" -mindepth 1 -maxdepth 1 -type d -print0)
  while IFS= read -r path; do
    [ -n "$path" ] || continue
    believed='' unproven=yes
    printf 'folder %q\n' "$path"
    one "$path"
  done < <(python unpublished .)
  unproven=''
  # A key of which the auditor was told nothing is one for the auditor of the store that the bundle comes from.
  while IFS= read -rd '' path; do
    run=${path##*/} from=${path%/runs/*}
    stranger='' believed='' beside=$from/proofs/$run.tlog-proof
    [ -e "$beside" ] || beside=''
    python named "$path/tagmanifest-sha256.txt.sig" "$trust/allowed_signers" "$trust/revoked_keys" >/dev/null 2>&1 || stranger=yes
    printf 'folder %q\n' "imported/${from##*/}.tar.zst/runs/$run"
    one "$path"
  done < <(find "$taken" -mindepth 3 -maxdepth 3 -type d -path '*/runs/*' -print0)
fi
if [ $failed = 1 ] && [ -n "$store" ] && [ "$began" != "$(newest)" ]; then
  echo 'NOTE    at-work       the log grew meanwhile: what failed may have been moved by the daemon; check again at rest'
fi
if [ $failed = 1 ]; then
  echo 'NOT INTACT: a check failed'
elif [ $unread = 1 ]; then
  echo 'NOT CHECKED: something could not be read, and no check failed'
  exit 3
else
  echo 'all checks passed'
fi
exit $failed
