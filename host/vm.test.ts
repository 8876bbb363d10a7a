import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pairs } from "./abi.ts";
import { FakeClock } from "./clock.ts";
import { GuestTrap } from "./errors.ts";
import { guest, scripted } from "./guest.fixture.ts";
import { Metrics } from "./metrics.ts";
import { SharedData } from "./shared-data.ts";
import { advance, createVm, type VmOptions } from "./vm.ts";

const both = ["envoy", "ngx_wasm"] as const;

for (const profile of both) {
  test(`${profile}: a refused configuration makes a root that is not ok, and no stream opens`, () => {
    const { vm } = scripted(profile, "configure return 0");
    const root = vm.addRoot({ configuration: "configure return 0" });
    assert.equal(root.ok, false);
    assert.throws(() => vm.openStream(), /accepted its configuration/);
  });

  test(`${profile}: two roots of one instance keep their own configurations`, async () => {
    const { vm, said, run } = scripted(profile, "reqh property plugin_root_id");
    const second = vm.addRoot({ configuration: "reqh local 418 teapot short", rootId: "other" });
    assert.equal((await run()).status, 200);
    assert.equal((await run({ root: second })).status, 418);
    assert.ok(said.includes("reqh property=0 main"));
  });

  test(`${profile}: two VMs with one store see each other's writes by compare-and-set`, async () => {
    const shared = new SharedData();
    const script = [
      "configure sget k",
      "reqh sget k",
      "reqh sset k last one",
      "reqh sset k 77 stale",
      "reqh sget k",
    ].join("\n");
    const a = scripted(profile, script, { shared });
    const b = scripted(profile, script, { shared });
    a.said.length = 0;
    b.said.length = 0;
    await a.run();
    await b.run();
    const kept = (said: string[]) => said.filter((line) => line.startsWith("reqh s"));
    assert.deepEqual(kept(a.said), ["reqh sget=1", "reqh sset=0", "reqh sset=8", "reqh sget=0 one"]);
    assert.deepEqual(kept(b.said), ["reqh sget=0 one", "reqh sset=0", "reqh sset=8", "reqh sget=0 one"]);
  });

  test(`${profile}: metrics are readable by name`, async () => {
    const metrics = new Metrics();
    const script = "reqh metric 0 hits\nreqh increment 3\nreqh measure\nreqh metric 2 bytes\nreqh record 40";
    const { run, said } = scripted(profile, script, { metrics });
    await run();
    await run();
    assert.equal(metrics.value("hits"), 6);
    assert.deepEqual(metrics.find("bytes")?.samples, [40, 40]);
    assert.ok(said.includes("reqh measure=0 6"));
  });

  test(`${profile}: ticks run when the clock reaches them, and the guest reads that time`, async () => {
    const clock = new FakeClock(1000);
    const { vm, said } = scripted(profile, "configure tick 250\ntick time", { clock });
    said.length = 0;
    await advance(clock, [vm], 600);
    assert.deepEqual(said, ["tick time=0 1250000000", "tick time=0 1500000000"]);
    assert.equal(clock.now(), 1_600_000_000n);
  });

  test(`${profile}: a guest that has no room gets an error status and goes on`, async () => {
    const { run, said } = scripted(profile, "reqh starve\nreqh get 0 :path\nreqh pairs 0\nreqh feed");
    assert.equal((await run()).status, 200);
    const status = profile === "envoy" ? 6 : 10;
    assert.ok(said.includes(`reqh get=${status}`) && said.includes(`reqh pairs=${status} none`));
  });

  test(`${profile}: shared queues give items in order, then Empty`, async () => {
    const { run, said } = scripted(
      profile,
      "reqh queue q a b\nreqh queue q c\nreqh dequeue\nreqh dequeue\nreqh dequeue",
    );
    await run();
    assert.deepEqual(
      said.filter((line) => line.startsWith("reqh dequeue")),
      ["reqh dequeue=0 a b", "reqh dequeue=0 c", "reqh dequeue=7"],
    );
  });

  test(`${profile}: properties come from the test, from the request and from the plugin`, async () => {
    const script = [
      "reqh property source/address",
      "reqh property request/url_path",
      "reqh property request/headers/x-a",
      "reqh property metadata/filter_metadata/envoy.filters.http.jwt_authn/sub",
      "reqh property cluster_name",
      "reqh property nothing",
    ].join("\n");
    const { run, said } = scripted(profile, script, {
      properties: new Map([
        ["cluster_name", "llm"],
        ["metadata.filter_metadata.envoy.filters.http.jwt_authn.sub", "me"],
      ]),
    });
    await run({
      path: "/v1?x=1",
      headers: { "X-A": "b" },
      properties: new Map([["source.address", "1.2.3.4:5"]]),
    });
    assert.deepEqual(
      said.filter((line) => line.startsWith("reqh property")),
      [
        "reqh property=0 1.2.3.4:5",
        "reqh property=0 /v1",
        "reqh property=0 b",
        "reqh property=0 me",
        profile === "envoy" ? "reqh property=0 llm" : "reqh property=1",
        "reqh property=1",
      ],
    );
  });
}

