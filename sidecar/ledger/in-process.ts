// The ledger's service without a socket: the filter's callouts, in the Node host, are answered by the service's own
// codec in this process. For `weir replay` and for tests.
import { createConnectRouter } from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import type { Pairs } from "../../host/abi.ts";
import type { CalloutDispatcher } from "../../host/callouts.ts";
import { ledgerHandlers, serveLedger } from "./service.ts";
import type { Ledger } from "./types.ts";

/** A dispatcher that hands callouts, whatever their target, to the ledger's service. */
export function ledgerCallouts(ledger: Ledger): CalloutDispatcher {
  const router = createConnectRouter();
  serveLedger(router, ledgerHandlers(ledger));
  const handlers = new Map(router.handlers.map((h) => [h.requestPath, createFetchHandler(h)]));
  return async (_target, headers, body) => {
    const field = (name: string) => headers.find(([header]) => header === name)?.[1] ?? "";
    const handler = handlers.get(field(":path"));
    if (!handler) return { headers: [[":status", "404"]], body: new Uint8Array(0) };
    const sent = headers.filter(([name]) => !name.startsWith(":"));
    const answer = await handler(
      new Request(`http://ledger${field(":path")}`, {
        method: field(":method"),
        headers: sent,
        body: body as BodyInit,
      }),
    );
    const pairs: Pairs = [[":status", String(answer.status)], ...answer.headers];
    return { headers: pairs, body: Buffer.from(await answer.arrayBuffer()) };
  };
}
