// One policy's filter inside the plugin server: what each of Kong's phases means for a stream of the Node host.
//
// A request's stream is found again in a later phase by the number that `access` leaves in kong.ctx.shared, which is also
// the mark that Weir let the request through (kong/examples/kong-plugin.yml has the guard that looks for it). Streams
// whose log phase never comes (an nginx worker died) are ended, oldest first, when OPEN_MAX are open. Such a one may still
// be under way, so it is charged what it reserved.
//
// Gates of one sidecar share their buckets and leases, as the workers of one proxy do. Kong does not tell a plugin when
// its configuration is gone: a gate that nothing has used for IDLE_MS_MAX is closed.
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pairs } from "../../host/abi.ts";
import { httpCallouts } from "../../host/callouts.ts";
import { systemClock } from "../../host/clock.ts";
import { SharedData } from "../../host/shared-data.ts";
import type { LocalResponse, Stream } from "../../host/stream.ts";
import { createVm, type Vm } from "../../host/vm.ts";
import { CLUSTER_DEFAULT } from "../../sidecar/doctor/policy.ts";
import {
  BODY_BYTES_MAX,
  changes,
  forwardedBy,
  kongHeaders,
  requestBody,
  requestHeaders,
  serviceAnswer,
  toldLength,
} from "./messages.ts";
import type { KongPdk } from "./pdk.ts";

const STREAM = "weir_stream";
/** Below the filter's own streams, beyond which it refuses. */
const OPEN_MAX = 2000;
const TICK_CHECK_MS = 50;
/** Longer than any lease lives. */
const IDLE_MS_MAX = 600_000;
/** Set by the filter on every request that it lets through. */
const SUBJECT = "x-weir-subject";
/** What nginx notes when the client left before there was an answer. */
const CLIENT_LEFT = 499;

const NOTHING = new Uint8Array(0);

const FAILED: LocalResponse = {
  status: 503,
  details: "",
  headers: [
    ["content-type", "application/json"],
    ["x-weir-verdict", "overloaded"],
    ["retry-after", "1"],
  ],
  body: Buffer.from(
    JSON.stringify({
      type: "error",
      error: {
        type: "api_error",
        code: "overloaded",
        message: "The request could not be checked, so it was not let through.",
        param: null,
      },
    }),
  ),
  from: "host",
};

/** dist/weir.wasm beside the plugin's folder, or where WEIR_WASM says. */
function filterModule(): WebAssembly.Module {
  const file = process.env.WEIR_WASM ?? join(__dirname, "../weir.wasm");
  if (!existsSync(file)) throw new Error(`weir: ${file}: expected the filter; set WEIR_WASM to its path`);
  return new WebAssembly.Module(readFileSync(file));
}

let module: WebAssembly.Module | undefined;
const gates = new Map<string, Gate>();
/** Policies that the filter refused. Kong asks for such an instance again with each request, and reading one holds up all others. */
const refused = new Map<string, Error>();
const REFUSED_MAX = 64;
const sharedBySidecar = new Map<string, SharedData>();

const keyOf = (policy: string, sidecar: string) => `${sidecar}\n${policy}`;

function sharedOf(sidecar: string): SharedData {
  const shared = sharedBySidecar.get(sidecar) ?? new SharedData();
  sharedBySidecar.set(sidecar, shared);
  return shared;
}

const said = (phase: string, error: unknown) =>
  console.error(`[weir] ${phase}: ${error instanceof Error ? error.message : String(error)}`);

/** Does a phase's work; whatever goes wrong in it, the client gets 503 and nothing else. */
export async function closed(kong: KongPdk, phase: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    said(phase, error);
    await exit(kong, FAILED);
  }
}

export class Gate {
  readonly #vm: Vm;
  readonly #streams = new Map<string, Stream>();
  readonly #timer: NodeJS.Timeout;
  #usedMs = performance.now();

  /** The gate of a policy and sidecar: one for all instances in this process. Throws when the filter refuses the policy. */
  static of(policy: string, sidecar: string): Gate {
    const key = keyOf(policy, sidecar);
    const refusal = refused.get(key);
    if (refusal) throw refusal;
    let gate = gates.get(key);
    if (!gate) {
      const made = new Gate(policy, sidecar, () => gates.delete(key));
      gates.set(key, made);
      gate = made;
    }
    gate.#usedMs = performance.now();
    return gate;
  }

