"""The part of verify.sh that a shell does badly: the Merkle tree, the chain of events, JSON, DER,
signed notes.

Python's standard library only, and openssl for signatures, of which it takes the exit code and never
the text. Each command checks one thing, prints what is wrong with it, and ends with 0 when nothing
is, 1 when something is, 3 when something could not be read and nothing is wrong with the rest; a line
that begins with "note: " is no fault. Nothing found in the evidence is run, imported or followed:
links, pipes and devices are told of and not opened.

TRUST is the folder with whom the auditor believes; "-" is nobody.

  trust TRUST FILE [since]  TRUST can be read, and names witnesses that are needed where `since` is
                       asked for; writes the names that lines of allowed_signers are for into FILE, a
                       line each; prints what makes the policy ask for less than it seems to
  seal FOLDER          seal.json is what the folder's other files give
  sizes FOLDER         no file is larger than it can be
  chain FOLDER         no event was changed, removed, added or moved; the files are those that events state
  facts FOLDER TRUST   prints the run that seal.json states and, in seconds, its time of sealing and the
                       moment of the timestamp over the signature; "-" when that does not count
  timestamp FOLDER TRUST  that timestamp is sound, answers its request, and is near the time of sealing
  proof FOLDER FILE TRUST HOW  seal.json leads to the checkpoint in the proof FILE, which the log
                       signed; and enough witnesses, where HOW is `quorum`
  signed TRUST NOTE    the note is signed by a log that is believed
  tiles STORE          the log's tiles and root follow from its entries
  history STORE TRUST  the log continues every checkpoint in checkpoints/ and in the folders' proofs
  kept STORE TRUST NOTE...  the log continues these checkpoints
  witnesses STORE TRUST [SINCE]  enough witnesses cosigned; and since that second, where it is given
  runs STORE           log and folders tell of the same runs; what was purged could go and is gone; what is in
                       open/ is as far as the log says
  unpublished STORE    prints the folders in open/ whose seal is in the log: each must be a sealed folder
  stamps STORE TRUST FILE  each timestamp over a checkpoint is sound, and those that the log tells of
                       are there; writes those that count into FILE: entries covered, and the second
                       by which these were there
  order STORE TRUST    runs were stamped in the order in which the log holds their seals
  dated STORE STAMPS   prints runs and when their seals were there at the latest, a line each, by the
                       file that `stamps` writes
  revocations STORE TRUST [THERE]  no run is signed with a key that the log revokes, unless its seal was there
                       before: by the log, or by a timestamp; THERE is what `dated` prints
  archives STORE       every archive is the one that the log holds; prints runs and archives, a line each
  imports STORE        every kept bundle of another store is one that the log holds; prints them, a line each
  named SIGNATURE F... one of these files of keys names the key of the signature
  custody STORE        custody/ is one chain of lines, and the log's heads of it are among them
  findings STORE       prints what the daemon itself found and put into the log, a line each

Sources: RFC 6962 section 2.1 (tree), RFC 9162 section 2.1.3.2 (proof), c2sp.org/tlog-tiles,
c2sp.org/tlog-checkpoint, c2sp.org/tlog-proof, c2sp.org/signed-note, c2sp.org/tlog-cosignature,
c2sp.org/tlog-policy, RFC 3161 (timestamps), RFC 5652 (CMS), docs/FORMAT.md.
"""

import base64
import errno
import hashlib
import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import unicodedata
from datetime import datetime, timedelta, timezone

LIMIT = 64 << 20  # Longest line, and largest file that is read whole.
DERIVED = ("data/events.jsonl", "data/run.json")  # No event can state these two.
RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


# What these say of a path, it is so; any other failure to read says nothing of what is there.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)
UNREAD = []


class Wrong(Exception):
    """What is wrong."""


def unread(error):
    """Note a failure to read, to go on with the rest; what is absent is wrong."""
    if error.errno in ABSENT:
        raise error
    UNREAD.append(str(error))


def there(path):
    """What is at the path, links not followed; None when nothing is."""
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise


def whether(kind, path):
    """Whether something of that kind is there; None when nobody can tell, which is noted."""
    try:
        found = there(path)
        return found is not None and kind(found.st_mode)
    except OSError as error:
        unread(error)
        return None


def need(condition, what):
    if not condition:
        raise Wrong(what)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def opened(path):
    """The file, if it is a plain one."""
    found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    file = os.fdopen(found, "rb")
    need(stat.S_ISREG(os.fstat(found).st_mode), f"{path!r} is not a plain file")
    return file


def read(path):
    with opened(path) as file:
        content = file.read(LIMIT + 1)
    need(len(content) <= LIMIT, f"{path!r} is too large")
    return content


def unbase64(text):
    """Base64 in its one form: another spelling would be a change that nobody sees."""
    content = base64.b64decode(text, validate=True)
    need(base64.b64encode(content).decode() == text, f"{text!r} is not the one form of its Base64")
    return content


def files_below(folder):
    """Path of every file below it, relative to it; anything but files and folders is wrong."""
    for place, folders, names in os.walk(folder, onerror=unread):
        for name in folders + names:
            path = os.path.join(place, name)
            kind = os.lstat(path).st_mode
            need(stat.S_ISREG(kind) or stat.S_ISDIR(kind), f"{path!r} is a link, pipe or device")
        for name in names:
            yield os.path.relpath(os.path.join(place, name), folder)


def refused(text):
    raise Wrong(f"the number {text[:40]} is no whole one")


def same(one, other):
    """Whether two JSON values are the same: to Python 7.0 and True are 7 and 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def openssl(arguments, files):
    """Whether openssl is content with the files, by name, in a folder of their own; what it prints
    is for binary outputs only."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        done = subprocess.run(["openssl", *arguments], cwd=folder, stdout=subprocess.PIPE, **quiet)
    return done.returncode == 0


# Whom the auditor believes.


def key_line(line, kind):
    """A public key of signed notes: its name, its id, its 32 bytes."""
    parts = line.split("+", 2)
    need(len(parts) == 3, f"{line!r} is no public key of a note")
    name, number, encoded = parts
    key = unbase64(encoded)
    need(named_well(name) and len(key) == 33, f"{line!r} is no public key of a note")
    need(key[0] == kind, f"{line!r} is a key of another kind")
    number_of = sha256(name.encode(), b"\n", key)[:4]
    need(number == number_of.hex(), f"the number in {line!r} is not that of name and key")
    return name, number_of, key[1:]


def named_well(name):
    bad = any(letter.isspace() or unicodedata.category(letter) == "Cc" for letter in name)
    return 0 < len(name.encode()) <= 200 and not bad and "+" not in name


LOG, WITNESS = 1, 4  # Kinds of keys.


class Policy:
    """Logs, witnesses, and how many of these are needed (c2sp.org/tlog-policy)."""

    def __init__(self, trust):
        self.logs, self.witnesses, self.groups, self.quorum = [], {}, {}, None
        self.weakness = None
        if trust == "-":
            return
        policy, keys = (os.path.join(trust, name) for name in ("trust-policy.txt", "log.vkey"))
        if os.path.lexists(policy):
            for number, line in enumerate(read(policy).decode().split("\n"), 1):
                try:
                    self.line(line.split())
                except Wrong as wrong:
                    raise Wrong(f"trust-policy.txt, line {number}: {wrong}") from wrong
        elif os.path.lexists(keys):
            lines = read(keys).decode().removesuffix("\n")
            self.logs = [key_line(line.removesuffix("\r"), LOG) for line in lines.split("\n") if lines]
        else:
            return
        if not self.logs:
            self.weakness = "the trust policy names no log: it believes nobody"
        elif self.witnesses and self.quorum is None:
            self.weakness = "the trust policy names witnesses and no quorum: it asks for none of them"

    def line(self, words):
        match words:
            case []:
                pass
            case [comment, *_] if comment.startswith("#"):
                pass
            case ["log", key] | ["log", key, _]:
                self.logs.append(key_line(key, LOG))
            case ["witness", name, key] | ["witness", name, key, _]:
                self.free(name)
                key = key_line(key, WITNESS)
                need(key not in self.witnesses.values(), "another witness has that key")
                self.witnesses[name] = key
            case ["group", name, needed, *members]:
                self.free(name)
                for member in members:
                    self.known(member)
                need(len(set(members)) == len(members), "a member stands twice in the group")
                if needed in ("any", "all"):
                    needed = 1 if needed == "any" else len(members)
                else:
                    need(re.fullmatch("[0-9]+", needed), f"{needed!r} is not any, all or a number")
                    needed = int(needed)
                need(1 <= needed <= len(members), f"{needed} of {len(members)} members")
                self.groups[name] = (needed, members)
            case ["quorum", name]:
                need(self.quorum is None, "there is a quorum already")
                if name != "none":
                    self.known(name)
                self.quorum = name
            case _:
                raise Wrong("expected log, witness, group or quorum with what belongs to it")

    def free(self, name):
        taken = name == "none" or name in self.witnesses or name in self.groups
        need(not taken, f"the name {name!r} is taken")

    def known(self, name):
        known = name in self.witnesses or name in self.groups
        need(known, f"no line before this one names {name!r}")

    def asks(self):
        return self.quorum not in (None, "none")

    def met(self, has, name=None):
        """Whether the witnesses `has` are enough."""
        if not self.asks():
            return True
        name = name or self.quorum
        if name not in self.groups:
            return name in has
        needed, members = self.groups[name]
        return sum(self.met(has, member) for member in members) >= needed

    def check_log(self, text, lines, what):
        """The note is signed by a log that is believed and is called what its first line says."""
        origin = text.split("\n")[0]
        keys = [key for key in self.logs if key[0] == origin]
        sound = any(signed_by(key, LOG, text, lines) is not None for key in keys)
        need(sound, f"{what!r} is not signed by a log that is trusted")

    def seen(self, text, lines):
        """Times of the sound cosignatures, by witness."""
        times = {name: signed_by(key, WITNESS, text, lines) for name, key in self.witnesses.items()}
        return {name: time for name, time in times.items() if time is not None}

    def strange(self, what, *notes):
        """Say that there are lines of keys of which nothing was said: they count for nothing."""
        known = {key[:2] for key in [*self.logs, *self.witnesses.values()]}
        strange = sum(any(line[:2] not in known for line in lines) for lines in notes)
        if strange and self.logs:
            print(f"note: {what}: {strange} with a signature of a key of which nothing was said")


