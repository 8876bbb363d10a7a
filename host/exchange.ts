// A whole HTTP exchange through the guest, in the order the profile's proxy has: request headers, body, upstream,
// response headers, body, and log, done, delete at the end however it ends.
//
// The client is a sink (`ResponseSink`), the upstream a function; both may be slow. Bodies are passed on as chunks, never
// joined for the way through. Request bodies are handed to the upstream when they are complete.
import type { Pairs } from "./abi.ts";
import { HostViolation } from "./errors.ts";
import type {
  ExchangeOptions,
  ExchangeRequest,
  ExchangeResponse,
  Upstream,
  UpstreamResponse,
} from "./exchange-types.ts";
import { type BodySource, concat, isEmpty, type Piece, pieces } from "./pieces.ts";
import type { LocalResponse, Stream } from "./stream.ts";
import type { Vm } from "./vm.ts";

export type * from "./exchange-types.ts";

const CLIENT_GONE = "client_disconnect";

/** Runs one request through `vm`. Rejects with HostViolation, GuestTrap (strict ngx_wasm), or a caller's own error. */
export function exchange(
  vm: Vm,
  request: ExchangeRequest,
  upstream: Upstream,
  options: ExchangeOptions = {},
): Promise<ExchangeResponse> {
  return new Exchange(vm, request, upstream, options).run();
}

class Exchange {
  readonly #vm: Vm;
  readonly #request: ExchangeRequest;
  readonly #upstream: Upstream;
  readonly #options: ExchangeOptions;
  readonly #stream: Stream;
  readonly #gone = new AbortController();
  readonly #clientGone: Promise<void>;
  readonly #chunks: Buffer[] = [];
  #sent: { headers: Pairs; chunks: Uint8Array[]; complete: boolean } | null = null;
  #clientLength: number | undefined;
  #status = 0;
  #headers: Pairs = [];
  #announced: number | undefined;
  #written = 0;
  #from: ExchangeResponse["from"] = "upstream";

  constructor(vm: Vm, request: ExchangeRequest, upstream: Upstream, options: ExchangeOptions) {
    this.#vm = vm;
    this.#request = request;
    this.#upstream = upstream;
    this.#options = options;
    this.#stream = vm.openStream(request.properties, request.root);
    this.#clientGone = new Promise((resolve) => {
      this.#gone.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  async run(): Promise<ExchangeResponse> {
    const { signal } = this.#options;
    const stream = this.#stream;
    const leave = () => {
      stream.abort();
      this.#gone.abort();
    };
    if (signal?.aborted) leave();
    signal?.addEventListener("abort", leave, { once: true });
    try {
      if (!stream.aborted) await this.#serve();
    } finally {
      signal?.removeEventListener("abort", leave);
      stream.end();
    }
    return this.#result();
  }

