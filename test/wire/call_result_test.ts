import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { parseResult } from "../../lib/wire/call_result.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const malformed = expect.objectContaining({ code: "PROTOCOL" });
const parse = (bytes: Uint8Array) =>
  parseResult(bytes, () => new SbxError("PROTOCOL", "Cannot follow the peer"));

function thrown(run: () => unknown): unknown {
  try {
    return { returned: run() };
  } catch (error) {
    return error;
  }
}

test("parseResult() takes an ok or an error", () => {
  expect(parse(encode('{"ok":{"code":7},"later":1}'))).toEqual({ ok: { code: 7 } });
  expect(parse(encode('{"error":{"code":"failed","message":"no"}}'))).toEqual({
    failure: { code: "failed", message: "no" },
  });
  expect(parse(encode('{"error":{"code":"a","message":"b","hint":"c"}}'))).toEqual({
    failure: { code: "a", message: "b", hint: "c" },
  });
});

test("parseResult() makes the peer's words fit to show", () => {
  const message = `\x1b[2J\u202e${"x".repeat(5000)}`;
  const result = parse(encode(JSON.stringify({ error: { code: "failed", message } })));
  if (!("failure" in result)) throw new Error("not a failure");
  expect(result.failure.message).toStartWith("\\u{1b}[2J\\u{202e}xxx");
  expect(result.failure.message.length).toBeLessThan(300);
});

test("parseResult() refuses everything else", () => {
  for (
    const text of [
      "",
      "null",
      "[]",
      "7",
      "{}",
      '{"ok":1}',
      '{"ok":[]}',
      '{"ok":null}',
      '{"ok":{},"error":{"code":"a","message":"b"}}',
      '{"error":"no"}',
      '{"error":{"code":1,"message":"b"}}',
      '{"error":{"code":"a"}}',
      '{"ok":{}',
    ]
  ) {
    expect(thrown(() => parse(encode(text))), text).toEqual(malformed);
  }
  expect(thrown(() => parse(Uint8Array.of(0x7b, 0xff, 0x7d)))).toEqual(malformed);
});
