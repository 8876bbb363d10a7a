// The ledger's service without a socket: the filter's callouts, in the Node host, are answered by the service's own
// codec in this process. For `weir replay` and for tests.
import type { CalloutDispatcher } from "../../host/callouts.ts";
import { CONTENT_TYPE, callUnary, type UnaryMethod } from "./grpc-web.ts";
import { ledgerHandlers, ledgerMethods } from "./service.ts";
import type { Ledger } from "./types.ts";

/** As a sidecar's default: settings.requestBytesMax. */
const BYTES_MAX = 1 << 20;

/** A dispatcher that hands callouts, whatever their target, to the ledger's service, and to `more` methods by path. */
export function ledgerCallouts(
  ledger: Ledger,
  more: ReadonlyMap<string, UnaryMethod> = new Map(),
): CalloutDispatcher {
  const methods = new Map([...ledgerMethods(ledgerHandlers(ledger)), ...more]);
  return async (_target, headers, body) => {
    const path = headers.find(([name]) => name === ":path")?.[1] ?? "";
    const method = methods.get(path);
    if (!method) return { headers: [[":status", "404"]], body: new Uint8Array(0) };
    const answer = await callUnary(method, Buffer.from(body), BYTES_MAX);
    return {
      headers: [
        [":status", "200"],
        ["content-type", CONTENT_TYPE],
      ],
      body: answer,
    };
  };
}
