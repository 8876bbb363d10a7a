// Events that are too long to be held pass in parts, and the last one of a stream may lack its end: what is split over them and others is
// found all the same, and what is held back comes out in its own place or not at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";
import { chunk, contentOf, finish, sse, upstreamOf } from "./support.ts";

const policy = { tiers: { redacts: { response: { redact: ["email"] } } }, keys: [keyEntry("k", "redacts")] };
const edge = await LocalEdge.open({ profile: "envoy", policy });

async function send(body: Buffer, cut = 0): Promise<string> {
  const request = chat("Hi", { stream: true, n: 2 });
  return (await edge.send({ key: "k", body: request, upstream: upstreamOf(body, cut) })).text;
}

const LONG = "word ".repeat(4_000);
const results = Array.from({ length: 400 }, (_, i) => ({ url: `https://example.com/${i}`, title: "A page" }));

test("an address that begins in a long event, behind much else, is found where the next one ends it", async () => {
  for (const pad of [
    { note: LONG },
    { results },
    { note: { more: [LONG] } },
    { usage: null, a: results, b: LONG },
  ]) {
    for (const long of [
      { ...pad, ...chunk("Dear ada@exam") },
      { ...chunk("Dear ada@exam"), ...pad },
    ]) {
      const events = [long, chunk("ple.com, hello"), finish, "[DONE]"];
      for (const cut of [0, 13_000])
        assert.equal(contentOf(await send(sse(events), cut)), "Dear [EMAIL_1], hello");
      assert.equal(
        contentOf(await send(sse([chunk("Dear"), chunk(" "), ...events]))),
        "Dear Dear [EMAIL_1], hello",
      );
    }
  }
});

test("what a long event holds back comes out in one like it, with the index that came after its text", async () => {
  const event = (index: number, content: string, pad: object) => ({
    choices: [{ delta: { content }, index }],
    ...pad,
  });
  const text = await send(
    sse([event(1, "to ada@exam", { results }), event(0, "x@y", {}), event(1, "ple", {})]),
  );
  const said = ["", ""];
  for (const [, data] of text.matchAll(/^data: (.*)$/gm))
    for (const { index, delta } of JSON.parse(data as string).choices) said[index] += delta.content;
  assert.deepEqual(said, ["x@y", "to ada@example"]);
});

test("a long event that tells too late whose text it has brought is withheld: it would pass in another's place", async () => {
  const late = `data: {"choices":[{"delta":{"content":"ple.com","note":"${LONG}"},"index":1}]}\n\n`;
  const first = { choices: [{ index: 1, delta: { content: "ada@exam" } }] };
  const text = await send(Buffer.concat([sse([first]), Buffer.from(late)]));
  assert.match(text, /answer_unreadable/);
  assert.doesNotMatch(text, /ada@/);
  const thought = `data: {"candidates":[{"content":{"parts":[{"text":"Hm","note":"${LONG}","thought":true}]}}]}\n\n`;
  assert.match(await send(Buffer.from(thought)), /answer_unreadable/);
});

test("a delta of the Responses API is of its kind where the event's type comes last, also in a long event", async () => {
  const event = (delta: string, note: string) => ({
    delta,
    output_index: 0,
    type: "response.output_text.delta",
    note,
  });
  const events = [event("Dear ada@ex", ""), event("ample", LONG), event(".com", "")];
  const text = await send(sse([...events, { type: "response.completed", response: {} }]));
  const said = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data as string).delta ?? "");
  assert.equal(said.join(""), "Dear [EMAIL_1]");
});

test("a stream whose last event lacks its empty line gets it before what was held back", async () => {
  for (const end of ["", "\n", "\r"]) {
    const body = Buffer.from(`data: ${JSON.stringify(chunk("Dear ada@example.com"))}${end}`);
    for (let cut = 0; cut < body.length; cut += 7)
      assert.equal(contentOf((await send(body, cut)).replaceAll("\r", "\n")), "Dear [EMAIL_1]");
  }
});

test("what the first event holds back does not bring the stream's byte order mark once more", async () => {
  for (const pad of [{}, { note: LONG }]) {
    const body = Buffer.concat([
      Buffer.from("\ufeff"),
      sse([{ ...chunk("Dear ada@example.com"), ...pad }, finish, "[DONE]"]),
    ]);
    const text = await send(body);
    assert.equal(contentOf(text.slice(1)), "Dear [EMAIL_1]");
    assert.equal(text.lastIndexOf("\ufeff"), 0);
  }
});