def signed_by(key, kind, text, lines):
    """The latest time of a sound signature of the key, 0 of a log's; none where there is none. That
    another line claims the same key takes nothing from it."""
    found = None
    for name, number, signature in lines:
        if (name, number) != key[:2]:
            continue
        time, signed = 0, text.encode()
        if kind == WITNESS:
            time = int.from_bytes(signature[:8], "big")
            signed, signature = f"cosignature/v1\ntime {time}\n{text}".encode(), signature[8:]
        if len(signature) == 64 and (found is None or time > found):
            files = {"key": ED25519 + key[2], "signed": signed, "signature": signature}
            ask = "pkeyutl -verify -rawin -pubin -keyform DER -inkey key -in signed -sigfile signature"
            found = time if openssl(ask.split(), files) else found
    return found


ED25519 = bytes.fromhex("302a300506032b6570032100")  # What stands before such a key in DER.


def trust(trust, file, since=None):
    policy = Policy(trust)
    need(since is None or policy.asks(), "trust-policy.txt names no witness that is needed")
    with open(file, "wb") as out:
        out.writelines(name + b"\n" for name in sorted(principals(trust)))
    print(policy.weakness or "", end="")


def principals(trust):
    """As ssh-keygen reads them: up to a blank, or between quotes; a list with commas, in which names
    with an exclamation mark are exceptions."""
    found = set()
    for line in read(os.path.join(trust, "allowed_signers")).split(b"\n"):
        line = line.split(b"\0")[0].lstrip(b" \t")
        if not line or line.startswith(b"#"):
            continue
        end = re.search(rb'[ \t\r\n"]', line)
        if end and end[0] == b'"':
            before, inside = line[: end.start()], line[end.end() :]
            line = before + inside.partition(b'"')[0]
        elif end:
            line = line[: end.start()]
        found |= {name for name in line.split(b",") if name and not name.startswith(b"!")}
    return found


# The folder.


def seal(folder):
    def digest(name):
        return sha256(read(os.path.join(folder, name))).hex()

    content = read(os.path.join(folder, "seal.json"))
    value = json.loads(content, parse_float=refused, parse_constant=refused)
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    need(canonical.encode() == content, "seal.json is not in its canonical form")
    record = json.loads(read(os.path.join(folder, "data", "run.json")))
    payload = os.path.join(folder, "data")
    sizes = [os.lstat(os.path.join(payload, name)).st_size for name in files_below(payload)]
    expected = {
        "events": record["counts"]["events"],
        "payload_oxum": f"{sum(sizes)}.{len(sizes)}",
        "manifest_sha256": digest("manifest-sha256.txt"),
        "tagmanifest_sha256": digest("tagmanifest-sha256.txt"),
        "signature_sha256": digest("tagmanifest-sha256.txt.sig"),
    }
    for name, file in (("timestamp_request_sha256", "tsq"), ("timestamp_sha256", "tsr")):
        path = os.path.join(folder, "tagmanifest-sha256.txt.sig." + file)
        if there(path):
            expected[name] = sha256(read(path)).hex()
    names = "format run workflow state outcome opened_at sealed_at last_event_sha256".split()
    expected |= {name: record[name] for name in names if record.get(name) is not None}
    if UNREAD:  # Then not all sizes are known.
        expected["payload_oxum"] = value.get("payload_oxum")
    for name in expected.keys() | value.keys():
        what = f"{name}: expected {expected.get(name)!r}, found {value.get(name)!r}"
        need(same(expected.get(name), value.get(name)), what)


