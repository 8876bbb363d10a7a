// Every recorded answer through the whole filter, in both host profiles: the ledger is charged what the answer says, and
// the client gets it as it was but for the extra usage event, or redacted, which changes nothing in it.
//
// Cut at a few places, or with WEIR_SPLITS=all at every byte, which takes minutes.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { ProfileName } from "../../host/profiles.ts";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";
import { chunk, finish, sse, upstreamOf } from "./support.ts";

interface Case {
  kind: "json" | "events" | "lines";
  body: string[];
  expect: {
    prompt?: number;
    completion?: number;
    seen?: boolean;
    finished?: boolean;
    failed?: boolean;
    mislabelled?: boolean;
    estimate?: number;
    hidden?: number;
  };
}

const dir = new URL("../assembly/usage/fixtures/", import.meta.url);
const cases = readdirSync(dir).map(
  (file) =>
    [file.replace(".json", ""), JSON.parse(readFileSync(new URL(file, dir), "utf8")) as Case] as const,
);
const EVERY = process.env.WEIR_SPLITS === "all";
const types = {
  json: "application/json",
  events: "text/event-stream; charset=utf-8",
  lines: "application/x-ndjson",
};
const HIDDEN = /"choices":\[\][^\n\r]*"usage":\{|"usage":\{[^\n\r]*"choices":\[\]/;

const policy = {
  tiers: {
    delivered: { budgets: [{ name: "out", meter: "completion_tokens", limit: "100M", window: "day" }] },
    redacts: {
      budgets: [{ name: "out", meter: "completion_tokens", limit: "100M", window: "day" }],
      response: { redact: ["us_ssn"] },
    },
    sums: { budgets: [{ name: "all", meter: "tokens", limit: "100M", window: "day" }] },
    prompts: { budgets: [{ name: "in", meter: "prompt_tokens", limit: "100M", window: "day" }] },
    told: {
      budgets: [{ name: "out", meter: "completion_tokens", limit: "100M", window: "day" }],
      response: { usage: "told" },
    },
  },
  keys: [
    keyEntry("told", "told", { subject: "told/search/told" }),
    keyEntry("sums", "sums", { subject: "sums/search/sums" }),
    keyEntry("prompts", "prompts", { subject: "prompts/search/prompts" }),
    keyEntry("delivered", "delivered"),
    keyEntry("redacts", "redacts", { subject: "other/search/redacts" }),
  ],
};

for (const profile of ["envoy", "ngx_wasm"] as const satisfies ProfileName[]) {
  describe(`usage of recorded answers (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy });
    const spent = async (organisation: string) => {
      await edge.wait(2_000);
      return (await edge.budget(organisation)).spent;
    };

    it("asks no stream for its usage where the policy says that it is told unasked, and charges what is told", async () => {
      const mistral = cases.find(([name]) => name === "mistral-stream")?.[1] as Case;
      const bytes = Buffer.from(mistral.body.join("\n"));
      const request = chat("hello", { stream: true, max_tokens: 9 });
      const { text, upstream } = await edge.send({ key: "told", body: request, upstream: upstreamOf(bytes) });
      assert.deepEqual(JSON.parse(upstream?.text ?? ""), request);
      assert.equal(text, bytes.toString());
      assert.equal(await spent("told"), mistral.expect.completion);
    });

    it("charges an answer that tells only the sum of its tokens that sum, not the prompt once more", async () => {
      const usage = { total_tokens: 10 };
      const body = Buffer.from(JSON.stringify({ data: [{ embedding: [0.1] }], usage }));
      const upstream = upstreamOf(body, 0, { "content-type": "application/json" });
      const request = { model: "voyage-3", input: "hello" };
      await edge.send({ key: "sums", path: "/v1/embeddings", body: request, upstream });
      assert.equal(await spent("sums"), 10);
    });

    it("regression: of a sum of tokens that is told alone, what was beyond our count of an embedding's prompt was charged as completion", async () => {
      const body = Buffer.from(JSON.stringify({ data: [{ embedding: [0.1] }], usage: { total_tokens: 40 } }));
      const upstream = upstreamOf(body, 0, { "content-type": "application/json" });
      const request = { model: "voyage-3", input: "hello" };
      await edge.send({ key: "prompts", path: "/v1/embeddings", body: request, upstream });
      assert.equal(await spent("prompts"), 40);
    });

    it("counts a prompt that is not told as no more than the sum of all tokens leaves", async () => {
      const body = (usage: object) =>
        Buffer.from(JSON.stringify({ choices: [{ index: 0, message: { content: "Water" } }], usage }));
      for (const [total, charged] of [
        [5, 3],
        [3, 3],
        [0, 3],
      ] as const) {
        const before = await spent("acme");
        const usage = { completion_tokens: 3, ...(total && { total_tokens: total }) };
        const upstream = upstreamOf(body(usage), 0, { "content-type": "application/json" });
        await edge.send({ key: "delivered", body: chat("one two three ".repeat(9)), upstream });
        assert.equal((await spent("acme")) - before, charged, `of ${total}`);
      }
    });

    it("takes zeros for no usage where there is a text, and charges what was reserved", async () => {
      const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
      const message = { role: "assistant", content: "Water finds its level." };
      const choices = [{ index: 0, message, finish_reason: "stop" }];
      const whole = Buffer.from(JSON.stringify({ choices, usage }));
      const streamed = sse([chunk("Water"), finish, { choices: [], usage }, "[DONE]"]);
      for (const [body, type] of [
        [whole, "application/json"],
        [streamed, "text/event-stream"],
      ] as const) {
        const before = await spent("acme");
        const upstream = upstreamOf(body, 0, { "content-type": type });
        await edge.send({ key: "delivered", body: chat("hello", { max_tokens: 9 }), upstream });
        assert.equal((await spent("acme")) - before, 9, type);
      }
    });

    it("charges what was reserved for an answer that is withheld because its type says that it cannot be read", async () => {
      const before = await spent("other");
      const headers = { "content-type": "application/json; charset=utf-16" };
      const upstream = upstreamOf(Buffer.from("{}", "utf16le"), 0, headers);
      const { text } = await edge.send({ key: "redacts", body: chat("hello"), upstream });
      assert.match(text, /answer_unreadable/);
      assert.equal((await spent("other")) - before, 4096);
    });

    for (const [name, { kind, body, expect }] of cases) {
      it(`${name} is charged and passed on wherever it is cut`, async () => {
        const bytes = Buffer.from(body.join("\n"));
        const type = types[kind];
        const text = bytes.toString();
        const events = text.split(/(?<=\n\n)/);
        const kept = kind === "events" ? events.filter((event) => !HIDDEN.test(event)).join("") : text;
        const step = EVERY ? 1 : Math.max(1, Math.floor(bytes.length / 7));
        for (const key of ["delivered", "redacts"] as const) {
          const organisation = key === "delivered" ? "acme" : "other";
          const before = await spent(organisation);
          let count = 0;
          let whole = "";
          for (let cut = 0; cut < bytes.length; cut += step) {
            const upstream = upstreamOf(bytes, cut, { "content-type": type });
            const answer = await edge.send({
              key,
              body: chat("hello", { stream: kind !== "json" }),
              upstream,
            });
            assert.equal(answer.status, 200);
            whole ||= answer.text;
            assert.equal(answer.text, key === "delivered" ? kept : whole, `cut at ${cut}`);
            count++;
          }
          const completion = expect.completion ?? 0;
          const charged = ((await spent(organisation)) - before) / count;
          // What broke off or failed is charged what was delivered; what is complete but does not say, or cannot be read, the reservation.
          const said = expect.finished !== false && expect.seen !== false;
          const broke = (expect.finished === false || expect.failed) && !expect.mislabelled;
          const due = said ? completion : broke ? expect.estimate : 4096;
          if (due !== undefined) assert.equal(charged, due, key);
        }
      });
    }
  });
}
