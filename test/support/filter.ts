// The filter in the Node host with everything around it in one process: workers that share data, a clock that moves
// when told, the real ledger service on the pure machine (through its real gRPC-Web codec, without a socket), and
// an upstream that answers like OpenAI.
//
// `Edge` is what scenarios are written against; the Kong plugin's tests implement the same interface.
import { createHash } from "node:crypto";
import { type Pairs, Phase } from "../../host/abi.ts";
import { FakeClock } from "../../host/clock.ts";
import { type ExchangeRequest, exchange, type Upstream, type UpstreamRequest } from "../../host/exchange.ts";
import { Metrics } from "../../host/metrics.ts";
import type { ProfileName } from "../../host/profiles.ts";
import type { Properties } from "../../host/properties.ts";
import { SharedData } from "../../host/shared-data.ts";
import { advance, createVm, type Vm } from "../../host/vm.ts";
import { controlCallouts } from "../../sidecar/control/callouts.ts";
import { WeirError } from "../../sidecar/errors.ts";
import type { UnaryMethod } from "../../sidecar/ledger/grpc-web.ts";
import { ledgerCallouts } from "../../sidecar/ledger/in-process.ts";
import { LocalLedger } from "../../sidecar/ledger/local.ts";
import { type Acquire, type Ledger, organisationOf, type Settle } from "../../sidecar/ledger/types.ts";
import { type FilterKind, filterModule, SEAL } from "./filter-build.ts";

/** One request as a client sends it. */
export interface Call {
  /** Sent as `Authorization: Bearer`. */
  key?: string;
  headers?: Pairs;
  method?: string;
  path?: string;
  /** An object is sent as JSON; undefined: no body. */
  body?: unknown;
  /** No content-length. */
  chunked?: boolean;
  /** What follows the body in HTTP/2. */
  trailers?: Pairs;
  /** The client's address. */
  from?: string;
  /** What the proxy knows of the request beside that, by the property's name. */
  properties?: Properties;
  /** Which worker serves it. */
  worker?: number;
  upstream?: Upstream;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  header(name: string): string | undefined;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the answer's JSON is looked into freely.
  json: any;
  /** What reached the upstream; null: nothing did. */
  upstream: { header(name: string): string | undefined; text: string; complete: boolean } | null;
  aborted: string;
}

/** An edge as scenarios see it. */
export interface Edge {
  readonly host: ProfileName | "kong-plugin";
  send(call: Call): Promise<Answer>;
  /** What the ledger has of an organisation's budgets: the first one's spent and outstanding amounts. */
  budget(organisation: string): Promise<{ spent: number; outstanding: number }>;
  /** Lets the ledger be unreachable, or reachable again. */
  setLedgerUp(up: boolean): void;
  /** Lets time pass; ticks run, and reports reach the ledger. */
  wait(ms: number): Promise<void>;
}

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** A key's entry in a policy. */
export const keyEntry = (key: string, tier: string, more: object = {}) => ({
  sha256: sha256(key),
  subject: `acme/search/${key}`,
  tier,
  ...more,
});

export const chat = (content: unknown, more: object = {}) => ({
  model: "gpt-4o",
  messages: [{ role: "user", content }],
  ...more,
});

const json = (status: number, value: unknown) => {
  const body = JSON.stringify(value);
  return {
    status,
    headers: { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) },
    body,
  };
};

