"""Opens flows from given ports, says something on each and waits a moment: openers.py '[FLOW, ...]'.

FLOW: {"proto": "tcp" or "udp", "to": [ADDRESS, PORT], "from": PORT, "says": HEX}. What comes of them is for
others to tell.
"""
import concurrent.futures, json, socket, sys


def open_flow(flow):
    address, port = flow["to"]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if flow["proto"] == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as s:
        s.bind(("", flow["from"]))
        s.settimeout(8)
        try:
            s.connect((address, port))
            s.send(bytes.fromhex(flow["says"]) or (b"" if flow["proto"] == "tcp" else b"?"))
            s.settimeout(4)
            s.recv(4096)
        except OSError:
            pass


flows = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(flows)) as pool:
    list(pool.map(open_flow, flows))