def sizes(folder):
    """Sizes only: a file that is larger than it can be is not worth reading."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "verify_container.py")
    spec = importlib.util.spec_from_file_location("container", beside)
    container = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(container)
    bag = os.path.join(folder, "bag-info.txt")
    most = container.UNSTATED
    if os.path.lexists(bag) and os.lstat(bag).st_size <= container.largest("bag-info.txt"):
        most = container.payload(read(bag))
    for name in files_below(folder):
        size = os.lstat(os.path.join(folder, name)).st_size
        may = min(container.largest(name), most) if name.startswith("data/") else container.largest(name)
        need(size <= may, f"{name!r} has {size} bytes, more than {may}")


# Where events of the daemon state files; what looks like an artifact elsewhere is a caller's or a page's.
STATED = {"run.opened": "provenance", "attachment.added": "artifact", "code.referenced": "artifact"}
STATED |= dict.fromkeys(("capture.taken", "captures.compared", "download.refused", "run.sealed"), "artifacts")
STATED |= dict.fromkeys(("recording.taken", "recording.failed", "recording.converted", "window.closed"), "artifacts")


def stated(event):
    """Path and digest of each file that the event states."""
    for path, digest, _ in artifacts(event):
        yield path, digest


def artifacts(event):
    """Path, digest and size of each file that the event states."""
    if event["actor"] != "exhibit":
        return
    found = event["data"].get(STATED.get(event["kind"]), [])
    for one in found if isinstance(found, list) else [found]:
        one = one if isinstance(one, dict) else {}
        path, digest, size = one.get("path"), one.get("sha256"), one.get("size_bytes")
        sound = isinstance(path, str) and path.startswith("data/") and type(size) is int and size >= 0
        sound = sound and isinstance(one.get("media_type"), str) and isinstance(digest, str)
        if sound and re.fullmatch("[0-9a-f]{64}", digest):
            yield path, digest, size


def chain(folder):
    record = json.loads(read(os.path.join(folder, "data", "run.json")))
    lines = read(os.path.join(folder, "manifest-sha256.txt")).decode().split("\n")[:-1]
    files = {line[66:]: line[:64] for line in lines}
    previous, number, named, unnamed = "0" * 64, 0, set(), []
    with opened(os.path.join(folder, "data", "events.jsonl")) as events:
        while line := events.readline(LIMIT):
            number += 1
            need(line.endswith(b"\n"), f"event {number} is cut short")
            line = line[:-1]
            event = json.loads(line)
            number_of = event["sequence"]
            need(same(number_of, number), f"event {number} has the number {number_of!r}")
            bound = line.endswith(f'"previous":"{previous}"}}'.encode())
            need(bound, f"event {number} is not bound to the one before it")
            if number == 1:
                need(event["kind"] == "run.opened", "the first event is not run.opened")
            # One that is not last belongs to a seal that was cut short.
            lines = event["data"].get("unlogged") if event["kind"] == "run.recovered" else None
            if event["actor"] == "exhibit" and isinstance(lines, dict):
                first, last = str(lines.get("first")), str(lines.get("last"))
                print(f"note: event {number}: the log did not hold the events {first[:20]} to {last[:20]} when "
                      "the run was taken up; only their own chain binds them, and they meet no requirement")
            found = event["data"].get("unnamed") if event["kind"] == "run.recovered" else None
            if event["actor"] == "exhibit" and isinstance(found, list):
                unnamed += [path for path in found if isinstance(path, str)]
            for path, digest in stated(event) if event["kind"] != "run.sealed" else ():
                need(files.get(path) == digest, f"event {number} states another {path!r}")
                named.add(path)
            previous = sha256(line).hex()
    need(number > 0 and event["kind"] == "run.sealed", "the last event is not run.sealed")
    need(same(record["counts"]["events"], number), "run.json counts other events")
    need(record["last_event_sha256"] == previous, "run.json names another last event")
    sealed = {path: digest for path, digest in files.items() if path not in DERIVED}
    need(dict(stated(event)) == sealed, "run.sealed lists other files than the manifest")
    for path in unnamed:
        if path in sealed and path not in named:
            print(f"note: no event tells of {path[:200]}: a crash came between a file and its event, "
                  "or somebody with the files put it there while no daemon ran")


# Timestamps. What an authority answers is read from the bytes that it signed: openssl prints words
# that nobody signed among those that somebody did.

SHA256, SIGNED_DATA = bytes.fromhex("608648016503040201"), bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
OKAY = bytes.fromhex("30100c0e") + b"Operation Okay"  # Words of Bouncy Castle's and Apple's authorities.
SECOND = 10**9  # Times are nanoseconds.


def values(data, *tags):
    """The values in `data`, in DER: the tag and the bytes of each. `tags` are what they must be: a
    number, or a tuple with the one that may be left out."""
    found = []
    while data:
        need(len(data) >= 2 and data[0] & 31 != 31, "that is no DER")
        length, start = data[1], 2
        if length & 128:
            start = 2 + (length & 127)
            need(2 < start <= 6 and len(data) >= start, "that is no DER")
            length = int.from_bytes(data[2:start], "big")
            need(data[2] and length >= 128, "that is no DER")
        need(start + length <= len(data), "that is no DER")
        found.append((data[0], data[start : start + length]))
        data = data[start + length :]
    if not tags:
        return found
    fitted, rest = [], list(found)
    for tag in tags:
        fits = rest and rest[0][0] == (tag[0] if isinstance(tag, tuple) else tag)
        need(fits or isinstance(tag, tuple), "that is not in the form of RFC 3161")
        fitted.append(rest.pop(0)[1] if fits else None)
    need(not rest, "that is not in the form of RFC 3161")
    return fitted


INTEGER, OCTETS, OID, SEQUENCE, SET, TIME, BOOLEAN, BITS = 2, 4, 6, 48, 49, 24, 1, 3


def imprint_in(data):
    algorithm, digest = values(data, SEQUENCE, OCTETS)
    algorithm = values(algorithm)
    sha = algorithm[0] == (OID, SHA256) and algorithm[1:] in ([], [(5, b"")])
    need(sha and len(digest) == 32, "it is over no SHA-256")
    return digest


class Request:
    """What an authority was asked."""

    def __init__(self, data):
        (request,) = values(data, SEQUENCE)
        version, imprint, _, self.nonce, certificate = values(
            request, INTEGER, SEQUENCE, (OID,), (INTEGER,), (BOOLEAN,)
        )
        self.imprint = imprint_in(imprint)
        asked = version == b"\1" and self.nonce is not None and certificate == b"\xff"
        need(asked, "a request has a nonce, and asks for the certificate")


class Stamp:
    """What an authority answered: what was there, when, and how far that may be off."""

    def __init__(self, data):
        self.data = data
        (response,) = values(data, SEQUENCE)
        status, token = values(response, SEQUENCE, SEQUENCE)
        state, words, failure = values(status, INTEGER, (SEQUENCE,), (BITS,))
        need(state == b"\0" and failure is None, "the authority gave no timestamp")
        need(words is None or words == OKAY[2:], "it holds words that nobody signed")
        self.token = response[len(response) - encoded(token) :]
        kind, content = values(token, OID, 0xA0)
        need(kind == SIGNED_DATA, "what was given is not signed")
        (content,) = values(content, SEQUENCE)
        fields = values(content, INTEGER, SET, SEQUENCE, (0xA0,), (0xA1,), SET)
        version, digests, content, certificates, _, signers = fields
        need(version == b"\3" and len(values(signers)) == 1, "a timestamp has one signer")
        self.signer, self.others = signer_of(values(signers, SEQUENCE)[0], digests, certificates)
        kind, content = values(content, OID, 0xA0)
        need(kind == TST_INFO, "what is signed is no TSTInfo")
        (content,) = values(content, OCTETS)
        self.info(*values(content, SEQUENCE))

    def info(self, content):
        version, _, imprint, serial, time, accuracy, ordering, self.nonce, tsa, extensions = values(
            content, INTEGER, OID, SEQUENCE, INTEGER, TIME, (SEQUENCE,), (BOOLEAN,), (INTEGER,),
            (0xA0,), (0xA1,),
        )
        # DER: numbers are as short as they can be, and what is true is all ones.
        need(ordering in (None, b"\0", b"\xff"), "that is no DER")
        for number in (serial, self.nonce or b"\1"):
            short = len(number) < 2 or number[0] not in (0, 255) or (number[0] ^ number[1]) & 128
            need(number and short, "that is no DER")
        self.imprint = imprint_in(imprint)
        named = tsa is None or values(tsa) == [(0xA4, der(SEQUENCE, self.signer.subject))]
        need(named, "the authority that it names is not its certificate's")
        told = [part for _, it in values(extensions or b"") for part in values(it) if part[0] == BOOLEAN]
        need(all(value in (b"\0", b"\xff") for _, value in told), "that is no DER")
        critical = (BOOLEAN, b"\xff") in told
        need(version == b"\1" and not critical, "a version or an extension that is not known")
        form = re.fullmatch(rb"([0-9]{14})(?:\.([0-9]*[1-9]))?Z", time)
        need(form, "its time cannot be read")
        try:  # Of the years 1 to 9998: others are none, or leave no room for the accuracy.
            whole = datetime.strptime(form[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
        except ValueError:
            raise Wrong("its time is none") from None
        need(whole.year < 9999, "its time is none")
        fraction = int((form[2] or b"0").ljust(9, b"0")[:9])
        self.time = int(whole.timestamp()) * SECOND + fraction
        parts = values(accuracy or b"", (INTEGER,), (0x80,), (0x81,))
        sound = all(part is None or part and part[0] < 128 for part in parts)
        numbers = [int.from_bytes(part or b"", "big") for part in parts]
        need(sound and all(n < most for n, most in zip(numbers, (1 << 32, 1 << 16, 1 << 16))), "its accuracy is none")
        off = sum(number * unit for number, unit in zip(numbers, (SECOND, 10**6, 1000)))
        self.off = min(off, 600 * SECOND)  # It must not reach so far that the time says nothing.

    def sound(self, data, request=None):
        """It is over `data`, answers the request, and is signed by the certificate in it."""
        need(self.imprint == sha256(data), "it is over something else")
        answers = request is None or (request.imprint, request.nonce) == (self.imprint, self.nonce)
        need(answers, "it answers another request")
        ask = "cms -verify -noverify -binary -inform DER -in token -out info".split()
        need(openssl(ask, {"token": self.token}), "it is not signed by the certificate in it")

    def counts(self, data, trust):
        """Whether an authority gave it that is believed and could give it at that moment. Without
        -attime openssl refuses good old ones and accepts ones dated before their certificate."""
        with open(os.path.join(trust, "tsa-ca.pem"), "rb") as roots:
            files = {"stamp": self.data, "data": data, "roots": roots.read()}
        if self.signer.is_authority:
            return False
        at = str(self.time // SECOND)
        ask = "ts -verify -data data -in stamp -CAfile roots -attime".split()
        if not openssl([*ask, at], files):
            return False
        # And by certificates that are for timestamps, where they say what they are for.
        between = [other for other in self.others if other.stamps]
        files |= {"signer": self.signer.pem(), "between": b"".join(other.pem() for other in between)}
        ask = "verify -CAfile roots -purpose timestampsign -attime".split()
        ask += [at, *(["-untrusted", "between"] if between else []), "signer"]
        return openssl(ask, files)


def der(tag, content):
    """A value with its tag and length."""
    length = len(content)
    head = bytes([length]) if length < 128 else b""
    if not head:
        size = length.to_bytes((length.bit_length() + 7) // 8, "big")
        head = bytes([128 | len(size)]) + size
    return bytes([tag]) + head + content


def oid(text):
    first, second, *rest = map(int, text.split("."))
    found = bytes([40 * first + second])
    for number in rest:
        part = bytes([number & 127])
        while number := number >> 7:
            part = bytes([number & 127 | 128]) + part
        found += part
    return found


DIGESTS = {SHA256: "sha256"}
DIGESTS |= {oid("2.16.840.1.101.3.4.2.2"): "sha384", oid("2.16.840.1.101.3.4.2.3"): "sha512"}
RSA = oid("1.2.840.113549.1.1.1")
SIGNATURES = {oid(f"1.2.840.113549.1.1.{number}"): ("rsa", digest)
              for number, digest in ((11, "sha256"), (12, "sha384"), (13, "sha512"))}
SIGNATURES |= {oid("1.2.840.10045.4.3.2"): ("ec", "sha256"), oid("1.2.840.10045.4.3.3"): ("ec", "sha384")}
EC, CURVES = oid("1.2.840.10045.2.1"), (oid("1.2.840.10045.3.1.7"), oid("1.3.132.0.34"))
USES, CONSTRAINTS, STAMPING = oid("2.5.29.37"), oid("2.5.29.19"), oid("1.3.6.1.5.5.7.3.8")
# Extensions that may be critical: constraints, usage, names and lists of revoked ones.
CRITICAL = [CONSTRAINTS, USES, *map(oid, ("2.5.29.15", "2.5.29.17", "2.5.29.30", "2.5.29.31"))]


class Certificate:
    """What a timestamp's certificate says of itself."""

    def __init__(self, data):
        self.data = data
        (content,) = values(data, SEQUENCE)
        body, _, _ = values(content, SEQUENCE, SEQUENCE, BITS)
        _, serial, _, issuer, _, self.subject, key, _, _, more = values(
            body, (0xA0,), INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, (0x81,), (0x82,), (0xA3,)
        )
        self.named, self.key = (der(SEQUENCE, issuer), der(INTEGER, serial)), key
        self.uses, self.is_authority, self.strange = None, False, False
        for extension in [it for _, it in values(values(more, SEQUENCE)[0])] if more else []:
            kind, critical, value = values(extension, OID, (BOOLEAN,), OCTETS)
            self.strange |= critical is not None and kind not in CRITICAL
            if kind == USES:
                self.uses = [use for _, use in values(values(value, SEQUENCE)[0])]
            elif kind == CONSTRAINTS:
                self.is_authority = (BOOLEAN, b"\xff") in values(values(value, SEQUENCE)[0])
        self.stamps = self.uses is None or STAMPING in self.uses

    def signs(self, kind):
        """Whether its key is one of that kind, and as long as it must be."""
        algorithm, key = values(self.key, SEQUENCE, BITS)
        (_, kind_of), *parameters = values(algorithm)
        if kind == "ec":
            return kind_of == EC and parameters and parameters[0][1] in CURVES
        if kind_of != RSA:
            return False
        modulus, _ = values(values(key[1:], SEQUENCE)[0], INTEGER, INTEGER)
        return 2048 <= int.from_bytes(modulus, "big").bit_length() <= 8192

    def pem(self):
        lines = base64.encodebytes(self.data).decode().replace("\n", "")
        lines = "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
        return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()