/** Answers like OpenAI. x-mock-prompt-tokens and x-mock-completion-tokens (5 and 3) set the usage, x-mock-status the status. */
export const llm: Upstream = (request: UpstreamRequest) => {
  const told = (name: string) => request.headers.find(([header]) => header === name)?.[1];
  const status = Number(told("x-mock-status") ?? 200);
  if (status !== 200) return json(status, { error: { message: "told to fail" } });
  const prompt_tokens = Number(told("x-mock-prompt-tokens") ?? 5);
  const completion_tokens = Number(told("x-mock-completion-tokens") ?? 3);
  const usage = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
  const message = { role: "assistant", content: "Water finds its level." };
  const input = request.body.length > 0 ? JSON.parse(Buffer.from(request.body).toString()) : {};
  if (input.stream !== true) return json(200, { choices: [{ index: 0, message }], usage });
  const extra = input.stream_options?.include_usage ? [{ choices: [], usage }] : [];
  const events = [{ choices: [{ index: 0, delta: message }] }, ...extra].map((event) =>
    JSON.stringify(event),
  );
  const body = [...events, "[DONE]"].map((event) => Buffer.from(`data: ${event}\n\n`));
  return { status: 200, headers: { "content-type": "text/event-stream" }, body };
};

export interface EdgeOptions {
  profile: ProfileName;
  policy: object;
  kind?: FilterKind;
  workers?: number;
  bodyBufferBytes?: number;
  /** Methods beside the ledger's, by path. */
  methods?: ReadonlyMap<string, UnaryMethod>;
  /** Headers of each callout, as they are made, and where it goes. */
  onCallout?: (headers: Pairs, target: string) => void;
}

const LEDGER_ADDRESS = "127.0.0.1:8081";
const BODY_BUFFER_BYTES = 1 << 20;
const CLIENT = "203.0.113.7";

/** The policy as this host needs it: on Kong the ledger is addressed by host:port. */
export function policyFor(profile: ProfileName, policy: object, address = LEDGER_ADDRESS): object {
  if (profile === "envoy") return policy;
  const { ledger, ...rest } = policy as { ledger?: object };
  return { ...rest, ledger: { cluster: address, ...ledger } };
}

export class LocalEdge implements Edge {
  readonly host: ProfileName;
  readonly vms: Vm[] = [];
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly log: string[] = [];
  readonly ledger: LocalLedger;
  /** Paths of the callouts made, in order. */
  readonly callouts: string[] = [];
  /** The ledger does what it is asked, and nobody hears of it. */
  answersLost = false;
  /** Organisations of which the ledger's store is away. */
  readonly away = new Set<string>();
  /** Targets of callouts that take what they are sent and never answer. */
  readonly silent = new Set<string>();
  #up = true;

  private constructor(profile: ProfileName) {
    this.host = profile;
    // The ledger's machine has a clock of its own, which nobody sets.
    this.ledger = new LocalLedger({ clock: () => this.clock.unsetMs });
  }

