/**
 * The daemon that Lima asks about one of its `user-v2` networks, played by sbx: HTTP on a socket.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { systemWords } from "../../base/file_error.ts";
import { readUsernetCall, type UsernetCall } from "../../guest/lima/usernet.ts";

/** Lima's calls have some hundred bytes. */
const MOST_BODY = 64 * 1024;
const CALL_LIMIT_MS = 10_000;

export interface UsernetSpec {
  readonly path: string;
  readonly guest: { readonly ip4: string; readonly mac: string };
  /** Leads that port of 127.0.0.1 to the guest's SSH. */
  readonly expose: (port: number) => Promise<void>;
  readonly unexpose: (port: number) => void;
  /** What was refused is worth a line. */
  readonly notice: (line: string) => void;
}

/** @throws SbxError LIMA_INSTANCE when it cannot listen there */
export async function serveUsernet(spec: UsernetSpec): Promise<{ close(): void }> {
  const server = createServer((request, response) => {
    void answer(spec, request, response).catch(() => response.destroy());
  });
  server.requestTimeout = CALL_LIMIT_MS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(spec.path, () => resolve());
  await promise.catch((cause) => {
    const state = `nobody can listen on ${escapeText(spec.path)}: ${systemWords(cause)}`;
    throw new SbxError("LIMA_INSTANCE", `Cannot start the guest: ${state}`, { cause });
  });
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  spec: UsernetSpec,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await bodyOf(request);
  const { method = "", url: path = "" } = request;
  const call: UsernetCall = body === undefined
    ? { call: "refused", status: 400, why: "too long" }
    : readUsernetCall({ method, path, body }, spec.guest.ip4);
  switch (call.call) {
    case "leases": {
      // It has no other address. Lima gives a guest up that has none in time, which one that is emulated has not.
      const leases = { [spec.guest.ip4]: spec.guest.mac };
      response.setHeader("content-type", "application/json");
      return void response.end(`${JSON.stringify(leases)}\n`);
    }
    case "expose":
      try {
        await spec.expose(call.port);
        return void response.end();
      } catch (error) {
        if (!(error instanceof SbxError)) throw error;
        spec.notice(error.message);
        return refuse(response, 403, error.message);
      }
    case "unexpose":
      spec.unexpose(call.port);
      return void response.end();
    case "names":
      return void response.end();
    case "refused":
      spec.notice(`Lima was refused ${escapeText(`${method} ${path}`.slice(0, 200))}: ${call.why}`);
      return refuse(response, call.status, call.why);
  }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.statusCode = status;
  response.end(`${why}\n`);
}

/** Undefined: it is longer than any of Lima's. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MOST_BODY) return undefined;
  }
  return text;
}
