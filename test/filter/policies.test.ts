// Policies that must be refused, each with every problem line: the fixtures are shared with `weir check`.
//
// A fixture is {"policy": …, "problems": [line, …]}; `policy` may be a string, which is then the document's text.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createVm } from "../../host/vm.ts";
import { filterModule } from "../support/filter-build.ts";

const directory = fileURLToPath(new URL("./policies/bad/", import.meta.url));

for (const file of readdirSync(directory).sort()) {
  test(`the policy ${file} is refused with path, value and expectation`, async () => {
    const { policy, problems } = JSON.parse(readFileSync(`${directory}${file}`, "utf8"));
    const text = typeof policy === "string" ? policy : JSON.stringify(policy);
    for (const profile of ["envoy", "ngx_wasm"] as const) {
      const lines: string[] = [];
      const vm = createVm({
        wasm: await filterModule(),
        profile,
        plugins: [{ configuration: text }],
        log: (_level, message) => lines.push(message.replace(/^weir: (policy: )?/, "")),
      });
      assert.equal(vm.roots[0]?.ok ?? false, false, profile);
      assert.deepEqual(lines, problems, profile);
    }
  });
}
