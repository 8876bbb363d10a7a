// The Kong plugin `weir`: the filter in our Node host, inside Kong's JavaScript plugin server. For every Kong that has
// one, also those without ngx_wasm_module. Kong does not stream bodies to plugins, so this works on whole ones.
//
//   access    identity, limits, inspection, the reservation, rewriting     (an exception answers 503)
//   log       settlement
//
// Without a `response` phase answers stream through Kong untouched: their usage cannot be read, and what was reserved
// is charged. weir-buffered.ts adds that phase, for which Kong holds every answer back until it is whole.
//
// All instances of one policy in the plugin server's process share one VM and its shared data, whichever of Kong's
// workers asks. Bounds: BODY_BYTES_MAX for a request's body, OPEN_MAX for requests whose log phase has not come.
import { Gate } from "./gate.ts";
import type { KongPdk } from "./pdk.ts";

export const Version = "0.1.0";
/** Before Kong's own authentication and rate limiting plugins, which Weir stands in for. */
export const Priority = 1500;
export { schema as Schema } from "./schema.ts";

interface Config {
  policy: string;
  sidecar: string;
}

export class Plugin {
  protected readonly gate: Gate;

  /** Throws when the policy is refused; every request is then answered by Kong with its plugin error. */
  constructor(config: Config) {
    this.gate = Gate.of(config.policy, config.sidecar);
  }

  async access(kong: KongPdk): Promise<void> {
    await this.gate.access(kong);
  }

  async log(kong: KongPdk): Promise<void> {
    await this.gate.log(kong);
  }
}
