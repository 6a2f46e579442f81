/**
 * The house rules that a machine can check, as a plug-in of `deno lint`. Each rule is one function from
 * the nodes of a file to complaints; which file it is decides which rules speak.
 *
 * @module
 */
import {
  COMMAND_LINE,
  enteredMachine,
  folderOf,
  FOLDERS,
  importedFolder,
  mayImport,
  placeOf,
  UNDER_COMMAND_LINE,
} from "./layout.ts";
import { superLinear } from "./pattern.ts";

/** The part of a syntax node that the rules look at. */
interface Node {
  readonly type: string;
  readonly range: readonly [number, number];
}
interface Named extends Node {
  readonly name: string;
}
interface Importing extends Node {
  /** Null in an export of the file's own; a computed import has no value. */
  readonly source: (Node & { readonly value?: unknown }) | null;
}
interface Member extends Node {
  readonly object: Named;
  readonly property: Named;
}
interface Call extends Node {
  readonly callee: Named;
}
interface Literal extends Node {
  readonly regex?: { readonly pattern: string; readonly flags: string };
}

/** What the linter hands to a rule. */
interface Context {
  readonly filename: string;
  readonly sourceCode: { readonly text: string };
  report(complaint: { node: Node; message: string; hint: string }): void;
}

const LINES = 400;

/** Built-ins of Bun under the names of packages whose behaviour they don't have. */
const SUBSTITUTED = new Set(["undici", "ws", "node-fetch"]);

/** Visits every form that names another module. */
function onImport(visit: (specifier: string, node: Node) => void) {
  const source = (node: Importing) => {
    if (typeof node.source?.value === "string") visit(node.source.value, node.source);
  };
  return {
    ImportDeclaration: source,
    ExportNamedDeclaration: source,
    ExportAllDeclaration: source,
    ImportExpression: source,
  };
}

const importOrder = {
  create(context: Context) {
    const here = folderOf(context.filename);
    return onImport((specifier, node) => {
      const there = importedFolder(context.filename, specifier);
      if (here === undefined || there === undefined || mayImport(here, there)) return;
      context.report({
        node,
        message: `lib/${here} must not import from lib/${there}`,
        hint: here === COMMAND_LINE
          ? `The command line uses ${
            UNDER_COMMAND_LINE.join(", ")
          } and lib/mod.ts; what it lacks, programs lack as well.`
          : `Imports point left only: ${FOLDERS.join(" <- ")}; host is injected.`,
      });
    });
  },
};

const machineBehindSeam = {
  create(context: Context) {
    if (placeOf(context.filename) !== "lib") return {};
    return onImport((specifier, node) => {
      const machine = enteredMachine(context.filename, specifier);
      if (machine === undefined) return;
      context.report({
        node,
        message: `lib/${machine} is one machine of several, and only lib/host knows which`,
        hint: "Use lib/guest/provider.ts.",
      });
    });
  },
};

const fileLength = {
  create(context: Context) {
    return {
      Program(node: Node) {
        const lines = context.sourceCode.text.trimEnd().split("\n").length;
        if (lines <= LINES) return;
        context.report({
          node: { type: node.type, range: [node.range[0], node.range[0]] },
          message: `${lines} lines, and a file has at most ${LINES}`,
          hint: "Find the second job that it does and give that a file.",
        });
      },
    };
  },
};

const bunInHost = {
  create(context: Context) {
    const place = placeOf(context.filename);
    if (place !== "lib" || folderOf(context.filename) === "host") return {};
    const complain = (node: Node) =>
      context.report({
        node,
        message: "Bun's own interfaces are used in lib/host only",
        hint: "Use node: and web interfaces, or declare what is needed and let the host inject it.",
      });
    return {
      ...onImport((specifier, node) => {
        if (specifier === "bun" || specifier.startsWith("bun:")) complain(node);
      }),
      MemberExpression(node: Member) {
        if (node.object.type === "Identifier" && node.object.name === "Bun") complain(node);
      },
    };
  },
};

const noSubstitute = {
  create(context: Context) {
    if (placeOf(context.filename) !== "lib") return {};
    return {
      ...onImport((specifier, node) => {
        if (!SUBSTITUTED.has(specifier)) return;
        context.report({
          node,
          message:
            `Bun puts its own code under the name ${specifier}, which ignores a pinned address`,
          hint: "Dial with node:net and node:tls, and hand the socket to node:http or node:http2.",
        });
      }),
      CallExpression(node: Call) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "fetch") return;
        context.report({
          node,
          message: "fetch resolves and dials by itself, past the judged address",
          hint: "Dial with node:net and node:tls, and hand the socket to node:http or node:http2.",
        });
      },
    };
  },
};

const onlyMainExits = {
  create(context: Context) {
    if (placeOf(context.filename) !== "lib") return {};
    return {
      MemberExpression(node: Member) {
        if (node.object.type !== "Identifier" || node.object.name !== "process") return;
        const what = node.property.name;
        if (what === "exit") {
          context.report({
            node,
            message: "only main.ts ends the process",
            hint: "Throw an SbxError, or return the status.",
          });
        }
        if ((what === "stdout" || what === "stderr") && folderOf(context.filename) !== "cli") {
          context.report({
            node,
            message: "only the command line prints",
            hint: "Return a value or call back; lib/cli decides what the user sees.",
          });
        }
      },
    };
  },
};

/** Texts come from guests, servers and files: a pattern that backtracks is work that they decide. */
const linearPattern = {
  create(context: Context) {
    if (placeOf(context.filename) !== "lib") return {};
    return {
      Literal(node: Literal) {
        if (node.regex === undefined) return;
        const why = superLinear(node.regex.pattern, node.regex.flags);
        if (why === null) return;
        context.report({
          node,
          message: `some text takes this pattern more than linear time: ${why}`,
          hint:
            "Cut the text by indexOf or a loop, or say beside an ignore what bounds its length.",
        });
      },
      NewExpression(node: Call) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "RegExp") return;
        context.report({
          node,
          message: "a pattern that is put together at run time is not checked for its cost",
          hint: "Write it as a literal.",
        });
      },
    };
  },
};

export default {
  name: "sbx",
  rules: {
    "import-order": importOrder,
    "machine-behind-seam": machineBehindSeam,
    "file-length": fileLength,
    "bun-in-host": bunInHost,
    "no-substitute": noSubstitute,
    "only-main-exits": onlyMainExits,
    "linear-pattern": linearPattern,
  },
};
