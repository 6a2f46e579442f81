/**
 * The Homebrew formula, which goes into a tap: binaries alone are not for homebrew-core.
 *
 * @module
 */
import { TARBALL_COMPLETIONS } from "./documents.ts";
import { PROJECT } from "./project.ts";

/** The tarball of a platform, by the words that formulas have for it. */
export interface FormulaFile {
  readonly os: "macos" | "linux";
  readonly cpu: "arm" | "intel";
  readonly url: string;
  readonly sha256: string;
}

export interface FormulaFacts {
  readonly version: string;
  readonly files: readonly FormulaFile[];
}

/** Told in full, since Homebrew would read a version out of `arm64.tar.xz`. */
export function formula({ version, files }: FormulaFacts): string {
  const { bash, fish, zsh } = TARBALL_COMPLETIONS;
  return `class Sbx < Formula
  desc "${PROJECT.description}"
  homepage "${PROJECT.homepage}"
  version "${version}"
  license "${PROJECT.licence}"

  livecheck do
    url "${PROJECT.downloads}/latest"
    regex(/v?(\\d+(?:\\.\\d+)+)/i)
  end

  depends_on "qemu"

${platform("macos", files)}

${platform("linux", files)}

  def install
    bin.install "sbx"
    bash_completion.install "${bash}" => "sbx"
    zsh_completion.install "${zsh}"
    fish_completion.install "${fish}"
    man1.install Dir["man/*.1"]
    (lib/"lima").install "lima-driver-sbx"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/sbx --version")
  end
end
`;
}

/** One block of each kind, and the files only in the inner ones: anything else is an offence. */
function platform(os: FormulaFile["os"], files: readonly FormulaFile[]): string {
  const ours = files.filter((file) => file.os === os).sort((a, b) => a.cpu < b.cpu ? -1 : 1);
  const blocks = ours.map(({ cpu, url, sha256 }) =>
    `    on_${cpu} do
      url "${url}"
      sha256 "${sha256}"
    end`
  );
  return `  on_${os} do
${blocks.join("\n")}
  end`;
}