  async #serve(): Promise<void> {
    const stream = this.#stream;
    await this.#decode();
    if (!stream.interrupted) {
      const response = await this.#callUpstream();
      if (response && !stream.interrupted) {
        const pairs: Pairs = [
          [":status", String(response.status ?? 200)],
          ...this.#pairsOf(response.headers),
        ];
        await this.#encode(pairs, response);
      }
    }
    stream.check();
    // A local response may be asked for by the guest that reads the local response: once is enough.
    if (stream.local && !stream.aborted) await this.#answer(stream.local);
  }

  // Towards the upstream

  async #decode(): Promise<void> {
    const stream = this.#stream;
    const { request } = stream;
    const headers = this.#requestHeaders();
    const { body } = this.#request;
    const trailers = this.#vm.profile.wholeRequestBody ? undefined : this.#request.trailers;
    const empty = isEmpty(body) && !this.#request.emptyEnd && !trailers;
    stream.onRequestHeaders(headers, empty);
    this.#clientLength = contentLength(headers);
    if (stream.interrupted) return;
    if (!empty) await this.#decodeBody(body, trailers);
    if (stream.interrupted) return;
    if (trailers) stream.onRequestTrailers(trailers);
    await stream.released(request);
    if (stream.interrupted) return;
    this.#forward();
    this.#completeRequest();
  }

  async #decodeBody(body: BodySource | undefined, trailers: Pairs | undefined): Promise<void> {
    const stream = this.#stream;
    const { request } = stream;
    if (this.#vm.profile.wholeRequestBody) {
      const whole = await concat(body);
      if (stream.interrupted) return;
      await stream.released(request);
      if (!stream.interrupted && whole.length > 0) stream.onRequestBody(whole, true);
      return;
    }
    let source = body;
    if (request.stopAll && !stream.interrupted) {
      // Envoy gives what piled up meanwhile in one piece.
      await stream.released(request, true);
      source = await concat(body);
    }
    const arriving = pieces(source, this.#clientLength, this.#request.emptyEnd);
    for (;;) {
      const piece = await this.#next(arriving);
      if (!piece || stream.interrupted) break;
      this.#forward();
      // Where trailers end the message, no piece does.
      if (!trailers || piece.bytes.length > 0) stream.onRequestBody(piece.bytes, piece.end && !trailers);
      if (stream.interrupted) break;
      this.#forward();
    }
    leave(arriving);
  }

  /** The next piece; undefined at the end, or when the client is gone while a slow peer is awaited. */
  async #next(arriving: AsyncGenerator<Piece>): Promise<Piece | undefined> {
    const next = await Promise.race([arriving.next(), this.#clientGone]);
    if (next && !next.done) return next.value;
    leave(arriving);
    return undefined;
  }

  #pairsOf(headers: Pairs | Record<string, string> | undefined): Pairs {
    const pairs = pairsOf(headers);
    return this.#vm.profile.joinsContentTypes ? withOneContentType(pairs) : pairs;
  }

  #requestHeaders(): Pairs {
    const { method, path, authority, headers, body, chunked } = this.#request;
    const pairs = this.#pairsOf(headers);
    const has = (name: string) => pairs.some(([header]) => header === name);
    const whole = typeof body === "string" || body instanceof Uint8Array || Array.isArray(body);
    if (body !== undefined && !has("content-length")) {
      if (whole && !chunked) {
        const bytes = Array.isArray(body)
          ? body.reduce((sum, c) => sum + c.length, 0)
          : Buffer.byteLength(body);
        pairs.push(["content-length", String(bytes)]);
      } else if (!has("transfer-encoding")) pairs.push(["transfer-encoding", "chunked"]);
    }
    if (has(":method")) return pairs;
    const verb = method ?? (body === undefined ? "GET" : "POST");
    return [
      [":method", verb],
      [":path", path ?? "/"],
      [":scheme", "http"],
      [":authority", authority ?? "localhost"],
      ...pairs,
    ];
  }

  /** Lets go on what is not held: headers first, then body. */
  #forward(): void {
    const { request } = this.#stream;
    if (request.held) return;
    this.#sent ??= { headers: request.headers!.pairs(), chunks: [], complete: false };
    for (const chunk of request.body.take()) this.#sent.chunks.push(chunk);
  }

  #completeRequest(): void {
    const sent = this.#sent!;
    const length = sent.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const said = contentLength(sent.headers);
    if (this.#vm.profile.wholeRequestBody) this.#reframe(sent.headers, length, said);
    else if (said !== undefined && said !== length) this.#breakLength("the upstream", said, length);
    sent.complete = true;
  }

  /** nginx frames the request itself: by the rewritten length, or, once the body was paused, by the client's. */
  #reframe(headers: Pairs, length: number, said: number | undefined): void {
    const client = this.#clientLength;
    if (this.#stream.request.bodyPaused && client !== undefined && client !== length) {
      throw new HostViolation(
        "content-length-reverts",
        `the client's is ${client}, the body has ${length} bytes`,
      );
    }
    if (said !== undefined && said !== length && said !== client)
      this.#breakLength("the upstream", said, length);
    for (const pair of headers) if (pair[0] === "content-length") pair[1] = String(length);
  }

  #breakLength(to: string, said: number, length: number): void {
    throw new HostViolation("content-length", `to ${to}: content-length ${said}, body ${length} bytes`);
  }

  async #callUpstream(): Promise<UpstreamResponse | undefined> {
    const sent = this.#sent!;
    const body = sent.chunks.length === 1 ? sent.chunks[0]! : Buffer.concat(sent.chunks);
    const trailers = this.#stream.request.trailers?.pairs();
    const call = async () =>
      this.#upstream({
        headers: sent.headers,
        body,
        signal: this.#gone.signal,
        ...(trailers && { trailers }),
      });
    try {
      return (await Promise.race([call(), this.#clientGone])) ?? undefined;
    } catch (error) {
      if (error instanceof HostViolation) throw error;
      if (this.#stream.aborted) return undefined;
      this.#from = "host";
      this.#stream.details = "upstream_reset_before_response_started{connection_termination}";
      const text = "upstream connect error or disconnect/reset before headers";
      const status = this.#vm.profile.wholeRequestBody ? 502 : 503;
      return {
        status,
        headers: { "content-type": "text/plain", "content-length": String(text.length) },
        body: text,
      };
    }
  }

  // Towards the client

  async #encode(headers: Pairs, answer: UpstreamResponse): Promise<void> {
    const stream = this.#stream;
    const { response } = stream;
    const bodiless = this.#hasNoBody(headers);
    const trailers = this.#vm.profile.wholeRequestBody ? undefined : answer.trailers;
    const empty = bodiless || (isEmpty(answer.body) && !answer.emptyEnd && !trailers);
    stream.onResponseHeaders(headers, empty);
    if (stream.interrupted) return;
    if (!empty) await this.#encodeBody(answer, contentLength(headers), trailers);
    if (stream.interrupted) return;
    if (trailers) stream.onResponseTrailers(trailers);
    await stream.released(response);
    if (stream.interrupted) return;
    await this.#write();
    if (this.#announced !== undefined && !bodiless && this.#announced !== this.#written) {
      this.#breakLength("the client", this.#announced, this.#written);
    }
  }

  async #encodeBody(
    { body, emptyEnd }: UpstreamResponse,
    length: number | undefined,
    trailers: Pairs | undefined,
  ): Promise<void> {
    const stream = this.#stream;
    const { response } = stream;
    const ngx = this.#vm.profile.wholeRequestBody;
    // Headers that are not held go on before the body comes.
    await this.#write();
    try {
      // nginx says the end in a callback of its own; with content-length and several chunks it may never say it.
      const arriving = pieces(body, length, ngx ? length === undefined : emptyEnd, ngx);
      for (;;) {
        const piece = await this.#next(arriving);
        if (!piece || stream.interrupted) return;
        if (response.stopAll) await stream.released(response, true);
        if (stream.interrupted) return;
        await this.#write();
        if (!trailers || piece.bytes.length > 0) stream.onResponseBody(piece.bytes, piece.end && !trailers);
        if (stream.interrupted) return;
        await this.#write();
      }
    } catch (error) {
      if (error instanceof Error && !stream.aborted && (error as { upstream?: true }).upstream) {
        stream.reset("upstream_reset_after_response_started");
        return;
      }
      throw error;
    }
  }

  /** Lets go on what is not held. */
  async #write(): Promise<void> {
    const { response } = this.#stream;
    if (response.held) return;
    if (!this.#stream.responseStarted) this.#start(response.headers!.pairs());
    for (const chunk of response.body.take()) await this.#emit(chunk);
  }

  #start(headers: Pairs): void {
    this.#stream.responseStarted = true;
    this.#status = Number(headers.find(([name]) => name === ":status")?.[1]);
    this.#headers = headers.filter(([name]) => name !== ":status");
    this.#announced = contentLength(headers);
    this.#options.sink?.headers(this.#status, this.#headers);
  }

  async #emit(chunk: Uint8Array): Promise<void> {
    this.#written += chunk.length;
    const { sink } = this.#options;
    if (!sink) this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    else {
      const slow = sink.chunk(chunk);
      if (slow) await Promise.race([slow, this.#clientGone]);
    }
  }

  /** Answers with a local response: through the guest's response callbacks where the host does so. */
  async #answer(local: LocalResponse): Promise<void> {
    const stream = this.#stream;
    if (stream.responseStarted) return stream.reset(local.details || "local_response_after_response");
    const replaces = stream.response.headers !== null;
    this.#from = local.from;
    const headers: Pairs = [[":status", String(local.status)], ...local.headers];
    const has = (name: string) => headers.some(([header]) => header === name);
    if (local.body.length > 0 || !has("content-length")) {
      if (!has("content-length")) headers.push(["content-length", String(local.body.length)]);
      if (local.body.length > 0 && !has("content-type")) headers.push(["content-type", "text/plain"]);
    }
    stream.local = null;
    stream.response.release();
    stream.response.body.clear();
    const filtered = this.#vm.profile.localResponseFiltered && !replaces && !stream.bypassed;
    if (filtered) await this.#encode(headers, { body: local.body });
    else {
      this.#start(headers);
      if (local.body.length > 0) await this.#emit(local.body);
    }
  }

  #hasNoBody(headers: Pairs): boolean {
    const status = Number(headers.find(([name]) => name === ":status")?.[1]);
    return status === 204 || status === 304 || this.#request.method === "HEAD";
  }

  #result(): ExchangeResponse {
    const stream = this.#stream;
    const headers = this.#headers;
    const sent = this.#sent;
    return {
      status: this.#status,
      headers,
      body: this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks),
      chunks: this.#chunks,
      trailers: stream.response.trailers?.pairs() ?? [],
      details: stream.details,
      from: this.#from,
      aborted: stream.aborted ? CLIENT_GONE : stream.resetReason,
      upstream: sent && { headers: sent.headers, body: Buffer.concat(sent.chunks), complete: sent.complete },
      header: (name) => headers.find(([header]) => header === name.toLowerCase())?.[1],
    };
  }
}

/** Lets go of a body that is not read to its end, also while its next piece is awaited. */
function leave(arriving: AsyncGenerator<Piece>): void {
  void arriving.return(undefined).catch(() => {});
}

function pairsOf(headers: Pairs | Record<string, string> | undefined): Pairs {
  const list = Array.isArray(headers) ? headers : Object.entries(headers ?? {});
  return list.map(([name, value]) => [name.toLowerCase(), value]);
}

function withOneContentType(pairs: Pairs): Pairs {
  const types = pairs.filter(([name]) => name === "content-type");
  if (types.length < 2) return pairs;
  const joined = types.map(([, type]) => type).join(",");
  return [...pairs.filter(([name]) => name !== "content-type"), ["content-type", joined]];
}

function contentLength(headers: Pairs): number | undefined {
  const value = headers.find(([name]) => name === "content-length")?.[1];
  return value === undefined ? undefined : Number(value);
}
