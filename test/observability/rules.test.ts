// The alert rules by themselves: promtool takes them, their unit tests hold, and the unit tests would notice a rule that
// never fires or always does. And what can be said of the dashboard without a Prometheus.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { root } from "../../demo/processes.ts";
import { dashboard, rules, rulesText, sixtyTimesFaster, withoutFiltering } from "./files.ts";
import { noPrometheus } from "./prometheus.ts";

describe("the alert rules", { skip: noPrometheus }, () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-rules-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const promtool = (...args: string[]) => spawnSync("promtool", args, { cwd: directory, encoding: "utf8" });
  cpSync(join(root, "test/observability/alerts.promtool.yaml"), join(directory, "tests.yaml"));
  const unitTests = (text: string) => {
    writeFileSync(join(directory, "alerts.yaml"), text);
    return promtool("test", "rules", "tests.yaml");
  };

  test("are taken by promtool", () => {
    writeFileSync(join(directory, "alerts.yaml"), rulesText);
    const { status, stdout, stderr } = promtool("check", "rules", "alerts.yaml");
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`${rules.length} rules found`));
  });

  test("fire and stay quiet as their unit tests say", () => {
    const { status, stdout, stderr } = unitTests(rulesText);
    assert.equal(status, 0, stdout + stderr);
  });

  for (const [what, expr] of [
    ["never fires", "vector(0) > 1"],
    ["always fires", "vector(1) > 0"],
  ])
    test(`each have a unit test that notices when it ${what}`, () => {
      const { status, stdout, stderr } = unitTests(rulesText.replace(/expr: .*/g, `expr: ${expr}`));
      assert.notEqual(status, 0);
      const noticed = rules.filter(({ alert }) => (stdout + stderr).includes(`alertname: ${alert},`));
      assert.deepEqual(noticed, rules);
    });
});

test("every alert says what is wrong and what to do, and pages or warns", () => {
  for (const { alert, labels, annotations } of rules) {
    assert.match(alert, /^Weir[A-Z]/);
    assert.ok(["page", "warning"].includes(labels.severity), alert);
    assert.ok(annotations.summary.length > 20 && annotations.description.length > 40, alert);
  }
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  const guide = readFileSync(join(root, "docs/operations.md"), "utf8");
  const unexplained = rules.filter(({ alert }) => !guide.includes(`\`${alert}\``)).map(({ alert }) => alert);
  assert.deepEqual(unexplained, [], "docs/operations.md says what to do for each");
});

test("the faster rules differ in times alone", () => {
  const text =
    "      - expr: rate(x_5m[5m]) > 0 and on (job) last_over_time(y[1h])\n        for: 2m\n        summary: 5m\n";
  assert.equal(
    sixtyTimesFaster(text),
    "      - expr: rate(x_5m[5s]) > 0 and on (job) last_over_time(y[1m])\n        for: 2s\n        summary: 5m\n",
  );
  assert.equal(sixtyTimesFaster(rulesText).split("\n").length, rulesText.split("\n").length);
  assert.equal(
    withoutFiltering('a{b=~"c>d",e!="f"} > 1 and up == 0'),
    'a{b=~"c>d",e!="f"} > bool 1 and up == bool 0',
  );
});

test("the dashboard's panels have ids, titles and places of their own", () => {
  const { panels } = dashboard;
  for (const key of ["id", "title"] as const)
    assert.equal(new Set(panels.map((panel) => panel[key])).size, panels.length, key);
  const cells = new Map<string, string>();
  for (const { title, gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.equal(cells.get(`${x},${y}`), undefined, `${title} lies on another panel`);
        cells.set(`${x},${y}`, title);
      }
  }
});
