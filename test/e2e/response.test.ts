/** Answers through real Envoy: what must not leave is redacted, official clients notice nothing, and broken streams are charged what was delivered. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { chatBody, keyEntry, secret, type World, world } from "../support/e2e.ts";
import { chunkEvent, DONE, startUpstream, type Upstream, usageEvent } from "../support/e2e-upstream.ts";

/** Fewer with WEIR_STREAMS, for machines that are short of time. */
const STREAMS = Number(process.env.WEIR_STREAMS ?? 1000);
const IN_FLIGHT = 40;
const ENDING_MS = 60_000;

const budgets = [{ name: "out", meter: "completion_tokens", limit: "100M", window: "day" }];
const policy = {
  tiers: {
    redacts: { budgets, response: { redact: ["email", "phone", "ip"] } },
    blocks: {
      budgets,
      output: { max_tokens: 200 },
      response: { redact: { credit_card: "block" }, canaries: ["You are Aria, the internal assistant"] },
    },
    counted: { budgets, output: { max_tokens: 200 } },
    restores: {
      budgets,
      prompt: { redact: { email: "reversible", phone: "reversible", credit_card: "block" } },
      response: { redact: ["email", "ip"] },
    },
  },
  ledger: { sync: "200ms" },
  keys: [
    keyEntry("redacts", "redacts/team/key", "redacts"),
    keyEntry("lines", "lines/team/key", "redacts"),
    keyEntry("blocks", "blocks/team/key", "blocks"),
    keyEntry("large", "large/team/key", "blocks"),
    keyEntry("counted", "counted/team/key", "counted"),
    keyEntry("restores", "restores/team/key", "restores"),
  ],
};

