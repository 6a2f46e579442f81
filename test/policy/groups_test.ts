import { expect, test } from "bun:test";
import { parseAddress } from "../../lib/base/address.ts";
import { groupBlocks, GROUPS, inGroup, isUnroutable } from "../../lib/policy/model/groups.ts";

function addressIn(text: string) {
  const address = parseAddress(text);
  if (address === null) throw new TypeError(`${text} is no address`);
  return address;
}

test("every address belongs to exactly these groups", () => {
  const rows: [string, string[]][] = [
    ["127.0.0.1", ["loopback"]],
    ["127.255.255.255", ["loopback"]],
    ["128.0.0.0", []],
    ["0.0.0.0", ["loopback"]],
    ["0.1.2.3", ["loopback"]],
    ["1.0.0.0", []],
    ["::1", ["loopback"]],
    ["::", ["loopback"]],
    ["::ffff:127.0.0.1", ["loopback"]],
    ["10.255.255.255", ["private"]],
    ["11.0.0.0", []],
    ["172.15.255.255", []],
    ["172.16.0.0", ["private"]],
    ["172.32.0.0", []],
    ["192.168.0.1", ["private"]],
    ["100.63.255.255", []],
    ["100.64.0.0", ["private"]],
    ["100.127.255.255", ["private"]],
    ["100.128.0.0", []],
    ["fc00::", ["private"]],
    ["fdff::1", ["private"]],
    ["fe00::", []],
    ["fec0::1", ["private"]],
    ["64:ff9b:1::1", ["private"]],
    ["64:ff9b::1", []],
    ["169.254.0.1", ["link-local"]],
    ["fe80::1", ["link-local"]],
    ["febf::1", ["link-local"]],
    ["169.254.169.254", ["link-local", "metadata"]],
    ["169.254.170.2", ["link-local", "metadata"]],
    ["169.254.170.23", ["link-local", "metadata"]],
    ["169.254.0.23", ["link-local", "metadata"]],
    ["fe80::a9fe:a9fe", ["link-local", "metadata"]],
    ["100.100.100.200", ["private", "metadata"]],
    ["fd00:ec2::254", ["private", "metadata"]],
    ["fd00:ec2::23", ["private", "metadata"]],
    ["fd20:ce::254", ["private", "metadata"]],
    ["168.63.129.16", ["metadata"]],
    ["168.63.129.17", []],
    ["192.0.0.192", ["metadata"]],
    ["223.255.255.255", []],
    ["224.0.0.251", ["multicast"]],
    ["239.255.255.255", ["multicast"]],
    ["ff02::fb", ["multicast"]],
    ["240.0.0.1", []],
    // Test networks and benchmark ranges are in use by labs and by VPNs that hand out fake addresses.
    ["192.0.2.1", []],
    ["198.18.0.9", []],
    ["2001:db8::1", []],
  ];
  for (const [text, groups] of rows) {
    const found = GROUPS.filter((group) => inGroup(group, addressIn(text)));
    expect<unknown>([text, found]).toEqual([text, groups]);
  }
});

test("the host's members are known only at run time", () => {
  expect(groupBlocks("host")).toEqual([]);
});

test("240/4 and broadcast are unroutable, their neighbours are not", () => {
  const found = [
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "::ffff:255.255.255.255",
    "ff02::1",
  ]
    .filter((text) => isUnroutable(addressIn(text)));
  expect(found).toEqual(["240.0.0.0", "255.255.255.255", "::ffff:255.255.255.255"]);
});
