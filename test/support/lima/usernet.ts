/**
 * A guest that one of Lima's own drivers runs on sbx's network, with Lima's part played by test/support/hostagent.
 *
 * @module
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { limaMac } from "../../../lib/guest/lima/link.ts";
import { buildGo } from "../build.ts";
import { type Run, type Running, start, until } from "../process.ts";
import type { World } from "../world.ts";
import { type LimaHost, sshConfig } from "./host.ts";
import type { TestGuest } from "./small_guest.ts";

/** Those of Lima's, and QEMU on a cable to somebody else. */
export type TestDriver = "qemu" | "vz" | "relay";

export interface Started {
  readonly sbx: Running;
  readonly lima: Running;
}

/** Lima has the guest's address before the guest has: that it boots is told by its SSH alone. */
const PATIENCE_SECONDS = 180;

export class UsernetInstance {
  readonly home: string;
  readonly dir: string;
  readonly network: string;
  readonly mac: string;
  readonly port: number;
  readonly #host: LimaHost;
  readonly #world: World;
  readonly #guest: TestGuest;
  readonly #given: Readonly<Record<string, unknown>>;
  readonly #driver: string;

  constructor(
    host: LimaHost,
    world: World,
    guest: TestGuest,
    place: { readonly name: string; readonly driver: TestDriver; readonly port: number },
    argv: readonly string[],
  ) {
    const { name, driver, port } = place;
    this.#host = host;
    this.#world = world;
    this.#guest = guest;
    this.#driver = driver;
    this.port = port;
    const homes = join(host.home, ".local/share/sbx/lima-homes");
    this.home = join(homes, name);
    this.dir = join(this.home, name);
    this.network = join(this.home, "_networks/sbx");
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    this.mac = limaMac(readFileSync("/etc/machine-id", "utf8"), this.dir);
    copyFileSync(guest.key, join(this.dir, "key"));
    writeFileSync(join(this.dir, "ssh.config"), sshConfig(this.dir, name, port), { mode: 0o600 });
    writeFileSync(
      join(this.dir, "sbx.yaml"),
      JSON.stringify({ directory: world.scratch, argv }),
      { mode: 0o600 },
    );
    guest.tell(this.dir, [], []);
    this.#given = {
      name,
      dir: this.dir,
      arch: "x86_64",
      cpus: 1,
      memory: guest.memory,
      config: {
        vmType: driver === "relay" ? "qemu" : driver,
        os: "Linux",
        plain: true,
        networks: [{ lima: "sbx", macAddress: this.mac, interface: "lima0", metric: 100 }],
        ssh: { overVsock: false },
      },
    };
    for (const path of [homes, this.home, this.dir]) host.own(path);
    for (const file of readdirSync(this.dir)) host.own(join(this.dir, file));
  }

  /** What Lima has of it. */
  whole(config: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    return { ...this.#given, config: { ...this.#given["config"] as object, ...config } };
  }

  /** The sbx that is the guest's network. */
  serve(config: Readonly<Record<string, unknown>> = {}): Running {
    const running = start(
      this.#host.as([join(this.#host.home, "sbx"), "lima-guest", "run", this.dir]),
      { limit: 600 },
    );
    running.child.stdin?.write(`${JSON.stringify(this.whole(config))}\n`);
    return running;
  }

  /** Lima's part. */
  plugIn(...more: readonly string[]): Running {
    return start(
      this.#host.as([
        buildGo("hostagent"),
        this.#driver,
        this.dir,
        this.network,
        this.mac,
        String(this.port),
        "qemu-system-x86_64",
        ...["-nodefaults", "-display", "none", "-machine", "q35,vmport=off", "-cpu", "max,-erms"],
        ...["-m", "256M", "-kernel", this.#guest.kernel, "-append", this.#guest.commandLine],
        ...["-initrd", join(this.dir, "initrd"), "-device", "virtio-rng-pci"],
        ...["-serial", `file:${join(this.dir, "serial.log")}`, ...more],
      ]),
      { limit: 600 },
    );
  }

  /** Both, up to the guest's SSH. */
  start(): Promise<Started> {
    return this.#begin((lima) => lima.stdout().includes("configured"));
  }

  /** Both, up to when the guest runs. */
  run(): Promise<Started> {
    return this.#begin(() => true);
  }

  async #begin(isDone: (lima: Running) => boolean): Promise<Started> {
    const sbx = this.serve();
    await until("sbx to listen", () => says(sbx, "listening"), 30);
    const lima = this.plugIn();
    try {
      await until("the guest to run", () => says(sbx, "running"), 120);
      await until("its SSH to be led out", () => isDone(lima), 60);
    } catch (error) {
      const said = [sbx.stdout(), sbx.stderr(), lima.stdout(), lima.stderr()].join("");
      const console = readFileSync(join(this.dir, "serial.log"), "utf8").slice(-2000);
      throw new Error(`${error}\n${said}${console}`);
    }
    return { sbx, lima };
  }

  async ssh(command: string): Promise<Run> {
    // A master that stays would keep the streams of this one.
    const alone = ["-o", "ControlMaster=no", "-o", "ControlPath=none"];
    const argv = [
      "ssh",
      "-F",
      join(this.dir, "ssh.config"),
      ...alone,
      `lima-${this.dir.split("/").at(-1)}`,
    ];
    const end = performance.now() + Math.max(this.#guest.bootSeconds, PATIENCE_SECONDS) * 1000;
    for (;;) {
      const run = await this.#host.run([...argv, command]);
      if (run.status !== 255 || performance.now() > end) return run; // 255 is SSH's own failure
      await new Promise((wake) => setTimeout(wake, 500));
    }
  }
}

export function says({ stdout }: Running, event: string): boolean {
  return stdout().includes(`{"event":"${event}"`);
}

/** The guest's QEMU. */
export function machineOf(lima: Running): number {
  return Number(/^started (\d+)$/m.exec(lima.stdout())?.[1] ?? -1);
}

export const CAN_RUN = process.arch === "x64";