  static async open(options: EdgeOptions): Promise<LocalEdge> {
    const edge = new LocalEdge(options.profile);
    const kind = options.kind ?? "plain";
    const wasm = await filterModule(kind);
    const ledger = controlCallouts(ledgerCallouts(edge.#store(), options.methods));
    const shared = new SharedData();
    for (let i = 0; i < (options.workers ?? 1); i++) {
      const vm = createVm({
        wasm,
        profile: options.profile,
        clock: edge.clock,
        metrics: edge.metrics,
        shared,
        bodyBufferBytes: options.bodyBufferBytes ?? BODY_BUFFER_BYTES,
        log: (level, message) => edge.log.push(`${level}: ${message}`),
        callouts: async (target, headers, body, timeoutMs) => {
          edge.callouts.push(headers.find(([name]) => name === ":path")?.[1] ?? "");
          options.onCallout?.(headers, target);
          if (!edge.#up) return { failure: "broken connection" };
          if (edge.silent.has(target)) return new Promise(() => undefined);
          const answer = await ledger(target, headers, body, timeoutMs);
          return edge.answersLost ? { failure: "timeout" } : answer;
        },
        plugins: [{ configuration: JSON.stringify(policyFor(options.profile, options.policy)) }],
      });
      if (!vm.roots[0]?.ok) throw new Error(`the policy was refused:\n${edge.log.join("\n")}`);
      if (kind === "trapping") seal(vm);
      edge.vms.push(vm);
    }
    return edge;
  }

  /** The ledger as its service has it. */
  #store(): Ledger {
    const there = <C extends Acquire | Settle, R>(
      command: C,
      ask: (command: C) => Promise<R>,
    ): Promise<R> => {
      if (!this.away.has(organisationOf(command.subject))) return ask(command);
      return Promise.reject(new WeirError("unavailable", "the store is away"));
    };
    const { ledger } = this;
    return Object.assign(Object.create(ledger), {
      acquire: (command: Acquire) => there(command, (asked) => ledger.acquire(asked)),
      settle: (command: Settle) => there(command, (told) => ledger.settle(told)),
    });
  }

  async send(call: Call): Promise<Answer> {
    const vm = this.vms[call.worker ?? 0]!;
    const options = call.signal ? { signal: call.signal } : {};
    const result = await exchange(vm, requestOf(call), call.upstream ?? llm, options);
    return answerOf(result);
  }

  async budget(organisation: string): Promise<{ spent: number; outstanding: number }> {
    const [first] = await this.ledger.budgets(organisation);
    return { spent: first?.spent ?? 0, outstanding: first?.outstanding ?? 0 };
  }

  setLedgerUp(up: boolean): void {
    this.#up = up;
  }

  wait(ms: number): Promise<void> {
    return advance(this.clock, this.vms, ms);
  }
}

/** From here on the filter must not allocate. */
function seal(vm: Vm): void {
  new DataView(vm.exports.memory.buffer).setUint32(SEAL, 1, true);
}

/** `configuration`, or the same policy again, as another root context in the first one's place: what a proxy does when its configuration changes. */
export function replacePolicy(vm: Vm, configuration?: string): void {
  const [old] = vm.roots;
  if (!old || !vm.addRoot({ configuration: configuration ?? old.configuration }).ok)
    throw new Error("the policy was refused");
  vm.roots.shift();
  vm.run(Phase.Delete, old.id, vm.exports.proxy_on_delete, 0, 0, 0, 0);
}

/** What the VM asks is answered only after `ms`: who does not wait so long gets nothing. */
export function answerAfter(vm: Vm, ms: number): void {
  const ask = vm.options.callouts as NonNullable<typeof vm.options.callouts>;
  vm.options.callouts = async (target, headers, body, timeoutMs) =>
    timeoutMs < ms ? { failure: "timeout" } : ask(target, headers, body, timeoutMs);
}

/** A call as a host gets it. */
export function requestOf(call: Call): ExchangeRequest {
  const { body } = call;
  const raw = typeof body === "string" || body instanceof Uint8Array || Array.isArray(body);
  const headers: Pairs = [];
  const said = (name: string) => call.headers?.some(([header]) => header === name);
  if (body !== undefined && !said("content-type")) headers.push(["content-type", "application/json"]);
  if (call.key !== undefined) headers.push(["authorization", `Bearer ${call.key}`]);
  headers.push(...(call.headers ?? []));
  return {
    method: call.method ?? "POST",
    path: call.path ?? "/v1/chat/completions",
    headers,
    ...(body !== undefined && { body: raw ? (body as string) : JSON.stringify(body) }),
    // The end of a body in chunks is a chunk of its own.
    ...(call.chunked && { chunked: true, emptyEnd: true }),
    ...(call.trailers && { trailers: call.trailers }),
    properties: new Map([["source.address", `${call.from ?? CLIENT}:4711`], ...(call.properties ?? [])]),
  };
}

function answerOf(result: Awaited<ReturnType<typeof exchange>>): Answer {
  const text = result.body.toString();
  const { upstream } = result;
  return {
    status: result.status,
    header: result.header,
    text,
    json: parsed(text),
    upstream: upstream && {
      header: (name) => upstream.headers.find(([header]) => header === name)?.[1],
      text: upstream.body.toString(),
      complete: upstream.complete,
    },
    aborted: result.aborted,
  };
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
