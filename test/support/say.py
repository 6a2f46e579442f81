"""Opens connections and says things on them that no library would say; prints what came back, as JSON.

say.py '[{"to": ["93.184.216.34", 443], "sni": "api.allowed.test", "record": 40}, ...]'

One object a connection, all at once:
  sni     a name, a list of names in one extension, "" or null for no such extension; text is latin-1
  twice   a second server_name extension with this name
  ech     true: an encrypted_client_hello extension of random bytes, as browsers send it
  pad     this many bytes of padding
  inside  a first extension that nobody knows, with this text; all before it is a method to some servers of HTTP
  record  the hello in TLS records of this size
  version that the records of the hello state, as [major, minor]
  text    these bytes instead of a hello, in pieces of `cut` bytes (or 40)
  listen  true: say nothing
  after   seconds of silence first; gap: seconds between records, or pieces of a text
  drip    one byte a second
  all     read to the end and tell the status codes of all HTTP responses instead
Outcomes: "hello" (a server's handshake record), "alert", "text ...", "reset", "closed", "silent", "refused".
"""
import concurrent.futures, json, os, re, socket, sys, time


def u16(n):
    return n.to_bytes(2, "big")


def extension(kind, data):
    return u16(kind) + u16(len(data)) + data


def server_name(names):
    entries = b"".join(b"\0" + u16(len(n)) + n for n in (name.encode("latin-1") for name in names))
    return extension(0, u16(len(entries)) + entries)


def hello(p):
    extensions = extension(0x4141, p["inside"].encode("latin-1")) if "inside" in p else b""
    extensions += extension(10, u16(2) + u16(29))  # x25519
    extensions += extension(11, b"\1\0") + extension(13, u16(2) + u16(0x0403))
    sni = p.get("sni")
    if sni is not None:
        extensions += server_name(sni if isinstance(sni, list) else [sni])
    if "twice" in p:
        extensions += server_name([p["twice"]])
    if p.get("ech"):
        extensions += extension(0xFE0D, b"\0\0\1\0\1\7" + u16(32) + os.urandom(32) + u16(128) + os.urandom(128))
    if "pad" in p:
        extensions += extension(21, bytes(p["pad"]))
    body = b"\3\3" + (b"A" * 32 if "inside" in p else os.urandom(32)) + b"\0" + u16(2) + u16(0xC02B) + b"\1\0" + u16(len(extensions)) + extensions
    message = b"\1" + len(body).to_bytes(3, "big") + body
    size = p.get("record", 16000)
    parts = [message[at:at + size] for at in range(0, len(message), size)]
    version = bytes(p.get("version", [3, 1]))
    return [b"\x16" + version + u16(len(part)) + part for part in parts]


def outcome(s, patience):
    s.settimeout(patience)
    try:
        data = s.recv(4096)
    except TimeoutError:
        return "silent"
    except ConnectionError:
        return "reset"
    if not data:
        return "closed"
    if data[0] in (0x15, 0x16):
        return {0x15: "alert", 0x16: "hello"}[data[0]]
    return "text " + data.decode("latin-1").splitlines()[0]


def statuses(s, patience):
    s.settimeout(min(patience, 3))
    data = b""
    try:
        while more := s.recv(65536):
            data += more
    except TimeoutError:
        pass
    except ConnectionError:
        data = data or b""
    return " ".join(re.findall(r"HTTP/1\.1 (\d+)", data.decode("latin-1"))) or "reset"


def probe(p):
    patience = p.get("patience", 8)
    try:
        s = socket.create_connection(tuple(p["to"]), patience)
    except OSError:
        return "refused"
    if p.get("listen"):
        return outcome(s, patience)
    if "text" in p:
        text = p["text"].encode("latin-1")
        cut = p.get("cut", 40)
        parts = [text[at:at + cut] for at in range(0, len(text), cut)]
    else:
        parts = hello(p)
    time.sleep(p.get("after", 0))
    try:
        for part in parts:
            for piece in [part[i:i + 1] for i in range(len(part))] if p.get("drip") else [part]:
                s.sendall(piece)
                if p.get("drip"):
                    time.sleep(1)
            time.sleep(p.get("gap", 0))
    except OSError:
        return "reset"
    return statuses(s, patience) if p.get("all") else outcome(s, patience)


probes = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(probe, probes))))
