/**
 * What is copied where, as two operands say it: `NAME:PATH` is in a sandbox, everything else on this
 * machine, as docker has it. Pure.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import { quote } from "../../base/escape.ts";

/** A copy with one end in a sandbox. */
export interface CopyOperands {
  readonly direction: "from-host" | "to-host";
  /** The sandbox's name; whether there is one, others know. */
  readonly sandbox: string;
  /** Absolute. */
  readonly guestPath: string;
  readonly hostPath: string;
}

type Operand =
  | { readonly side: "host"; readonly path: string }
  | { readonly side: "guest"; readonly sandbox: string; readonly path: string };

const HINT = "write one of them as NAME:PATH, and a file of this machine with a colon as ./FILE";

/** @throws SbxError USAGE unless exactly one of the two is in a sandbox */
export function parseCopyOperands(source: string, target: string): CopyOperands {
  const [from, to] = [parseOperand(source), parseOperand(target)];
  if (from.side === "guest" && to.side === "guest") {
    throw new SbxError("USAGE", "Cannot copy: both ends are in a sandbox", {
      hint: "copy to this machine first, then to the other sandbox",
    });
  }
  if (from.side === "host" && to.side === "guest") {
    return {
      direction: "from-host",
      sandbox: to.sandbox,
      guestPath: to.path,
      hostPath: from.path,
    };
  }
  if (from.side === "guest" && to.side === "host") {
    return {
      direction: "to-host",
      sandbox: from.sandbox,
      guestPath: from.path,
      hostPath: to.path,
    };
  }
  throw new SbxError("USAGE", "Cannot copy: neither end is in a sandbox", { hint: HINT });
}

/** A path that begins with "/" or "." is this machine's whatever colons it has. */
function parseOperand(text: string): Operand {
  const colon = text.indexOf(":");
  if (text === "") throw new SbxError("USAGE", "Cannot copy: an operand is empty");
  if (text.includes("\0")) {
    throw new SbxError("USAGE", `Cannot copy ${quote(text)}: a path has no NUL byte`);
  }
  if (colon < 0 || text.startsWith("/") || text.startsWith(".")) {
    return { side: "host", path: text };
  }
  if (colon === 0) {
    throw new SbxError(
      "USAGE",
      `Cannot copy ${quote(text)}: no name of a sandbox is before the colon`,
      {
        hint: HINT,
      },
    );
  }
  const path = text.slice(colon + 1);
  if (path === "") {
    throw new SbxError("USAGE", `Cannot copy ${quote(text)}: no path is behind the colon`, {
      hint: `${text}/ is all of the sandbox`,
    });
  }
  // As docker has it, a path in there begins at the root.
  return {
    side: "guest",
    sandbox: text.slice(0, colon),
    path: path.startsWith("/") ? path : `/${path}`,
  };
}
