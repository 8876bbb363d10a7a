// What goes into an exchange and what comes out of it.
import type { Pairs } from "./abi.ts";
import type { BodySource } from "./pieces.ts";
import type { Properties } from "./properties.ts";
import type { RootContext } from "./root.ts";

export interface ExchangeRequest {
  method?: string;
  path?: string;
  authority?: string;
  /** Further headers; content-length is added for a body, or transfer-encoding. */
  headers?: Pairs | Record<string, string>;
  body?: BodySource;
  /** Send no content-length, but chunks. */
  chunked?: boolean;
  /** End of stream comes in a callback of its own, with no bytes (Envoy, HTTP/2 or chunked). */
  emptyEnd?: boolean;
  /** What follows the body, as HTTP/2 has it; they end the message. Envoy only: nginx drops them. */
  trailers?: Pairs;
  properties?: Properties;
  /** Which root context serves it; default the first. */
  root?: RootContext;
}

export interface UpstreamRequest {
  headers: Pairs;
  body: Uint8Array;
  trailers?: Pairs;
  /** Fires when the client is gone. */
  signal: AbortSignal;
}

export interface UpstreamResponse {
  status?: number;
  headers?: Pairs | Record<string, string>;
  /** A generator that throws is a reset in the middle of the body. */
  body?: BodySource;
  emptyEnd?: boolean;
  trailers?: Pairs;
}

/** Throwing is a connection that broke before the response. */
export type Upstream = (request: UpstreamRequest) => UpstreamResponse | Promise<UpstreamResponse>;

/** Where the response goes. `chunk` may return a promise, which holds back the next chunk. */
export interface ResponseSink {
  headers(status: number, headers: Pairs): void;
  chunk(bytes: Uint8Array): void | Promise<void>;
}

export interface ExchangeOptions {
  sink?: ResponseSink;
  /** The client goes away when it fires. */
  signal?: AbortSignal;
}

export interface ExchangeResponse {
  status: number;
  headers: Pairs;
  body: Buffer;
  /** As they went to the client; empty with a sink of the caller's own. */
  chunks: Buffer[];
  /** The trailers of the answer, empty without any. */
  trailers: Pairs;
  /** Envoy's response code details, or nginx's reason; empty for an upstream's answer. */
  details: string;
  from: "upstream" | "guest" | "host";
  /** Why the client got no whole answer; empty: it did. */
  aborted: string;
  /** What reached the upstream; null: nothing did. `complete` false: its stream was reset. */
  upstream: { headers: Pairs; body: Buffer; complete: boolean } | null;
  /** The first value of a response header. */
  header(name: string): string | undefined;
}
