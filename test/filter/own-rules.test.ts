// A policy's own rules, where several policies share one VM and where the sidecar's answer is not what it should be. What a
// caller sees of them is in scenarios/rules.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import type { CalloutReply } from "../../host/callouts.ts";
import { FakeClock } from "../../host/clock.ts";
import { exchange } from "../../host/exchange.ts";
import type { ProfileName } from "../../host/profiles.ts";
import type { RootContext } from "../../host/root.ts";
import { advance, createVm, type Vm } from "../../host/vm.ts";
import { controlCallouts } from "../../sidecar/control/callouts.ts";
import { CompileRulesRequestSchema } from "../../sidecar/gen/weir/v1/control_pb.ts";
import { chat, keyEntry, llm, policyFor, requestOf } from "../support/filter.ts";
import { filterModule } from "../support/filter-build.ts";

const TITAN = { id: "acme.titan", phrase: "Project Titan" };
const policyOf = (rules?: object[]) => ({
  tiers: { pro: {} },
  keys: [keyEntry("k1", "pro")],
  ...(rules && { rules }),
});
const nowhere = async (): Promise<CalloutReply> => ({ failure: "broken connection" });

class Host {
  readonly clock = new FakeClock();
  readonly log: string[] = [];
  readonly bodies: Uint8Array[] = [];
  /** What the sidecar answers. */
  answer = controlCallouts(nowhere);
  vm!: Vm;

  static async open(profile: ProfileName): Promise<Host> {
    const host = new Host();
    host.vm = createVm({
      wasm: await filterModule(),
      profile,
      clock: host.clock,
      log: (_level, message) => host.log.push(message),
      callouts: (target, headers, body, timeoutMs) => {
        host.bodies.push(body);
        return host.answer(target, headers, body, timeoutMs);
      },
    });
    return host;
  }

  add(rules?: object[]): RootContext {
    const { name } = this.vm.profile;
    const root = this.vm.addRoot({ configuration: JSON.stringify(policyFor(name, policyOf(rules))) });
    assert.equal(root.ok, true, this.log.join("\n"));
    return root;
  }

  wait(ms: number): Promise<void> {
    return advance(this.clock, [this.vm], ms);
  }

  /** The code of the answer to a chat with these words. */
  async ask(root: RootContext, content: string): Promise<string | undefined> {
    const request = { ...requestOf({ key: "k1", body: chat(content) }), root };
    const answer = await exchange(this.vm, request, llm);
    return answer.header("x-weir-verdict");
  }
}

