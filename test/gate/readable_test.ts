import { expect, test } from "bun:test";
import { field } from "../../lib/http/fields.ts";
import { askReadable } from "../../lib/gate/readable.ts";

test.each<[asked: string[], expected: string[] | null]>([
  [[], null],
  [["gzip"], null],
  [["gzip, deflate, br, zstd"], null],
  [["x-gzip;q=0.5, identity;q=0"], null],
  [["*;q=0, gzip"], null],
  [["gzip, compress, br;q=0.5"], ["gzip, br;q=0.5"]],
  [["gzip", "dcb, dcz"], ["gzip"]],
  [["*"], ["gzip"]],
  [["br, *;q=0.1"], ["br, gzip;q=0.1"]],
  [["compress"], ["identity"]],
  [["constructor, __proto__"], ["identity"]],
])("of the codings %j a server is asked for %j", (asked, expected) => {
  const other = field("Accept", "*/*");
  const fields = [other, ...asked.map((value) => field("Accept-Encoding", value))];
  const sent = askReadable(fields, false);
  if (expected === null) return expect(sent).toBe(fields);
  expect(sent).toEqual([other, ...expected.map((value) => field("Accept-Encoding", value))]);
});

test("a part is asked for as it is, and nothing is that could not be read", () => {
  const range = field("Range", "bytes=0-9");
  expect(askReadable([range, field("Accept-Encoding", "gzip")], false)).toEqual([
    range,
    field("Accept-Encoding", "identity"),
  ]);
  const plain = [range];
  expect(askReadable(plain, false)).toBe(plain);
  const extension = field("Sec-WebSocket-Extensions", "permessage-deflate");
  const odd = [field("A-IM", "vcdiff"), field("grpc-accept-encoding", "gzip"), extension];
  expect(askReadable(odd, false)).toEqual([extension]);
  expect(askReadable(odd, true)).toEqual([]);
});