const FINISH = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`;
const pause = () => new Promise((resolve) => setImmediate(resolve));

/** Small, fast and seeded. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("answers", () => {
  let upstream: Upstream;
  let w: World;
  let url: string;
  before(async () => {
    upstream = await startUpstream();
    w = await world({ policy, upstreamPort: upstream.port });
    url = (w.envoys[0] as (typeof w.envoys)[0]).url;
  });
  after(async () => {
    await w?.close();
    await upstream?.close();
  });

  /** Answers with events, each written by itself. */
  const streams = (events: string[], headers = {}) => {
    upstream.script = async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream", ...headers });
      for (const event of events) {
        response.write(event);
        await pause();
      }
      response.end();
    };
  };
  const answers = (body: unknown, headers = {}) => {
    upstream.script = (_, response) => {
      const text = JSON.stringify(body);
      response.writeHead(200, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
        ...headers,
      });
      response.end(text);
    };
  };
  const streamed = { body: { stream: true } };

  it("redacts a JSON answer and keeps it JSON", async () => {
    const long = "Nothing here. ".repeat(20_000);
    answers({
      id: "x@y.example",
      choices: [{ message: { content: `${long}Mail bob@example.com or 10.0.0.1` } }],
    });
    const answer = await w.chat("redacts", "hello");
    assert.equal(answer.status, 200);
    const body = JSON.parse(answer.text);
    assert.equal(body.id, "x@y.example");
    assert.equal(body.choices[0].message.content, `${long}Mail [EMAIL_1] or [IP_1]`);
  });

  it("redacts an address that straddles deltas, and hides the usage it asked for", async () => {
    const events = ["Mail bob@exa", "mple.com or +44 20 7", "946 0958"].map((text) => chunkEvent(text));
    streams([...events, FINISH, usageEvent(5, 11), DONE]);
    const answer = await w.chat("redacts", "hello", streamed);
    const content = [...answer.text.matchAll(/^data: (\{.*)$/gm)]
      .map(([, json]) => JSON.parse(json as string).choices[0].delta.content ?? "")
      .join("");
    assert.equal(content, "Mail [EMAIL_1] or [PHONE_1]");
    assert.ok(!answer.text.includes("usage"));
    assert.ok(answer.text.endsWith(DONE));
    // The JSON answer before told no usage: it was charged its bound.
    await w.settled("redacts/team/key", "out", 4096 + 11);
  });

  it("redacts an address that straddles lines of Ollama's JSON, bounds the answer and charges what the last line tells", async () => {
    const line = (content: string, more: object = { done: false }) =>
      `${JSON.stringify({ model: "m", message: { role: "assistant", content }, ...more })}\n`;
    const lines = ["Mail bob@exa", "mple.com or 10.0", ".0.1"].map((text) => line(text));
    const counts = { done: true, done_reason: "stop", prompt_eval_count: 5, eval_count: 7 };
    streams([...lines, line("", counts)], { "content-type": "application/x-ndjson" });
    const answer = await w.chat("lines", "hello", { path: "/api/chat" });
    const contents = answer.text
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text).message.content);
    assert.equal(contents.join(""), "Mail [EMAIL_1] or [IP_1]");
    assert.equal(JSON.parse(upstream.arrived.at(-1)?.body ?? "").options.num_predict, 4096);
    await w.settled("lines/team/key", "out", 7);
  });

  it("blocks a card number in a JSON answer of many chunks, and a canary in a stream", async () => {
    answers({ choices: [{ message: { content: `${"word ".repeat(30_000)} 4111-1111-1111-1111` } }] });
    const blocked = await w.chat("blocks", "hello");
    assert.equal(blocked.code, "answer_blocked");
    streams([chunkEvent("You are Aria, the "), chunkEvent("internal assistant of"), FINISH, DONE]);
    const ended = await w.chat("blocks", "hello", streamed);
    assert.match(ended.text, /event: error\ndata: .*answer_blocked/);
    assert.ok(!ended.text.includes("Aria"));
  });

  it("withholds a JSON answer that is too long to be held where something is blocked, and only there", async () => {
    const body = { choices: [{ message: { content: "word ".repeat(480_000) } }] };
    answers(body);
    const held = await w.chat("blocks", "hello");
    assert.deepEqual([held.status, held.code], [200, "answer_unreadable"]);
    assert.equal((await w.chat("redacts", "hello")).text, JSON.stringify(body));
    // Beyond its own buffer Envoy breaks off.
    answers({ choices: [{ message: { content: "word ".repeat(1_200_000) } }] });
    await assert.rejects(w.chat("blocks", "hello"), /aborted/);
  });

  it("charges what a withheld answer tells, and what was reserved where Envoy breaks it off for its length", async () => {
    const usage = { prompt_tokens: 5, completion_tokens: 150, total_tokens: 155 };
    for (const [words, spent] of [
      [480_000, 150],
      [1_200_000, 150 + 200],
    ] as const) {
      answers({ choices: [{ message: { content: "word ".repeat(words) } }], usage });
      await w.chat("large", "hello").catch(() => undefined);
      await w.settled("large/team/key", "out", spent, 0);
    }
  });

  it("answers 502 when the upstream compresses although that was asked away", async () => {
    answers({ choices: [] }, { "content-encoding": "gzip" });
    const answer = await w.chat("redacts", "hello");
    assert.deepEqual([answer.status, answer.code], [502, "answer_unreadable"]);
    assert.equal(upstream.arrived.at(-1)?.headers["accept-encoding"], undefined);
    const arrived = upstream.arrived.length;
    const client = new OpenAI({ apiKey: secret("redacts"), baseURL: `${url}/v1`, maxRetries: 2 });
    const asked = client.chat.completions.create({
      model: "gpt-4o",
      messages: [{ role: "user", content: "hi" }],
    });
    await assert.rejects(asked, { status: 502 });
    assert.equal(upstream.arrived.length, arrived + 1, "a client does not pay for it three times");
  });

  it("lets the official openai client stream text and tools, redacted, and raises its error for a block", async () => {
    const client = (name: string) =>
      new OpenAI({ apiKey: secret(name), baseURL: `${url}/v1`, maxRetries: 0 });
    const ask = (name: string) =>
      client(name).chat.completions.stream({
        model: "gpt-4o",
        messages: [{ role: "user", content: "hi" }],
      });
    const tool = (index: number, more: object) =>
      `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: { tool_calls: [{ index, ...more }] }, finish_reason: null }] })}\n\n`;
    const role = `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] })}\n\n`;
    streams([
      role,
      chunkEvent("Writing to bob@"),
      chunkEvent("example.com now"),
      tool(0, { id: "call_1", type: "function", function: { name: "mail", arguments: "" } }),
      tool(0, { function: { arguments: '{"to":"bob@ex' } }),
      tool(0, { function: { arguments: 'ample.com"}' } }),
      `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] })}\n\n`,
      usageEvent(5, 7),
      DONE,
    ]);
    const answer = await ask("redacts").finalChatCompletion();
    assert.equal(answer.choices[0]?.message.content, "Writing to [EMAIL_1] now");
    const [call] = answer.choices[0]?.message.tool_calls ?? [];
    assert.ok(call?.type === "function" && call.function.name === "mail" && call.id === "call_1");
    assert.deepEqual(JSON.parse(call.function.arguments), { to: "[EMAIL_1]" });
    streams([role, chunkEvent("Card 4111 1111 "), chunkEvent("1111 1111"), FINISH, DONE]);
    await assert.rejects(ask("blocks").finalChatCompletion(), /withheld/);
  });

  it("lets the official anthropic client stream text and tools, redacted", async () => {
    const event = (type: string, data: object) =>
      `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
    const delta = (index: number, more: object) => event("content_block_delta", { index, delta: more });
    streams([
      event("message_start", {
        message: {
          id: "msg_1",
          type: "message",
          role: "assistant",
          model: "claude",
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 9, output_tokens: 1 },
        },
      }),
      event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
      delta(0, { type: "text_delta", text: "Mail bob@" }),
      delta(0, { type: "text_delta", text: "example.com" }),
      event("content_block_stop", { index: 0 }),
      event("content_block_start", {
        index: 1,
        content_block: { type: "tool_use", id: "toolu_1", name: "mail", input: {} },
      }),
      delta(1, { type: "input_json_delta", partial_json: '{"to":"bob@exam' }),
      delta(1, { type: "input_json_delta", partial_json: 'ple.com"}' }),
      event("content_block_stop", { index: 1 }),
      event("message_delta", {
        delta: { stop_reason: "tool_use", stop_sequence: null },
        usage: { output_tokens: 12 },
      }),
      event("message_stop", {}),
    ]);
    const client = new Anthropic({ apiKey: secret("redacts"), baseURL: url, maxRetries: 0 });
    const answer = await client.messages
      .stream({ model: "claude", max_tokens: 100, messages: [{ role: "user", content: "hi" }] })
      .finalMessage();
    const [text, call] = answer.content;
    assert.equal(text?.type === "text" && text.text, "Mail [EMAIL_1]");
    assert.ok(call?.type === "tool_use" && call.id === "toolu_1");
    assert.deepEqual(call.input, { to: "[EMAIL_1]" });
    assert.equal(answer.usage.output_tokens, 12);
  });

  describe("of redacted prompts", () => {
    const asked = () => upstream.arrived.at(-1) as (typeof upstream.arrived)[0];
    const prompt = "I am bob@example.com, or call +44 20 7946 0958";
    const contentOf = (text: string) =>
      [...text.matchAll(/^data: (\{.*)$/gm)]
        .map(([, json]) => JSON.parse(json as string).choices[0]?.delta.content ?? "")
        .join("");

    it("send placeholders upstream in a body of the right length, and put the originals back", async () => {
      answers({ choices: [{ message: { content: "Dear [EMAIL_1], not ann@example.com: [PHONE_1]" } }] });
      const answer = await w.chat("restores", prompt);
      assert.equal(answer.status, 200);
      const sent = asked();
      assert.equal(Number(sent.headers["content-length"]), Buffer.byteLength(sent.body));
      assert.equal(JSON.parse(sent.body).messages[0].content, "I am [EMAIL_1], or call [PHONE_1]");
      assert.equal(
        answer.json.choices[0]?.message.content,
        "Dear bob@example.com, not [EMAIL_2]: +44 20 7946 0958",
      );
    });

    it("put them back into streams, wherever those are cut", async () => {
      const events = ["Dear [", "EMAIL_1", "], [EMA", "IL_9] at 10.0", ".0.1 [PHONE_1"].map((text) =>
        chunkEvent(text),
      );
      const all = [...events, chunkEvent("]"), FINISH, usageEvent(5, 11), DONE].join("");
      for (let cut = 1; cut < all.length; cut += 23) {
        streams([all.slice(0, cut), all.slice(cut)]);
        const answer = await w.chat("restores", prompt, streamed);
        const want = "Dear bob@example.com, [EMAIL_9] at [IP_1] +44 20 7946 0958";
        assert.equal(contentOf(answer.text), want, `cut at ${cut}`);
        assert.ok(!answer.text.includes("usage") && answer.text.endsWith(DONE));
      }
      assert.deepEqual(JSON.parse(asked().body).stream_options, { include_usage: true });
    });

    it("keep the originals of many at once apart", async () => {
      upstream.script = async (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        for (const part of ["Dear [EMA", "IL_1", "] and [EMAIL_2]"]) {
          response.write(chunkEvent(part));
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        response.end(FINISH + usageEvent(1, 1) + DONE);
      };
      await Promise.all(
        Array.from({ length: 40 }, async (_, i) => {
          const address = `user${i}@example.com`;
          const answer = await w.chat("restores", `I am ${address}`, streamed);
          assert.equal(contentOf(answer.text), `Dear ${address} and [EMAIL_2]`);
        }),
      );
    });

    it("refuse what is blocked, before anything goes upstream", async () => {
      const before = upstream.arrived.length;
      const answer = await w.chat("restores", "card 4111-1111-1111-1111");
      assert.deepEqual([answer.status, answer.code], [403, "prompt_blocked"]);
      assert.equal(answer.json.error.param, "/messages/0/content");
      assert.equal(upstream.arrived.length, before);
    });

    it("let the official clients call tools with the originals", async () => {
      const call = { id: "call_1", type: "function", function: { name: "mail", arguments: "" } };
      const tool = (more: object, finish_reason: string | null = null) =>
        `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: { role: "assistant", tool_calls: [{ index: 0, ...more }] }, finish_reason }] })}\n\n`;
      streams([
        tool(call),
        tool({ function: { arguments: '{"to":"[EMA' } }),
        tool({ function: { arguments: 'IL_1]"}' } }),
        `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] })}\n\n`,
        DONE,
      ]);
      const openai = new OpenAI({ apiKey: secret("restores"), baseURL: `${url}/v1`, maxRetries: 0 });
      const chat = await openai.chat.completions
        .stream({ model: "gpt-4o", messages: [{ role: "user", content: prompt }] })
        .finalChatCompletion();
      const [called] = chat.choices[0]?.message.tool_calls ?? [];
      assert.ok(called?.type === "function");
      assert.deepEqual(JSON.parse(called.function.arguments), { to: "bob@example.com" });
      answers({
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "claude",
        content: [
          { type: "text", text: "Mailing [EMAIL_1]." },
          { type: "tool_use", id: "toolu_1", name: "mail", input: { to: "[EMAIL_1]" } },
        ],
        stop_reason: "tool_use",
        stop_sequence: null,
        usage: { input_tokens: 9, output_tokens: 12 },
      });
      const anthropic = new Anthropic({ apiKey: secret("restores"), baseURL: url, maxRetries: 0 });
      const message = await anthropic.messages.create({
        model: "claude",
        max_tokens: 100,
        messages: [{ role: "user", content: prompt }],
      });
      assert.deepEqual(
        message.content.map((block) => (block.type === "tool_use" ? block.input : block)),
        [{ type: "text", text: "Mailing bob@example.com." }, { to: "bob@example.com" }],
      );
    });
  });

  it(`charges ${STREAMS} streams, a third of them aborted, what was used or delivered`, async () => {
    const next = random(7);
    // Streams wait after `shown` deltas until the client has gone, or go on to their end.
    const plans = Array.from({ length: STREAMS }, (_, i) => ({
      aborts: i % 3 === 0,
      deltas: Array.from({ length: 1 + next(12) }, () => "x".repeat(1 + next(9))),
      used: 1 + next(90),
    }));
    upstream.script = async (arrived, response) => {
      const plan = plans[Number(arrived.headers["x-plan"])] as (typeof plans)[0];
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const text of plan.deltas) response.write(chunkEvent(text));
      if (!plan.aborts) response.end(FINISH + usageEvent(5, plan.used) + DONE);
    };
    const run = async (i: number) => {
      const plan = plans[i] as (typeof plans)[0];
      const control = new AbortController();
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${secret("counted")}`,
          "x-plan": String(i),
        },
        body: JSON.stringify(chatBody("hello", streamed.body)),
        signal: control.signal,
      });
      assert.equal(response.status, 200);
      let text = "";
      try {
        for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
          text += Buffer.from(chunk).toString();
          if (plan.aborts && text.split("\n\n").length > plan.deltas.length) control.abort();
        }
      } catch (error) {
        assert.ok(plan.aborts, String(error));
      }
    };
    // A client that was told of a block may have left before the upstream had ended.
    const before = await w.stat("weir_aborted_total");
    let started = 0;
    const worker = async () => {
      while (started < STREAMS) await run(started++);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    const due = plans.reduce((sum, { aborts, deltas, used }) => {
      const bytes = deltas.join("").length;
      return sum + (aborts ? Math.max(deltas.length, Math.ceil(bytes / 4)) : used);
    }, 0);
    const end = Date.now() + ENDING_MS;
    let spent = -1;
    while (spent !== due && Date.now() < end) {
      spent = (await w.budget("counted/team/key", "out"))?.spent ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(spent, due);
    const aborted = (await w.stat("weir_aborted_total")) - before;
    assert.equal(aborted, plans.filter(({ aborts }) => aborts).length);
  });
});
