"""Has aics-tlog (PyPI), an implementation of C2SP's logs that shares no code with ours, judge the
log of a store: the checkpoint, every tile and entry, every checkpoint there was, every seal.

  tlog.py LOG.VKEY STORE [KEPT]...

Ends with 0 when it accepts all of it, with 1 and the reason when it rejects something.
"""

import stat
import sys
from pathlib import Path

import aics_tlog as tlog


class Rejected(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Rejected(what)


def believed(path, key):
    """What the checkpoint in a file states, if the log's key signed it."""
    text = path.read_bytes()
    if path.name.endswith(".tlog-proof"):
        text = text.split(b"\n\n", 1)[1]
    note = tlog.parse_note(text)
    result = tlog.verify_checkpoint(note, key, expected_origin=key.name)
    need(result.ok and result.log_ok, f"{path.name}: {result.error}")
    return result


def plain(folder):
    """What waits for a writer must not hold the check up."""
    for path in folder.rglob("*"):
        kind = path.lstat().st_mode
        need(stat.S_ISREG(kind) or stat.S_ISDIR(kind), f"{path.name}: no plain file")


def judge(key, store, kept):
    for name in ("log", "checkpoints", "runs"):
        plain(store / name)
    key = tlog.read_vkey_file(key.read_text())
    log = tlog.FileSystemTileReader(store / "log")
    newest = believed(store / "log/checkpoint", key)
    audit = tlog.audit_tiles(log, newest.size, newest.root)
    reader = tlog.VerifiedTileReader(log, newest.size, newest.root)

    history = sorted((store / "checkpoints").rglob("*.note"))
    proofs = sorted((store / "runs").glob("*/*/*/*/seal.json.tlog-proof"))
    for path in history + kept + proofs:
        old = believed(path, key)
        need(old.size <= newest.size, f"{path.name}: the log is shorter, a rollback")
        proof = tlog.consistency_proof_from_tiles(reader, old.size, newest.size)
        same = tlog.verify_consistency(old.size, newest.size, old.root, newest.root, proof)
        need(same, f"{path.name}: the history was rewritten")

    entries = [reader.entry(index) for index in range(newest.size)]
    seals = sorted((store / "runs").glob("*/*/*/*/seal.json"))
    for path in seals:
        seal = path.read_bytes()
        need(seal in entries, f"{path.parent.name}: its seal is not in the log")
        index = entries.index(seal)
        proof = tlog.inclusion_proof_from_tiles(reader, index, newest.size)
        found = tlog.verify_leaf_inclusion(seal, index, newest.size, proof, newest.root)
        need(found, f"{path.parent.name}: its seal is not included")
        # The proof that lies beside the seal, against the checkpoint in it.
        head, note = (path.parent / "seal.json.tlog-proof").read_text().split("\n\n", 1)
        _, number, *hashes = head.split("\n")
        stated = tlog.parse_note(note)
        result = tlog.verify_checkpoint(stated, key, expected_origin=key.name)
        need(result.ok, f"{path.parent.name}: {result.error}")
        proof = [tlog.note.b64_decode(line) for line in hashes]
        index = int(number.removeprefix("index "))
        found = tlog.verify_leaf_inclusion(seal, index, result.size, proof, result.root)
        need(found, f"{path.parent.name}: its proof does not lead to its checkpoint")
    print(
        f"aics-tlog {tlog.__version__} accepts {newest.origin}: {newest.size} entries, "
        f"{audit.tiles} tiles, {audit.bundles} bundles, {len(history)} checkpoints, "
        f"{len(kept)} kept, {len(seals)} seals"
    )


if __name__ == "__main__":
    key, store, *kept = map(Path, sys.argv[1:])
    try:
        judge(key, store, kept)
    except (Rejected, ValueError, OSError) as error:  # Its own errors are of these kinds.
        sys.exit(f"rejected: {type(error).__name__}: {error}")
