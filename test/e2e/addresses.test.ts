/**
 * Whose address the filter takes in real Envoy: by trusted hops, for proxies on another machine and on Envoy's own, for
 * which Envoy appends an address of the machine to x-forwarded-for. And what the doctor says of an Envoy that appends nothing.
 */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { after, before, describe, it } from "node:test";
import { lineOf } from "../../sidecar/cli/doctor.ts";
import { examineEnvoy, type World, world } from "../support/e2e.ts";

/** What a client wrote itself, the client as the outermost of two proxies saw it, and that proxy. */
const FORGED = "198.51.100.1";
const CLIENT = "203.0.113.9";
const OUTER = "10.0.0.8";
/** Not loopback to Envoy, so as good as another machine. */
const ELSEWHERE = "127.0.0.7";
const SAME_MACHINE = "127.0.0.1";

const anonymous = (hops: number) => ({
  tiers: { anonymous: {} },
  identity: { trusted_hops: hops },
});

/** The subject that the upstream is told. */
async function subjectOf(w: World, from: string, forwardedFor?: string): Promise<string> {
  const headers = forwardedFor === undefined ? {} : { "x-forwarded-for": forwardedFor };
  const answer = await w.chat(undefined, "hello", { from, headers });
  assert.equal(answer.status, 200, answer.text);
  return String(w.llm.seen.at(-1)?.headers["x-weir-subject"]).replace("anonymous/", "");
}

for (const [hops, forwarded] of [
  [0, CLIENT],
  [1, `${FORGED}, ${CLIENT}`],
  [2, `${FORGED}, ${CLIENT}, ${OUTER}`],
] as const)
  describe(`with ${hops} trusted hops`, () => {
    let w: World;
    before(async () => {
      w = await world({ policy: anonymous(hops), sidecar: false, workers: 1 });
    });
    after(() => w?.close());

    for (const [where, from] of [
      ["elsewhere", ELSEWHERE],
      ["on Envoy's machine", SAME_MACHINE],
    ] as const) {
      it(`the client of a proxy ${where} is ${hops === 0 ? "that proxy" : "who its proxies say"}`, async () => {
        assert.equal(await subjectOf(w, from, forwarded), hops === 0 ? from : CLIENT);
      });

      it(`a caller ${where} without x-forwarded-for is itself`, async () => {
        assert.equal(await subjectOf(w, from), from);
      });
    }

    it("Envoy appends the address that this rests on", async () => {
      await subjectOf(w, ELSEWHERE, forwarded);
      assert.equal(w.llm.seen.at(-1)?.headers["x-forwarded-for"], `${forwarded},${ELSEWHERE}`);
      await subjectOf(w, SAME_MACHINE, forwarded);
      const appended = String(w.llm.seen.at(-1)?.headers["x-forwarded-for"]).slice(forwarded.length + 1);
      const machine = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address));
      assert.ok(machine.includes(appended), `${appended} is one of the machine's`);
    });
  });

describe("an Envoy that does not append what the policy counts on", () => {
  for (const [what, setting, policy, expected] of [
    [
      "takes the address from the header itself",
      "use_remote_address: false",
      anonymous(1),
      /FAIL.*callers can choose their address/,
    ],
    [
      "appends nothing",
      "use_remote_address: true\n                skip_xff_append: true",
      anonymous(1),
      /FAIL.*callers can choose their address/,
    ],
    [
      "counts proxies as well",
      "use_remote_address: true\n                xff_num_trusted_hops: 1",
      anonymous(1),
      /warn.*counts proxies too/,
    ],
    [
      "takes it from the header, and no hop is trusted",
      "use_remote_address: false",
      anonymous(0),
      /warn.*without a proxy in front, callers can choose it/,
    ],
  ] as const)
    it(`is found by the doctor when it ${what}`, async () => {
      const edit = (text: string) => text.replace("use_remote_address: true", setting);
      const w = await world({ policy, edit, sidecar: false, workers: 1 });
      try {
        const findings = await examineEnvoy(`http://127.0.0.1:${w.envoys[0]?.adminPort}`);
        const found = findings.find(({ check }) => check === "envoy.client_address");
        assert.match(found ? lineOf(found) : "", expected);
      } finally {
        await w.close();
      }
    });
});
