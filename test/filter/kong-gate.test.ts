// The plugin's gate without Kong's process: a stand-in for the PDK, so that requests stay open and two instances meet on one.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { closed, Gate } from "../../kong/plugin/gate.ts";
import type { KongHeaders, KongPdk } from "../../kong/plugin/pdk.ts";
import { Plugin } from "../../kong/plugin/weir.ts";
import { LocalLedger } from "../../sidecar/ledger/local.ts";
import { chat, keyEntry } from "../support/filter.ts";
import { filterBytes } from "../support/filter-build.ts";
import { ledgerPort } from "../support/filter-kong.ts";

const ledger = new LocalLedger();
let folder = "";
let sidecar: Awaited<ReturnType<typeof ledgerPort>>;
let address = "";

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-gate-"));
  process.env.WEIR_WASM = join(folder, "weir.wasm");
  writeFileSync(process.env.WEIR_WASM, await filterBytes());
  sidecar = await ledgerPort(ledger, () => true);
  address = `127.0.0.1:${(sidecar.address() as AddressInfo).port}`;
});
after(() => {
  rmSync(folder, { recursive: true, force: true });
  sidecar.closeAllConnections();
  sidecar.close();
});

/** One request in Kong: what plugins see of it, and the status that one of them ended it with. */
class Request {
  status = 0;
  readonly #headers: Map<string, string>;
  readonly #shared = new Map<string, string>();
  readonly #body: Uint8Array;

  constructor(key: string, body: object, headers: Record<string, string> = {}) {
    this.#body = Buffer.from(JSON.stringify(body));
    const length = String(this.#body.length);
    this.#headers = new Map(
      Object.entries({
        host: "localhost",
        authorization: `Bearer ${key}`,
        "content-length": length,
        ...headers,
      }),
    );
  }

  get kong(): KongPdk {
    const request = {
      getMethod: async () => "POST",
      getPathWithQuery: async () => "/v1/chat/completions",
      getHeaders: async (): Promise<KongHeaders> => Object.fromEntries(this.#headers),
      getRawBody: async () => this.#body,
    };
    const upstream = {
      setHeaders: async (set: Record<string, string>) => {
        for (const [name, value] of Object.entries(set)) this.#headers.set(name, value);
      },
      clearHeader: async (name: string) => void this.#headers.delete(name),
      setRawBody: async () => {},
    };
    const response = {
      exit: async (status: number) => {
        this.status = status;
      },
      getStatus: async () => this.status || 200,
    };
    const shared = {
      set: async (name: string, value: string) => void this.#shared.set(name, value),
      get: async (name: string) => this.#shared.get(name) ?? null,
    };
    return {
      request,
      client: { getIp: async () => "203.0.113.7" },
      service: { request: upstream },
      response,
      ctx: { shared },
    } as unknown as KongPdk;
  }
}

const access = async (gate: Gate, { kong }: Request) => closed(kong, "access", () => gate.access(kong));

const policyFor = (keys: string[], more: object = {}) =>
  JSON.stringify({
    tiers: {
      pro: {
        output: { max_tokens: 10 },
        budgets: [{ meter: "completion_tokens", limit: 1_000_000, window: "month" }],
        ...more,
      },
    },
    keys: keys.map((key) => keyEntry(key, "pro")),
  });

/** What all callers have used once that no longer changes. */
async function spent(): Promise<number> {
  for (let last = -1, i = 0; ; i++) {
    const now = (await ledger.budgets("acme")).reduce((sum, budget) => sum + budget.spent, 0);
    if ((now > 0 && now === last) || i === 40) return now;
    last = now;
    await sleep(1_500);
  }
}

test("a request that is ended because too many are open is charged what it reserved", async () => {
  // So many callers, as none of them may hold more than twice what is free.
  const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
  const gate = Gate.of(policyFor(keys), address);
  const open: Request[] = [];
  for (let i = 0; i < 2001; i++) {
    const request = new Request(keys[i % keys.length]!, chat("Hello there", { max_tokens: 10 }));
    open.push(request);
    await access(gate, request);
  }
  assert.deepEqual([...new Set(open.map(({ status }) => status))], [0]);
  assert.equal(await spent(), 10);
  for (const { kong } of open) await gate.log(kong);
  assert.equal(await spent(), 20_010);
});

test("weir and weir-buffered on one request refuse it; a header that a caller wrote does not", async () => {
  // A key that travels on: else the second would not know the caller.
  const forwarding = { ...JSON.parse(policyFor(["k0"])), identity: { forward_key: true } };
  const one = Gate.of(JSON.stringify(forwarding), address);
  const two = Gate.of(policyFor(["k0"]), address);
  const request = new Request("k0", chat("Hello there"));
  await access(one, request);
  assert.equal(request.status, 0);
  await access(two, request);
  assert.equal(request.status, 503);
  for (const gate of [one, two]) await gate.log(request.kong);
  const forged = new Request("k0", chat("Hello there"), { "x-weir-subject": "acme/root" });
  await access(two, forged);
  assert.equal(forged.status, 0);
  await two.log(forged.kong);
});

for (const [cluster, expected] of [
  ["ledger", /: expected HOST:PORT/],
  ["unix:/run/weir.sock", /: expected HOST:PORT/],
  ["http://127.0.0.1:1", /: expected a cluster's name such as "weir_sidecar", or on Kong host:port: no URL$/],
  ["127.0.0.1:99999", /: expected HOST:PORT/],
] as const) {
  test(`a policy whose ledger.cluster is ${cluster} starts no instance: nothing could be asked there`, () => {
    const policy = { ...JSON.parse(policyFor(["k0"], { outage: "allow" })), ledger: { cluster } };
    assert.throws(
      () => new Plugin({ policy: JSON.stringify(policy), sidecar: address }),
      ({ message }: Error) => message.includes("/ledger/cluster: ") && expected.test(message),
    );
  });
}

test("a policy that the filter refused is not read again with each request", () => {
  const refusal = () => {
    try {
      return Gate.of('{"tiers":{"pro":{"requests":"often"}}}', address);
    } catch (error) {
      return error;
    }
  };
  const first = refusal();
  assert.match(String(first), /\/tiers\/pro\/requests/);
  assert.equal(refusal(), first);
});
