import { expect, test } from "bun:test";
import { readInstance, readLimaOptions } from "../../lib/guest/lima/instance.ts";
import { requireGoverned } from "../../lib/guest/lima/refusals.ts";
import { SbxError } from "../../lib/base/errors.ts";

type Fields = Readonly<Record<string, unknown>>;

const instance = (config: Fields = {}, fields: Fields = {}) =>
  readInstance({
    name: "dev",
    dir: "/home/u/.lima/dev",
    arch: "x86_64",
    cpus: 2,
    memory: 1 << 30,
    ...fields,
    config: { plain: true, ...config },
  });

function refusal(config: Fields, fields: Fields = {}): SbxError | undefined {
  try {
    requireGoverned(instance(config, fields), "x64");
    return undefined;
  } catch (error) {
    if (error instanceof SbxError) return error;
    throw error;
  }
}

const REFUSED: readonly (readonly [string, Fields, RegExp])[] = [
  ["a network of Lima's", { networks: [{ lima: "user-v2" }] }, /networks lists/],
  ["a socket as network", { networks: [{ socket: "/run/net" }] }, /networks lists/],
  ["a guest with Lima's agent", { plain: false }, /forward ports and mount directories/],
  ["a guest that says nothing of it", { plain: null }, /forward ports and mount directories/],
  ["a mount", { mounts: [{ location: "~" }] }, /mounts shows/],
  ["a static forward", { portForwards: [{ guestPort: 80, static: true }] }, /portForwards leads/],
  ["a forward back", { portForwards: [{ reverse: true }] }, /portForwards leads/],
  ["9p", { mountType: "9p", mounts: [{ location: "~", writable: true }] }, /mounts shows/],
  ["virtiofs", { mountType: "virtiofs", mounts: [{ location: "/" }] }, /mounts shows/],
  ["sshfs", { mountType: "reverse-sshfs", mounts: [{ location: "/" }] }, /mounts shows/],
  ["a socket of the guest's", { portForwards: [{ guestSocket: "/s" }] }, /portForwards leads/],
  ["a file to write", { copyToHost: [{ guest: "/g", host: "/h" }] }, /copyToHost has/],
  ["a file to remove", { copyToHost: [{ host: "/h", deleteOnStop: true }] }, /copyToHost has/],
  ["a playbook", { provision: [{ mode: "ansible", playbook: "/p" }] }, /provision has a playbook/],
  ["names for Lima's resolver", { hostResolver: { hosts: { a: "b" } } }, /hostResolver\.hosts/],
  ["the SSH agent", { ssh: { forwardAgent: true } }, /ssh\.forwardAgent/],
  ["the display", { ssh: { forwardX11: true } }, /ssh\.forwardX11/],
  ["the display, trusted", { ssh: { forwardX11Trusted: true } }, /ssh\.forwardX11/],
  ["SSH over vsock", { ssh: { overVsock: true } }, /ssh\.overVsock/],
  ["another system", { os: "Windows" }, /not Linux/],
  ["other disks", { additionalDisks: [{ name: "data" }] }, /additionalDisks/],
  ["a display", { video: { display: "vnc" } }, /video\.display/],
  ["a sound card", { audio: { device: "default" } }, /audio\.device/],
  ["a TPM", { tpm: true }, /tpm asks/],
];

test.each(REFUSED)("%s is refused, by name and with the fix", (_, config, state) => {
  const error = refusal(config);
  expect(error?.code).toBe("LIMA_INSTANCE");
  expect(error?.message).toMatch(/^Cannot run Lima's instance dev: /);
  expect(error?.message).toMatch(state);
  expect(error?.hint).not.toBeUndefined();
});

test("what Lima fills in of its own is accepted", () => {
  expect(refusal({
    os: "Linux",
    networks: [],
    mounts: null,
    portForwards: [],
    additionalDisks: [],
    tpm: false,
    ssh: { forwardAgent: false, forwardX11: false, overVsock: null, localPort: 0 },
    video: { display: "none", vnc: { display: "127.0.0.1:0" } },
    audio: { device: "" },
    firmware: { legacyBIOS: false, images: [] },
    containerd: { system: false, user: false },
    copyToHost: null,
    provision: [{ mode: "system", script: "true" }, { script: "true" }],
    hostResolver: { enabled: true, hosts: {} },
  })).toBeUndefined();
});

test("the architecture has to be this machine's", () => {
  expect(refusal({}, { arch: "aarch64" })?.hint).toBe("set arch: x86_64");
  expect(refusal({})).toBeUndefined();
});

test("everything that is wrong is told at once", () => {
  const error = refusal({ plain: false, networks: [{}], tpm: true });
  expect([error, ...error?.others ?? []]).toHaveLength(3);
});

test.each([
  ["no object", "text"],
  ["no directory", { name: "x", arch: "x86_64", cpus: 1, memory: 1, config: {} }],
  ["a relative directory", { name: "x", dir: "x", arch: "", cpus: 1, memory: 1, config: {} }],
  ["no configuration", { name: "x", dir: "/x", arch: "", cpus: 1, memory: 1 }],
  ["a list in place of a truth", {
    name: "x",
    dir: "/x",
    arch: "",
    cpus: 1,
    memory: 1,
    config: { plain: [] },
  }],
])("an instance with %s is none", (_, value) => {
  expect(() => readInstance(value)).toThrow(/Cannot read Lima's instance/);
});

test("vmOpts.sbx has four keys, and says which one was meant", () => {
  const read = (sbx: unknown) =>
    readLimaOptions(instance({ vmOpts: { sbx, qemu: { cpuType: {} } } }));
  const all = { policy: "none", publish: ["80"], log: true, stopTimeout: "5s" };
  expect(read(all)).toEqual(all);
  expect(read(undefined)).toEqual({});
  expect(readLimaOptions(instance())).toEqual({});
  expect(() => read({ polcy: "none" })).toThrow("there is no polcy");
  expect(() => read({ publish: "80" })).toThrow("publish is not as expected");
  expect(() => read("none")).toThrow("it is no map");
});