  private constructor(policy: string, sidecar: string, onClose: () => void) {
    module ??= filterModule();
    const problems: string[] = [];
    this.#vm = createVm({
      wasm: module,
      profile: "envoy",
      clock: systemClock,
      plugins: [{ configuration: policy }],
      shared: sharedOf(sidecar),
      callouts: httpCallouts({ [CLUSTER_DEFAULT]: sidecar }),
      bodyBufferBytes: BODY_BYTES_MAX,
      log: (level, message) => {
        console.error(`[weir] ${level}: ${message}`);
        if (!this.#timer) problems.push(message);
      },
    });
    if (!this.#vm.roots[0]?.ok) {
      const refusal = new Error(`weir refused the policy: ${problems.join("; ")}`);
      if (refused.size === REFUSED_MAX) refused.clear();
      refused.set(keyOf(policy, sidecar), refusal);
      throw refusal;
    }
    this.#timer = setInterval(() => this.#tick(onClose), TICK_CHECK_MS);
    this.#timer.unref();
  }

  #tick(onClose: () => void): void {
    try {
      this.#vm.tickDue();
    } catch (error) {
      said("tick", error);
    }
    if (this.#streams.size > 0 || performance.now() - this.#usedMs < IDLE_MS_MAX) return;
    clearInterval(this.#timer);
    onClose();
  }

  /** Decides on a request: answers it, or lets it go on. Throws when that cannot be done. */
  async access(kong: KongPdk): Promise<void> {
    const ip = await kong.client.getIp();
    // The filter expects an address with a port and does not look at it.
    const address = ip.includes(":") ? `[${ip}]:0` : `${ip}:0`;
    const stream = this.#vm.openStream(new Map([["source.address", address]]));
    let passed = false;
    try {
      const answer = await this.#request(kong, stream, ip);
      if (answer) await exit(kong, answer);
      else passed = true;
    } finally {
      if (!passed) stream.end();
    }
  }

  /** The request's callbacks and the wait for the ledger: an answer in place of the upstream's, or null when it went on. */
  async #request(kong: KongPdk, stream: Stream, ip: string): Promise<LocalResponse | null> {
    const headers = forwardedBy(ip, await requestHeaders(kong));
    // A caller may have written it; only then is Kong asked.
    if (headers.some(([name]) => name === SUBJECT) && (await kong.ctx.shared.get(STREAM)))
      throw new Error("weir and weir-buffered are both on this request: expected one of them");
    const length = toldLength(headers);
    // Only the body shows whether there is one when no length is told.
    let body = length === undefined ? await requestBody(kong, headers) : NOTHING;
    const empty = (length ?? body.length) === 0;
    stream.onRequestHeaders(headers, empty);
    if (!stream.interrupted && !empty) {
      if (length !== undefined) body = await requestBody(kong, headers);
      stream.onRequestBody(body, true);
    }
    if (!stream.interrupted) await stream.released(stream.request);
    if (stream.local) return stream.local;
    if (stream.interrupted) throw new Error(stream.resetReason || "the stream was interrupted");
    await this.#pass(kong, stream, headers, body);
    return null;
  }

  /** The request goes on: headers and body as the filter left them, and the stream kept for the later phases. */
  async #pass(kong: KongPdk, stream: Stream, before: Pairs, body: Uint8Array): Promise<void> {
    const { request } = kong.service;
    const { clear, set } = changes(before, stream.request.headers!.pairs());
    for (const name of clear) await request.clearHeader(name);
    if (Object.keys(set).length > 0) await request.setHeaders(set as Record<string, string>);
    const sent = Buffer.concat(stream.request.body.take());
    if (body.length > 0 && !sent.equals(body)) await request.setRawBody(sent);
    const id = randomUUID();
    await kong.ctx.shared.set(STREAM, id);
    this.#streams.set(id, stream);
    if (this.#streams.size > OPEN_MAX) this.#giveUp();
  }

  /** An answer is here, whole. Throws when it cannot be checked: then it must not reach the client. */
  async response(kong: KongPdk): Promise<void> {
    const id = await kong.ctx.shared.get(STREAM);
    const stream = id ? this.#streams.get(id) : undefined;
    if (!stream) throw new Error("an answer to a request that is not known");
    const { headers, body } = await serviceAnswer(kong);
    stream.onResponseHeaders(headers, body.length === 0);
    if (!stream.local && body.length > 0) stream.onResponseBody(body, true);
    if (stream.bypassed || stream.resetReason) throw new Error(stream.resetReason || "the filter trapped");
    await (stream.local ? exit(kong, stream.local) : send(kong, headers, body, stream));
    stream.responseStarted = true;
  }

  async log(kong: KongPdk): Promise<void> {
    const id = await kong.ctx.shared.get(STREAM);
    const stream = id ? this.#streams.get(id) : undefined;
    if (!id || !stream) return;
    // Without a response phase the filter learns at least how it ended: an error is charged nothing.
    if (!stream.responseStarted) {
      const status = await kong.response.getStatus();
      if (status !== CLIENT_LEFT) stream.onResponseHeaders([[":status", String(status)]], true);
    }
    this.#end(id);
  }

  /** Ends the oldest stream. As an answer that told nothing: one that broke off may be charged less than was used. */
  #giveUp(): void {
    const [id, stream] = this.#streams.entries().next().value!;
    if (!stream.responseStarted) stream.onResponseHeaders([[":status", "200"]], true);
    this.#end(id);
  }

  #end(id: string): void {
    this.#streams.get(id)?.end();
    this.#streams.delete(id);
  }
}

const exit = (kong: KongPdk, { status, body, headers }: LocalResponse) =>
  kong.response.exit(status, body, kongHeaders(headers));

/** Hands the answer on: in place when only headers changed, else as a whole. */
async function send(kong: KongPdk, was: Pairs, body: Uint8Array, stream: Stream): Promise<void> {
  const { response } = kong;
  const headers = stream.response.headers!.pairs();
  const sent = Buffer.concat(stream.response.body.take());
  if (body.length > 0 && !sent.equals(body)) {
    const status = Number(headers.find(([name]) => name === ":status")?.[1]);
    await response.exit(status, sent, kongHeaders(headers));
    return;
  }
  const { clear, set } = changes(was, headers);
  for (const name of clear) await response.clearHeader(name);
  if (Object.keys(set).length > 0) await response.setHeaders(set);
}
