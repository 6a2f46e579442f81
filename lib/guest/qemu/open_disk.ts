/**
 * A guest's disk, open until a machine takes it over.
 *
 * @module
 */
import { closeSync } from "node:fs";
import type { GuestDisk } from "../disk.ts";
import type { QemuHost, QemuLaunch } from "./launch.ts";

export class OpenDisk implements Disposable {
  readonly #host: Pick<QemuHost, "openDisk">;
  readonly #disk: GuestDisk | undefined;
  #fd: number | undefined;

  /** `disk` undefined: there is none. */
  constructor(host: Pick<QemuHost, "openDisk">, disk: GuestDisk | undefined) {
    this.#host = host;
    this.#disk = disk;
  }

  /** Opens it, which takes as long as its copy where it begins as one. @throws SbxError FILE_UNREADABLE */
  async ready(): Promise<void> {
    if (this.#disk !== undefined) this.#fd ??= await this.#host.openDisk(this.#disk);
  }

  /** For a launch, which closes it; opened once more where another machine had it before. @throws as {@link ready} */
  async take(): Promise<Pick<QemuLaunch, "diskFd">> {
    await this.ready();
    const diskFd = this.#fd;
    this.#fd = undefined;
    return diskFd === undefined ? {} : { diskFd };
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
