// The filter with a classifier of one's own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { exchange } from "../../host/exchange.ts";
import { createVm } from "../../host/vm.ts";
import { chat, llm, policyFor, requestOf } from "../../test/support/filter.ts";
import { builtFile, filterBytes, filterWith } from "./filter.ts";

/** Where a pack has its threshold: i32, in parts of a logit. */
const THRESHOLD_AT = 24;

async function statusOf(wasm: Uint8Array, text: string): Promise<number> {
  const configuration = JSON.stringify(policyFor("envoy", { tiers: { anonymous: {} } }));
  const vm = createVm({ wasm, profile: "envoy", plugins: [{ configuration }] });
  return (await exchange(vm, requestOf({ body: chat(text) }), llm)).status;
}

test("the filter that a trained pack is put into judges by it", async () => {
  const pack = readFileSync(builtFile("classifier.bin"));
  const question = "How deep is the river Rhine at Cologne?";
  assert.equal(await statusOf(filterBytes(), question), 200);
  assert.deepEqual(Buffer.from(filterWith(pack)), Buffer.from(filterBytes()));
  const strict = Buffer.from(pack);
  strict.writeInt32LE(-1_000_000, THRESHOLD_AT);
  assert.equal(await statusOf(filterWith(strict), question), 403);
  assert.throws(() => filterWith(pack.subarray(1)), /weir\.wasm does not hold the classifier/);
});