def plain(algorithm):
    """The digest that it is, with its parameters left out or NULL."""
    (tag, kind), *parameters = values(algorithm)
    need(tag == OID and parameters in ([], [(5, b"")]) and kind in DIGESTS, "its digest is not supported")
    return DIGESTS[kind]


def signer_of(info, digests, certificates):
    """The certificate of the one who signed, and the others that can be read: it is named by issuer and
    number, and by what is signed; and what it signs with is as strong as it must be."""
    version, named, algorithm, attributes, way, _, _ = values(
        info, INTEGER, SEQUENCE, SEQUENCE, 0xA0, SEQUENCE, OCTETS, (0xA1,)
    )
    own, others = None, []
    for tag, content in values(certificates or b""):
        try:
            one = Certificate(der(tag, content))
        except Wrong:
            continue
        if own is None and tuple(der(*part) for part in values(named)) == one.named:
            own = one
        else:
            others.append(one)
    need(version == b"\1" and own, "the authority's certificate is not in it")
    need((SEQUENCE, algorithm) in values(digests), "the signer's digest is not announced")
    digest, ((tag, kind), *parameters) = plain(algorithm), values(way)
    kind, with_digest = ("rsa", digest) if kind == RSA else SIGNATURES.get(kind, (None, None))
    fits = parameters == ([] if kind == "ec" else [(5, b"")])
    sound = tag == OID and kind and fits and with_digest == digest and own.signs(kind) and not own.strange
    need(sound, "its signature is of a kind that is not supported")
    said = {}
    for tag, attribute in values(attributes):
        name, found = values(attribute, OID, SET)
        need(name not in said and len(values(found)) == 1, "a signed attribute has more than one value")
        said[name] = found
    need(ESS in said or ESS_V2 in said, "what is signed names no certificate")
    for name in (ESS, ESS_V2):
        if name in said:
            (content,) = values(said[name], SEQUENCE)
            (_, listed), *_ = values(content)
            (_, first), *_ = values(listed)
            parts = values(first)
            by = "sha1" if name == ESS else "sha256"
            if parts[0][0] == SEQUENCE and name == ESS_V2:
                by = plain(parts.pop(0)[1])
            hashed = hashlib.new(by, own.data).digest()
            need(parts and parts[0] == (OCTETS, hashed), "what is signed names another certificate")
    return own, others


ESS, ESS_V2 = oid("1.2.840.113549.1.9.16.2.12"), oid("1.2.840.113549.1.9.16.2.47")


