"""The part of verify.sh that reads containers: archives and bundles (.tar.zst), before tar does.

Python's standard library only. Nothing is written or unpacked. Whatever passes is the one spelling of
what it says (docs/FORMAT.md, section 8), so that every unpacker makes the same files of it:

  frame FILE           FILE is one frame of Zstandard, with a checksum, and nothing else
  tar ROOM [RUN]       the tar on standard input is a bundle, or the archive of RUN, and has at most ROOM
                       bytes when it is unpacked; prints the names in it, folders with a slash behind them

Sources: RFC 8878 section 3.1 (frames), IEEE 1003.1 pax, "ustar Interchange Format", docs/FORMAT.md.
"""

import re
import sys

BLOCK = 512
FOLDER_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
RUN = re.compile(FOLDER_ID)
PART = re.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
PIECE = 1 << 20
# Bytes of all files, entries, parts of a name, bytes of a name.
MOST, MOST_ENTRIES, MOST_PARTS, MOST_NAME = 64 << 30, 1_000_000, 12, 1200
# Bytes below data/ beyond Payload-Oxum, and where that is not said.
SLACK, UNSTATED = 64 << 20, 1 << 30


class Wrong(Exception):
    """What is wrong."""


def need(condition, what):
    if not condition:
        raise Wrong(what)


def largest(path):
    """Most bytes of the file at this path in a folder."""
    sizes = {
        "manifest-sha256.txt": 64 << 20,
        "tagmanifest-sha256.txt": 64 << 20,
        "report.html": 512 << 20,
        "tagmanifest-sha256.txt.sig": 1 << 16,
        "tagmanifest-sha256.txt.sig.tsq": 256 << 10,
        "tagmanifest-sha256.txt.sig.tsr": 256 << 10,
        "seal.json": 65535,
        "seal.json.tlog-proof": 1 << 16,
        "data/run.json": 16 << 20,
        "data/provenance.json": 16 << 20,
    }
    return sizes.get(path, MOST if path.startswith("data/") else 1 << 20)


def payload(text):
    """Bytes that may lie below data/, by a bag-info.txt."""
    found = re.search(rb"^Payload-Oxum: ([0-9]{1,19})\.[0-9]+$", text, re.MULTILINE)
    return int(found[1]) + SLACK if found else UNSTATED


# The frame.


def frame(path):
    with open(path, "rb") as file:

        def read(count):
            content = file.read(count)
            need(len(content) == count, "the frame is cut short")
            return content

        head = read(6)
        need(head[:4] == b"\x28\xb5\x2f\xfd", "it does not begin with a frame of Zstandard")
        # A checksum, no content size, no dictionary, a window of its own.
        need(head[4] == 0x04, "its frame is not one of Exhibit's")
        window = head[5] >> 3
        need(head[5] & 7 == 0 and window + 10 <= 23, "its frame needs an odd or a large window")
        most, last = min(1 << window + 10, 128 << 10), False
        while not last:
            block = int.from_bytes(read(3), "little")
            last, kind, size = block & 1, block >> 1 & 3, block >> 3
            need(kind != 3 and size <= most, "a block of the frame is none")
            read(1 if kind == 1 else size)
        read(4)
        need(not file.read(1), "something follows the frame")


# The tar.


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def header(prefix, name, mode, size, flag, magic):
    """A header as Exhibit's writer makes it."""
    made = name.ljust(100, b"\0") + octal(mode, 8) + octal(0, 8) + octal(0, 8)
    made += octal(size, 12) + octal(0, 12) + b" " * 8 + flag + bytes(100) + magic
    made += bytes(80) + prefix.ljust(155, b"\0") + bytes(12)
    return made[:148] + octal(sum(made), 8) + made[156:]


def head(name, folder, size):
    """What stands before the bytes of an entry: its header, and before that its name, if it is long."""
    prefix, rest = b"", name
    if len(name) > 100:
        # As much as the prefix takes; the slash that ends a folder's name divides nothing.
        slash = name.rfind(b"/", 0, min(156, len(name) - 1))
        need(slash > 0, "a name is too long")
        prefix, rest = name[:slash], name[slash + 1 :]
    long = b""
    if len(rest) > 100:
        long = header(b"", b"././@LongLink", 0o644, len(name) + 1, b"L", b"ustar  \0")
        long += name + bytes(BLOCK - len(name) % BLOCK)
        rest = name[:100]
    mode, flag = (0o755, b"5") if folder else (0o444, b"0")
    return long + header(prefix, rest, mode, size, flag, b"ustar\x0000")


