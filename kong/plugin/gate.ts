// One policy's filter inside the plugin server: what each of Kong's phases means for a stream of the Node host.
//
// A request's stream is found again in a later phase by the number that `access` leaves in kong.ctx.shared. Streams
// whose log phase never comes (an nginx worker died) are ended, oldest first, when OPEN_MAX are open.
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pairs } from "../../host/abi.ts";
import { httpCallouts } from "../../host/callouts.ts";
import { systemClock } from "../../host/clock.ts";
import type { LocalResponse, Side, Stream } from "../../host/stream.ts";
import { createVm, type Vm } from "../../host/vm.ts";
import type { KongHeaders, KongPdk } from "./pdk.ts";

const STREAM = "weir_stream";
const BODY_BYTES_MAX = 16 << 20;
const HEADERS_MAX = 1000;
const OPEN_MAX = 1024;
const TICK_CHECK_MS = 50;
const CLUSTER = "weir_sidecar";
/** nginx frames messages itself. */
const FRAMING = new Set(["content-length", "transfer-encoding", "connection"]);

const REPLACEMENT = "\ufffd";

const FAILED = JSON.stringify({
  error: {
    type: "api_error",
    code: "overloaded",
    message: "The request could not be checked, so it was not let through.",
    param: null,
  },
});

/** dist/weir.wasm beside the plugin's folder, or where WEIR_WASM says. */
function filterModule(): WebAssembly.Module {
  const file = process.env.WEIR_WASM ?? join(__dirname, "../weir.wasm");
  if (!existsSync(file)) throw new Error(`weir: ${file}: expected the filter; set WEIR_WASM to its path`);
  return new WebAssembly.Module(readFileSync(file));
}

let module: WebAssembly.Module | undefined;
const gates = new Map<string, Gate>();

export class Gate {
  readonly #vm: Vm;
  readonly #streams = new Map<string, Stream>();

  /** The gate of a policy and sidecar: one for all instances in this process. */
  static of(policy: string, sidecar: string): Gate {
    const key = `${sidecar}\n${policy}`;
    const gate = gates.get(key) ?? new Gate(policy, sidecar);
    gates.set(key, gate);
    return gate;
  }

