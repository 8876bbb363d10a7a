// W3C trace context through the filter: read strictly, carried to the upstream and to the ledger, under both profiles.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Pairs } from "../../host/abi.ts";
import { type Call, chat } from "../support/filter.ts";
import { edgeWithEvents, keyEntry, PROFILES } from "./support.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const GIVEN = `00-${TRACE}-${PARENT}-01`;
const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const policy = {
  tiers: { pro: { budgets: [{ meter: "tokens", limit: 1_000_000, window: "month" }] }, open: {} },
  keys: [keyEntry("key-pro", "pro"), keyEntry("key-open", "open")],
};

/** What the specification does not allow, or a version that is none. */
const BAD: [string, string[]][] = [
  ["is cut", [GIVEN.slice(0, -1)]],
  ["goes on", [`${GIVEN}-00`]],
  ["has capitals", [GIVEN.toUpperCase()]],
  ["is of version ff", [`ff${GIVEN.slice(2)}`]],
  ["has no trace", [`00-${"0".repeat(32)}-${PARENT}-01`]],
  ["has no parent", [`00-${TRACE}-${"0".repeat(16)}-01`]],
  ["has other separators", [GIVEN.replaceAll("-", "_")]],
  ["has other characters", [GIVEN.replace("0af7", "0ag7")]],
  ["came twice", [GIVEN, GIVEN]],
  ["is of a later version that goes on without a dash", [`01${GIVEN.slice(2)}x`]],
];

for (const profile of PROFILES) {
  describe(profile, () => {
    const asked = async (headers: Pairs, more: Partial<Call> = {}) => {
      const { edge, receiver, take } = await edgeWithEvents(profile, policy);
      const answer = await edge.send({ key: "key-pro", body: chat("Hello"), headers, ...more });
      const [event] = await take();
      const sent = answer.upstream?.header("traceparent") ?? "";
      const [, trace, span, flags] = FORM.exec(sent) ?? [];
      return { edge, receiver, answer, event: event!, sent, trace, span, flags };
    };

    test("a caller's trace goes on, and the upstream's parent is the filter's span", async () => {
      const { event, trace, span, flags, answer } = await asked([
        ["traceparent", GIVEN],
        ["tracestate", "vendor=1"],
      ]);
      assert.deepEqual([trace, flags], [TRACE, "01"]);
      assert.notEqual(span, PARENT);
      assert.deepEqual(
        [hex(event.traceId), hex(event.spanId), hex(event.parentSpanId)],
        [TRACE, span, PARENT],
      );
      assert.equal(event.traceFlags, 1);
      assert.equal(answer.upstream?.header("tracestate"), "vendor=1");
    });

    test("the sampling flag is the caller's", async () => {
      const { event, flags } = await asked([["traceparent", GIVEN.replace(/01$/, "00")]]);
      assert.deepEqual([flags, event.traceFlags], ["00", 0]);
    });

    test("flags and versions of the future are read as far as they are known", async () => {
      const { trace, flags } = await asked([["traceparent", `cc-${TRACE}-${PARENT}-ff-what-comes`]]);
      assert.deepEqual([trace, flags], [TRACE, "01"]);
    });

    test("without a caller's trace one begins, another for each request", async () => {
      const { edge, event, trace, span, flags } = await asked([["tracestate", "vendor=1"]]);
      assert.deepEqual([hex(event.traceId), hex(event.spanId), event.parentSpanId.length], [trace, span, 0]);
      assert.equal(flags, "01");
      const second = await edge.send({ key: "key-pro", body: chat("Hello") });
      const [, other] = FORM.exec(second.upstream?.header("traceparent") ?? "") ?? [];
      assert.notEqual(other, trace);
    });

    for (const [what, values] of BAD) {
      test(`a traceparent that ${what} begins a trace without it, and without its state`, async () => {
        const { event, trace, answer } = await asked([
          ...values.map((value): [string, string] => ["traceparent", value]),
          ["tracestate", "vendor=1"],
        ]);
        assert.ok(trace !== undefined && trace !== TRACE);
        assert.equal(event.parentSpanId.length, 0);
        assert.equal(answer.upstream?.header("tracestate"), undefined);
      });
    }

    test("the ledger is asked in the request's trace, and told in that of the newest one that was settled", async () => {
      const { receiver, sent } = await asked([["traceparent", GIVEN]]);
      assert.equal(receiver.callout("/weir.v1.Ledger/Acquire")("traceparent"), sent);
      assert.equal(receiver.callout("/weir.v1.Ledger/Settle")("traceparent"), sent);
      assert.equal(receiver.callout("/weir.v1.Events/Report")("traceparent"), undefined);
    });
  });
}
