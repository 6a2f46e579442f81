/** What becomes of a stream of HTTP/2 while its gate takes time to decide. */
import { describe, expect, test } from "bun:test";
import { PASS, type Verdict } from "../../lib/http/gate.ts";
import { Code } from "../../lib/http/h2/frame.ts";
import { converse, POST } from "./h2_conversation.ts";
import { ends, settle } from "./h2_peer.ts";

const REFUSAL = { reason: "rule", detail: "rule 4" } as const;

describe("a verdict that takes its time", () => {
  async function slowly() {
    const asked = new Map<string, { decide: (verdict: Verdict) => void; fail: () => void }>();
    const conversation = await converse({
      gate: ({ target }) => {
        if (target === "/fast") return PASS;
        const { promise, resolve, reject } = Promise.withResolvers<Verdict>();
        asked.set(target, { decide: resolve, fail: () => reject(new Error("no source")) });
        return promise;
      },
    });
    return { ...conversation, asked };
  }
  const at = (path: string) => ({ ...POST, ":path": path });

  test("holds up its own stream alone, which is then sent on whole", async () => {
    const { guest, server, asked } = await slowly();
    guest.headers(1, at("/slow"), false);
    guest.data(1, "one");
    guest.data(1, "two");
    guest.headers(1, { "x-sum": "7" });
    guest.headers(3, at("/fast"));
    guest.headers(5, at("/empty"));
    guest.headers(7, at("/ended"), false);
    guest.data(7, "", true);
    guest.headers(9, at("/content"), false);
    guest.data(9, "all", true);
    expect((await server.hears("headers")).fields[":path"]).toBe("/fast");
    await settle();
    expect(server.on(1).length).toBe(1);
    for (const path of ["/slow", "/empty", "/ended", "/content"]) asked.get(path)?.decide(PASS);
    expect(await ends(server, 3)).toBe("onetwo");
    expect(server.on(3).at(-1)).toMatchObject({ fields: { "x-sum": "7" }, end: true });
    expect(await ends(server, 5)).toBe("");
    expect(await ends(server, 7)).toBe("");
    expect(await ends(server, 9)).toBe("all");
    expect(server.on(5)).toMatchObject([{ end: true }]);
  });

  test("keeps what waits within the stream's window, and gives it back", async () => {
    const { guest, server, asked } = await slowly();
    guest.headers(1, at("/slow"), false);
    guest.data(1, "x".repeat(512 << 10));
    await settle();
    guest.data(1, "x");
    expect(await guest.hears("reset")).toMatchObject({ code: Code.FlowControl });
    asked.get("/slow")?.decide(PASS);
    await settle();
    expect(server.heard.filter(({ type }) => type === "headers")).toEqual([]);
    guest.headers(3, at("/fast"));
    await server.hears("headers");
  });

  test("comes too late for a stream that was given up, and other streams go on", async () => {
    const { guest, server, asked, exchanges } = await slowly();
    guest.headers(1, at("/slow"), false);
    await settle();
    guest.reset(1, Code.Cancel);
    await settle();
    expect(exchanges).toMatchObject([{ request: { path: "/slow" }, up: 0 }]);
    asked.get("/slow")?.decide(PASS);
    guest.headers(3, at("/fast"));
    expect((await server.hears("headers")).fields[":path"]).toBe("/fast");
    await settle();
    expect(server.heard.filter(({ type }) => type === "headers").length).toBe(1);
  });

  test("that refuses or resets leaves nothing of its stream", async () => {
    const { guest, server, asked } = await slowly();
    for (const [stream, path] of [[1, "/page"], [3, "/reset"]] as const) {
      guest.headers(stream, at(path), false);
      guest.data(stream, "content");
      guest.headers(stream, { "x-sum": "7" });
    }
    await settle();
    asked.get("/page")?.decide({ kind: "refuse", refusal: REFUSAL });
    asked.get("/reset")?.decide({ kind: "reset", refusal: REFUSAL });
    expect((await guest.hears("headers")).fields[":status"]).toBe("403");
    expect(await guest.hears("reset", ({ stream }) => stream === 3)).toMatchObject({ code: 8 });
    guest.headers(5, at("/fast"));
    expect((await server.hears("headers")).fields[":path"]).toBe("/fast");
  });

  test("comes to nothing when the server has left, or the guest", async () => {
    const one = await slowly();
    one.guest.headers(1, at("/slow"));
    await settle();
    one.server.goaway(0, Code.None);
    one.server.stream.end();
    await settle();
    one.asked.get("/slow")?.decide(PASS);
    expect(await one.guest.hears("reset")).toMatchObject({ stream: 1, code: Code.RefusedStream });
    const other = await slowly();
    other.guest.headers(1, at("/slow"));
    await settle();
    other.guest.stream.destroy();
    await other.closed;
    other.asked.get("/slow")?.decide(PASS);
    await settle();
    expect(other.exchanges.length).toBe(1);
  });

  test("that fails resets the connection, and nothing passes", async () => {
    const { guest, server, asked, closed } = await slowly();
    guest.headers(1, at("/slow"));
    await settle();
    asked.get("/slow")?.fail();
    await closed;
    expect(guest.stream.errored).not.toBeNull();
    expect(server.heard.filter(({ type }) => type === "headers")).toEqual([]);
  });
});
