// Upstreams that answer with given bytes, whole or cut in two.
import type { Upstream } from "../../host/exchange.ts";

/** Events as a stream; a string is sent as it is. */
export const sse = (events: readonly unknown[]): Buffer =>
  Buffer.from(
    events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`).join(""),
  );

export function upstreamOf(
  body: Buffer,
  cut = 0,
  headers: Record<string, string> = { "content-type": "text/event-stream" },
): Upstream {
  const parts = cut > 0 && cut < body.length ? [body.subarray(0, cut), body.subarray(cut)] : [body];
  return () => ({ status: 200, headers, body: parts });
}
