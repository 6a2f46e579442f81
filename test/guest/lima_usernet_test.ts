import { expect, test } from "bun:test";
import { readInstance } from "../../lib/guest/lima/instance.ts";
import { type OwnDriverFacts, proofOfOwnDriver } from "../../lib/guest/lima/own_driver.ts";
import { requireGoverned } from "../../lib/guest/lima/refusals.ts";
import { readUsernetCall } from "../../lib/guest/lima/usernet.ts";

const GUEST = "192.168.5.15";
const call = (method: string, path: string, body: unknown = "") =>
  readUsernetCall(
    { method, path, body: typeof body === "string" ? body : JSON.stringify(body) },
    GUEST,
  );
const EXPOSE = "/services/forwarder/expose";
const SSH = { local: "127.0.0.1:60022", remote: `${GUEST}:22`, protocol: "tcp" };

test("what Lima asks is answered, as it asks it", () => {
  expect(call("GET", "/services/dhcp/leases")).toEqual({ call: "leases" });
  expect(call("POST", EXPOSE, SSH)).toEqual({ call: "expose", port: 60_022 });
  expect(call("POST", "/services/forwarder/unexpose", { local: SSH.local, protocol: "tcp" }))
    .toEqual({ call: "unexpose", port: 60_022 });
  expect(call("POST", "/services/dns/add", { Name: "internal.", Records: [] })).toEqual({
    call: "names",
  });
});

test.each([
  ["another port of the guest's", 403, EXPOSE, { ...SSH, remote: `${GUEST}:80` }],
  ["another host", 403, EXPOSE, { ...SSH, remote: "192.168.5.2:22" }],
  ["an address that others reach", 403, EXPOSE, { ...SSH, local: "0.0.0.0:60022" }],
  ["no port", 403, EXPOSE, { ...SSH, local: "127.0.0.1:0" }],
  ["a port that is none", 403, EXPOSE, { ...SSH, local: "127.0.0.1:65536" }],
  ["UDP", 400, EXPOSE, { ...SSH, protocol: "udp" }],
  ["a socket's path", 400, EXPOSE, { ...SSH, local: "/tmp/x.sock", protocol: "unix" }],
  ["no JSON", 400, EXPOSE, "{"],
  ["names of others", 403, "/services/dns/add", { Name: "example.com." }],
  ["a tunnel", 404, "/tunnel", ""],
  ["all forwards", 404, "/services/forwarder/all", ""],
])("%s is refused", (_, status, path, body) => {
  expect(call("POST", path, body)).toMatchObject({ call: "refused", status });
});

const MAC = "52:55:55:01:02:03";
const QEMU = {
  argv: ["qemu", "-netdev", "socket,id=net0,fd=3", "-device", "virtio-net-pci,netdev=net0"],
  network:
    `net0: index=0,type=nic,model=virtio-net-pci,macaddr=${MAC}\n \\ n: index=0,type=socket,`,
  pciClasses: [0x0600, 0x0200, 0x0c03],
  sockets: [{ fd: 3, inode: "7", peer: "9" }, { fd: 4, inode: "5" }],
  ends: ["2", "9"],
  networkSockets: ["8"],
};
const FACTS: OwnDriverFacts = {
  driver: "qemu",
  disturbed: undefined,
  files: ["disk", "ssh.sock"],
  mac: MAC,
  qemu: QEMU,
};
const faultsOf = (facts: Partial<OwnDriverFacts>) =>
  proofOfOwnDriver({ ...FACTS, ...facts }).flatMap(({ faults }) => faults);

test("a guest on sbx's network alone stands the proof", () => {
  expect(faultsOf({})).toEqual([]);
});

test.each(
  [
    ["somebody else in sbx's place", { disturbed: "its pidfile names another process" }, /pidfile/],
    ["the network that Lima has without one", { files: ["default_fd.sock"] }, /of its own/],
    ["a second backend", {
      qemu: { ...QEMU, argv: [...QEMU.argv, "-netdev", "user,id=u"] },
    }, /another network/],
    [
      "a backend that is no socket",
      { qemu: { ...QEMU, argv: ["-netdev", "user,id=net0"] } },
      /one socket/,
    ],
    [
      "a card by another option",
      { qemu: { ...QEMU, argv: [...QEMU.argv, "--nic", "user"] } },
      /adds/,
    ],
    [
      "directories by 9p",
      { qemu: { ...QEMU, argv: [...QEMU.argv, "-virtfs", "local,path=/"] } },
      /past the network/,
    ],
    ["directories by virtiofs", {
      qemu: { ...QEMU, argv: [...QEMU.argv, "-device", "vhost-user-fs-pci,chardev=c"] },
    }, /past the network/],
    ["a card on USB", { qemu: { ...QEMU, argv: [...QEMU.argv, "--device", "usb-net"] } }, /past/],
    ["a card that was plugged in", {
      qemu: { ...QEMU, network: `${QEMU.network}\nx: index=0,type=nic,model=e1000` },
    }, /exactly one card/],
    [
      "two controllers",
      { qemu: { ...QEMU, pciClasses: [0x0200, 0x0280] } },
      /2 network controllers/,
    ],
    [
      "a cable to somebody else",
      { qemu: { ...QEMU, ends: ["2", "7"] } },
      /ends elsewhere than in netstack/,
    ],
    [
      "a cable whose other end nobody knows",
      { qemu: { ...QEMU, sockets: [{ fd: 3, inode: "9" }] } },
      /does not say where/,
    ],
    ["a cable that is gone", { qemu: { ...QEMU, sockets: [] } }, /no socket/],
    [
      "a socket on a network",
      { qemu: { ...QEMU, networkSockets: ["7"] } },
      /a socket on a network/,
    ],
  ] as const,
)("%s fails it", (_, facts, says) => {
  expect(faultsOf(facts).join()).toMatch(says);
});

test.each([
  [[{ lima: "sbx" }], true],
  [[], false],
  [[{ lima: "user-v2" }], false],
  [[{ lima: "sbx" }, { lima: "sbx" }], false],
  [[{ lima: "sbx", vzNAT: true }], false],
  [[{ socket: "/run/net" }], false],
])("a guest of Lima's own driver has sbx's network, and no other: %p", (networks, accepted) => {
  const instance = (config: object) =>
    readInstance({
      name: "dev",
      dir: "/h/dev",
      arch: "x86_64",
      cpus: 1,
      memory: 1,
      config: { vmType: "vz", plain: true, networks, ssh: { overVsock: false }, ...config },
    });
  const refused = (config: object) => {
    try {
      requireGoverned(instance(config), "x64");
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refused({}) === "").toBe(accepted);
  // VZ has SSH by vsock where nobody says, and sbx's resolver none of Lima's hosts.
  expect(refused({ ssh: {} })).toContain(accepted ? "overVsock" : "networks");
  expect(refused({ hostResolver: { hosts: { a: "1.2.3.4" } } })).not.toBe("");
});