test("envoy: cas 0 overwrites; ngx_wasm: it only creates, and null with the right cas deletes", async () => {
  const script = "reqh sset k 0 a\nreqh sset k 0 b\nreqh sget k\nreqh sdel k last\nreqh sget k";
  const said = async (profile: "envoy" | "ngx_wasm") => {
    const { run, said } = scripted(profile, script);
    await run();
    return said.filter((line) => line.startsWith("reqh s"));
  };
  assert.deepEqual((await said("envoy")).slice(0, 3), ["reqh sset=0", "reqh sset=0", "reqh sget=0 b"]);
  assert.deepEqual(await said("ngx_wasm"), [
    "reqh sset=0",
    "reqh sset=8",
    "reqh sget=0 a",
    "reqh sdel=0",
    "reqh sget=1",
  ]);
});

test("numbers among the properties are 8 bytes in Envoy and text in nginx", async () => {
  const envoy = scripted("envoy", "log number response/code");
  await envoy.run();
  assert.ok(envoy.said.includes("log number=0 200"));
  const ngx = scripted("ngx_wasm", "log property response/code");
  await ngx.run();
  assert.ok(ngx.said.includes("log property=0 200"));
});

test("ngx_wasm: header maps are cut at 100 pairs; envoy gives all", async () => {
  const headers: Pairs = Array.from({ length: 120 }, (_, i) => [`x-${i}`, "v"]);
  for (const [profile, count] of [
    ["ngx_wasm", 100],
    ["envoy", 124],
  ] as const) {
    const { run, said } = scripted(profile, "reqh pairs 0");
    await run({ headers });
    assert.ok(said.includes(`reqh pairs=0 ${count}`), said.join());
  }
});

test("envoy: configuration is tried on a canary first; nginx has none", () => {
  const count = (profile: "envoy" | "ngx_wasm") => {
    const metrics = new Metrics();
    scripted(profile, "configure metric 0 configured\nconfigure increment 1", { metrics });
    return metrics.value("configured");
  };
  assert.equal(count("envoy"), 2);
  assert.equal(count("ngx_wasm"), 1);
});

test("envoy: header maps are out of reach once the headers went on, until the log", async () => {
  const { run, said } = scripted(
    "envoy",
    "reqh get 0 :path\nreqb get 0 :path\nlog get 0 :path\nlog get 2 :status",
  );
  await run({ body: "x" });
  assert.deepEqual(
    said.filter((line) => line.includes(" get=")),
    ["reqh get=0 /", "reqb get=2", "log get=0 /", "log get=0 200"],
  );
});

test("envoy: a foreign function is not found, a target that is no cluster is a bad argument", async () => {
  const { run, said } = scripted("envoy", "reqh foreign\nreqh call nowhere 100 x", { targets: ["sidecar"] });
  await run();
  assert.ok(said.includes("reqh foreign=1") && said.includes("reqh call=2"));
});

test("envoy: a trap closes every stream of the VM with 503, and the next one finds a new VM", async () => {
  let calls = 0;
  const callouts: VmOptions["callouts"] = () => {
    calls++;
    return new Promise(() => {});
  };
  const { vm, run } = scripted("envoy", "reqb call side 100 x\nreqb return 1\nresph trap", {
    callouts,
  });
  const waits = run({ body: "x" });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls, 1);
  const trapped = await run();
  assert.deepEqual([trapped.status, trapped.details, trapped.from], [503, "wasm_fail_stream", "host"]);
  assert.equal((await waits).status, 503);
  assert.equal((await waits).upstream?.complete, false);
  const generation = vm.generation;
  assert.equal((await run()).status, 503);
  assert.equal(vm.generation, generation + 1);
});

test("ngx_wasm: a trap is thrown when strict; else 500 in request headers and fail open in the response", async () => {
  await assert.rejects(scripted("ngx_wasm", "reqh trap").run(), GuestTrap);
  const lax = { strict: false };
  assert.equal((await scripted("ngx_wasm", "reqh trap", lax).run()).status, 500);
  const open = await scripted("ngx_wasm", "resph trap", lax).run();
  assert.deepEqual([open.status, open.body.toString()], [200, "fine"]);
});

test("a module without an allocator is refused", () => {
  const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  assert.throws(() => createVm({ wasm: empty, profile: "envoy" }), /proxy_on_memory_allocate nor malloc/);
  assert.ok(createVm({ wasm: guest, profile: "envoy" }));
});
