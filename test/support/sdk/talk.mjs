// A WebSocket by the package ws: the token goes with the request and in the first message, and is told
// once more behind it. Prints what is said.
import process from "node:process";
import WebSocket from "ws";

const say = (what) => process.stdout.write(`${what}\n`);
const token = process.env.LIVE_TOKEN;
const socket = new WebSocket("wss://live.example.com/live", {
  headers: { authorization: `Bearer ${token}` },
});
socket.on("open", () => socket.send(JSON.stringify({ token })));
socket.on("message", (said) => {
  say(String(said).replaceAll(token, "PLACEHOLDER"));
  if (String(said) === "welcome") socket.send(`${token} and more`);
  else socket.close(1000);
});
socket.on("close", say);