class Tar:
    def __init__(self, file):
        self.file = file

    def read(self, count):
        content = self.file.read(count)
        need(len(content) == count, "the tar is cut short")
        return content

    def size(self, block):
        digits = block[124:135]
        need(re.fullmatch(b"[0-7]{11}", digits), "a size is not in octal digits")
        return int(digits, 8)

    def entry(self):
        """Name, whether it is a folder, and size of the next entry; none at the end."""
        block = found = self.read(BLOCK)
        if block == bytes(BLOCK):
            need(self.read(BLOCK) == bytes(BLOCK), "one block of zeros does not end a tar")
            need(not self.file.read(1), "something follows the end of the tar")
            return None
        name = None
        if block[156:157] == b"L":
            length = self.size(block) - 1
            need(0 < length <= MOST_NAME, "a name is too long")
            content = self.read(length + BLOCK - length % BLOCK)
            name, block = content[:length], self.read(BLOCK)
            found += content + block
        if name is None:
            name, prefix = block[:100].split(b"\0")[0], block[345:500].split(b"\0")[0]
            name = prefix + b"/" + name if prefix else name
        kind = block[156:157]
        need(kind in (b"0", b"5"), f"{name!r} is an entry of the kind {kind!r}")
        folder, size = kind == b"5", self.size(block)
        need(folder == name.endswith(b"/") and not (folder and size), f"{name!r} is no entry")
        need(found == head(name, folder, size), f"the header of {name!r} is not written as Exhibit does")
        return name.decode("ascii"), folder, size


class Order:
    """Proofs by run, then folders by run; in a folder names in bytewise order, each followed by what
    is in it. So no name can come twice."""

    def __init__(self):
        self.proofs, self.runs, self.open = [], [], []

    def follow(self, name, folder):
        *above, last = name.split("/")
        what = f"{name!r} does not stand where Exhibit would have it, or stands there twice"
        if above == ["proofs"]:
            run = last.removesuffix(".tlog-proof")
            need(last != run and RUN.fullmatch(run) and not folder, f"{name!r} is no proof")
            need(not self.runs and (not self.proofs or self.proofs[-1] < run), what)
            self.proofs.append(run)
        elif above == ["runs"]:
            need(RUN.fullmatch(last) and folder, f"{name!r} is no run")
            need(not self.runs or self.runs[-1] < last, what)
            self.runs.append(last)
            self.open = [[[*above, last], ""]]
        else:
            while self.open and self.open[-1][0] != above:
                self.open.pop()
            need(self.open and self.open[-1][1] < last, what)
            self.open[-1][1] = last
            if folder:
                self.open.append([[*above, last], ""])


def tar(room, run=None):
    archive, order, entries, total = Tar(sys.stdin.buffer), Order(), 0, 0
    below, most = 0, UNSTATED  # Below data/ of the folder that is being read.
    while entry := archive.entry():
        name, folder, size = entry
        path = name.removesuffix("/")
        parts = path.split("/")
        plain = all(PART.fullmatch(part) for part in parts)
        need(plain and 1 < len(parts) <= MOST_PARTS, f"it names {name!r}")
        order.follow(path, folder)
        entries, total = entries + 1, total + size
        need(entries <= MOST_ENTRIES and total <= MOST, "it holds more than a bundle may")
        need(total <= int(room), f"there is no room to unpack it: {total} bytes and more")
        inside = "/".join(parts[2:])
        need(size <= largest(inside), f"{name!r} is larger than its kind may be: {size} bytes")
        if not inside:
            below, most = 0, UNSTATED
        if inside.startswith("data/"):
            below += size
            need(below <= most, f"{name!r}: more lies below data/ than bag-info.txt says")
        left = size
        if inside == "bag-info.txt":
            most, left = payload(archive.read(size)), 0
        while left:
            left -= len(archive.read(min(left, PIECE)))
        padding = -size % BLOCK
        need(archive.read(padding) == bytes(padding), f"{name!r} is not filled up with zeros")
        print(name)
    need(order.runs, "there is no evidence folder in it")
    need(set(order.proofs) <= set(order.runs), "it holds a proof without its folder")
    need(run is None or (order.runs == [run] and not order.proofs), f"it is not the archive of {run} alone")


if __name__ == "__main__":
    try:
        {command.__name__: command for command in (frame, tar)}[sys.argv[1]](*sys.argv[2:])
    except Exception as error:  # Whatever the container did to the check: it did not pass.
        sys.exit(str(error) if isinstance(error, Wrong) else repr(error))
