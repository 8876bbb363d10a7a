// Personal data in the streams and JSON answers of every provider's API, through the whole filter in both host profiles
// and cut at every byte: the same redacted texts, valid JSON, the same usage; and a prompt's originals put back.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProfileName } from "../../host/profiles.ts";
import { keyEntry, LocalEdge } from "../support/filter.ts";
import { upstreamOf } from "./support.ts";

const budgets = [{ name: "out", meter: "completion_tokens", limit: "1000M", window: "day" }];
const policy = {
  tiers: {
    redacts: { budgets, response: { redact: ["email", "phone", "ip", "api_key"] } },
    restores: { prompt: { redact: { email: "reversible" } }, response: { redact: ["ip"] } },
  },
  keys: ["redacts", "restores"].map((tier) => keyEntry(tier, tier, { subject: `${tier}/team/key` })),
};

/** Texts cut where it hurts: in an address, in an escape's neighbourhood, in a number, in a placeholder. */
const PIECES = [
  'Mail "bob@exa',
  'mple.com"\n or +44 20 79',
  "46 0958",
  " é [EMA",
  "IL_1] 10.0",
  ".0.1. sk-proj-",
  `${"aB3dE5fG7h".repeat(4)} end`,
];
const WANT = {
  redacts: 'Mail "[EMAIL_1]"\n or [PHONE_1] é [EMAIL_1] [IP_1]. [API_KEY_1] end',
  restores: `Mail "bob@example.com"\n or +44 20 7946 0958 é ann@example.com [IP_1]. sk-proj-${"aB3dE5fG7h".repeat(4)} end`,
};
const ARGUMENTS = ['{"to":"[EMAI', 'L_1]","from":"10.0.', '0.1"}'];
const WANT_ARGUMENTS = {
  redacts: { to: "[EMAIL_1]", from: "[IP_1]" },
  restores: { to: "ann@example.com", from: "[IP_1]" },
};
const COMPLETION = 23;

// biome-ignore lint/suspicious/noExplicitAny: answers of seven APIs.
type Json = any;
interface Provider {
  path: string;
  request: object;
  /** Events with their types, lines of JSON, or one JSON answer. */
  events?: Json[];
  lines?: Json[];
  json?: Json;
  /** The text and the tool's arguments in what arrived. */
  read(events: Json[]): { text: string; args?: string | object };
  end?: string;
}

const user = { role: "user", content: "ann@example.com asks" };
const join = <T>(list: T[], of: (value: T) => string | undefined) =>
  list.map((value) => of(value) ?? "").join("");
const choice = (more: object, finish_reason: string | null = null) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  model: "gpt-4o",
  choices: [{ index: 0, ...more, finish_reason }],
});
const tool = (more: object) => choice({ delta: { tool_calls: [{ index: 0, ...more }] } });
/** A line of Ollama's, with a time as it writes them. */
const ollama = (i: number, more: object) => ({
  model: "qwen3:8b",
  created_at: `2025-10-26T17:15:${10 + i}.${385_406_455 + i}-07:00`,
  done: false,
  ...more,
});
const usage = { prompt_tokens: 9, completion_tokens: COMPLETION, total_tokens: 9 + COMPLETION };

