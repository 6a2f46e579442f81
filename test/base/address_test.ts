import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  addressOf,
  cidrHas,
  embeddedIPv4,
  formatEndpoint,
  isLoopback,
  parseAddress,
  parseCidr,
} from "../../lib/base/address.ts";

const text = (input: string) => parseAddress(input)?.text ?? null;

describe("parseAddress()", () => {
  test.each([
    ["1.2.3.4", "1.2.3.4"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8::0:1", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::FFFF:a00:1", "10.0.0.1"],
    ["0:0:0:0:0:ffff:7f00:1", "127.0.0.1"],
    ["::10.0.0.1", "::a00:1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:10.0.0.1%1", "10.0.0.1"],
  ])("%s is %s", (input: string, canonical: string) => {
    expect(text(input)).toBe(canonical);
  });

  test.each([
    "",
    " 1.2.3.4",
    "1.2.3.4 ",
    "1.2.3",
    "1.2.3.4.5",
    "010.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "256.0.0.1",
    "1.2.3.4%eth0",
    "1::2::3",
    ":1",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "::ffff:010.0.0.1",
    "fe80::1%",
    "[::1]",
    "1.2.3.4/32",
    "１.2.3.4",
  ])("refuses %p", (input: string) => {
    expect(parseAddress(input)).toBeNull();
  });

  test("reads its own text back to the same bytes", () => {
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (input) => {
      const address = parseAddress(input);
      expect(address).not.toBeNull();
      if (address === null) return;
      expect(parseAddress(address.text)).toEqual(address);
      expect(addressOf(address.bytes)).toEqual(address);
    }));
  });

  test("spells every IPv6 address as the URL parser does", () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const address = addressOf(bytes);
      if (address.family === 4) return;
      expect(new URL(`http://[${address.text}]/`).hostname).toBe(`[${address.text}]`);
    }));
  });
});

test.each([
  ["127.0.0.1", true],
  ["127.255.255.255", true],
  ["::1", true],
  ["::ffff:127.0.0.1", true],
  ["0.0.0.0", false],
  ["128.0.0.1", false],
  ["192.168.127.2", false],
  ["::", false],
  ["::2", false],
  ["::127.0.0.1", false],
  ["7f00::1", false],
])("isLoopback(): %s is %p", (input, loopback) => {
  const address = parseAddress(input);
  expect(address !== null && isLoopback(address)).toBe(loopback);
});

describe("parseCidr()", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["1.2.3.4", "1.2.3.4/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["::/0", "::/0"],
    ["2001:db8::1", "2001:db8::1/128"],
    ["fe80::ffff/10", "fe80::/10"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
  ])("%s is %s", (input: string, canonical: string) => {
    expect(parseCidr(input)?.text).toBe(canonical);
  });

  test.each([
    "",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.1/16",
    "::/129",
    "fe80::1%eth0/64",
    "::ffff:10.0.0.0/90",
    "example.com",
  ])("refuses %p", (input: string) => {
    expect(parseCidr(input)).toBeNull();
  });

  test("contains exactly the addresses with its prefix", () => {
    const has = (block: string, address: string) => {
      const cidr = parseCidr(block);
      const parsed = parseAddress(address);
      if (cidr === null || parsed === null) throw new Error("bad row");
      return cidrHas(cidr, parsed);
    };
    expect(has("93.184.216.128/25", "93.184.216.127")).toBe(false);
    expect(has("93.184.216.128/25", "93.184.216.128")).toBe(true);
    expect(has("2606:4700:9::/64", "2606:4700:9:0:ffff::1")).toBe(true);
    expect(has("2606:4700:9::/64", "2606:4700:9:1::1")).toBe(false);
    expect(has("0.0.0.0/0", "2606:4700::1")).toBe(false);
    expect(has("::/0", "1.2.3.4")).toBe(false);
    expect(has("10.0.0.0/8", "::ffff:10.0.0.1")).toBe(true);
  });
});

test("embeddedIPv4() finds the IPv4 address inside an IPv6 address", () => {
  const rows: [string, string | null][] = [
    ["64:ff9b::a9fe:a9fe", "169.254.169.254"],
    ["2002:a00:1::1", "10.0.0.1"],
    ["::127.0.0.1", "127.0.0.1"],
    ["::ffff:0:10.0.0.1", "10.0.0.1"],
    ["2001:0:4136:e378:8000:63bf:f5ff:fffe", "10.0.0.1"],
    ["2001:db8::5efe:a00:1", "10.0.0.1"],
    ["fe80::200:5efe:10.0.0.1", "10.0.0.1"],
    ["::", null],
    ["::1", null],
    ["::2", "0.0.0.2"],
    ["2001:1::1", null],
    ["2606:4700::1", null],
    ["64:ff9b:1::a00:1", null],
    ["10.0.0.1", null],
  ];
  for (const [input, inner] of rows) {
    const address = parseAddress(input);
    if (address === null) throw new Error(input);
    expect([input, embeddedIPv4(address)?.text ?? null]).toEqual([input, inner]);
  }
});

test("formatEndpoint() brackets IPv6 only where a port follows", () => {
  expect(formatEndpoint("1.2.3.4", 80)).toBe("1.2.3.4:80");
  expect(formatEndpoint("::1", 80)).toBe("[::1]:80");
  expect(formatEndpoint("::1")).toBe("::1");
});