test("what a line of JSON holds back comes out in a whole line, wherever CR and LF were cut apart", async () => {
  const line = (content: string, done: boolean) => `${JSON.stringify({ message: { content }, done })}\r\n`;
  const body = Buffer.from(line("Dear ada@example.com", false) + line("", true));
  for (let cut = 0; cut < body.length; cut++) {
    const upstream = upstreamOf(body, cut, { "content-type": "application/x-ndjson" });
    const { text } = await edge.send({ key: "k", body: chat("Hi", { stream: true }), upstream });
    const lines = text.split("\n").filter((one) => one.trim() !== "");
    assert.equal(
      lines.map((one) => JSON.parse(one).message.content).join(""),
      "Dear [EMAIL_1]",
      `cut at ${cut}`,
    );
  }
});

test("an event of any number of comments and other fields brings its text out in one like it, or is withheld", async () => {
  const ends = sse([chunk("ple.com, hello"), finish, "[DONE]"]);
  const data = `data: ${JSON.stringify(chunk("Dear ada@exam"))}\n\n`;
  const six = sse(
    Array.from({ length: 6 }, (_, index) => ({ choices: [{ index, delta: { content: "Hi" } }] })),
  );
  for (const line of [":234567\n", ":23456\r\n", ": a comment\n", "retry: 1\n", `:${"x".repeat(3_000)}\n`]) {
    for (const bytes of [1, ...Array.from({ length: 24 }, (_, i) => 2_036 + i), 12_000, 100_000]) {
      const lines = `:${" ".repeat(bytes % 8)}\n${line.repeat(Math.ceil(bytes / line.length))}`;
      const text = await send(Buffer.concat([Buffer.from(lines + data), ends]));
      const said = text.includes("answer_unreadable") ? "Dear " : "Dear [EMAIL_1], hello";
      assert.equal(contentOf(text), said, `${bytes} bytes of ${line.slice(0, 10)}`);
      // Its neighbours in the filter's memory are as they were.
      assert.equal(contentOf(await send(six)), "Hi".repeat(6));
    }
  }
});

const called = { name: "remove", args: { path: "/tmp/x" } };
const gemini = (parts: object[], more: object = {}) => ({
  candidates: [{ index: 0, content: { parts }, ...more }],
});
/** An event that says something and calls a tool, and the one that ends the stream. */
const speakAndCall: Record<string, [object, object]> = {
  Gemini: [
    gemini([{ functionCall: called }, { text: "Ask ada" }, { functionCall: called }]),
    gemini([], { finishReason: "STOP" }),
  ],
  chats: [
    chunk("", {
      delta: {
        content: "Ask ada",
        tool_calls: [{ index: 0, function: { name: "remove", arguments: "{}" } }],
      },
    }),
    finish,
  ],
  Ollama: [
    { message: { content: "Ask ada", tool_calls: [{ function: called }] }, done: false },
    { message: { content: "" }, done: true },
  ],
};

test("the event in which held text comes out calls no tool once more", async () => {
  for (const [api, [event, end]] of Object.entries(speakAndCall))
    for (const pad of [{}, { results }, { note: LONG }, { results, note: LONG }]) {
      const lines = JSON.stringify(event, null, 1).replaceAll(/^/gm, "data: ");
      const bodies = [
        sse([{ ...event, ...pad }, end]),
        Buffer.concat([Buffer.from(`: [{"\n${lines}\n: ]\n\n`), sse([end])]),
      ];
      for (const body of bodies) {
        const text = await send(body);
        const calls = JSON.stringify(event).split('"remove"').length;
        assert.equal(text.split('"remove"').length, calls, `${api}: ${text.slice(-400)}`);
        assert.match(text, /"ada"/);
        for (const data of text.split("\n\n").filter((one) => one !== ""))
          JSON.parse(data.replaceAll(/^(data: |:.*)/gm, ""));
      }
    }
  const [event, end] = speakAndCall.Ollama as [object, object];
  const upstream = upstreamOf(Buffer.from(`${JSON.stringify(event)}\n${JSON.stringify(end)}\n`), 0, {
    "content-type": "application/x-ndjson",
  });
  const { text } = await edge.send({ key: "k", body: chat("Hi", { stream: true }), upstream });
  const said = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).message);
  assert.deepEqual(
    said.map(({ content }) => content),
    ["Ask ", "ada", ""],
  );
  assert.equal(text.split('"remove"').length, 2);
});