const providers: Record<string, Provider> = {
  "OpenAI chat": {
    path: "/v1/chat/completions",
    request: { model: "gpt-4o", stream: true, messages: [user] },
    events: [
      choice({ delta: { role: "assistant", content: "" } }),
      ...PIECES.map((content) => choice({ delta: { content } })),
      tool({ id: "call_1", type: "function", function: { name: "mail", arguments: "" } }),
      ...ARGUMENTS.map((part) => tool({ function: { arguments: part } })),
      choice({ delta: {} }, "stop"),
      { choices: [], usage },
    ],
    end: "data: [DONE]\n\n",
    read: (events) => ({
      text: join(events, (event) => event.choices[0]?.delta.content),
      args: join(events, (event) => event.choices[0]?.delta.tool_calls?.[0].function.arguments),
    }),
  },
  "OpenAI chat, spoken, with a custom tool": {
    path: "/v1/chat/completions",
    request: { model: "gpt-4o-audio", stream: true, messages: [user] },
    events: [
      ...PIECES.map((transcript) =>
        choice({ delta: { audio: { id: "audio_1", transcript, data: "AAAA" } } }),
      ),
      tool({ id: "call_1", type: "custom", custom: { name: "mail", input: "" } }),
      ...ARGUMENTS.map((input) => tool({ custom: { input } })),
      choice({ delta: {} }, "stop"),
      { choices: [], usage },
    ],
    end: "data: [DONE]\n\n",
    read: (events) => ({
      text: join(events, (event) => event.choices[0]?.delta.audio?.transcript),
      args: join(events, (event) => event.choices[0]?.delta.tool_calls?.[0].custom.input),
    }),
  },
  "OpenRouter's thoughts, told twice": {
    path: "/api/v1/chat/completions",
    request: { model: "deepseek-r1", stream: true, messages: [user] },
    events: [
      ...PIECES.map((text) =>
        choice({ delta: { reasoning: text, reasoning_details: [{ index: 0, text }] } }),
      ),
      choice({ delta: {} }, "stop"),
      { choices: [], usage },
    ],
    end: "data: [DONE]\n\n",
    read: (events) => {
      const text = join(events, (event) => event.choices[0]?.delta.reasoning);
      const again = join(events, (event) => event.choices[0]?.delta.reasoning_details?.[0].text);
      assert.equal(again, text);
      return { text };
    },
  },
  "LiteLLM's thoughts, told three times": {
    path: "/v1/chat/completions",
    request: { model: "claude", stream: true, messages: [user] },
    events: [
      ...PIECES.map((text) => {
        const thinking_blocks = [{ type: "thinking", thinking: text, signature: null }];
        return choice({
          delta: { reasoning_content: text, thinking_blocks, provider_specific_fields: { thinking_blocks } },
        });
      }),
      choice({ delta: {} }, "stop"),
      { choices: [], usage },
    ],
    end: "data: [DONE]\n\n",
    read: (events) => {
      const told = (of: (delta: Json) => string | undefined) =>
        join(events, (event) => of(event.choices[0]?.delta ?? {}));
      const text = told((delta) => delta.reasoning_content);
      assert.equal(
        told((delta) => delta.thinking_blocks?.[0].thinking),
        text,
      );
      assert.equal(
        told((delta) => delta.provider_specific_fields?.thinking_blocks[0].thinking),
        text,
      );
      return { text };
    },
  },
  "Cohere chat": {
    path: "/v2/chat",
    request: { model: "command-a", stream: true, messages: [user] },
    events: [
      { type: "message-start", id: "m", delta: { message: { role: "assistant" } } },
      ...PIECES.map((text) => ({
        type: "content-delta",
        index: 0,
        delta: { message: { content: { text } } },
      })),
      { type: "content-end", index: 0 },
      {
        type: "tool-call-start",
        index: 0,
        delta: { message: { tool_calls: { function: { arguments: "" } } } },
      },
      ...ARGUMENTS.map((part) => ({
        type: "tool-call-delta",
        index: 0,
        delta: { message: { tool_calls: { function: { arguments: part } } } },
      })),
      { type: "tool-call-end", index: 0 },
      {
        type: "message-end",
        delta: {
          finish_reason: "COMPLETE",
          usage: { tokens: { input_tokens: 9, output_tokens: COMPLETION } },
        },
      },
    ],
    read: (events) => {
      assert.equal(events.at(-1).type, "message-end");
      const message = (event: Json) => event.delta?.message;
      return {
        text: join(events, (event) => message(event)?.content?.text),
        args: join(events, (event) => message(event)?.tool_calls?.function.arguments),
      };
    },
  },
  "Mistral and vLLM": {
    path: "/v1/chat/completions",
    request: {
      model: "mistral-small",
      stream: true,
      stream_options: { include_usage: true },
      messages: [user],
    },
    events: [
      ...PIECES.map((content, i) => ({
        ...choice({ delta: { content } }, i === PIECES.length - 1 ? "stop" : null),
        ...(i === PIECES.length - 1 && { usage }),
      })),
    ],
    end: "data: [DONE]\n\n",
    read: (events) => ({ text: join(events, (event) => event.choices[0]?.delta.content) }),
  },
  "OpenAI completions": {
    path: "/v1/completions",
    request: { model: "davinci-002", stream: true, prompt: user.content },
    events: [
      ...PIECES.map((text) => ({ ...choice({ text }), object: "text_completion" })),
      choice({ text: "" }, "stop"),
      { choices: [], usage },
    ],
    end: "data: [DONE]\n\n",
    read: (events) => ({ text: join(events, (event) => event.choices[0]?.text) }),
  },
  "OpenAI responses": {
    path: "/v1/responses",
    request: { model: "gpt-4.1", stream: true, input: user.content },
    events: [
      { type: "response.created", response: { id: "resp_1", object: "response", output: [] } },
      ...PIECES.map((delta, i) => ({
        type: "response.output_text.delta",
        sequence_number: i,
        item_id: "msg_1",
        output_index: 0,
        content_index: 0,
        delta,
      })),
      { type: "response.output_text.done", output_index: 0, content_index: 0, text: PIECES.join("") },
      ...ARGUMENTS.map((delta) => ({
        type: "response.function_call_arguments.delta",
        item_id: "fc_1",
        output_index: 1,
        delta,
      })),
      { type: "response.function_call_arguments.done", output_index: 1, arguments: ARGUMENTS.join("") },
      ...PIECES.map((delta) => ({
        type: "response.code_interpreter_call_code.delta",
        item_id: "ci_1",
        output_index: 2,
        delta,
      })),
      { type: "response.code_interpreter_call_code.done", output_index: 2, code: PIECES.join("") },
      {
        type: "response.completed",
        response: {
          id: "resp_1",
          output: [
            { type: "message", content: [{ type: "output_text", text: PIECES.join("") }] },
            { type: "function_call", name: "mail", arguments: ARGUMENTS.join("") },
          ],
          usage: { input_tokens: 9, output_tokens: COMPLETION, total_tokens: 9 + COMPLETION },
        },
      },
    ],
    read: (events) => {
      const of = (type: string) => events.filter((event) => event.type === `response.${type}`);
      const text = join(of("output_text.delta"), ({ delta }) => delta);
      const args = join(of("function_call_arguments.delta"), ({ delta }) => delta);
      const [message, call] = of("completed")[0].response.output;
      assert.equal(of("output_text.done")[0].text, text);
      const code = of("code_interpreter_call_code.delta");
      const [codeDone] = of("code_interpreter_call_code.done");
      assert.equal(
        join(code, ({ delta }) => delta),
        codeDone.code,
      );
      assert.equal(codeDone.code, text);
      assert.ok(events.lastIndexOf(code.at(-1)) < events.indexOf(codeDone), "no code after its end");
      assert.equal(message.content[0].text, text);
      assert.equal(of("function_call_arguments.done")[0].arguments, args);
      assert.equal(call.arguments, args);
      return { text, args };
    },
  },
  Anthropic: {
    path: "/v1/messages",
    request: { model: "claude", max_tokens: 100, stream: true, messages: [user] },
    events: [
      {
        type: "message_start",
        message: { id: "msg_1", content: [], usage: { input_tokens: 9, output_tokens: 1 } },
      },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      ...PIECES.map((text) => ({
        type: "content_block_delta",
        index: 0,
        delta: { type: "text_delta", text },
      })),
      { type: "content_block_stop", index: 0 },
      {
        type: "content_block_start",
        index: 1,
        content_block: { type: "tool_use", id: "t", name: "mail", input: {} },
      },
      ...ARGUMENTS.map((partial_json) => ({
        type: "content_block_delta",
        index: 1,
        delta: { type: "input_json_delta", partial_json },
      })),
      { type: "content_block_stop", index: 1 },
      { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: COMPLETION } },
      { type: "message_stop" },
    ],
    read: (events) => ({
      text: join(events, ({ delta }) => delta?.text),
      args: join(events, ({ delta }) => delta?.partial_json),
    }),
  },
  Gemini: {
    path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    request: { contents: [{ role: "user", parts: [{ text: user.content }] }] },
    events: [
      ...PIECES.map((text) => ({
        candidates: [{ content: { role: "model", parts: [{ text }] }, index: 0 }],
      })),
      {
        candidates: [
          {
            content: {
              role: "model",
              parts: [{ functionCall: { name: "mail", args: { to: "[EMAIL_1]", from: "10.0.0.1" } } }],
            },
            finishReason: "STOP",
            index: 0,
          },
        ],
        usageMetadata: {
          promptTokenCount: 9,
          candidatesTokenCount: COMPLETION,
          totalTokenCount: 9 + COMPLETION,
        },
      },
    ],
    read: (events) => {
      const parts = events.flatMap((event) => event.candidates[0].content.parts);
      return {
        text: join(parts, ({ text }) => text),
        args: parts.find(({ functionCall }) => functionCall).functionCall.args,
      };
    },
  },
  "Ollama chat": {
    path: "/api/chat",
    request: { model: "qwen3:8b", messages: [user] },
    lines: [
      ...PIECES.map((thinking, i) => ollama(i, { message: { role: "assistant", content: "", thinking } })),
      ...PIECES.map((content, i) => ollama(i + 10, { message: { role: "assistant", content } })),
      ollama(30, {
        message: {
          role: "assistant",
          content: "",
          tool_calls: [{ function: { name: "mail", arguments: { to: "[EMAIL_1]", from: "10.0.0.1" } } }],
        },
      }),
      ollama(31, {
        message: { role: "assistant", content: "" },
        done: true,
        done_reason: "stop",
        total_duration: 4111111111111111,
        prompt_eval_count: 9,
        eval_count: COMPLETION,
      }),
    ],
    read: (lines) => {
      const text = join(lines, ({ message }) => message.content);
      assert.equal(
        join(lines, ({ message }) => message.thinking),
        text,
      );
      assert.equal(lines.at(-1).done, true);
      assert.equal(lines.at(-1).total_duration, 4111111111111111);
      const calls = lines.flatMap(({ message }) => message.tool_calls ?? []);
      return { text, args: calls[0].function.arguments };
    },
  },
  "Ollama generate": {
    path: "/api/generate",
    request: { model: "llama3.2", prompt: user.content },
    lines: [
      ...PIECES.map((response, i) => ollama(i, { response })),
      ollama(9, { response: "", done: true, prompt_eval_count: 9, eval_count: COMPLETION }),
    ],
    read: (lines) => ({ text: join(lines, ({ response }) => response) }),
  },
  "Ollama chat, JSON": {
    path: "/api/chat",
    request: { model: "qwen3:8b", stream: false, messages: [user] },
    json: ollama(0, {
      message: {
        role: "assistant",
        content: PIECES.join(""),
        tool_calls: [{ function: { name: "mail", arguments: { to: "[EMAIL_1]", from: "10.0.0.1" } } }],
      },
      done: true,
      prompt_eval_count: 9,
      eval_count: COMPLETION,
    }),
    read: ([{ message }]) => ({ text: message.content, args: message.tool_calls[0].function.arguments }),
  },
  "OpenAI chat, JSON": {
    path: "/v1/chat/completions",
    request: { model: "gpt-4o", messages: [user] },
    json: {
      id: "chatcmpl-1",
      choices: [
        {
          message: {
            content: PIECES.join(""),
            tool_calls: [{ function: { name: "mail", arguments: ARGUMENTS.join("") } }],
          },
          finish_reason: "stop",
        },
      ],
      usage,
    },
    read: ([{ choices }]) => ({
      text: choices[0].message.content,
      args: choices[0].message.tool_calls[0].function.arguments,
    }),
  },
  "Anthropic, JSON": {
    path: "/v1/messages",
    request: { model: "claude", max_tokens: 100, messages: [user] },
    json: {
      id: "msg_1",
      type: "message",
      content: [
        { type: "text", text: PIECES.join("") },
        { type: "tool_use", id: "toolu_1", name: "mail", input: { to: "[EMAIL_1]", from: "10.0.0.1" } },
      ],
      stop_reason: "tool_use",
      usage: { input_tokens: 9, output_tokens: COMPLETION },
    },
    read: ([{ content }]) => ({ text: content[0].text, args: content[1].input }),
  },
};

