/** The filter never traps; if it did all the same, nothing would pass, and it would be told. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import binaryen from "binaryen";
import { root } from "../../demo/processes.ts";
import { chatBody, examineEnvoy, keyEntry, until, type World, world } from "../support/e2e.ts";
import { sendWithTrailers } from "../support/e2e-http2.ts";

const policy = {
  tiers: { pro: { budgets: [{ name: "calls", meter: "requests", limit: 3, window: "day" }] } },
  keys: [keyEntry("caller", "acme/team/key", "pro"), keyEntry("other", "other/team/key", "pro")],
};

/** The filter, but that it traps at a request's trailers. */
function trapping(): Uint8Array {
  const small = readFileSync(join(root, "dist/weir-small.wasm"));
  const module = binaryen.readBinary(small);
  const name = "proxy_on_request_trailers";
  const parameters = binaryen.createType([binaryen.i32, binaryen.i32]);
  module.removeExport(name);
  module.addFunction("trap", parameters, binaryen.i32, [], module.unreachable());
  module.addFunctionExport("trap", name);
  return module.emitBinary();
}

describe("a filter that traps", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-e2e-trap-"));
  const given = process.env.WEIR_WASM;
  let w: World;
  before(async () => {
    process.env.WEIR_WASM = join(directory, "trapping.wasm");
    writeFileSync(process.env.WEIR_WASM, trapping());
    w = await world({ policy, workers: 1 });
  });
  after(async () => {
    await w?.close();
    rmSync(directory, { recursive: true, force: true });
    if (given === undefined) delete process.env.WEIR_WASM;
    else process.env.WEIR_WASM = given;
  });

  it("fails what it has in hand, is started anew with its budgets, and is found by the alert and the doctor", async () => {
    const passed = () => w.llm.seen.length;
    assert.equal((await w.chat("caller", "Hello")).status, 200);
    const slow = w.chat("caller", "Hello", { headers: { "x-mock-delay-ms": "1000" } });
    await until("the slow one", () => passed() === 2);
    const [envoy] = w.envoys as [(typeof w.envoys)[0]];
    const body = JSON.stringify(chatBody("Hello"));
    assert.deepEqual(await sendWithTrailers(envoy.url, "other", body, { "x-end": "1" }), [503, undefined]);
    assert.equal((await slow).status, 503);
    // Nothing passes as long as there is no filter.
    while ((await w.chat("stranger", "Hello")).code !== "invalid_api_key");
    assert.equal(passed(), 2);
    assert.equal((await w.chat("caller", "Hello")).status, 200);
    // Of three one is still held by what was in hand.
    assert.equal((await w.chat("caller", "Hello")).code, "budget_busy");

    const alerts = readFileSync(join(root, "deploy/observability/alerts.yaml"), "utf8");
    const [, expression = ""] = /- alert: WeirFilterTrapped\n +expr: (.+)/.exec(alerts) ?? [];
    const names = expression.match(/envoy_\w+/g) ?? [];
    const stats = await envoy.admin("/stats/prometheus");
    const values = names.map((name) => new RegExp(`^${name}\\{\\} (\\d+)$`, "m").exec(stats)?.[1]);
    assert.deepEqual(values, ["1", "0"], `${expression}: ${stats.match(/.*vm_reload.*/g)?.join("; ")}`);
    const found = (await examineEnvoy(`http://127.0.0.1:${envoy.adminPort}`)).find(
      ({ check }) => check === "envoy.counters",
    );
    assert.match(found?.text ?? JSON.stringify(found), /the filter trapped and was started anew/);
  });
});
