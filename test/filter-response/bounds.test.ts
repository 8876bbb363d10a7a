// What is bounded of answers that are redacted: channels of events, of which no caller may have so many that others have none,
// and the room for an answer that is held whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";
import { chunk, contentOf, finish, sse, upstreamOf } from "./support.ts";

const policy = {
  tiers: { redacts: { response: { redact: ["email"] } } },
  keys: [keyEntry("k1", "redacts"), keyEntry("k2", "redacts")],
};
const blocks = {
  tiers: { blocks: { prompt: { max_bytes: "16Ki" }, response: { redact: { credit_card: "block" } } } },
  keys: [keyEntry("k1", "blocks")],
};
const EVENTS_TYPE = { "content-type": "text/event-stream" };
const LINES = [chunk("Dear ada@exam"), chunk("ple.com"), finish, "[DONE]"];

/** The beginning of each of `count` choices. */
const choices = (count: number, content: string) =>
  Array.from({ length: count }, (_, index) => ({ choices: [{ index, delta: { content } }] }));

test("of a text that finds no channel nothing passes, not even its first piece", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy });
  const events = [...choices(16, "Hello"), { choices: [{ index: 16, delta: { content: "to ada@exam" } }] }];
  const upstream = upstreamOf(sse([...events, { choices: [{ index: 16, delta: { content: "ple.com" } }] }]));
  const { text } = await edge.send({ key: "k1", body: chat("Hi", { stream: true, n: 17 }), upstream });
  assert.match(text, /answer_unreadable/);
  assert.doesNotMatch(text, /ada@/);
});

test("many calls of tools one after the other, each a channel of its own, pass in one piece", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy });
  const block = (index: number) => [
    {
      type: "content_block_start",
      index,
      content_block: { type: "tool_use", id: "t", name: "f", input: {} },
    },
    {
      type: "content_block_delta",
      index,
      delta: { type: "input_json_delta", partial_json: '{"a":"ada@exam' },
    },
    { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json: 'ple.com"}' } },
    { type: "content_block_stop", index },
  ];
  const upstream = upstreamOf(sse(Array.from({ length: 40 }, (_, i) => block(i)).flat()));
  const { text } = await edge.send({ key: "k1", body: chat("Hi", { stream: true }), upstream });
  assert.equal(text.match(/\[EMAIL_1\]/g)?.length, 40, text.slice(-300));
  assert.doesNotMatch(text, /answer_unreadable|ada@/);
});

test("one caller's answers of many choices take two thirds of all channels, and leave the rest to others", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy });
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  let begun = 0;
  const upstream = () => ({
    status: 200,
    headers: EVENTS_TYPE,
    body: (async function* () {
      yield sse(choices(16, "Hello there, "));
      begun++;
      await ended;
      yield sse(["[DONE]"]);
    })(),
  });
  const body = chat("Hi", { stream: true, n: 16 });
  const open = Array.from({ length: 70 }, () => edge.send({ key: "k1", body, upstream }));
  while (begun < open.length) await new Promise((resolve) => setImmediate(resolve));
  const ask = (key: string) =>
    edge.send({ key, body: chat("Hi", { stream: true }), upstream: upstreamOf(sse(LINES)) });
  for (let i = 0; i < 3; i++) assert.equal(contentOf((await ask("k2")).text), "Dear [EMAIL_1]");
  end();
  const texts = (await Promise.all(open)).map(({ text }) => text);
  // Two thirds of 1,024 channels, of which each takes 16.
  assert.equal(texts.filter((text) => !text.includes("answer_unreadable")).length, 43);
  assert.equal(contentOf((await ask("k1")).text), "Dear [EMAIL_1]");
});

test("a JSON answer of nearly 2 MiB is held whole where something is blocked, however small prompts have to be", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: blocks });
  const answer = (text: string) =>
    Buffer.from(JSON.stringify({ choices: [{ message: { content: `${"word ".repeat(380_000)}${text}` } }] }));
  const send = (body: Buffer) =>
    edge.send({
      key: "k1",
      body: chat("Hi"),
      upstream: upstreamOf(body, 1_000_000, { "content-type": "application/json" }),
    });
  assert.equal((await send(answer("."))).text, answer(".").toString());
  assert.match((await send(answer("4111-1111-1111-1111"))).text, /answer_blocked/);
});

/** A token of `length` characters. */
const token = (length: number) =>
  `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx${"Xk9aB3dQz7".repeat(780).slice(0, length - 77)}.${"Xk9aB3dQz7".repeat(5).slice(0, 43)}`;
const restores = { tiers: { k: { prompt: { redact: { jwt: "reversible" } } } }, keys: [keyEntry("k", "k")] };

for (const profile of ["envoy", "ngx_wasm"] as const) {
  test(`a stream whose originals fill all there is room for ends with an error, and not without a word (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy: restores });
    const [events, each, length] = [40, 7, 7468];
    const text = "[JWT_1]".repeat(each);
    const around = sse([chunk("")]).length;
    // Less is left of 2 MiB than the error takes.
    for (const left of [0, 1, 100]) {
      const first = "x".repeat((2 << 20) - left - events * (around + each * length));
      const stream = [chunk(first + text), ...Array.from({ length: events - 1 }, () => chunk(text))];
      const answer = await edge.send({
        key: "k",
        body: chat(`See ${token(length)} there`, { stream: true }),
        upstream: upstreamOf(sse([...stream, chunk("more"), finish, "[DONE]"])),
      });
      const passed = contentOf(answer.text);
      assert.equal(passed, first + token(length).repeat(events * each));
      assert.match(answer.text, /\n\nevent: error\ndata: \{.*"answer_unreadable".*\}\n\n$/);
    }
  });

  test(`an event whose originals do not fit when held text comes out is left out whole, and an error ends the stream (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy: restores });
    // The held text comes out in an event like its own, with all that stands beside it.
    const beside = { ...chunk("[JWT_1"), note: "[JWT_1]".repeat(140) };
    const empty = Array.from({ length: 150 }, () => chunk(""));
    const answer = await edge.send({
      key: "k",
      body: chat(`See ${token(7877)} there`, { stream: true }),
      upstream: upstreamOf(sse([beside, ...empty, finish, "[DONE]"])),
    });
    assert.equal(contentOf(answer.text.split("event: error")[0] as string), "");
    assert.match(answer.text, /\n\nevent: error\ndata: \{.*"answer_unreadable".*\}\n\n$/);
  });
}
