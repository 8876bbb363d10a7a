// The benchmark's module that makes the filter's host calls and nothing else (host-calls.entry.ts) makes those that the filter makes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { exchange } from "../../host/exchange.ts";
import { createVm } from "../../host/vm.ts";
import { chat, keyEntry, LocalEdge, llm, requestOf } from "../support/filter.ts";
import { compile } from "../support/leaf.ts";

/** Host functions that name a header: their second and third parameters are where its name is and how long. */
const NAMES_HEADER = /^proxy_(remove|add|replace|get)_header_map_value$/;

/** The host calls of a guest, each with the header that it names. */
class Calls {
  readonly list: string[] = [];
  memory: WebAssembly.Memory | undefined;

  /** What `make` instantiates tells its calls; `memory` is the guest's, once it is there. */
  async of<T>(make: () => Promise<T>): Promise<T> {
    const { Instance } = WebAssembly;
    const { list } = this;
    const told =
      (name: string, f: (...args: number[]) => unknown) =>
      (...args: number[]) => {
        const [, ptr = 0, length = 0] = args;
        const header = NAMES_HEADER.test(name)
          ? Buffer.from(this.memory!.buffer, ptr, length).toString()
          : "";
        list.push(`${name} ${header}`.trim());
        return f(...args);
      };
    WebAssembly.Instance = class extends Instance {
      constructor(module: WebAssembly.Module, imports: WebAssembly.Imports = {}) {
        const all = Object.entries(imports).map(([space, functions]) => [
          space,
          Object.fromEntries(Object.entries(functions).map(([name, f]) => [name, told(name, f as never)])),
        ]);
        super(module, Object.fromEntries(all));
      }
    };
    try {
      return await make();
    } finally {
      WebAssembly.Instance = Instance;
    }
  }
}

test("the module of host calls alone makes the calls that the filter makes, in their order", async () => {
  const call = { key: "k", body: chat("How deep is the lake?") };
  const policy = { tiers: { t: { requests: "1M/s" } }, keys: [keyEntry("k", "t")] };
  const calls = new Calls();
  const edge = await calls.of(() => LocalEdge.open({ profile: "envoy", policy }));
  calls.memory = edge.vms[0]!.exports.memory;
  await edge.send(call);
  calls.list.length = 0;
  assert.equal((await edge.send(call)).status, 200);

  const wasm = await compile("test/assembly/host-calls.entry.ts", { args: ["--use", "abort="] });
  const alone = new Calls();
  const vm = await alone.of(async () =>
    createVm({ wasm, profile: "envoy", plugins: [{ configuration: "" }] }),
  );
  alone.memory = vm.exports.memory;
  alone.list.length = 0;
  assert.equal((await exchange(vm, requestOf(call), llm)).status, 200);
  assert.ok(calls.list.length > 10);
  assert.deepEqual(alone.list, calls.list);
});