def encoded(content):
    """How long a value with this content is, with tag and length."""
    length = len(content)
    return length + 2 + (0 if length < 128 else (length.bit_length() + 7) // 8)


def believes(trust):
    return trust != "-" and os.path.lexists(os.path.join(trust, "tsa-ca.pem"))


def stamp_of(folder):
    """The timestamp over the signature in the folder, and the signature."""
    name = os.path.join(folder, "tagmanifest-sha256.txt.sig")
    stamp, request, signature = Stamp(read(name + ".tsr")), Request(read(name + ".tsq")), read(name)
    stamp.sound(signature, request)
    return stamp, signature


def facts(folder, trust):
    value, stamped = json.loads(read(os.path.join(folder, "seal.json"))), "-"
    try:
        stamp, signature = stamp_of(folder)
        if believes(trust) and stamp.counts(signature, trust):
            stamped = stamp.time // SECOND
    except (Wrong, ValueError, OverflowError, OSError):
        pass  # Whether it is sound is a check of its own.
    print(value["run"], int(moment(value["sealed_at"]).timestamp()), stamped)


def timestamp(folder, trust):
    stamp, signature = stamp_of(folder)
    if not believes(trust):
        return
    need(stamp.counts(signature, trust), "no authority that is believed gave it, or could then")
    at = moment(json.loads(read(os.path.join(folder, "seal.json")))["sealed_at"])
    sealed = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) * 1000
    near = -(stamp.off + 60 * SECOND) <= stamp.time - sealed <= stamp.off + 600 * SECOND
    time = datetime.fromtimestamp(stamp.time // SECOND, timezone.utc).isoformat()
    need(near, f"sealed at {at.isoformat()}, it says; there at {time}, says the authority")


def stamp_name(size, ending):
    return tile_name("entries", size, 256)[len("tile/entries/") :] + ending


def stamp_file(name):
    """Of a file among the checkpoints: the size it is over, and which answer it is, 0 for the request;
    none when it is called in another way."""
    found = re.fullmatch(r"([x0-9/]+)(?:\.([0-9]{1,2}))?\.ts([qr])", name)
    if not found:
        return None
    size = int(re.sub("[x/]", "", found[1]) or "0")
    number = int(found[2] or 1)
    endings = {".tsq": 0, ".tsr": 1} | {f".{other}.tsr": other for other in range(2, 17)}
    for ending, which in endings.items():
        if name == stamp_name(size, ending):
            return size, which
    return None


def stamps(store, trust, file):
    folder, wrong, lines, known = os.path.join(store, "checkpoints"), [], [], set()
    # The log before the files: what it tells of was there before. Whether it is whole, and has a
    # history, are checks of their own.
    try:
        told = [json.loads(entry) for entry in Log(store).entries]
        names = sorted(name for name in files_below(folder) if stamp_file(name))
    except OSError as error:
        told, names = [], []
        if error.errno not in ABSENT:
            unread(error)
    except (Wrong, ValueError):
        told, names = [], []
    for name in names:
        (size, which), path = stamp_file(name), os.path.join(folder, name)
        try:
            text, _ = split_note(read(os.path.join(folder, stamp_name(size, ".note"))))
            text = text.encode()
            if which == 0:
                need(Request(read(path)).imprint == sha256(text), "it is over something else")
                continue
            data, asked = read(path), os.path.join(folder, stamp_name(size, ".tsq"))
            stamp, known = Stamp(data), known | {(size, sha256(data).hex())}
            stamp.sound(text, Request(read(asked)) if there(asked) else None)
            if not believes(trust):
                continue
            if stamp.counts(text, trust):
                lines.append(f"{size} {(stamp.time + stamp.off) // SECOND}\n")
            else:
                print(f"note: checkpoints/{name} is by an authority that is not believed: it counts for nothing")
        except (Wrong, ValueError, OverflowError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in ABSENT:
                unread(error)
                continue
            wrong.append(f"checkpoints/{name}: {error}")
    for index, value in enumerate(told):
        if value.get("kind") == "timestamp":
            size, found = value["size"], (value["size"], value["sha256"]) in known
            # Where one could not be read, nobody can tell that it is another.
            if not (found or UNREAD) or type(size) is not int:
                wrong.append(f"entry {index} tells of a timestamp over {size!r} entries that is not there")
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(lines)
    need(not wrong, "\n".join(wrong))


def order(store, trust):
    last, latest = {}, None
    for index, entry in enumerate(Log(store).entries):
        value = json.loads(entry)
        if value["format"] == "exhibit/1":
            last[value["run"]] = index
    placed = folders_of_runs(store)
    for run in sorted(placed.keys() & last.keys(), key=last.get):
        try:
            stamp, signature = stamp_of(placed[run])
        except (Wrong, ValueError, OverflowError):
            continue  # Whether it is sound is a check of the folder.
        except OSError as error:
            if error.errno not in ABSENT:
                unread(error)
            continue
        if not stamp.counts(signature, trust):
            continue
        off = stamp.off // 10**6 * 10**6
        early = latest is not None and stamp.time + off + 600 * SECOND < latest
        need(not early, f"{run} was stamped before one that stands before it")
        latest = max(latest or 0, stamp.time - off)


# The log.


def leaf(entry):
    return sha256(b"\0", entry)


def node(left, right):
    return sha256(b"\1", left, right)


NOTE_LIMIT = 64 << 10  # Longest note.


def split_note(note):
    """A signed note: its text, and its signatures, each as name, number and bytes."""
    need(len(note) <= NOTE_LIMIT, "the note is too large")
    note = note.decode()
    control = any(ord(letter) < 32 and letter != "\n" or ord(letter) == 127 for letter in note)
    head, blank, tail = note.rpartition("\n\n")
    need(blank and not control and tail.endswith("\n"), "that is no signed note")
    lines = []
    for line in tail[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, signature = rest.partition(" ")
        need(dash == "\u2014" and named_well(name), "a line of a signature is none")
        signature = unbase64(signature)
        need(len(signature) > 4 and len(lines) < 100, "a line of a signature is none")
        lines.append((name, signature[:4], signature[4:]))
    return head + "\n", lines


def checkpoint(text):
    """Origin, size and root that the text of a note states. Who signed it, a policy says."""
    lines = text.split("\n")
    stated = len(lines) >= 4 and lines[0] and re.fullmatch("0|[1-9][0-9]{0,18}", lines[1])
    need(stated and all(lines[3:-1]), "that is no checkpoint")
    root = unbase64(lines[2])
    need(len(root) == 32, "that is no checkpoint")
    return lines[0], int(lines[1]), root


def newest(path):
    """The file with the newest checkpoint: one and the same for all checks of a verification."""
    return os.environ.get("EXHIBIT_CHECKPOINT") or path


def signed(trust, path):
    text, lines = split_note(read(newest(path)))
    policy = Policy(trust)
    policy.check_log(text, lines, path)
    policy.strange("the newest checkpoint", lines)


def proof(folder, file, trust, how):
    text = read(os.path.join(folder, file)).decode()
    head, blank, note = text.partition("\n\n")
    first, number, *hashes = head.split("\n")
    need(blank and first == "c2sp.org/tlog-proof@v1", "that is no proof")
    need(re.fullmatch("index (0|[1-9][0-9]{0,18})", number), "that is no proof")
    index = int(number[6:])
    stated, lines = split_note(note.encode())
    _, size, root = checkpoint(stated)
    need(index < size, "the index is beyond the log")
    at, last = index, size - 1
    found = leaf(read(os.path.join(folder, "seal.json")))
    for step in map(unbase64, hashes):
        need(last > 0 and len(step) == 32, "the proof is longer than the tree is high")
        if at & 1 or at == last:
            found = node(step, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, step)
        at, last = at >> 1, last >> 1
    need(last == 0 and found == root, "the proof does not lead from seal.json to its checkpoint")
    policy = Policy(trust)
    if not policy.logs:
        return
    policy.check_log(stated, lines, file)
    enough = how != "quorum" or policy.met(policy.seen(stated, lines))
    need(enough, "too few witnesses cosigned its checkpoint")
    policy.strange("the proof", lines)


def tile_name(kind, index, width):
    groups = f"{index:03}"
    groups = groups.zfill(-(-len(groups) // 3) * 3)
    groups = [groups[at : at + 3] for at in range(0, len(groups), 3)]
    path = "/".join(["tile", kind] + ["x" + group for group in groups[:-1]] + groups[-1:])
    return path if width == 256 else f"{path}.p/{width}"


class Log:
    """A log, read whole: its entries, and the hashes of all complete subtrees, by level."""

    def __init__(self, store):
        self.folder = os.path.join(store, "log")
        self.newest = newest(os.path.join(self.folder, "checkpoint"))
        text, _ = split_note(read(self.newest))
        self.origin, self.size, self.root = checkpoint(text)
        self.entries = []
        for index in range(-(-self.size // 256)):
            self.entries += self.bundle(index, min(256, self.size - 256 * index))
        self.levels = [[leaf(entry) for entry in self.entries]]
        while len(below := self.levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2])
            self.levels.append([node(left, right) for left, right in pairs])
        # Set once that was found of it: what was exchanged since is no part of it.
        if os.environ.get("EXHIBIT_TREE"):
            need(self.root == self.root_of(self.size), "the log was exchanged while it was verified")

    def bundle(self, index, width):
        content = read(os.path.join(self.folder, tile_name("entries", index, width)))
        entries = []
        while content:
            end = 2 + int.from_bytes(content[:2], "big")
            need(2 <= end <= len(content), f"bundle {index} of the entries is cut short")
            entries.append(content[2:end])
            content = content[end:]
        need(len(entries) == width, f"bundle {index} holds {len(entries)} entries, not {width}")
        return entries

    def root_of(self, size):
        """The root over the first `size` entries: the complete subtrees below it, joined."""
        root = None
        for level in range(size.bit_length()):
            if size >> level & 1:
                left = self.levels[level][(size >> level) - 1]
                root = left if root is None else node(left, root)
        return sha256() if root is None else root

    def continues(self, what, text):
        origin, size, root = checkpoint(text)
        need(origin == self.origin, f"{what!r} is of another log, {origin!r}")
        need(size <= self.size, f"the log is cut short: {what!r} has {size} entries, it {self.size}")
        need(root == self.root_of(size), f"the log was rewritten: {what!r} states another root")
        return size


TILES = ("entries", *"01234567")  # Those of a log of fewer than 2^64 entries.


def tiles(store):
    log = Log(store)
    need(log.root == log.root_of(log.size), "the checkpoint's root is not that of the entries")
    held = {str(level // 8): log.levels[level] for level in range(0, len(log.levels), 8)}
    held["entries"] = [len(entry).to_bytes(2, "big") + entry for entry in log.entries]
    missing = set()
    for kind, parts in held.items():
        for index in range(-(-len(parts) // 256)):
            missing.add(tile_name(kind, index, min(256, len(parts) - 256 * index)))
    for name in files_below(log.folder):
        # Files being written, or cut short, were promised to nobody.
        if name == "checkpoint" or name.endswith(".partial"):
            continue
        found = re.fullmatch(r"tile/(\w+)/([x0-9/]+)(?:\.p/([0-9]+))?", name)
        need(found and found[1] in TILES, f"{name!r} is no tile")
        kind, index = found[1], int(re.sub("[x/]", "", found[2]) or "0")
        width = int(found[3] or 256)
        named = 0 < width <= 256 and index < 1 << 64 and name == tile_name(kind, index, width)
        need(named, f"{name!r} is no tile of this log")
        parts = held.get(kind, [])[256 * index :][:256]
        # Nor was what no checkpoint states: of a commit under way, or of one that was cut short.
        if width > len(parts):
            continue
        # Narrower tiles than the log now has may be left over, if they hold the same.
        missing.discard(name)
        try:
            content = read(os.path.join(log.folder, name))
        except OSError as error:
            unread(error)
            continue
        need(content == b"".join(parts[:width]), f"{name!r} was altered")
    need(UNREAD or not missing, f"not there: {sorted(missing)}")


def folders_of_runs(store):
    found = {}
    # Where verify.sh unpacked archives; a folder in its place comes first.
    unpacked = os.environ.get("EXHIBIT_UNPACKED")
    for name in os.listdir(unpacked) if unpacked and os.path.isdir(unpacked) else []:
        found[name] = os.path.join(unpacked, name)
    for place, folders, names in os.walk(os.path.join(store, "runs"), onerror=unread):
        for name in names:
            if name.endswith(".tar.zst") and name[:-8] not in found:
                try:
                    opened(os.path.join(place, name)).close()
                except OSError as error:
                    unread(error)
        found |= {name: os.path.join(place, name) for name in folders if RUN.fullmatch(name)}
        folders[:] = [name for name in folders if not RUN.fullmatch(name)]
    return found


def history(store, trust):
    log, policy, folder = Log(store), Policy(trust), os.path.join(store, "checkpoints")
    signatures = []
    found = there(folder)
    need(found and stat.S_ISDIR(found.st_mode), "there is no checkpoints/")
    for name in files_below(folder):
        # Files being written were promised to nobody; timestamps have a check of their own.
        if name.endswith(".partial") or stamp_file(name):
            continue
        try:
            text, lines = split_note(read(os.path.join(folder, name)))
        except OSError as error:
            unread(error)
            continue
        size = log.continues(name, text)
        # The newest that was cosigned, or stamped, has a copy of its own.
        known = (stamp_name(size, ".note"), "witnessed.note", "stamped.note")
        need(name in known, f"{name!r} states {size} entries")
        policy.check_log(text, lines, name)
        signatures.append(lines)
    policy.strange("checkpoints", *signatures)
    for folder in folders_of_runs(store).values():
        path = os.path.join(folder, "seal.json.tlog-proof")
        try:
            note = there(path) and read(path)  # That there must be one is a check of the folder.
        except OSError as error:
            unread(error)
            continue
        if note:
            log.continues(path, split_note(note.partition(b"\n\n")[2])[0])


def kept(store, trust, *notes):
    log, policy = Log(store), Policy(trust)
    for note in notes:
        try:  # What the auditor kept says nothing of the store where it cannot be read.
            with opened(os.path.realpath(note)) as file:
                content = file.read(NOTE_LIMIT + 1)
            # Somebody scanned or typed it: its last line feed may be missing.
            text, lines = split_note(content if content.endswith(b"\n") else content + b"\n")
            checkpoint(text)
        except (Wrong, ValueError, OSError) as error:
            UNREAD.append(f"{note!r}: {error}")
            continue
        policy.check_log(text, lines, note)
        size = log.continues(note, text)
        print(f"note: the log continues {note!r}, which has {size} of its {log.size} entries")


def witnesses(store, trust, since=None):
    log, policy, seen = Log(store), Policy(trust), {}
    folder = os.path.join(store, "checkpoints")
    notes = [log.newest]
    notes += [os.path.join(folder, name) for name in files_below(folder) if name.endswith(".note")]
    enough = {}
    for path in notes:
        try:
            text, lines = split_note(read(path))
        except OSError as error:
            unread(error)
            continue
        try:
            size, times = log.continues(path, text), policy.seen(text, lines)
        except Wrong:
            continue  # Whether the log continues it is a check of its own.
        enough[path] = policy.met(times)
        for name, time in times.items():
            seen[name] = max(seen.get(name, (0, 0)), (time, size))
    for name in policy.witnesses:
        time, size = seen.get(name, (0, None))
        saw = f"saw {size} of {log.size} entries at {when(time)}" if size is not None else "saw nothing"
        print(f"note: the witness {name!r} {saw}")
    newest = enough.get(notes[0]) or enough.get(os.path.join(folder, "witnessed.note"))
    need(newest or UNREAD, "fewer witnesses cosigned than the policy asks for")
    if since is not None:
        fresh = {name for name, (time, _) in seen.items() if time >= int(since)}
        need(policy.met(fresh) or UNREAD, f"fewer witnesses than are needed cosigned since {when(int(since))}")


def when(seconds):
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return f"second {seconds}"


def moment(time):
    """A time of the log: RFC 3339, UTC."""
    return datetime.fromisoformat(time.replace("Z", "+00:00"))


def newborn(folder):
    """Whether it holds nothing but the beginnings of a run, as a crash leaves it while one is opened."""
    data = os.path.join(folder, "data")
    if not whether(stat.S_ISDIR, data) or others(folder) != {"data"}:
        return False
    if any(not whether(stat.S_ISREG, os.path.join(data, name)) for name in others(data)):
        return False
    if not others(data) <= {"events.jsonl", "provenance.json"}:
        return False
    events = os.path.join(data, "events.jsonl")
    lines = read(events).split(b"\n") if there(events) else [b""]
    if len(lines) == 1:
        return True  # Not even its opening is whole.
    opening = event_of(lines[0])
    opens = opening["kind"] == "run.opened" and opening["data"].get("run") == os.path.basename(folder)
    return opens and lines[1:] == [b""]


def others(folder):
    """The names in it, but for those of files that are cut short."""
    cut = {name for name in os.listdir(folder) if name.endswith(".partial")}
    cut = {name for name in cut if whether(stat.S_ISREG, os.path.join(folder, name))}
    return set(os.listdir(folder)) - cut


class Twice(dict):
    """An object with a name that comes twice."""


def object_of(pairs):
    found = dict(pairs)
    return found if len(found) == len(pairs) else Twice(found)


def json_of(line):
    """What a line of JSON says, as a strict reader reads it: UTF-8, whole characters, no NaN, a limit on
    levels. Where a name comes twice in an object, that is a Twice."""
    text = line.decode()
    number = {"parse_constant": refused, "parse_float": finite}
    value = json.loads(text, object_pairs_hook=object_of, **number)
    json.dumps(value, ensure_ascii=False).encode()
    levels, below = 0, [value]
    while below := [one for one in below if isinstance(one, (dict, list))]:
        levels += 1
        below = [it for one in below for it in (one.values() if isinstance(one, dict) else one)]
    need(levels < 128, "too many levels")
    return value


def finite(text):
    need(abs(float(text)) != float("inf"), f"the number {text[:40]} is too large")
    return float(text)


def whole(value, bits=64):
    return type(value) is int and 0 <= value < 1 << bits


def event_of(line):
    """The event in a line of a chain, in its form."""
    value = json_of(line)
    need(type(value) is dict, "that is no event")
    keys = {"sequence", "time", "monotonic_ms", "actor", "kind", "data", "previous"}
    need(keys <= value.keys() <= keys | {"clock"}, "that is no event")
    clock = value.get("clock")
    if clock is not None:
        sound = type(clock) is dict and clock.keys() == {"synchronised", "max_error_us"}
        need(sound and type(clock["synchronised"]) is bool and whole(clock["max_error_us"]), "that is no event")
    sound = whole(value["sequence"]) and whole(value["monotonic_ms"]) and isinstance(value["data"], dict)
    sound = sound and value["actor"] in ("agent", "exhibit")
    sound = sound and all(isinstance(value[name], str) for name in ("time", "kind", "previous"))
    need(sound and re.fullmatch("[0-9a-f]{64}", value["previous"]), "that is no event")
    return value


def lines_of(folder):
    """The whole lines of a folder's events, without their line feeds."""
    path = os.path.join(folder, "data", "events.jsonl")
    with opened(path) as events:
        while (line := events.readline(LIMIT)).endswith(b"\n"):
            yield line[:-1]
        if len(line) == LIMIT:
            UNREAD.append(f"{path!r} has a line that is too long")


def open_run(folder):
    """What is wrong with a run that is not sealed yet: its chain, and the files that it tells of."""
    previous = "0" * 64
    for _ in files_below(folder):
        pass  # Links, pipes and devices are wrong.
    for number, line in enumerate(lines_of(folder), 1):
        event = event_of(line)
        if event["previous"] != previous or event["sequence"] != number:
            yield f"event {number} of {folder} is not bound to the one before it"
        previous = sha256(line).hex()
        # One that is not last belongs to a seal that was cut short.
        for name, stated_digest, size in artifacts(event) if event["kind"] != "run.sealed" else ():
            path = os.path.join(folder, name)
            if not there(path) or not is_that(path, stated_digest, size):
                yield f"{path} is not what event {number} states"


class Told:
    """What the log tells of runs."""

    def __init__(self, store):
        self.runs, self.first, self.wrong = {}, {}, []  # Digests of seals, and of the opening, by run.
        self.heads, self.purged = {}, set()
        promised, sealed_at, held = {}, {}, set()
        for index, entry in enumerate(Log(store).entries):
            value = json.loads(entry)
            need(value["format"] in ("exhibit/1", "exhibit-log/1"), f"{entry[:200]!r} is no entry")
            run = value.get("run")
            seals = self.runs.setdefault(run, []) if run else []
            if value["format"] == "exhibit/1":
                if seals and seals[-1] != sha256(entry):
                    self.wrong.append(f"sealed twice: entry {index} is another seal of {run}")
                seals.append(sha256(entry))
                sealed_at[run] = value["sealed_at"]
            elif value["kind"] == "open":
                self.first.setdefault(run, value["first_event_sha256"])
                promised[run] = value.get("retention", {}).get("days", 0)
            elif value["kind"] == "progress":
                for head in value["runs"]:
                    self.runs.setdefault(head["run"], [])
                    self.heads.setdefault(head["run"], []).append((head["events"], head["sha256"]))
            elif value["kind"] == "hold":
                held.add((run, value.get("matter")))
                stated = value.get("seal_sha256")
                if stated and [stated] != [seal.hex() for seal in seals[-1:]]:
                    self.wrong.append(f"entry {index} holds another seal of {run} than the log does")
            elif value["kind"] == "release":
                held.discard((run, value.get("matter")))
            elif value["kind"] == "purge":
                stated = value.get("seal_sha256")
                founded = seals and ("damage" in value or stated == seals[-1].hex())
                if founded:
                    days = timedelta(days=promised.get(run, 0))
                    founded = moment(value["time"]) >= moment(sealed_at[run]) + days
                if not founded or any(run == other for other, _ in held):
                    self.wrong.append(f"unfounded: entry {index} purges {run}")
                self.purged.add(run)


def open_folders(store):
    """The folders in open/ by run, and what else is there."""
    place = os.path.join(store, "open")
    names = []
    if whether(stat.S_ISDIR, place):
        try:
            names = os.listdir(place)
        except OSError as error:
            unread(error)
    paths = {name: os.path.join(place, name) for name in names}
    folders = {name for name, path in paths.items() if whether(stat.S_ISDIR, path) is not False}
    known = {name for name in folders if RUN.fullmatch(name.removesuffix(".partial"))}
    runs = {name: paths[name] for name in known if RUN.fullmatch(name)}
    return runs, [f"no run: open/{name!r}" for name in names if name not in known]


def opened_run(told, placed, run, folder):
    """What is wrong with a run in open/."""
    if run not in told.runs:
        return [] if newborn(folder) else [f"never logged: {run}, which is open"]
    if run in told.purged or (told.runs[run] and run in placed):
        return [f"reopened: {run}, which was sealed or purged"]
    if told.runs[run]:
        seal = os.path.join(folder, "seal.json")
        if not there(seal) or sha256(read(seal)) != told.runs[run][-1]:
            return [f"reopened: {run}, and it is not the seal that the log holds"]
        return []
    return list(open_run(folder))


def runs(store):
    told, placed = Told(store), folders_of_runs(store)
    still_open, wrong = open_folders(store)
    wrong += told.wrong
    for run, folder in placed.items():
        if not told.runs.get(run):
            wrong.append(f"never logged: {run}")
            continue
        try:
            if sha256(read(os.path.join(folder, "seal.json"))) != told.runs[run][-1]:
                wrong.append(f"exchanged: the log holds another seal of {run}")
        except OSError as error:
            unread(error)
    for run in told.runs:
        # Where a folder could not be listed, nobody can tell.
        if not UNREAD and run not in told.purged and run not in placed and run not in still_open:
            wrong.append(f"gone: {run}, which the log tells of")
    for run, folder in still_open.items():
        try:
            wrong += opened_run(told, placed, run, folder)
        except OSError as error:
            unread(error)
    for run, folder in [*placed.items(), *still_open.items()]:
        if run not in told.runs:
            continue
        events = os.path.join(folder, "data", "events.jsonl")
        try:
            lines = [sha256(line).hex() for line in lines_of(folder)] if there(events) else []
        except OSError as error:
            unread(error)
            continue
        if run in told.first and [told.first[run]] != lines[:1]:
            wrong.append(f"another opening than the log holds: {run}")
        for count, digest in told.heads.get(run, []):
            if lines[count - 1 : count] != [digest]:
                wrong.append(f"the log holds another event {count} of {run}")
    wrong += [f"there although purged: {run}" for run in told.purged if run in placed]
    need(not wrong, "\n".join(sorted(wrong)))


def unpublished(store):
    """Runs whose seal is in the log, and that are not moved to their place yet."""
    told, placed = Told(store), folders_of_runs(store)
    for run, folder in sorted(open_folders(store)[0].items()):
        if told.runs.get(run) and run not in placed:
            print(os.path.relpath(folder, store))


def dated(store, stamps):
    over = [tuple(map(int, line.split())) for line in read(stamps).decode().splitlines()]
    last = {}
    for index, entry in enumerate(Log(store).entries):
        value = json.loads(entry)
        if value["format"] == "exhibit/1":
            last[value["run"]] = (index, sha256(entry))
    folders = folders_of_runs(store)
    for run in folders.keys() & last.keys():
        index, seal = last[run]
        times = [time for size, time in over if index < size]
        path = os.path.join(folders[run], "seal.json")
        # Of another seal than the one it holds the log says nothing.
        if times and os.path.isfile(path) and sha256(read(path)) == seal:
            print(run, min(times))


def revocations(store, trust, stamps="-"):
    """A signature of a key that the log revokes counts where the log held the seal before, or by a
    timestamp. Where the auditor's own list names the key, that is judged with the signature."""
    seals, revoked, wrong = {}, {}, []
    try:
        entries = Log(store).entries
    except (Wrong, ValueError, OSError):
        return  # Whether the log can be read is a check of its own.
    for index, entry in enumerate(entries):
        value = json.loads(entry)
        if value["format"] == "exhibit/1":
            seals[value["run"]] = (index, value["sealed_at"])
        elif value.get("kind") == "key-revocation":
            first, since = revoked.get(value["key"], (index, value["since"]))
            revoked[value["key"]] = (first, min(since, value["since"], key=moment))
    there_by = dict(line.split() for line in read(stamps).decode().splitlines()) if there(stamps) else {}
    own = os.path.join(trust, "revoked_keys")
    own = read(own).split() if os.path.isfile(own) else []
    for run, folder in folders_of_runs(store).items() if revoked else ():
        try:
            key = key_of(read(os.path.join(folder, "tagmanifest-sha256.txt.sig")))
            fingerprint = "SHA256:" + base64.b64encode(sha256(key)).decode().rstrip("=")
            if fingerprint not in revoked or base64.b64encode(key) in own:
                continue
            times = [int(there_by[run])] if run in there_by else []
            if believes(trust) and there(os.path.join(folder, "tagmanifest-sha256.txt.sig.tsr")):
                stamp, signature = stamp_of(folder)
                times += [stamp.time // SECOND] if stamp.counts(signature, trust) else []
        except OSError as error:
            unread(error)
            continue
        except (Wrong, ValueError, OverflowError):
            continue  # Whether signature and timestamp are sound are checks of the folder.
        (first, since), (index, sealed_at) = revoked[fingerprint], seals.get(run, (None, None))
        before = index is not None and index < first and moment(sealed_at) < moment(since)
        if not before and not any(time < moment(since).timestamp() for time in times):
            wrong.append(f"{run} is signed with {fingerprint}, revoked since {since} by entry {first}")
    need(not wrong, "\n".join(sorted(wrong)))


def digest(path):
    hashed = hashlib.sha256()
    with opened(path) as file:
        while chunk := file.read(1 << 20):
            hashed.update(chunk)
    return hashed.hexdigest()


def is_that(path, sha256, size):
    """Whether the file has that digest, and that size where one is known: it is looked at first."""
    return size in (None, os.lstat(path).st_size) and digest(path) == sha256


def archives(store):
    logged, restored, wrong, sound = {}, set(), [], []
    for entry in Log(store).entries:
        value = json.loads(entry)
        if value.get("kind") == "archive":
            logged[value["run"]] = (value["sha256"], value.get("size"))
            restored.discard(value["run"])
        elif value.get("kind") == "restore":
            restored.add(value["run"])
        elif value.get("kind") == "purge":
            logged.pop(value["run"], None)
    for place, folders, names in os.walk(os.path.join(store, "runs"), onerror=unread):
        folders[:] = [name for name in folders if not RUN.fullmatch(name)]
        for run in [name[:-8] for name in names if name.endswith(".tar.zst") and RUN.fullmatch(name[:-8])]:
            path = os.path.join(place, run + ".tar.zst")
            # One that became a folder again goes after its folder came.
            left = run not in restored or whether(stat.S_ISDIR, os.path.join(place, run)) is not False
            try:
                sound_one = run in logged and is_that(path, *logged[run])
            except OSError as error:
                unread(error)
                continue
            if sound_one and left:
                sound.append(f"{run} {path}")
            else:
                wrong.append(f"not the archive that the log holds: {run}")
    need(not wrong, "\n".join(sorted(wrong)))
    print("\n".join(sorted(sound)))


def imports(store):
    logged, folder, wrong, sound = set(), os.path.join(store, "imported"), [], []
    taken, purged, held = {}, set(), set()
    for index, entry in enumerate(Log(store).entries):
        value = json.loads(entry)
        if value.get("kind") == "import" and value.get("kept") is True:
            logged.add(value["sha256"])
            purged.discard(value["sha256"])
            taken[value["sha256"]] = value
        elif value.get("kind") == "hold":
            held.add((value["run"], value.get("matter")))
        elif value.get("kind") == "release":
            held.discard((value["run"], value.get("matter")))
        elif value.get("kind") == "purge-import":
            kept = taken.get(value["sha256"])
            early = kept and "kept_until" in kept and moment(value["time"]) < moment(kept["kept_until"])
            if not kept or early or any(run in kept["runs"] for run, _ in held):
                wrong.append(f"unfounded: entry {index} purges the bundle {value['sha256']}")
            logged.discard(value["sha256"])
            purged.add(value["sha256"])
    placed = there(folder)
    need(not placed or stat.S_ISDIR(placed.st_mode), "imported is a link, pipe or device")
    waiting, found = set(), set()
    for name in sorted(os.listdir(folder)) if placed else []:
        path, named = os.path.join(folder, name), name.partition(".")[0]
        kind = stat.S_ISREG(os.lstat(path).st_mode) and re.fullmatch("[0-9a-f]{64}", named)
        ending = name[len(named) :]
        if kind and ending in (".begun", ".begun.partial", ".going", ".going.partial"):  # One on its way in or out.
            try:
                # Of one that the log tells nothing of there is nothing to learn from its bytes.
                if ending == ".begun" and named in taken and is_that(path, named, taken[named].get("size")):
                    waiting.add(named)
            except OSError as error:
                unread(error)
                waiting.add(named)
        elif not kind or ending != ".tar.zst":
            wrong.append(f"no bundle: imported/{name!r}")
        elif named in purged and os.path.isfile(os.path.join(folder, named + ".going")):
            continue  # On its way out.
        elif named not in logged:
            wrong.append(f"never logged: imported/{name}")
        else:
            found.add(named)
            try:
                that = is_that(path, named, taken[named].get("size"))
                (sound if that else wrong).append(path)
            except OSError as error:
                unread(error)
    wrong += [f"gone: {named}, of which the log tells" for named in logged - found - waiting]
    need(not wrong, "\n".join(wrong))
    print("\n".join(sound))


def key_of(signature):
    """The key in an armored signature: PROTOCOL.sshsig, a magic word, a version, the key behind its length."""
    lines = signature.decode().split("\n")
    blob = base64.b64decode("".join(lines[1:-2]))
    length = int.from_bytes(blob[10:14], "big")
    return blob[14 : 14 + length]


def named(signature, *files):
    key = base64.b64encode(key_of(read(signature)))
    lines = [line for file in files if os.path.isfile(file) for line in read(file).splitlines()]
    found = [line for line in lines if key in line.split() and not line.strip().startswith(b"#")]
    need(found, "none of these names the key of the signature")


CUSTODY_LIMIT = 1 << 20  # Longest line of custody.
ACTS = "view download export hold release purge archive restore import".split()


def deed_of(line):
    """The event in a line of custody, which is written as its writer writes it."""
    value = json_of(line)
    keys = "sequence time by act runs detail previous".split()
    sound = type(value) is dict and list(value) == keys and whole(value["sequence"])
    sound = sound and caller(value["by"]) and value["act"] in ACTS and isinstance(value["detail"], dict)
    sound = sound and isinstance(value["runs"], list) and isinstance(value["time"], str)
    sound = sound and all(isinstance(run, str) and RUN.fullmatch(run) for run in value["runs"])
    form = r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}\.[0-9]{3}Z"
    sound = sound and re.fullmatch(form, value["time"]) and moment(value["time"])
    sound = sound and whole_numbers(value["detail"])
    again = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    need(sound and again.encode() == line, "that is no event of custody")
    return value


def whole_numbers(value):
    """Whether every number in it is a whole one of 64 bits."""
    if isinstance(value, (dict, list)):
        return all(whole_numbers(one) for one in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) and (type(value) is not int or -(1 << 63) <= value < 1 << 64)


def caller(by):
    """Whether that says who asked."""
    if type(by) is not dict or (by.get("session", True) is not True):
        return False
    names = [name for name in by if name != "session"]
    if "session" in by and list(by)[-1] != "session":
        return False
    if by.get("via") == "socket":
        pid = by.get("pid")
        known = pid is None or type(pid) is int and -(1 << 31) <= pid < 1 << 31
        ids = whole(by.get("uid"), 32) and whole(by.get("gid"), 32)
        return names == ["via", "uid", "gid", "pid"] and ids and known
    if by.get("via") == "key":
        text = isinstance(by.get("id"), str) and isinstance(by.get("name"), str)
        return names == ["via", "id", "name"] and text
    return names == ["via"] and by["via"] == "daemon"


def custody(store):
    heads = []
    for index, entry in enumerate(Log(store).entries):
        value = json.loads(entry)
        if value.get("kind") == "custody":
            heads.append((value["count"], value["sha256"], index))
            if whole(value.get("unlogged")) and value["unlogged"] > 0:
                first = value["count"] + 1 - value["unlogged"]
                print(f"note: a start found the lines {first} to {value['count']} of custody, which the log "
                      f"had not held (entry {index}): after a crash, or added while no daemon ran")
    heads.sort()
    folder = os.path.join(store, "custody")
    names = sorted(os.listdir(folder)) if there(folder) else []
    for name in names:
        need(re.fullmatch(r"[0-9]{4}-[0-9]{2}\.jsonl", name), f"no month's file: {name!r}")
    count, previous, torn = 0, "0" * 64, None
    for name in names:
        with opened(os.path.join(folder, name)) as lines:
            while line := lines.readline(CUSTODY_LIMIT):
                need(torn is None, f"there are lines behind one that was cut short in {torn}")
                if not line.endswith(b"\n"):
                    torn = name  # One that is just being written was promised to nobody.
                    continue
                line, count = line[:-1], count + 1
                what = f"{name}: event {count}"
                need(same(deed_of(line)["sequence"], count), f"{what} has another number")
                bound = line.endswith(f'"previous":"{previous}"}}'.encode())
                need(bound, f"{what} is not bound to the one before it")
                previous = sha256(line).hex()
                while heads and heads[0][0] <= count:
                    stated, digest, index = heads.pop(0)
                    sound = same(stated, count) and digest == previous
                    need(sound, f"{what} is not the one that entry {index} of the log states")
    need(not heads, f"the log states {heads[-1][0] if heads else 0} events, there are {count}")


def findings(store):
    told = []  # Place, whether it was judged, what is printed, and since when it was as it was again.
    for index, entry in enumerate(Log(store).entries):
        value = json.loads(entry)
        if value.get("kind") != "finding":
            continue
        place, codes, time = value["place"], value.get("codes"), value["time"]
        if codes:
            by = "the watch" if value.get("after_touch") else "the scrubber"
            told.append([place, True, f"{', '.join(codes)}, found {time} by {by}", None])
        elif "touched" in value:
            ways = ", ".join(value["touched"])
            told.append([place, False, f"touched {time} by somebody else than the daemon ({ways})", None])
        elif codes is None:
            told.append([place, True, f"touched in ways that the kernel dropped before {time}", None])
        for one in told if codes == [] else []:
            # What is no run's and no bundle's is read with the log.
            beside = not RUN.fullmatch(one[0]) and one[0] != "imported" and not one[1]
            bundle = place == "imported" and one[0].startswith("imported/")
            if one[3] is None and (one[0] == place or bundle or place == "log" and beside):
                one[3] = f"{time} (log#{index})"
    for place, _, what, since in told:
        print(f"{place}: {what}; " + (f"resolved: as it was again {since}" if since else "not resolved"))


if __name__ == "__main__":
    commands = [trust, seal, sizes, chain, facts, timestamp, proof, signed, tiles]
    commands += [history, kept, witnesses, runs, unpublished, stamps, order, dated, revocations]
    commands += [archives, imports, named, custody, findings]
    try:
        {command.__name__: command for command in commands}[sys.argv[1]](*sys.argv[2:])
    except Exception as error:  # Whatever the evidence did to the check: it did not pass.
        if not isinstance(error, OSError) or error.errno in (None, *ABSENT):
            sys.exit(str(error) if isinstance(error, Wrong) else repr(error))
        UNREAD.append(str(error))
    if UNREAD:
        sys.stdout.flush()
        print("could not be read:", *UNREAD, sep="\n", file=sys.stderr)
        sys.exit(3)