  private constructor(policy: string, sidecar: string) {
    module ??= filterModule();
    const said: string[] = [];
    this.#vm = createVm({
      wasm: module,
      profile: "envoy",
      clock: systemClock,
      plugins: [{ configuration: policy }],
      callouts: httpCallouts({ [CLUSTER]: sidecar }),
      bodyBufferBytes: BODY_BYTES_MAX,
      log: (level, message) => {
        said.push(message);
        console.error(`[weir] ${level}: ${message}`);
        if (said.length > 32) said.shift();
      },
    });
    if (!this.#vm.roots[0]?.ok) throw new Error(`weir refused the policy: ${said.join("; ")}`);
    setInterval(() => this.#vm.tickDue(), TICK_CHECK_MS).unref();
  }

  async access(kong: KongPdk): Promise<void> {
    let stream: Stream | undefined;
    let answer: LocalResponse | null = null;
    try {
      stream = await this.#open(kong);
      const { headers, body } = await readRequest(kong);
      await decode(stream, headers, body);
      answer = stream.local;
      if (!answer && stream.interrupted) throw new Error(stream.resetReason || "the stream was interrupted");
      if (!answer) await this.#pass(kong, stream, headers, body);
    } catch (error) {
      console.error(`[weir] access: ${error instanceof Error ? error.message : String(error)}`);
      answer = { status: 503, details: "", headers: FAILED_HEADERS, body: Buffer.from(FAILED), from: "host" };
    }
    if (!answer) return;
    stream?.end();
    await kong.response.exit(
      answer.status,
      Buffer.from(answer.body).toString(),
      Object.fromEntries(answer.headers),
    );
  }

  async #open(kong: KongPdk): Promise<Stream> {
    const ip = await kong.client.getIp();
    const port = await kong.client.getPort();
    const address = ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
    return this.#vm.openStream(new Map([["source.address", address]]));
  }

  /** The request goes on: headers and body as the filter left them, and the stream kept for the later phases. */
  async #pass(kong: KongPdk, stream: Stream, before: Pairs, body: Uint8Array): Promise<void> {
    const { request } = kong.service;
    const after = stream.request.headers!.pairs();
    for (const name of new Set(before.map(([name]) => name))) {
      if (!name.startsWith(":") && !after.some(([other]) => other === name)) await request.clearHeader(name);
    }
    for (const [name, value] of after) {
      if (name.startsWith(":") || FRAMING.has(name)) continue;
      if (!before.some(([other, was]) => other === name && was === value))
        await request.setHeader(name, value);
    }
    const sent = Buffer.concat(stream.request.body.take());
    // Bytes that are not UTF-8 were replaced on the way to us: what was inspected is what goes on.
    const repaired = sent.includes(REPLACEMENT);
    if (body.length > 0 && (repaired || !sent.equals(body))) await request.setRawBody(sent.toString());
    const id = randomUUID();
    this.#streams.set(id, stream);
    if (this.#streams.size > OPEN_MAX) this.#end(this.#streams.keys().next().value!);
    await kong.ctx.shared.set(STREAM, id);
  }

  /** An answer is here, whole. If anything fails, the client gets none that was not checked. */
  async response(kong: KongPdk): Promise<void> {
    const stream = this.#streams.get((await kong.ctx.shared.get(STREAM)) ?? "");
    if (!stream) return;
    try {
      const { response } = kong.service;
      const status = (await response.getStatus()) ?? 0;
      if (status === 0) return;
      const headers: Pairs = [[":status", String(status)], ...pairs(await response.getHeaders(HEADERS_MAX))];
      const body = Buffer.from((await response.getRawBody()) ?? "");
      stream.onResponseHeaders(headers, body.length === 0);
      if (body.length > 0) stream.onResponseBody(body, true);
      stream.responseStarted = true;
      if (stream.bypassed || stream.resetReason) throw new Error(stream.resetReason || "the filter trapped");
      await send(kong, status, headers, body, stream.response);
    } catch (error) {
      console.error(`[weir] response: ${error instanceof Error ? error.message : String(error)}`);
      await kong.response.exit(503, FAILED, Object.fromEntries(FAILED_HEADERS));
    }
  }

  async log(kong: KongPdk): Promise<void> {
    const id = await kong.ctx.shared.get(STREAM);
    const stream = id ? this.#streams.get(id) : undefined;
    if (!id || !stream) return;
    // Without a response phase the filter learns at least how it ended: an error is charged nothing.
    if (!stream.responseStarted) {
      stream.onResponseHeaders([[":status", String(await kong.response.getStatus())]], true);
    }
    this.#end(id);
  }

  #end(id: string): void {
    this.#streams.get(id)?.end();
    this.#streams.delete(id);
  }
}

const FAILED_HEADERS: Pairs = [
  ["content-type", "application/json"],
  ["x-weir-verdict", "overloaded"],
  ["retry-after", "1"],
];

function pairs(headers: KongHeaders): Pairs {
  return Object.entries(headers).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map((value): [string, string] => [
      name.toLowerCase(),
      String(value),
    ]),
  );
}

async function readRequest(kong: KongPdk): Promise<{ headers: Pairs; body: Uint8Array }> {
  const { request } = kong;
  const headers: Pairs = [
    [":method", await request.getMethod()],
    [":path", await request.getPathWithQuery()],
    [":scheme", await request.getScheme()],
    [":authority", await request.getHost()],
    ...pairs(await request.getHeaders(HEADERS_MAX)),
  ];
  const body = Buffer.from((await request.getRawBody(BODY_BYTES_MAX)) ?? "");
  const said = headers.find(([name]) => name === "content-length")?.[1];
  // nil is what Kong gives for a body that it cannot read.
  if (body.length === 0 && said !== undefined && said !== "0")
    throw new Error("Kong did not hand over the body");
  return { headers, body };
}

/** The request's callbacks, and the wait for the ledger. */
async function decode(stream: Stream, headers: Pairs, body: Uint8Array): Promise<void> {
  stream.onRequestHeaders(headers, body.length === 0);
  if (!stream.interrupted && body.length > 0) stream.onRequestBody(body, true);
  if (!stream.interrupted) await stream.released(stream.request);
}

/** Hands the answer on: in place when only headers changed, else as a whole. */
async function send(kong: KongPdk, status: number, was: Pairs, body: Buffer, side: Side): Promise<void> {
  const headers = side.headers!.pairs().filter(([name]) => !name.startsWith(":") && !FRAMING.has(name));
  const changed = Buffer.concat(side.body.take());
  if (body.length > 0 && !changed.equals(body)) {
    await kong.response.exit(status, changed.toString(), Object.fromEntries(headers));
    return;
  }
  for (const [name, value] of headers) {
    if (!was.some(([other, before]) => other === name && before === value))
      await kong.response.setHeader(name, value);
  }
}
