// `make demo` from outside: what it prints, that its addresses answer, and that a part which ends at once is told at once.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type Child, envoyBinary, freePort, start, until } from "../../demo/processes.ts";

describe("the demo", { skip: envoyBinary() ? false : "Envoy is not installed" }, () => {
  let demo: Child | undefined;
  const run = async (env: NodeJS.ProcessEnv): Promise<Child> => {
    const [port, sidecarPort] = [await freePort(), await freePort()].map(String);
    demo = start(process.execPath, ["--import", "tsx", "demo/run.ts"], {
      env: { WEIR_PORT: port, WEIR_SIDECAR_PORT: sidecarPort, WEIR_CONCURRENCY: "1", TOUR: "0", ...env },
    });
    return demo;
  };
  after(() => demo?.stop());

  it("prints where the metrics are", async () => {
    const child = await run({});
    await until("the demo", () => child.output().includes("/metrics"), 60_000);
    const address = (name: string, path: string) =>
      child.output().match(new RegExp(`^weir: ${name} (http://\\S+) \\(metrics: ${path}\\)$`, "m"))?.[1];
    for (const [name, path] of [
      ["Envoy's admin", "/stats/prometheus"],
      ["the sidecar", "/metrics"],
    ] as const) {
      const page = await fetch(`${address(name, path)}${path}`);
      assert.match(await page.text(), /^# TYPE \w*weir_/m, name);
    }
    await child.stop(15_000);
  });

  it("says at once that the sidecar ended, and why", async () => {
    const child = await run({ WEIR_ADMIN_TOKEN: "short" });
    await until("its end", () => child.hasEnded(), 60_000);
    assert.match(
      child.output(),
      /^weir: the sidecar ended; its last line: weir sidecar: WEIR_ADMIN_TOKEN: expected 16 to 256/m,
    );
    assert.equal(child.process.exitCode, 1);
  });
});
