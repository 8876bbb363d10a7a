/** Policies that follow one another in a running Envoy, by a file of listeners, while connections to the old ones drain. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { keyEntry, until, type World, world } from "../support/e2e.ts";
import { putWatched, withPolicy } from "../support/e2e-policy.ts";

/** One more than the sidecars to which events of one VM can go at once. */
const UPDATES = 5;
const policyOf = (update: number) => ({
  events: {},
  tiers: { pro: { requests: `${1000 + update}/min` } },
  keys: [keyEntry("caller", "acme/team/key", "pro")],
  ledger: { cluster: `sidecar-${update}` },
});

describe("updates of a policy", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-e2e-updates-"));
  const file = join(directory, "listeners.yaml");
  let listeners = "";
  let w: World;

  /** Writes the listeners with the policy of this update. */
  const put = (update: number) => putWatched(file, withPolicy(listeners, policyOf(0), policyOf(update)));
  /** The configuration with its listeners in a file of their own. */
  const edit = (text: string) => {
    const [start, end] = [text.indexOf("  listeners:\n"), text.indexOf("  clusters:\n")];
    const type = '- "@type": type.googleapis.com/envoy.config.listener.v3.Listener\n      ';
    listeners = text.slice(start, end).replace("  listeners:", "resources:").replace("    - ", `    ${type}`);
    put(0);
    const source = `path_config_source: { path: ${file} }`;
    return `${text.slice(0, start)}${text.slice(end)}
node: { id: edge-1, cluster: edges }
dynamic_resources: { lds_config: { resource_api_version: V3, ${source} } }
`;
  };

  before(async () => {
    w = await world({ policy: policyOf(0), workers: 1, edit, sidecar: false });
  });
  after(async () => {
    await w?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it("never open the proxy: a policy for which the VM has no room refuses its own requests", async () => {
    await until("the first policy", async () => (await w.chat("caller", "Hello")).status === 200);
    const passed = w.llm.seen.length;
    for (let update = 1; update < UPDATES; update++) {
      put(update);
      await until("the update", async () => (await w.stat("lds.update_success")) > update);
      for (let i = 0; i < 4; i++) {
        const { status, code } = await w.chat("stranger", "Hello", { headers: { connection: "close" } });
        const isLast = update === UPDATES - 1;
        assert.deepEqual([status, code], isLast ? [503, "overloaded"] : [401, "invalid_api_key"]);
      }
    }
    assert.equal(w.llm.seen.length, passed, "nobody unknown reached the upstream");
    assert.match(w.envoys[0]?.output() ?? "", /more sidecars than 4 for their events/);
  });
});
