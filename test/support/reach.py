"""reach.py PATIENCE TARGET...: tries all targets at once and prints how each attempt ended, as JSON.

A target is tcp:HOST:PORT, udp:HOST:PORT, raw:PROTOCOL:HOST (an IP protocol by number) or raw6:HOST (a bare
IPv6 TCP SYN, for addresses that the local stack would not route). Outcomes: "open", "refused", "unreachable",
"silent" (nothing came within PATIENCE seconds), or the name of the error.
"""
import concurrent.futures
import errno
import json
import socket
import struct
import sys

PATIENCE = float(sys.argv[1])
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM}


def outcome(error):
    if isinstance(error, TimeoutError):
        return "silent"
    if error.errno == errno.ECONNREFUSED:
        return "refused"
    if error.errno in UNREACHABLE:
        return "unreachable"
    return errno.errorcode.get(error.errno, str(error))


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def tcp(host, port):
    with socket.socket(family(host), socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect((host, int(port)))
        return "open"


def udp(host, port):
    with socket.socket(family(host), socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.connect((host, int(port)))
        s.send(b"are you there?")
        s.recv(2048)
        return "open"


def raw(protocol, host):
    with socket.socket(family(host), socket.SOCK_RAW, int(protocol)) as s:
        s.settimeout(PATIENCE)
        s.connect((host, 0))
        s.send(b"\0" * 32)
        s.recv(2048)
        return "open"


def raw6(host):
    """Written onto the wire with its ethernet header: the kernel has no route for such addresses."""
    source, target = (socket.inet_pton(socket.AF_INET6, a) for a in ("fd73:6278::2", host))
    syn = struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, 5 << 4, 2, 64000, 0, 0)
    pseudo = source + target + struct.pack("!II", len(syn), 6)
    words = struct.unpack("!%dH" % ((len(pseudo) + len(syn)) // 2), pseudo + syn)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    syn = syn[:16] + struct.pack("!H", total) + syn[18:]
    packet = struct.pack("!IHBB", 6 << 28, len(syn), 6, 64) + source + target + syn
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x86DD) as s:
        s.bind(("eth0", 0))
        s.settimeout(PATIENCE)
        s.send(bytes.fromhex("027362780001" "027362780002" "86dd") + packet)
        while True:
            frame = s.recv(65536)
            if frame[22:38] == target and frame[54:58] == b"\0\x50\x9c\x40":
                return "open" if frame[67] & 2 else "refused"


def attempt(target):
    kind, rest = target.split(":", 1)
    try:
        if kind == "raw6":
            return raw6(rest)
        if kind == "raw":
            return raw(*rest.split(":", 1))
        host, port = rest.rsplit(":", 1)
        return {"tcp": tcp, "udp": udp}[kind](host.strip("[]"), port)
    except OSError as error:
        return outcome(error)


targets = sys.argv[2:]
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(dict(zip(targets, pool.map(attempt, targets)))))
