/** The table of scenarios in every engine that runs the filter, and what the table itself must keep. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { root } from "../../demo/processes.ts";
import { ENGINES, type Engine, ROWS, scenarioPolicy } from "../../demo/scenarios.ts";
import { Walk } from "../../demo/walk.ts";
import { type RunningEngine, startEngine } from "../support/engines.ts";

const demo = parse(readFileSync(join(root, "demo/policy.yaml"), "utf8"));

for (const engine of Object.keys(ENGINES) as Engine[]) {
  describe(`the table in ${ENGINES[engine]}`, () => {
    let running: RunningEngine;
    let walking: Walk;
    before(async () => {
      running = await startEngine(engine, scenarioPolicy(demo, "table"));
      walking = new Walk(running);
    });
    after(() => running?.close());

    for (const row of ROWS) {
      it(row.name, async () => {
        const { got, expected, note } = await walking.row(row);
        assert.equal(got, expected, note);
      });
    }
  });
}

const differences = ROWS.flatMap((row) =>
  Object.entries(row.differs ?? {}).map(([engine, difference]) => ({ row, engine, ...difference })),
);

/** "200 ok" and whatever else is no refusal. */
const refuses = (expected: string) => /^\d+ (?!ok$)/.test(expected);

it("no difference lets a request through that Envoy denies", () => {
  for (const { row, engine, expected } of differences) {
    if (refuses(row.expected)) assert.ok(refuses(expected), `${engine}: ${row.name}: ${expected}`);
  }
});

it("every difference is one, and says why", () => {
  for (const { row, engine, expected, why } of differences) {
    assert.notEqual(expected, row.expected, `${engine}: ${row.name}`);
    assert.match(why, /\.$/, `${engine}: ${row.name}`);
  }
});

it("rows are named once", () => {
  const names = ROWS.map((row) => row.name);
  assert.deepEqual([...new Set(names)], names);
});
