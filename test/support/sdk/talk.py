# The same as talk.mjs, by the package websockets.
import json
import os

from websockets.sync.client import connect

token = os.environ["LIVE_TOKEN"]
fields = {"authorization": f"Bearer {token}"}
with connect("wss://live.example.com/live", additional_headers=fields) as socket:
    socket.send(json.dumps({"token": token}))
    print(socket.recv())
    socket.send(f"{token} and more")
    print(socket.recv().replace(token, "PLACEHOLDER"))
print(socket.close_code or 1000)