const framed = (message: Uint8Array, status = "0") => {
  const frame = (flags: number, bytes: Uint8Array) => {
    const head = Buffer.alloc(5);
    head[0] = flags;
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };
  return Buffer.concat([frame(0, message), frame(0x80, Buffer.from(`grpc-status: ${status}\r\n`))]);
};

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    test("policies in one VM have rules of their own, and none answers from what another remembers", async () => {
      const host = await Host.open(profile);
      const first = host.add([TITAN]);
      const second = host.add([{ id: "acme.atlas", phrase: "Project Atlas" }]);
      const shadow = host.add([{ ...TITAN, action: "shadow" }]);
      const without = host.add();
      await host.wait(500);
      const titan = "What is Project Titan about?";
      const atlas = "What is Project Atlas about?";
      for (let turn = 0; turn < 3; turn++) {
        for (const [root, text, verdict] of [
          [first, titan, "injection_detected"],
          [second, titan, "ok"],
          [shadow, titan, "ok;shadow=injection_detected"],
          [without, titan, "ok"],
          [without, atlas, "ok"],
          [first, atlas, "ok"],
          [second, atlas, "injection_detected"],
        ] as const)
          assert.equal(await host.ask(root, text), verdict, `${turn}: ${text}`);
      }
    });

    test("the message is the one that the protocol describes", async () => {
      const host = await Host.open(profile);
      const pattern = "a ~{0,2} b(c|é)";
      host.add([TITAN, { id: "b.1", pattern, action: "shadow" }, { id: "c", phrase: "“quo\\ted” \u0001 é" }]);
      await host.wait(500);
      assert.equal(host.bodies.length, 1);
      const body = host.bodies[0] as Uint8Array;
      assert.equal(Buffer.from(body).readUInt32BE(1), body.length - 5);
      const { rules } = fromBinary(CompileRulesRequestSchema, body.subarray(5));
      assert.deepEqual(
        rules.map(({ id, phrase, pattern, shadow }) => ({ id, phrase, pattern, shadow })),
        [
          { id: "acme.titan", phrase: "Project Titan", pattern: "", shadow: false },
          { id: "b.1", phrase: "", pattern, shadow: true },
          { id: "c", phrase: "“quo\\ted” \u0001 é", pattern: "", shadow: false },
        ],
      );
    });

    test("a new configuration with the same rules has them at once", async () => {
      const host = await Host.open(profile);
      host.add([TITAN]);
      await host.wait(500);
      host.answer = nowhere;
      const next = host.add([TITAN]);
      assert.equal(await host.ask(next, "Project Titan"), "injection_detected");
      const other = host.add([{ ...TITAN, id: "other" }]);
      assert.equal(await host.ask(other, "Project Titan"), "rules_unavailable");
    });

    test("what does not compile is in the log, and is asked for again with growing waits", async () => {
      const host = await Host.open(profile);
      const root = host.add([{ id: "acme.broken", pattern: "salary (table" }]);
      await host.wait(120_000);
      assert.equal(await host.ask(root, "Hello"), "rules_unavailable");
      const said = host.log.filter((line) => line.includes("/rules/0/pattern"));
      assert.match(said[0] ?? "", /^weir: rules: .*"salary \(table".*a parenthesis is not closed$/);
      assert.ok(host.bodies.length >= 8 && host.bodies.length <= 12, `${host.bodies.length} questions`);
      assert.ok(host.log.some((line) => line.includes("asking again in 60000 ms")));
    });

    test("an answer that is no table keeps the filter closed, and a good one opens it", async () => {
      const host = await Host.open(profile);
      const good = controlCallouts(nowhere);
      const root = host.add([TITAN]);
      const table = async () => {
        const body = host.bodies.at(-1) as Uint8Array;
        const reply = await good("", [[":path", "/weir.v1.Control/CompileRules"]], body, 1000);
        return Buffer.from((reply as { body: Uint8Array }).body);
      };
      const bad: (() => Promise<Uint8Array>)[] = [
        async () => Buffer.alloc(0),
        async () => framed(Buffer.alloc(0)),
        async () => framed(Buffer.from([0x0a, 0x05, 1, 2])),
        async () => framed(Buffer.from([0x0a, 0x03, 1, 2, 3])),
        async () =>
          framed(Buffer.concat([Buffer.from([0x0a, 0x81, 0x80, 0x20]), Buffer.alloc((512 << 10) + 1)])),
        async () => framed((await table()).subarray(5, -21), "13"),
        async () => (await table()).subarray(0, 9_000),
        async () => {
          // Another version of the table.
          const all = await table();
          all[5 + 4 + 4] = 99;
          return all;
        },
      ];
      for (const answer of bad) {
        host.answer = async () => ({ headers: [[":status", "200"]], body: await answer() });
        const asked = host.bodies.length;
        await host.wait(61_000);
        assert.ok(host.bodies.length > asked);
        assert.equal(await host.ask(root, "Hello"), "rules_unavailable");
      }
      host.answer = good;
      await host.wait(61_000);
      assert.equal(await host.ask(root, "Hello"), "ok");
      assert.equal(await host.ask(root, "Project Titan"), "injection_detected");
      const asked = host.bodies.length;
      await host.wait(120_000);
      assert.equal(host.bodies.length, asked, "nothing is asked for any more");
    });
  });
}
