/**
 * Variables of every program in a guest of Lima's, as a script that Lima's cloud-init runs as root at each
 * boot. Pure.
 *
 * `/etc/environment` is for what logs in by PAM; the profile is for login shells, among them those of an SSH
 * connection that was there before the script.
 *
 * @module
 */

const SIGNATURE = "# sbx: what programs have in the place of secrets.";

const BEGIN = "#SBX-START";
const END = "#SBX-END";
const PROFILE = "/etc/profile.d/sbx.sh";

/**
 * @param variables names and values without anything that a shell, or pam_env(8), takes for more than itself.
 * Empty: those of earlier boots go.
 */
export function environmentScript(variables: Readonly<Record<string, string>>): string {
  const lines = Object.entries(variables).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || !/^[A-Za-z0-9._~-]*$/.test(value)) {
      throw new TypeError(`Cannot write the variable ${name} into a script`);
    }
    return `${name}=${value}`;
  });
  const hereDocument = (file: string, texts: readonly string[]) =>
    texts.length === 0 ? [] : [`cat >>${file} <<'SBX'`, ...texts, "SBX"];
  return [
    "#!/bin/sh",
    SIGNATURE,
    "set -eu",
    "file=/etc/environment",
    '[ ! -e "$file" ] || sed -i "/^' + BEGIN + "$/,/^" + END + '$/d" "$file"',
    `rm -f ${PROFILE}`,
    ...hereDocument('"$file"', lines.length === 0 ? [] : [BEGIN, ...lines, END]),
    ...(lines.length === 0 ? [] : ["mkdir -p /etc/profile.d"]),
    ...hereDocument(PROFILE, lines.map((line) => `export ${line}`)),
    "",
  ].join("\n");
}

/** Whether an entry of Lima's list of scripts is one of these. */
export function isEnvironmentScript(provision: unknown): boolean {
  const { script } = typeof provision === "object" && provision !== null
    ? provision as { readonly script?: unknown }
    : {};
  return typeof script === "string" && script.includes(`\n${SIGNATURE}\n`);
}
