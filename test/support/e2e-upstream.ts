/**
 * An upstream that a test scripts itself: it keeps every request, also those that were broken off before their end,
 * and answers as the script says. For what the mock LLM cannot do: streams that stop midway, odd chunks, silence.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listening } from "./listening.ts";

export interface Arrived {
  path: string;
  headers: IncomingMessage["headers"];
  /** As much as came. */
  body: string;
  /** The whole request came. */
  complete: boolean;
  /** The connection ended before the request or its answer did. */
  aborted: boolean;
}

export interface Upstream {
  readonly port: number;
  /** Oldest first. */
  readonly arrived: Arrived[];
  /** Answers whole requests from now on. */
  script: (arrived: Arrived, response: ServerResponse) => void | Promise<void>;
  close(): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const arrived: Arrived[] = [];
  const server = createServer((request, response) => {
    const { url = "", headers } = request;
    const record: Arrived = { path: url, headers, body: "", complete: false, aborted: false };
    arrived.push(record);
    request.on("data", (chunk) => {
      record.body += chunk;
    });
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    response.on("close", () => {
      record.aborted = !response.writableFinished;
    });
    request.on("end", () => {
      record.complete = true;
      void upstream.script(record, response);
    });
  });
  // Envoy keeps idle connections for an hour and uses them again: one that ends after five seconds may end under a request.
  server.keepAliveTimeout = 0;
  const upstream: Upstream = {
    port: await listening(server),
    arrived,
    script: (_, response) => void response.end(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return upstream;
}

/** A chat completion chunk as a server-sent event. */
export function chunkEvent(content: string | undefined, more: object = {}): string {
  const choices = content === undefined ? [] : [{ index: 0, delta: { content }, finish_reason: null }];
  return `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices, ...more })}\n\n`;
}

/** The extra chunk with the usage of a stream. */
export function usageEvent(prompt: number, completion: number): string {
  return chunkEvent(undefined, {
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  });
}

export const DONE = "data: [DONE]\n\n";