/** The stream as it is sent: Anthropic's and the Responses API's events are named. */
function bytesOf({ events, lines, json, end = "" }: Provider): string {
  if (json) return JSON.stringify(json);
  if (lines) return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const named = (event: Json) => (event.type ? `event: ${event.type}\n` : "");
  return (events ?? []).map((event) => `${named(event)}data: ${JSON.stringify(event)}\n\n`).join("") + end;
}

function parse(text: string): Json[] {
  if (text.startsWith("{"))
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  return [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json as string));
}

for (const profile of ["envoy", "ngx_wasm"] as const satisfies ProfileName[]) {
  describe(`personal data in every provider's answers (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy });
    const spent = async () => {
      await edge.wait(2_000);
      return (await edge.budget("redacts")).spent;
    };
    for (const [name, provider] of Object.entries(providers)) {
      for (const key of ["redacts", "restores"] as const) {
        it(`${name}: ${key}, wherever it is cut`, async () => {
          const bytes = Buffer.from(bytesOf(provider));
          const { json, lines } = provider;
          const type = json ? "application/json" : lines ? "application/x-ndjson" : "text/event-stream";
          const headers = { "content-type": type };
          const send = (cut: number, body = bytes) =>
            edge.send({
              key,
              path: provider.path,
              body: provider.request,
              upstream: upstreamOf(body, cut, headers),
            });
          const before = key === "redacts" ? await spent() : 0;
          const { text: whole, upstream } = await send(0);
          assert.equal(upstream?.text.includes("ann@example.com"), key === "redacts");
          const { text, args } = provider.read(parse(whole));
          assert.equal(text, WANT[key]);
          const given = typeof args === "string" ? JSON.parse(args) : args;
          if (args !== undefined) assert.deepEqual(given, WANT_ARGUMENTS[key]);
          let count = 1;
          for (let cut = 1; cut < bytes.length; cut++, count++) {
            assert.equal((await send(cut)).text, whole, `cut at ${cut}`);
          }
          if (!json) {
            const crlf = Buffer.from(`\ufeff${bytes.toString().replaceAll("\n", "\r\n")}`);
            const marked = (await send(0, crlf)).text;
            assert.equal(provider.read(parse(marked.slice(1).replaceAll("\r\n", "\n"))).text, WANT[key]);
            count++;
          }
          if (key === "redacts") assert.equal((await spent()) - before, count * COMPLETION);
        });
      }
    }
  });
}
