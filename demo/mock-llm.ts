// A stand-in for LLM providers: answers chat completions, completions, embeddings and models like OpenAI, and
// messages like Anthropic, whole or as a stream, with usage that adds up. Deterministic, so that tests can count.
//
// A test steers it by request headers: x-mock-completion-tokens, x-mock-prompt-tokens, x-mock-status,
// x-mock-delay-ms, x-mock-event-delay-ms (between the events of a stream), x-mock-text, x-mock-encoding: gzip.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

export interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface MockLlm {
  port: number;
  /** Requests that arrived whole, oldest first. */
  seen: Seen[];
  close(): Promise<void>;
}

interface Usage {
  prompt: number;
  completion: number;
}

/** A token for every four characters: any rule will do, as long as it is always the same. */
const tokens = (text: string) => Math.max(1, Math.ceil(text.length / 4));

export async function startMockLlm(port = 0): Promise<MockLlm> {
  const seen: Seen[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("error", () => response.destroy());
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ method: request.method ?? "", path: request.url ?? "", headers: request.headers, body });
      if (seen.length > 10_000) seen.shift();
      const delay = Number(request.headers["x-mock-delay-ms"] ?? 0);
      setTimeout(() => answer(request, body, response), delay);
    });
  });
  // Envoy keeps idle connections for an hour and uses them again: one that ends after five seconds may end under a request.
  server.keepAliveTimeout = 0;
  server.listen(port, "127.0.0.1");
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An answer under way, with what the request's headers say of how to send it. */
interface Reply {
  response: ServerResponse;
  gzip: boolean;
  eventDelayMs: number;
}

function answer(request: IncomingMessage, body: string, to: ServerResponse): void {
  const response: Reply = {
    response: to,
    gzip: request.headers["x-mock-encoding"] === "gzip",
    eventDelayMs: Number(request.headers["x-mock-event-delay-ms"] ?? 0),
  };
  const path = (request.url ?? "").replace(/\?.*/, "");
  const status = Number(request.headers["x-mock-status"] ?? 200);
  if (status !== 200) {
    json(response, status, {
      error: { type: "server_error", code: null, message: "the mock was told to fail", param: null },
    });
    return;
  }
  if (request.method === "GET") {
    json(response, 200, { object: "list", data: [{ id: "mock-1", object: "model", owned_by: "weir" }] });
    return;
  }
  let input: Record<string, unknown>;
  try {
    input = JSON.parse(body);
  } catch {
    json(response, 400, {
      error: { type: "invalid_request_error", code: null, message: "not JSON", param: null },
    });
    return;
  }
  const text = String(request.headers["x-mock-text"] ?? "Water finds its level.");
  const limit = Number(input.max_completion_tokens ?? input.max_tokens ?? 1 << 30);
  const usage: Usage = {
    prompt: Number(request.headers["x-mock-prompt-tokens"] ?? tokens(body)),
    completion: Number(request.headers["x-mock-completion-tokens"] ?? Math.min(tokens(text), limit)),
  };
  const model = String(input.model ?? "mock-1");
  const stream = input.stream === true;
  if (path.endsWith("/messages")) anthropic(response, model, text, usage, stream);
  else if (path.endsWith("/embeddings")) embeddings(response, model, usage);
  else if (path.endsWith("/completions"))
    openai(response, model, text, usage, input, stream, path.endsWith("/chat/completions"));
  else
    json(response, 404, {
      error: { type: "invalid_request_error", code: null, message: `no ${path}`, param: null },
    });
}

function json({ response, gzip }: Reply, status: number, value: unknown): void {
  const text = Buffer.from(JSON.stringify(value));
  const body = gzip ? gzipSync(text) : text;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": body.length,
    ...(gzip && { "content-encoding": "gzip" }),
  });
  response.end(body);
}

const usageOf = (usage: Usage) => ({
  prompt_tokens: usage.prompt,
  completion_tokens: usage.completion,
  total_tokens: usage.prompt + usage.completion,
  prompt_tokens_details: { cached_tokens: 0 },
});

function openai(
  response: Reply,
  model: string,
  text: string,
  usage: Usage,
  input: Record<string, unknown>,
  stream: boolean,
  chat: boolean,
): void {
  const base = { id: "chatcmpl-mock", created: 1_700_000_000, model };
  if (!stream) {
    const choice = chat
      ? { index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }
      : { index: 0, text, finish_reason: "stop" };
    const object = chat ? "chat.completion" : "text_completion";
    json(response, 200, { ...base, object, choices: [choice], usage: usageOf(usage) });
    return;
  }
  const object = chat ? "chat.completion.chunk" : "text_completion";
  const events = text.match(/\S+\s*/g)?.map((word) => ({
    ...base,
    object,
    choices: [
      chat
        ? { index: 0, delta: { content: word }, finish_reason: null }
        : { index: 0, text: word, finish_reason: null },
    ],
  }));
  const last = {
    ...base,
    object,
    choices: [{ index: 0, ...(chat ? { delta: {} } : { text: "" }), finish_reason: "stop" }],
  };
  const options = input.stream_options as { include_usage?: boolean } | undefined;
  const extra = options?.include_usage ? [{ ...base, object, choices: [], usage: usageOf(usage) }] : [];
  sse(
    response,
    [...(events ?? []), last, ...extra]
      .map((event) => `data: ${JSON.stringify(event)}\n\n`)
      .concat("data: [DONE]\n\n"),
  );
}

function anthropic(response: Reply, model: string, text: string, usage: Usage, stream: boolean): void {
  const message = { id: "msg_mock", type: "message", role: "assistant", model, stop_sequence: null };
  if (!stream) {
    json(response, 200, {
      ...message,
      content: [{ type: "text", text }],
      stop_reason: "end_turn",
      usage: { input_tokens: usage.prompt, output_tokens: usage.completion },
    });
    return;
  }
  const events: [string, object][] = [
    [
      "message_start",
      {
        message: {
          ...message,
          content: [],
          stop_reason: null,
          usage: { input_tokens: usage.prompt, output_tokens: 1 },
        },
      },
    ],
    ["content_block_start", { index: 0, content_block: { type: "text", text: "" } }],
    ...(text.match(/\S+\s*/g) ?? []).map((word): [string, object] => [
      "content_block_delta",
      { index: 0, delta: { type: "text_delta", text: word } },
    ]),
    ["content_block_stop", { index: 0 }],
    [
      "message_delta",
      { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: usage.completion } },
    ],
    ["message_stop", {}],
  ];
  sse(
    response,
    events.map(([type, data]) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`),
  );
}

function embeddings(response: Reply, model: string, usage: Usage): void {
  const data = [{ object: "embedding", index: 0, embedding: [0.5, -0.5] }];
  json(response, 200, {
    object: "list",
    data,
    model,
    usage: { prompt_tokens: usage.prompt, total_tokens: usage.prompt },
  });
}

function sse({ response, eventDelayMs }: Reply, events: string[]): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const send = async () => {
    for (const event of events) {
      response.write(event);
      if (eventDelayMs > 0) await sleep(eventDelayMs);
    }
    response.end();
  };
  void send();
}
