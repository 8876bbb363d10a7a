/**
 * Connect on a handler of node:http and node:http2: gRPC, gRPC-Web and Connect's own protocol. Its adapter for Node, but for two
 * things that one peer could do to all others. A body is read whole before Connect takes it apart, since Connect adds up all
 * pieces that came so far with each one: in pieces of a byte half a megabyte kept the one thread for half a minute. And a request
 * that it cannot make its own of is refused, where the adapter throws.
 *
 * Bounds: `readMaxBytes` per message; a body is given on as soon as it is larger than one.
 */
import { type ConnectRouter, createConnectRouter, type Interceptor } from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Handler, Request, Response } from "./port.ts";

export interface ConnectOptions {
  readonly routes: (router: ConnectRouter) => void;
  readonly interceptors: Interceptor[];
  readonly readMaxBytes: number;
  /** Takes what is no call of a service. */
  readonly fallback: Handler;
  /** Takes a request that is none, by its host. */
  readonly refuse: Handler;
}

type UniversalRequest = ReturnType<typeof universalRequestFromNodeRequest>;

/** A timer takes no longer time, and would fire at once: a call with a deadline beyond is refused, and not ended in a millisecond. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Of a call's frame: flags and length. */
const HEAD_BYTES = 5;

/** The same bytes in one piece, and in another what is more than `bytesMax` and a frame's head. */
export async function* inOnePiece(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    pieces.push(piece);
    length += piece.length;
    if (length <= HEAD_BYTES + bytesMax) continue;
    yield Buffer.concat(pieces);
    pieces = [];
  }
  if (pieces.length > 0) yield Buffer.concat(pieces);
}

export function serveConnect({
  routes,
  readMaxBytes,
  interceptors,
  fallback,
  refuse,
}: ConnectOptions): Handler {
  const acceptCompression = [compressionGzip, compressionBrotli];
  const router = createConnectRouter({
    interceptors,
    readMaxBytes,
    acceptCompression,
    maxTimeoutMs: TIMER_MS_MAX,
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return (request: Request, response: Response) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) return fallback(request, response);
    let call: UniversalRequest;
    try {
      call = universalRequestFromNodeRequest(request, response, undefined, undefined);
    } catch {
      // It makes a URL of the host, and throws where that is none.
      return refuse(request, response);
    }
    const body = inOnePiece(call.body as AsyncIterable<Uint8Array>, readMaxBytes);
    handler({ ...call, body })
      .then((answer) => universalResponseToNodeResponse(answer, response))
      // Errors of a call are answers: this is a peer that has gone.
      .catch(() => response.destroy());
  };
}
