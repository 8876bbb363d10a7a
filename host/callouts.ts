// Callouts: what the guest asks of the network, and how the host does it over HTTP/1.1.
//
// The VM knows only the function type; tests give a function, the gateway gives `httpCallouts`. A new connection per
// callout, as ngx_wasm_module does and Envoy may do; bounded by the timeout and a maximum answer size.
import { request } from "node:http";
import type { Pairs } from "./abi.ts";

export type CalloutReply =
  | { headers: Pairs; body: Uint8Array; trailers?: Pairs }
  /** No answer. The text is what `:dispatch_status` says: "timeout", "broken connection", "resolver failure". */
  | { failure: string };

/** Sends one callout. `headers` has :method, :path and :authority. May reject: that is a failure too. */
export type CalloutDispatcher = (
  target: string,
  headers: Pairs,
  body: Uint8Array,
  timeoutMs: number,
) => Promise<CalloutReply>;

const ANSWER_BYTES_MAX = 16 << 20;

/** `clusters` maps a target to `host:port`; a target that is not in it must itself be `host:port`. */
export function httpCallouts(clusters: Readonly<Record<string, string>>): CalloutDispatcher {
  return (target, headers, body, timeoutMs) => {
    const address = clusters[target] ?? target;
    const colon = address.lastIndexOf(":");
    const field = (name: string) => headers.find(([header]) => header === name)?.[1] ?? "";
    const sent: Record<string, string[]> = { host: [field(":authority")] };
    for (const [name, value] of headers) {
      if (!name.startsWith(":")) sent[name] = [...(sent[name] ?? []), value];
    }
    sent["content-length"] = [String(body.length)];
    return new Promise((resolve) => {
      const outgoing = request({
        host: address.slice(0, colon).replace(/^\[|\]$/g, ""),
        port: Number(address.slice(colon + 1)),
        method: field(":method"),
        path: field(":path"),
        headers: Object.fromEntries(Object.entries(sent).map(([k, v]) => [k, v.length === 1 ? v[0]! : v])),
        agent: false,
      });
      const timer = timeoutMs > 0 ? setTimeout(() => fail("timeout"), timeoutMs) : undefined;
      const fail = (failure: string) => {
        clearTimeout(timer);
        outgoing.destroy();
        resolve({ failure });
      };
      outgoing.on("error", () => fail("broken connection"));
      outgoing.on("response", (answer) => {
        const chunks: Buffer[] = [];
        let size = 0;
        answer.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_BYTES_MAX) fail("broken connection");
          else chunks.push(chunk);
        });
        answer.on("error", () => fail("broken connection"));
        answer.on("end", () => {
          clearTimeout(timer);
          const pairs = rawPairs(answer.rawHeaders);
          pairs.unshift([":status", String(answer.statusCode)]);
          resolve({ headers: pairs, body: Buffer.concat(chunks), trailers: rawPairs(answer.rawTrailers) });
        });
      });
      outgoing.end(body);
    });
  };
}

/** node:http's flat list of raw headers as pairs, names lower-case. */
export function rawPairs(raw: readonly string[]): Pairs {
  const pairs: Pairs = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i]!.toLowerCase(), raw[i + 1]!]);
  return pairs;
}
