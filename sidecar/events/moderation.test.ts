/** Moderation after the fact: what it flags is told; a moderator that hangs, fails or is flooded costs nobody anything. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Speaker } from "../gen/weir/v1/events_pb.ts";
import { eventOf, type WeirEvent } from "./event.ts";
import { type Flagged, type ModerationOptions, openModeration } from "./moderation.ts";
import { Pseudonyms } from "./pseudonyms.ts";
import { type Received, soundEvent, startScripted } from "./testing.ts";

const KEY = "moderation-key-of-the-test";
const pseudonyms = new Pseudonyms("a key of the test, long");

const eventWith = (prompt: readonly [Speaker, string][], answerText: string, model = ""): WeirEvent =>
  eventOf(
    soundEvent({
      promptTexts: prompt.map(([speaker, text]) => ({ speaker, text })),
      answerText,
      moderator: { url: "http://moderator.example/", model },
    }),
    "edge-1",
    0,
    pseudonyms,
  );

/** Flags what says "bad". */
const judge = ({ body }: Received): object => ({
  results: (JSON.parse(body).input as string[]).map((text) => ({
    flagged: text.includes("bad"),
    categories: { hate: text.includes("bad"), violence: false },
  })),
});

async function open(script: Parameters<typeof startScripted>[0], more: Partial<ModerationOptions> = {}) {
  const server = await startScripted(script);
  const flagged: Flagged[] = [];
  const counts: Record<string, number> = {};
  const moderation = openModeration({
    url: server.url,
    key: KEY,
    onFlagged: (one) => void flagged.push(one),
    onOutcome: (outcome, count) => {
      counts[outcome] = (counts[outcome] ?? 0) + count;
    },
    onFailure: () => {},
    ...more,
  });
  return { server, moderation, flagged, counts };
}

describe("moderation", () => {
  it("asks about what people, tools and the model said, and tells what is flagged", async () => {
    const { server, moderation, flagged, counts } = await open(
      (received, response) => void response.end(JSON.stringify(judge(received))),
    );
    moderation.take(
      eventWith(
        [
          [Speaker.SYSTEM, "bad rules"],
          [Speaker.USER, "good"],
        ],
        "a bad answer",
      ),
    );
    moderation.take(
      eventWith(
        [
          [Speaker.USER, "bad"],
          [Speaker.UNTRUSTED, "bad"],
        ],
        "",
      ),
    );
    moderation.take(eventWith([[Speaker.USER, "good"]], "good", "own-model"));
    moderation.take(eventWith([], ""));
    await moderation.close(5_000);
    await server.close();
    assert.deepEqual(
      flagged.map(({ parts, categories }) => [parts, categories]),
      [
        [["answer"], ["hate"]],
        [["prompt"], ["hate"]],
      ],
    );
    assert.deepEqual(counts, { flagged: 2, clean: 1 });
    assert.equal(server.received.length, 3, "without text there is nothing to ask");
    const [first] = server.received;
    assert.equal(first?.headers.authorization, `Bearer ${KEY}`);
    assert.deepEqual(JSON.parse(first?.body ?? ""), {
      model: "omni-moderation-latest",
      input: ["good", "a bad answer"],
    });
    assert.equal(JSON.parse(server.received[2]?.body ?? "").model, "own-model", "the policy's model");
  });

  it("gives up on one that hangs, and takes no more than it may hold meanwhile", async () => {
    const { server, moderation, counts } = await open(() => {}, { timeoutMs: 100 });
    for (let i = 0; i < 2_000; i++) moderation.take(eventWith([[Speaker.USER, "good"]], ""));
    // All in one turn: nobody has waited, and the moderator has not even heard of it.
    assert.deepEqual([counts.dropped, server.received.length], [2_000 - 501, 0]);
    while ((counts.failed ?? 0) === 0) await sleep(10);
    await moderation.close(50);
    await server.close();
  });

  it("leaves one alone that fails again and again, and comes back when it does", async () => {
    let works = false;
    const { server, moderation, counts } = await open(
      (received, response) => {
        response.statusCode = works ? 200 : 500;
        response.end(JSON.stringify(judge(received)));
      },
      { breakMs: 200 },
    );
    const take = () => moderation.take(eventWith([[Speaker.USER, "good"]], ""));
    for (let i = 0; i < 20; i++) take();
    while ((counts.failed ?? 0) + (counts.skipped ?? 0) < 20) await sleep(5);
    assert.equal(server.received.length, 5);
    assert.equal(counts.skipped, 15);
    works = true;
    await sleep(250);
    take();
    while ((counts.clean ?? 0) < 1) await sleep(5);
    await moderation.close(1_000);
    await server.close();
  });

  it("comes back in time when the clock is set back meanwhile", async (t) => {
    let works = false;
    const { server, moderation, counts } = await open(
      (received, response) => {
        response.statusCode = works ? 200 : 500;
        response.end(JSON.stringify(judge(received)));
      },
      { breakMs: 100 },
    );
    const take = () => moderation.take(eventWith([[Speaker.USER, "good"]], ""));
    for (let i = 0; i < 6; i++) take();
    while ((counts.skipped ?? 0) < 1) await sleep(5);
    works = true;
    const now = Date.now;
    t.mock.method(Date, "now", () => now() - 3_600_000);
    await sleep(150);
    take();
    while ((counts.clean ?? 0) + (counts.skipped ?? 0) < 2) await sleep(5);
    await moderation.close(1_000);
    await server.close();
    assert.deepEqual(counts, { failed: 5, skipped: 1, clean: 1 });
  });

  it("tells what is flagged also where the categories are of no form that is known", async () => {
    const { server, moderation, flagged, counts } = await open((_, response) => {
      const odd = [null, undefined, "hate", ["hate"], 7][server.received.length - 1];
      response.end(JSON.stringify({ results: [{ flagged: true, categories: odd }] }));
    });
    for (let i = 0; i < 5; i++) moderation.take(eventWith([[Speaker.USER, "bad"]], ""));
    await moderation.close(5_000);
    await server.close();
    assert.deepEqual(
      flagged.map(({ categories }) => categories),
      [[], [], [], [], []],
    );
    assert.deepEqual(counts, { flagged: 5 });
  });

  for (const [what, answer] of [
    ["is not JSON", "<html>"],
    ["has too few results", JSON.stringify({ results: [] })],
    ["is endless", "x".repeat(2 << 20)],
    ["is null", "null"],
    ["has null for a result", '{"results":[null]}'],
    ["says neither yes nor no", '{"results":[{"flagged":"yes"}]}'],
  ] as const)
    it(`counts an answer that ${what} as a failure`, async () => {
      const { server, moderation, counts } = await open((_, response) => void response.end(answer));
      moderation.take(eventWith([[Speaker.USER, "good"]], ""));
      await moderation.close(5_000);
      await server.close();
      assert.deepEqual(counts, { failed: 1 });
    });
});
