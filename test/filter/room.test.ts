// What a VM that lives long has room for: policies come and go, and what one of them took is there for those after it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Vm } from "../../host/vm.ts";
import { LocalEdge, replacePolicy } from "../support/filter.ts";

const MIB = 1 << 20;
const policyOf = (maxBytes: number) => ({ tiers: { anonymous: { prompt: { max_bytes: maxBytes } } } });

test("policies of which each lets a little larger bodies in take no more memory than the last one twice over", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policyOf(4 * MIB) });
  const vm = edge.vms[0] as Vm;
  for (let update = 1; update <= 40; update++)
    replacePolicy(vm, JSON.stringify(policyOf(4 * MIB + update * 65_536)));
  const bytes = vm.exports.memory.buffer.byteLength;
  assert.ok(bytes <= 256 * MIB, `${bytes / MIB} MiB after 40 updates`);
});
