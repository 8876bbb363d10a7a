// Upstreams that answer with given bytes, whole or cut in two, and streams of chats.
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

/** One event of a chat stream. */
export const chunk = (content: string, more: object = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  model: "gpt-4o",
  choices: [{ index: 0, delta: { content }, finish_reason: null, ...more }],
});
export const finish = { ...chunk(""), choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };

/** The texts of a chat stream, joined; every event must be JSON. */
export function contentOf(text: string): string {
  let all = "";
  for (const line of text.split("\n")) {
    if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
    for (const choice of JSON.parse(line.slice(6)).choices ?? []) all += choice.delta.content ?? "";
  }
  return all;
}
