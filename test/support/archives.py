"""Archives of tar, as strangers may have made them: archives.py DIRECTORY."""

import io
import os
import sys
import tarfile

LONG = "/".join(["d" * 100] * 10) + "/f"
WIDE = "/".join(["ü" * 60] * 10) + "/f"


def entry(name, data=None, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    if data is not None:
        info.size = len(data)
    return info, data


def link(name, target):
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


ARCHIVES = {
    "climbing": [entry("../climbed", b"x"), entry("kept", b"kept")],
    "absolute": [entry("/etc/absolute", b"x")],
    "absolute-and-climbing": [entry("/root/../etc/absolute", b"x")],
    "link-to-root": [link("l", "/etc"), entry("l/linked", b"x")],
    "link-that-climbs": [link("l", "../.."), entry("l/linked", b"x")],
    "hard-link-out": [entry("h", type=tarfile.LNKTYPE, linkname="/etc/shadow")],
    "device": [entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)],
    "setuid": [entry("setuid", b"x", mode=0o4755, uid=1234, uname="nobody")],
    "long": [entry(LONG, b"long")],
    "wide": [entry(WIDE, b"wide")],
    "words": [entry("../\x1b]0;evil\x07", b"x")],
}

directory = sys.argv[1]
for name, entries in ARCHIVES.items():
    form = tarfile.PAX_FORMAT if name == "wide" else tarfile.GNU_FORMAT
    with tarfile.open(os.path.join(directory, name), "w", format=form) as archive:
        for info, data in entries:
            archive.addfile(info, None if data is None else io.BytesIO(data))

with open(os.path.join(directory, "long"), "rb") as whole, open(os.path.join(directory, "truncated"), "wb") as part:
    part.write(whole.read()[:1200])

with open(os.path.join(directory, "huge"), "wb") as huge:
    size = tarfile.TarInfo("huge")
    size.size = 1 << 60
    huge.write(size.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024)
