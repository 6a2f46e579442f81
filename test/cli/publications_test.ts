import { expect, test } from "bun:test";
import { parsePublications, publishedLines } from "../../lib/cli/publications.ts";

test("a publication names host, guest, protocol and where to listen", () => {
  const chosen = { hostPort: 0, guestPort: 80, protocol: "tcp" } as const;
  const publications: Readonly<Record<string, object>> = {
    "8080:80": { ...chosen, hostPort: 8080 },
    "0:53/udp": { ...chosen, guestPort: 53, protocol: "udp" },
    "80": chosen,
    "53/udp": { ...chosen, guestPort: 53, protocol: "udp" },
    "127.0.0.1::80": { ...chosen, bind: "127.0.0.1" },
    "[::1]::80": { ...chosen, bind: "::1" },
    "0.0.0.0:1:2/tcp": { ...chosen, hostPort: 1, guestPort: 2, bind: "0.0.0.0" },
    "[::1]:1:2": { ...chosen, hostPort: 1, guestPort: 2, bind: "::1" },
  };
  for (const [text, publication] of Object.entries(publications)) {
    expect(parsePublications(text)).toEqual([publication as never]);
  }
});

test("a range is one for each port", () => {
  const ports = (text: string) =>
    parsePublications(text).map(({ bind = "", hostPort, guestPort, protocol }) =>
      `${bind} ${hostPort} ${guestPort} ${protocol}`
    );
  expect(ports("8000-8002:9000-9002")).toEqual([
    " 8000 9000 tcp",
    " 8001 9001 tcp",
    " 8002 9002 tcp",
  ]);
  expect(ports("8000-8001")).toEqual([" 0 8000 tcp", " 0 8001 tcp"]);
  expect(ports("0:8000-8001/udp")).toEqual([" 0 8000 udp", " 0 8001 udp"]);
  expect(ports("[::1]:1-2:3-4")).toEqual(["::1 1 3 tcp", "::1 2 4 tcp"]);
  expect(ports("0.0.0.0::7-8")).toEqual(["0.0.0.0 0 7 tcp", "0.0.0.0 0 8 tcp"]);
  expect(ports("80-80")).toEqual([" 0 80 tcp"]);
  expect(ports("1-1024").length).toBe(1024);
});

test.each([
  ["127.0.0.1:80", "not [["],
  ["::80", "not [["],
  ["80:", "not [["],
  [":80:80", "not [["],
  ["80:80/sctp", "not [["],
  ["::1:1:2", "not [["],
  ["1-", "not [["],
  ["-1", "not [["],
  ["1-2-3", "not [["],
  ["1-2:", "not [["],
  ["host:1:2", '"host" is no address'],
  ["0", "the guest's port cannot be 0"],
  ["80:0", "the guest's port cannot be 0"],
  ["0-1", "the guest's port cannot be 0"],
  ["70000", "port 70000 is above 65535"],
  ["80:70000", "port 70000 is above 65535"],
  ["70000:80", "port 70000 is above 65535"],
  ["65535-65536", "port 65536 is above 65535"],
  ["9-8", "the range 9-8 is empty"],
  ["1-2:4-3", "the range 4-3 is empty"],
  ["1-2:3-5", "the two ranges differ in length"],
  ["8000-8001:80", "the two ranges differ in length"],
  ["80:8000-8001", "the two ranges differ in length"],
  ["0-1:5-6", "above 0"],
  ["1-1025", "at most 1024 ports"],
])("%s is wrong usage: %s", (text, state) => {
  expect(() => parsePublications(text)).toThrow(
    expect.objectContaining({ code: "USAGE", message: expect.stringContaining(state) }),
  );
  expect(() => parsePublications(text)).toThrow(`Cannot use --publish "${text}": `);
});

test("what listens is told in ranges, address by address", () => {
  const port = (address: string, port: number, guestPort: number) =>
    ({ address, port, guestPort, protocol: "tcp" }) as const;
  const lines = publishedLines(
    [1, 2, 4].flatMap((number) =>
      ["127.0.0.1", "::1"].map((address) => port(address, 8000 + number, number))
    ),
  );
  expect(lines).toEqual([
    "published 127.0.0.1 ports 8001-8002 to 1-2/tcp of the guest",
    "published 127.0.0.1 port 8004 to 4/tcp of the guest",
    "published ::1 ports 8001-8002 to 1-2/tcp of the guest",
    "published ::1 port 8004 to 4/tcp of the guest",
  ]);
});
