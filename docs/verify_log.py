"""The part of verify.sh that a shell does badly: the Merkle tree, the chain of events, JSON.

Python's standard library only. Each command checks one thing, prints what is wrong with it, and
ends with 0 when nothing is. Nothing found in the evidence is run, imported or followed: links,
pipes and devices are told of and not opened.

  seal FOLDER          seal.json is what the folder's other files give
  chain FOLDER         no event was changed, removed, added or moved
  proof FOLDER [FILE]  seal.json leads to the checkpoint in its proof, or in FILE; prints that checkpoint
  tiles STORE          the log's tiles and root follow from its entries
  history STORE        the log continues every checkpoint in checkpoints/ and in the folders' proofs
  kept STORE NOTE...   the log continues these checkpoints
  runs STORE           log and folders tell of the same runs; what was purged could go and is gone; what is in
                       open/ is as far as the log says
  unpublished STORE    prints the folders in open/ whose seal is in the log: each must be a sealed folder
  order STORE          prints the folders of the runs, in the order in which the log holds their seals
  there STORE STAMPS   prints runs and when their seals were there at the latest, a line each, by a file of
                       timestamps over the log: how many entries each covers, and its time in seconds
  archives STORE       every archive is the one that the log holds; prints runs and archives, a line each
  imports STORE        every kept bundle of another store is one that the log holds; prints them, a line each
  named SIGNATURE F... one of these files of keys names the key of the signature
  custody STORE        custody/ is one chain of lines, and the log's heads of it are among them

Sources: RFC 6962 section 2.1 (tree), RFC 9162 section 2.1.3.2 (proof), c2sp.org/tlog-tiles,
c2sp.org/tlog-checkpoint, c2sp.org/tlog-proof, docs/FORMAT.md.
"""

import base64
import hashlib
import json
import os
import re
import stat
import sys
from datetime import datetime, timedelta

LIMIT = 64 << 20  # Longest line, and largest file that is read whole.
RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Wrong(Exception):
    """What is wrong."""


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
    for place, folders, names in os.walk(folder, onerror=lambda error: (_ for _ in ()).throw(error)):
        for name in folders + names:
            path = os.path.join(place, name)
            kind = os.lstat(path).st_mode
            need(stat.S_ISREG(kind) or stat.S_ISDIR(kind), f"{path!r} is a link, pipe or device")
        for name in names:
            yield os.path.relpath(os.path.join(place, name), folder)


# The folder.


def seal(folder):
    def digest(name):
        return sha256(read(os.path.join(folder, name))).hex()

    content = read(os.path.join(folder, "seal.json"))
    value = json.loads(content)
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
        if os.path.lexists(path):
            expected[name] = sha256(read(path)).hex()
    names = "format run workflow state outcome opened_at sealed_at last_event_sha256".split()
    expected |= {name: record[name] for name in names if record.get(name) is not None}
    for name in expected.keys() | value.keys():
        what = f"{name}: expected {expected.get(name)!r}, found {value.get(name)!r}"
        need(expected.get(name) == value.get(name), what)


def chain(folder):
    record = json.loads(read(os.path.join(folder, "data", "run.json")))
    previous, number = "0" * 64, 0
    with opened(os.path.join(folder, "data", "events.jsonl")) as events:
        while line := events.readline(LIMIT):
            number += 1
            need(line.endswith(b"\n"), f"event {number} is cut short")
            line = line[:-1]
            event = json.loads(line)
            need(event["sequence"] == number, f"event {number} has the number {event['sequence']!r}")
            bound = line.endswith(f'"previous":"{previous}"}}'.encode())
            need(bound, f"event {number} is not bound to the one before it")
            if number == 1:
                need(event["kind"] == "run.opened", "the first event is not run.opened")
            previous = sha256(line).hex()
    need(number > 0 and event["kind"] == "run.sealed", "the last event is not run.sealed")
    need(record["counts"]["events"] == number, "run.json counts other events")
    need(record["last_event_sha256"] == previous, "run.json names another last event")


# The log.


def leaf(entry):
    return sha256(b"\0", entry)


def node(left, right):
    return sha256(b"\1", left, right)


def checkpoint(note):
    """Origin, size and root that a signed note states. Who signed it, openssl says."""
    text, _, signatures = note.decode().partition("\n\n")
    lines = text.split("\n")
    need(len(lines) >= 3 and re.fullmatch("0|[1-9][0-9]*", lines[1]), "that is no checkpoint")
    root = unbase64(lines[2])
    need(len(root) == 32 and signatures.endswith("\n"), "that is no checkpoint")
    for line in signatures[:-1].split("\n"):
        need(re.fullmatch("\u2014 [^ ]+ [^ ]+", line), "a line of a signature is none")
        unbase64(line.split(" ")[2])
    return lines[0], int(lines[1]), root


