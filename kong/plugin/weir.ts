// The Kong plugin `weir`: the filter in our Node host, inside Kong's JavaScript plugin server. For every Kong that has
// one, also those without ngx_wasm_module. Kong does not stream bodies to plugins, so this works on whole ones.
//
//   access    identity, limits, inspection, the reservation, rewriting     (an exception answers 503)
//   log       settlement
//
// Without a `response` phase answers stream through Kong untouched: their usage cannot be read, and what was reserved
// is charged. weir-buffered.ts adds that phase, for which Kong holds every answer back until it is whole; a policy that
// looks into answers is refused here.
//
// All instances of one policy in the plugin server's process share one VM, and all of one sidecar their buckets and
// leases, whichever of Kong's workers asks. Bounds: BODY_BYTES_MAX for a request's body, OPEN_MAX for requests whose
// log phase has not come.
import { authorityOf } from "../../sidecar/cli/usage.ts";
import { CLUSTER_DEFAULT, ledgerCluster } from "../../sidecar/doctor/policy.ts";
import { closed, Gate } from "./gate.ts";
import type { KongPdk } from "./pdk.ts";

export const Version = "0.1.0";
/** Before Kong's own authentication and rate limiting plugins, which Weir stands in for. */
export const Priority = 1500;
export { schema as Schema } from "./schema.ts";

// kong-pdk makes JSON of every message for its log, also while that is off: some milliseconds for each body, and the
// prompts would be in the log when it is on.
Buffer.prototype.toJSON = function toJSON() {
  return { type: "Buffer", data: [this.length] };
};

export interface Config {
  policy: string;
  sidecar: string;
}

/** What a tier may say that only a response phase can do. */
const ON_ANSWERS = ["redact", "patterns", "canaries"];

interface Tier {
  prompt?: { redact?: Record<string, unknown> };
  response?: Record<string, unknown>;
}

/** The first member of a tier that needs its answers to be seen; undefined: none does. */
function onAnswers({ prompt = {}, response = {} }: Tier): string | undefined {
  const asked = ON_ANSWERS.find((key) => key in response);
  if (asked) return `response/${asked}`;
  if (response.compressed === "refuse") return "response/compressed";
  const [type] = Object.entries(prompt.redact ?? {}).find(([, how]) => how === "reversible") ?? [];
  return type && `prompt/redact/${type}`;
}

export class Plugin {
  readonly #config: Config;

  /** Throws when the policy is refused; Kong then answers every request with its own 500 and logs why. */
  constructor(config: Config) {
    this.#config = config;
    authorityOf("weir: sidecar", config.sidecar);
    this.#gate();
    const policy = JSON.parse(config.policy);
    // The default stands for `sidecar`. Elsewhere nothing could be asked, and a tier with `outage: allow` would let everything pass.
    const cluster = ledgerCluster(policy);
    if (cluster !== CLUSTER_DEFAULT) authorityOf("weir refused the policy: /ledger/cluster", cluster);
    this.check(policy.tiers);
  }

  protected check(tiers: Record<string, Tier>): void {
    for (const [name, tier] of Object.entries(tiers)) {
      const member = onAnswers(tier);
      if (member)
        throw new Error(
          `weir refused the policy: /tiers/${name}/${member}: expected none: answers are not seen here; use weir-buffered`,
        );
    }
  }

  #gate(): Gate {
    return Gate.of(this.#config.policy, this.#config.sidecar);
  }

  async access(kong: KongPdk): Promise<void> {
    await closed(kong, "access", () => this.#gate().access(kong));
  }

  protected async onAnswer(kong: KongPdk): Promise<void> {
    await closed(kong, "response", () => this.#gate().response(kong));
  }

  async log(kong: KongPdk): Promise<void> {
    await this.#gate().log(kong);
  }
}
