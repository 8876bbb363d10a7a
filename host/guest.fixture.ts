// For the tests of host/: the scripted guest (test/assembly/host-guest), and a VM around it whose log is kept.
import { compile } from "../test/support/leaf.ts";
import type { ExchangeRequest, ExchangeResponse, Upstream } from "./exchange.ts";
import { exchange } from "./exchange.ts";
import type { ProfileName } from "./profiles.ts";
import { createVm, type Vm, type VmOptions } from "./vm.ts";

export const guest = new WebAssembly.Module(
  (await compile("test/assembly/host-guest/guest.entry.ts", {
    args: ["--use", "abort=test/assembly/host-guest/abort/trapOnAbort"],
  })) as BufferSource,
);

export interface Scripted {
  vm: Vm;
  /** What the guest said, in order. */
  said: string[];
  run(request?: ExchangeRequest, upstream?: Upstream, signal?: AbortSignal): Promise<ExchangeResponse>;
}

/** A VM of the scripted guest with one root context. The script is `PHASE OPERATION ARGUMENTS` by line. */
export function scripted(profile: ProfileName, script: string, options: Partial<VmOptions> = {}): Scripted {
  const said: string[] = [];
  const vm = createVm({
    wasm: guest,
    profile,
    plugins: [{ configuration: script, rootId: "main" }],
    log: (_level, message) => said.push(message),
    ...options,
  });
  return {
    vm,
    said,
    run: (request = {}, upstream = () => ({ body: "fine" }), signal) =>
      exchange(vm, request, upstream, signal ? { signal } : {}),
  };
}
