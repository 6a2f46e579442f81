/**
 * Lima's own limactl, built of its Go module. Neither Lima nor anything of it is part of sbx.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";

const MODULE = "github.com/lima-vm/lima/v2";
const VERSION = "v2.2.0";
const SUM = "h1:rzjspEapDSzEPYA2UnGRX9cOzSyeYji1wqUEmF4PT3g=";

const PLACE = resolve(import.meta.dirname, `../../../.cache/test/limactl-${VERSION}/limactl`);

/** Its path; made where it is not made yet, which takes minutes. */
export function realLimactl(): string {
  if (existsSync(PLACE)) return PLACE;
  const module = JSON.parse(
    execFileSync("go", ["mod", "download", "-json", `${MODULE}@${VERSION}`], { encoding: "utf8" }),
  ) as { readonly Dir: string; readonly Sum: string };
  if (module.Sum !== SUM) throw new Error(`${MODULE}@${VERSION} is another one: ${module.Sum}`);
  mkdirSync(dirname(PLACE), { recursive: true });
  // As a program of its own module, whose go.sum pins the rest.
  const version = `-s -w -X ${MODULE}/pkg/version.Version=${VERSION.slice(1)}`;
  const argv = ["build", "-trimpath", "-ldflags", version, "-o", `${PLACE}.part`, "./cmd/limactl"];
  execFileSync("go", argv, {
    cwd: module.Dir,
    stdio: "inherit",
    env: { ...process.env, CGO_ENABLED: "0" },
  });
  renameSync(`${PLACE}.part`, PLACE);
  return PLACE;
}
