/** For tests of events: a sound event as an edge reports it, and a server that a test scripts. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { listening } from "../../test/support/listening.ts";
import { Api, Ending, type Event, EventSchema, UsageSource } from "../gen/weir/v1/events_pb.ts";

export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
export const SPAN_ID = "00f067aa0ba902b7";

export function soundEvent(more: MessageInitShape<typeof EventSchema> = {}): Event {
  return create(EventSchema, {
    ageMs: 1_000,
    traceId: Buffer.from(TRACE_ID, "hex"),
    spanId: Buffer.from(SPAN_ID, "hex"),
    traceFlags: 1,
    requestId: "req-1",
    subject: "acme/search/key-7",
    address: Buffer.from("00000000000000000000ffffcb007107", "hex"),
    tier: "pro",
    api: Api.CHAT,
    model: "gpt-4o",
    verdict: "ok",
    status: 200,
    ending: Ending.COMPLETE,
    usage: UsageSource.REPORTED,
    promptTokens: 5n,
    completionTokens: 3n,
    durationUs: 250_000n,
    firstByteUs: 200_000n,
    ...more,
  } as MessageInitShape<typeof EventSchema>);
}

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Scripted {
  readonly url: string;
  readonly received: Received[];
  close(): Promise<void>;
}

/** A server that keeps what it gets and answers as `script` says; by default with 200. */
export async function startScripted(
  script: (received: Received, response: ServerResponse) => void = (_, response) => void response.end(),
): Promise<Scripted> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const one = { headers: request.headers, body };
    received.push(one);
    script(one, response);
  });
  const port = await listening(server);
  return {
    url: `http://127.0.0.1:${port}/`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