def proof(folder, file=None):
    text = read(file or os.path.join(folder, "seal.json.tlog-proof")).decode()
    head, _, note = text.partition("\n\n")
    first, number, *hashes = head.split("\n")
    need(first == "c2sp.org/tlog-proof@v1", "that is no proof")
    need(re.fullmatch("index (0|[1-9][0-9]*)", number), "that is no proof")
    index = int(number[6:])
    _, size, root = checkpoint(note.encode())
    need(index < size, "the index is beyond the log")
    at, last = index, size - 1
    found = leaf(read(os.path.join(folder, "seal.json")))
    for step in map(unbase64, hashes):
        need(last > 0, "the proof is longer than the tree is high")
        if at & 1 or at == last:
            found = node(step, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, step)
        at, last = at >> 1, last >> 1
    need(last == 0 and found == root, "the proof does not lead from seal.json to its checkpoint")
    sys.stdout.write(note)


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
        self.origin, self.size, self.root = checkpoint(read(os.path.join(self.folder, "checkpoint")))
        self.entries = []
        for index in range(-(-self.size // 256)):
            self.entries += self.bundle(index, min(256, self.size - 256 * index))
        self.levels = [[leaf(entry) for entry in self.entries]]
        while len(below := self.levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2])
            self.levels.append([node(left, right) for left, right in pairs])

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

    def continues(self, what, note):
        origin, size, root = checkpoint(note)
        need(origin == self.origin, f"{what!r} is of another log, {origin!r}")
        need(size <= self.size, f"the log is cut short: {what!r} has {size} entries, it {self.size}")
        need(root == self.root_of(size), f"the log was rewritten: {what!r} states another root")
        return size


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
        need(found, f"{name!r} is no tile")
        kind, index = found[1], int(re.sub("[x/]", "", found[2]) or "0")
        width = int(found[3] or 256)
        named = 0 < width and name == tile_name(kind, index, width)
        need(named, f"{name!r} is no tile of this log")
        parts = held.get(kind, [])[256 * index :][:256]
        # Nor was what no checkpoint states: of a commit under way, or of one that was cut short.
        if width > len(parts):
            continue
        # Narrower tiles than the log now has may be left over, if they hold the same.
        content = read(os.path.join(log.folder, name))
        need(content == b"".join(parts[:width]), f"{name!r} was altered")
        missing.discard(name)
    need(not missing, f"not there: {sorted(missing)}")


def folders_of_runs(store):
    found = {}
    # Where verify.sh unpacked archives; a folder in its place comes first.
    unpacked = os.environ.get("EXHIBIT_UNPACKED")
    for name in os.listdir(unpacked) if unpacked and os.path.isdir(unpacked) else []:
        found[name] = os.path.join(unpacked, name)
    for place, folders, _ in os.walk(os.path.join(store, "runs")):
        found |= {name: os.path.join(place, name) for name in folders if RUN.fullmatch(name)}
        folders[:] = [name for name in folders if not RUN.fullmatch(name)]
    return found


def history(store):
    log, folder = Log(store), os.path.join(store, "checkpoints")
    for name in files_below(folder):
        # Files being written were promised to nobody; timestamps have a check of their own.
        if name.endswith(".partial") or re.fullmatch(r"[x0-9/]+(\.[0-9]+)?\.ts[qr]", name):
            continue
        size = log.continues(name, read(os.path.join(folder, name)))
        place = tile_name("entries", size, 256)[len("tile/entries/") :]
        # The newest that was cosigned, or stamped, has a copy of its own.
        known = (f"{place}.note", "witnessed.note", "stamped.note")
        need(name in known, f"{name!r} states {size} entries")
    for folder in folders_of_runs(store).values():
        path = os.path.join(folder, "seal.json.tlog-proof")
        if os.path.lexists(path):  # That there must be one is a check of the folder.
            log.continues(path, read(path).partition(b"\n\n")[2])


def kept(store, *notes):
    log = Log(store)
    for note in notes:
        with open(note, "rb") as file:
            log.continues(note, file.read(LIMIT))


def moment(time):
    """A time of the log: RFC 3339, UTC."""
    return datetime.fromisoformat(time.replace("Z", "+00:00"))


def newborn(folder):
    """Whether it holds nothing but the beginnings of a run, as a crash leaves it while one is opened."""
    names = {name for name in files_below(folder) if not name.endswith(".partial")}
    events = os.path.join(folder, "data", "events.jsonl")
    if not names <= {"data/events.jsonl", "data/provenance.json"}:
        return False
    lines = read(events).split(b"\n") if os.path.lexists(events) else [b""]
    if len(lines) == 1:
        return True  # Not even its opening is whole.
    opening = json.loads(lines[0])
    opens = opening["kind"] == "run.opened" and opening["data"]["run"] == os.path.basename(folder)
    return opens and lines[1:] == [b""]


def lines_of(folder):
    """The whole lines of a folder's events, without their line feeds."""
    with opened(os.path.join(folder, "data", "events.jsonl")) as events:
        while (line := events.readline(LIMIT)).endswith(b"\n"):
            yield line[:-1]


def open_run(folder):
    """What is wrong with a run that is not sealed yet: its chain, and the files that it tells of."""
    previous = "0" * 64
    for _ in files_below(folder):
        pass  # Links, pipes and devices are wrong.
    for number, line in enumerate(lines_of(folder), 1):
        event = json.loads(line)
        bound = line.endswith(f'"previous":"{previous}"}}'.encode()) and event["sequence"] == number
        if not bound:
            yield f"event {number} of {folder} is not bound to the one before it"
        previous = sha256(line).hex()
        data = event["data"] if event["actor"] == "exhibit" else {}
        named = [data.get("provenance"), data.get("artifact"), *(data.get("artifacts") or [])]
        for artifact in filter(None, named):
            path = os.path.join(folder, artifact["path"])
            if not os.path.lexists(path) or digest(path) != artifact["sha256"]:
                yield f"{path} is not what event {number} tells of"


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
    names = os.listdir(place) if os.path.isdir(place) else []
    paths = {name: os.path.join(place, name) for name in names}
    folders = {name for name, path in paths.items() if stat.S_ISDIR(os.lstat(path).st_mode)}
    known = {name for name in folders if RUN.fullmatch(name.removesuffix(".partial"))}
    runs = {name: paths[name] for name in known if RUN.fullmatch(name)}
    return runs, [f"no run: open/{name!r}" for name in names if name not in known]


def runs(store):
    told, there = Told(store), folders_of_runs(store)
    still_open, wrong = open_folders(store)
    wrong += told.wrong
    for run, folder in there.items():
        if not told.runs.get(run):
            wrong.append(f"never logged: {run}")
        elif sha256(read(os.path.join(folder, "seal.json"))) != told.runs[run][-1]:
            wrong.append(f"exchanged: the log holds another seal of {run}")
    for run in told.runs:
        if run not in told.purged and run not in there and run not in still_open:
            wrong.append(f"gone: {run}, which the log tells of")
    for run, folder in still_open.items():
        if run not in told.runs:
            wrong += [] if newborn(folder) else [f"never logged: {run}, which is open"]
        elif run in told.purged or (told.runs[run] and run in there):
            wrong.append(f"reopened: {run}, which was sealed or purged")
        elif told.runs[run]:
            seal = os.path.join(folder, "seal.json")
            if not os.path.lexists(seal) or sha256(read(seal)) != told.runs[run][-1]:
                wrong.append(f"reopened: {run}, and it is not the seal that the log holds")
        else:
            wrong += open_run(folder)
    for run, folder in [*there.items(), *still_open.items()]:
        if run not in told.runs:
            continue
        events = os.path.join(folder, "data", "events.jsonl")
        lines = [sha256(line).hex() for line in lines_of(folder)] if os.path.lexists(events) else []
        if run in told.first and [told.first[run]] != lines[:1]:
            wrong.append(f"another opening than the log holds: {run}")
        for count, digest in told.heads.get(run, []):
            if lines[count - 1 : count] != [digest]:
                wrong.append(f"the log holds another event {count} of {run}")
    wrong += [f"there although purged: {run}" for run in told.purged if run in there]
    need(not wrong, "\n".join(sorted(wrong)))


def unpublished(store):
    """Runs whose seal is in the log, and that are not moved to their place yet."""
    told, there = Told(store), folders_of_runs(store)
    for run, folder in sorted(open_folders(store)[0].items()):
        if told.runs.get(run) and run not in there:
            print(os.path.relpath(folder, store))


def order(store):
    last = {}
    for index, entry in enumerate(Log(store).entries):
        value = json.loads(entry)
        if value["format"] == "exhibit/1":
            last[value["run"]] = index
    there = folders_of_runs(store)
    for run in sorted(there.keys() & last.keys(), key=last.get):
        print(there[run])


def there(store, stamps):
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


def digest(path):
    hashed = hashlib.sha256()
    with opened(path) as file:
        while chunk := file.read(1 << 20):
            hashed.update(chunk)
    return hashed.hexdigest()


def archives(store):
    logged, restored, wrong, sound = {}, set(), [], []
    for entry in Log(store).entries:
        value = json.loads(entry)
        if value.get("kind") == "archive":
            logged[value["run"]] = value["sha256"]
            restored.discard(value["run"])
        elif value.get("kind") == "restore":
            restored.add(value["run"])
        elif value.get("kind") == "purge":
            logged.pop(value["run"], None)
    for place, folders, names in os.walk(os.path.join(store, "runs")):
        folders[:] = [name for name in folders if not RUN.fullmatch(name)]
        for run in [name[:-8] for name in names if name.endswith(".tar.zst") and RUN.fullmatch(name[:-8])]:
            path = os.path.join(place, run + ".tar.zst")
            # One that became a folder again goes after its folder came.
            left = run not in restored or os.path.isdir(os.path.join(place, run))
            if logged.get(run) == digest(path) and left:
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
    there = os.path.lexists(folder)
    need(not there or stat.S_ISDIR(os.lstat(folder).st_mode), "imported is a link, pipe or device")
    waiting, found = set(), set()
    for name in sorted(os.listdir(folder)) if there else []:
        path, named = os.path.join(folder, name), name.partition(".")[0]
        kind = stat.S_ISREG(os.lstat(path).st_mode) and re.fullmatch("[0-9a-f]{64}", named)
        ending = name[len(named) :]
        if kind and ending in (".begun", ".begun.partial", ".going", ".going.partial"):  # One on its way in or out.
            if ending == ".begun" and digest(path) == named:
                waiting.add(named)
        elif not kind or ending != ".tar.zst":
            wrong.append(f"no bundle: imported/{name!r}")
        elif named in purged and os.path.isfile(os.path.join(folder, named + ".going")):
            continue  # On its way out.
        elif named not in logged:
            wrong.append(f"never logged: imported/{name}")
        else:
            found.add(named)
            (sound if digest(path) == named else wrong).append(path)
    wrong += [f"gone: {named}, of which the log tells" for named in logged - found - waiting]
    need(not wrong, "\n".join(wrong))
    print("\n".join(sound))


def named(signature, *files):
    lines = read(signature).decode().split("\n")
    blob = base64.b64decode("".join(lines[1:-2]))
    # PROTOCOL.sshsig: a magic word, a version, the key behind its length.
    length = int.from_bytes(blob[10:14], "big")
    key = base64.b64encode(blob[14 : 14 + length])
    lines = [line for file in files if os.path.isfile(file) for line in read(file).splitlines()]
    found = [line for line in lines if key in line.split() and not line.strip().startswith(b"#")]
    need(found, "none of these names the key of the signature")


def custody(store):
    heads = []
    for index, entry in enumerate(Log(store).entries):
        value = json.loads(entry)
        if value.get("kind") == "custody":
            heads.append((value["count"], value["sha256"], index))
    heads.sort()
    folder = os.path.join(store, "custody")
    names = sorted(os.listdir(folder)) if os.path.lexists(folder) else []
    for name in names:
        need(re.fullmatch(r"[0-9]{4}-[0-9]{2}\.jsonl", name), f"no month's file: {name!r}")
    count, previous = 0, "0" * 64
    for name in names:
        with opened(os.path.join(folder, name)) as lines:
            while line := lines.readline(LIMIT):
                if not line.endswith(b"\n"):
                    break  # One that is just being written was promised to nobody.
                line, count = line[:-1], count + 1
                what = f"{name}: event {count}"
                need(json.loads(line)["sequence"] == count, f"{what} has another number")
                bound = line.endswith(f'"previous":"{previous}"}}'.encode())
                need(bound, f"{what} is not bound to the one before it")
                previous = sha256(line).hex()
                while heads and heads[0][0] <= count:
                    stated, digest, index = heads.pop(0)
                    sound = stated == count and digest == previous
                    need(sound, f"{what} is not the one that entry {index} of the log states")
    need(not heads, f"the log states {heads[-1][0] if heads else 0} events, there are {count}")


if __name__ == "__main__":
    commands = [seal, chain, proof, tiles, history, kept, runs, unpublished, order, there, archives, imports]
    commands += [named, custody]
    try:
        {command.__name__: command for command in commands}[sys.argv[1]](*sys.argv[2:])
    except Exception as error:  # Whatever the evidence did to the check: it did not pass.
        sys.exit(str(error) if isinstance(error, Wrong) else repr(error))
