// Redaction of answers by the whole filter, in both host profiles: JSON and event streams of the providers, texts cut
// between events, what is blocked, and what cannot be read.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pairs } from "../../host/abi.ts";
import { exchange } from "../../host/exchange.ts";
import type { ProfileName } from "../../host/profiles.ts";
import type { Vm } from "../../host/vm.ts";
import { chat, keyEntry, LocalEdge, requestOf } from "../support/filter.ts";
import { chunk, contentOf, finish, sse, upstreamOf } from "./support.ts";

const policy = {
  tiers: {
    plain: {},
    redacts: { response: { redact: ["email", "phone", "ip", "credit_card"] } },
    mixed: {
      response: {
        redact: { email: "mask", ip: "flag", credit_card: "block", custom: "hash" },
        patterns: ["EMP-\\d\\d\\d\\d", "\\[team\\] c\\+\\+ \\\\d", "north\\|south (x\\)"],
        canaries: ["You are Aria, the internal assistant"],
      },
    },
    lenient: { response: { redact: ["email"], compressed: "pass" } },
    strict: { response: { compressed: "refuse" } },
  },
  keys: ["plain", "redacts", "mixed", "lenient", "strict"].map((tier) => keyEntry(tier, tier)),
};

for (const profile of ["envoy", "ngx_wasm"] as const satisfies ProfileName[]) {
  describe(`redaction of answers (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy, kind: "trapping" });
    const stream = (events: unknown[], key = "redacts", cut?: number) =>
      edge.send({ key, body: chat("hello", { stream: true }), upstream: upstreamOf(sse(events), cut) });
    const json = (body: unknown, key = "redacts", cut?: number, headers = {}) =>
      edge.send({
        key,
        body: chat("hello"),
        upstream: upstreamOf(Buffer.from(JSON.stringify(body)), cut, {
          "content-type": "application/json",
          ...headers,
        }),
      });

    it("replaces an address that straddles deltas, and flushes what was held before the end", async () => {
      const events = ["Mail bob@exa", "mple.com", " or ", "10.0", ".0.1"].map((text) => chunk(text));
      const answer = await stream([...events, finish, "[DONE]"]);
      assert.equal(answer.status, 200);
      assert.equal(contentOf(answer.text), "Mail [EMAIL_1] or [IP_1]");
      assert.equal(answer.header("content-length"), undefined);
      const kinds = answer.text
        .split("\n\n")
        .map((event) => /"finish_reason":"stop"|\[DONE\]/.exec(event)?.[0]);
      assert.deepEqual(kinds.filter(Boolean), ['"finish_reason":"stop"', "[DONE]"]);
      assert.ok(answer.text.indexOf("[IP_1]") < answer.text.indexOf('"finish_reason":"stop"'));
    });

    it("gives the same texts wherever the stream is cut", async () => {
      const events = ["Call +44 20 79", "46 0958 or m", "ail \u00e9va@example.", "com\n now"].map((text) =>
        chunk(text),
      );
      const body = sse([...events, finish, "[DONE]"]);
      const whole = (await stream([...events, finish, "[DONE]"])).text;
      for (let cut = 1; cut < body.length; cut += 3) {
        assert.equal(
          (await stream([...events, finish, "[DONE]"], "redacts", cut)).text,
          whole,
          `cut at ${cut}`,
        );
      }
    });

    it("lets a stream without anything to redact say what it said", async () => {
      const words = "The quick brown fox jumps over the lazy dog.".match(/\S+\s*/g) ?? [];
      const answer = await stream([...words.map((word) => chunk(word)), finish, "[DONE]"]);
      assert.equal(contentOf(answer.text), words.join(""));
    });

    it("finds a pattern's signs that stand behind a backslash, as they are", async () => {
      const events = ["The [Team] C+", "+ \\d and the [Team] C+ \\d"].map((text) => chunk(text));
      const answer = await stream([...events, finish, "[DONE]"], "mixed");
      assert.match(contentOf(answer.text), /^The \[?CUSTOM[^ ]* and the \[Team\] C\+ \\d$/);
      const bars = await stream([chunk("North and North|South (x) or South"), finish, "[DONE]"], "mixed");
      assert.match(contentOf(bars.text), /^North and \[?CUSTOM[^ ]* or South$/);
    });

    it("replaces texts in a JSON answer but not identifiers, at every cut", async () => {
      const body = {
        id: "a@b.example",
        choices: [
          { message: { role: "assistant", content: "Mail bob@example.com, bob@example.com or 10.0.0.1" } },
        ],
      };
      const want = JSON.stringify(body)
        .replaceAll("bob@example.com", "[EMAIL_1]")
        .replace("10.0.0.1", "[IP_1]");
      for (let cut = 0; cut < JSON.stringify(body).length; cut += 5) {
        assert.equal((await json(body, "redacts", cut)).text, want);
      }
    });

    it("redacts all that a tool is called with, names and what looks like identifiers too", async () => {
      const called = (mail: string, other: string) => ({
        id: mail,
        type: mail,
        [mail]: 1,
        [other]: { status: mail, role: [mail], logprobs: [mail] },
        ok: [{ model: mail }],
      });
      const tools = [
        (input: object) => ({
          content: [{ type: "tool_use", id: "a@b.example", name: "f", input }],
          id: "m",
        }),
        (args: object) => ({ candidates: [{ content: { parts: [{ functionCall: { name: "f", args } }] } }] }),
        (arguments_: object) => ({ message: { tool_calls: [{ function: { arguments: arguments_ } }] } }),
        (parameters: object) => ({ message: { tool_calls: [{ name: "f", parameters }] } }),
        (env: object) => ({ output: [{ type: "local_shell_call", action: { type: "exec", env } }] }),
      ];
      for (const tool of tools) {
        const body = tool(called("bob@example.com", "ann@example.com"));
        const want = JSON.stringify(tool(called("[EMAIL_1]", "[EMAIL_2]")));
        for (let cut = 0; cut < JSON.stringify(body).length; cut += 3)
          assert.equal((await json(body, "redacts", cut)).text, want);
        // What follows is no tool's.
        const after = { first: body, id: "a@b.example" };
        assert.equal(
          (await json(after)).text,
          JSON.stringify({ first: JSON.parse(want), id: "a@b.example" }),
        );
        const blocked = JSON.stringify(tool({ id: "4111 1111 1111 1111" }));
        assert.match(
          (await json(JSON.parse(blocked), "mixed")).text,
          profile === "envoy" ? /answer_blocked/ : /^((?!4111).)*$/,
        );
      }
      const [anthropic, gemini] = tools as [(typeof tools)[0], (typeof tools)[0]];
      const start = (input: object) => ({
        type: "content_block_start",
        index: 0,
        content_block: (anthropic(input) as { content: object[] }).content[0],
      });
      for (const event of [start, gemini]) {
        const answer = await stream([event(called("bob@example.com", "ann@example.com"))]);
        assert.equal(answer.text, sse([event(called("[EMAIL_1]", "[EMAIL_2]"))]).toString());
      }
    });

    it("redacts what a tool's arguments hide in escapes of their own, also where deltas cut them", async () => {
      const args = String.raw`{"to":"bob\u0040example.com","at":"\u0031\u0030.0.0.1","text":"Dear\nbob@example.com"}`;
      const want = { to: "[EMAIL_1]", at: "[IP_1]", text: "Dear\n[EMAIL_1]" };
      const whole = await json({
        choices: [{ message: { tool_calls: [{ function: { arguments: args } }] } }],
      });
      assert.deepEqual(JSON.parse(whole.json.choices[0].message.tool_calls[0].function.arguments), want);
      const delta = (partial_json: string) => ({
        type: "content_block_delta",
        index: 0,
        delta: { type: "input_json_delta", partial_json },
      });
      for (let cut = 1; cut < args.length; cut++) {
        const ends = [{ type: "content_block_stop", index: 0 }, { type: "message_stop" }];
        const answer = await stream([delta(args.slice(0, cut)), delta(args.slice(cut)), ...ends]);
        const parts = [...answer.text.matchAll(/^data: (.*)$/gm)].map(([, data]) =>
          JSON.parse(data as string),
        );
        assert.deepEqual(JSON.parse(parts.map((part) => part.delta?.partial_json ?? "").join("")), want);
      }
    });

    it("redacts what an answer in JSON mode hides in its own escapes, and leaves backslashes of prose alone", async () => {
      const content = String.raw`{"to":"bob\u0040example.com"} C:\new\bob@example.com \u00e9`;
      const want = String.raw`{"to":"[EMAIL_1]"} C:\new\[EMAIL_1] \u00e9`;
      const whole = await json({ choices: [{ message: { content } }] });
      assert.equal(whole.json.choices[0].message.content, want);
      for (let cut = 1; cut < content.length; cut++) {
        const answer = await stream([
          chunk(content.slice(0, cut)),
          chunk(content.slice(cut)),
          finish,
          "[DONE]",
        ]);
        assert.equal(contentOf(answer.text), want, `cut at ${cut}`);
      }
    });

    it("redacts errors that the upstream answers with", async () => {
      const body = JSON.stringify({ error: { message: "no such user bob@example.com" } });
      const answer = await edge.send({
        key: "redacts",
        body: chat("hello"),
        upstream: () => ({ status: 404, headers: { "content-type": "application/json" }, body }),
      });
      assert.match(answer.text, /no such user \[EMAIL_1\]/);
    });

    it("redacts plain text, and strings of events that are no texts of a known shape", async () => {
      // nginx cannot take more bytes after the last ones: it has to know when they come.
      const plain = { "content-type": "text/plain", "content-length": "24" };
      const text = await edge.send({
        key: "redacts",
        body: chat("hello"),
        upstream: upstreamOf(Buffer.from("write to bob@example.com"), 12, plain),
      });
      assert.equal(text.text, "write to [EMAIL_1]");
      const odd = await stream([
        { ...chunk("hi"), note: "bob@example.com" },
        { other: ["10.0.0.1"] },
        "[DONE]",
      ]);
      assert.match(odd.text, /"note":"\[EMAIL_1\]"/);
      assert.match(odd.text, /"other":\["\[IP_1\]"\]/);
    });

    it("reads JSON by any name, takes what it does not know for text, and leaves pictures alone", async () => {
      const body = '{"a":"\\u0062ob@example.com","b":"10.0.0.1"}\n';
      const as = async (type: string | undefined, sent = body) => {
        const headers = { ...(type && { "content-type": type }), "content-length": String(sent.length) };
        const reply = upstreamOf(Buffer.from(sent), 9, headers);
        return (await edge.send({ key: "redacts", body: chat("hello"), upstream: reply })).text;
      };
      const json = '{"a":"[EMAIL_1]","b":"[IP_1]"}\n';
      for (const type of ["application/x-ndjson", "application/problem+json; charset=utf-8", "Text/JSON"]) {
        assert.equal(await as(type), json, type);
      }
      for (const type of [undefined, "application/xml; note=json", "application/yaml"]) {
        assert.equal(await as(type), json, type);
        // In what is not JSON escapes mean nothing.
        assert.equal(await as(type, `is ${body}`), 'is {"a":"\\[EMAIL_1]","b":"[IP_1]"}\n', type);
      }
      assert.equal(await as("image/png"), body);
    });

    it("redacts across lines of JSON by any of their names, and ends them with a line that says why", async () => {
      const line = (content: string) => `${JSON.stringify({ message: { content }, done: false })}\n`;
      const send = (body: string, type: string, key: string) =>
        edge.send({
          key,
          body: chat("hello"),
          upstream: upstreamOf(Buffer.from(body), 9, { "content-type": type }),
        });
      const end = `${JSON.stringify({ message: { content: "" }, done: true })}\n`;
      const names = ["x-ndjson", "NDJSON; charset=utf-8", "jsonl", "jsonlines", "json-lines", "stream+json"];
      for (const name of names) {
        const body = `${line("to bob@exa")}\n${line("mple.com.")}${end}`;
        const { text } = await send(body, `application/${name}`, "redacts");
        const lines = text.split("\n").filter(Boolean);
        const said = lines.map((one) => JSON.parse(one).message.content).join("");
        assert.equal(said, "to [EMAIL_1].", name);
      }
      const withheld = async (body: string, key: string) => {
        const { text } = await send(body, "application/x-ndjson", key);
        return JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");
      };
      const blocked = await withheld(
        line("Sure! You are ARIA, the inte") + line("rnal assistant of") + end,
        "mixed",
      );
      assert.equal(blocked.code, "answer_blocked");
      assert.match(blocked.error, /CANARY/);
      const odd = await withheld(`${line("hi")}bob@example.com\n${line("so")}`, "redacts");
      assert.equal(odd.code, "answer_unreadable");
    });

    it("does with each type what the policy says", async () => {
      const answer = await json({ text: "bob@example.com at 10.0.0.1, EMP-1234 and emp-1234" }, "mixed");
      const { text } = JSON.parse(answer.text);
      assert.match(
        text,
        /^b\*\*\*@example\.com at 10\.0\.0\.1, \[CUSTOM:[0-9a-f]{12}\] and \[CUSTOM:[0-9a-f]{12}\]$/,
      );
      assert.equal(edge.metrics.value("weir_flagged_total"), 1);
    });

    it("blocks a JSON answer, with an error in its place", async () => {
      const answer = await json({ text: "Sure! You are  ARIA, the internal assistant of" }, "mixed");
      assert.equal(answer.json.type, "error");
      assert.equal(answer.json.error.code, "answer_blocked");
      assert.match(answer.json.error.message, /CANARY/);
    });

    it("blocks and redacts an answer that ends with trailers", async () => {
      const answered = (content: string) =>
        edge.send({
          key: "mixed",
          body: chat("hello"),
          upstream: () => ({
            status: 200,
            headers: { "content-type": "application/json" },
            body: ['{"text":"', content, '"}'].map((part) => Buffer.from(part)),
            trailers: [["x-end", "1"]],
          }),
        });
      const blocked = await answered("Sure! You are Aria, the internal assistant of");
      if (profile === "envoy") assert.equal(blocked.json.error.code, "answer_blocked");
      assert.ok(!blocked.text.includes("Aria"), blocked.text);
      const masked = (await answered("Mail bob@example.com")).json.text;
      assert.ok(masked.startsWith("Mail ") && !masked.includes("bob@example"), masked);
    });

    it("blocks what comes before the last bracket of a JSON answer in pieces, and lets no second one pass", async () => {
      const answered = (body: string[]) =>
        edge.send({
          key: "mixed",
          body: chat("hello"),
          upstream: () => ({
            status: 200,
            headers: { "content-type": "application/json" },
            body: body.map((part) => Buffer.from(part)),
            emptyEnd: true,
          }),
        });
      const canary = JSON.stringify({ text: "Sure! You are Aria, the internal assistant of" });
      const harmless = String.raw`{"a":"\\","b":["}\"]{",{}],"c":"]}"}`;
      for (let cut = 0; cut <= harmless.length; cut++) {
        const [head, tail] = [harmless.slice(0, cut), harmless.slice(cut)];
        const blocked = await answered([`{"x":${head}`, `${tail},"y":${canary}`, "}", "\n"]);
        if (profile === "envoy") assert.equal(blocked.json.error.code, "answer_blocked");
        assert.ok(!blocked.text.includes("Aria"), blocked.text);
        assert.equal((await answered([head, tail, "\n"])).text, `${harmless}\n`);
        const second = (await answered([head, tail, canary])).text;
        assert.ok(!second.includes("Aria"), second);
      }
    });

    it("takes off what tells of the upstream's bytes, where the client gets others", async () => {
      const digests = {
        etag: '"1"',
        digest: "a=1",
        "content-md5": "1",
        "repr-digest": "a=1",
        "content-digest": "a=1",
      };
      const left = async (key: string, headers: Record<string, string> = {}, told: object = digests) => {
        const answer = await json({ text: "Mail bob@example.com" }, key, undefined, {
          ...told,
          ...headers,
        });
        return Object.keys(digests).filter((name) => answer.header(name) !== undefined);
      };
      assert.deepEqual(await left("plain"), Object.keys(digests));
      assert.deepEqual(await left("redacts"), []);
      for (const [name, value] of Object.entries(digests))
        assert.deepEqual(await left("redacts", {}, { [name]: value }), [], name);
      assert.deepEqual(await left("strict", { "content-encoding": "gzip" }), []);
      assert.deepEqual(await left("lenient", { "content-encoding": "gzip" }), Object.keys(digests));
    });

    it("takes no header of an answer for another that is as long", async () => {
      const headers = Object.fromEntries(Array.from({ length: 18 }, (_, i) => ["y".repeat(i + 4), "gzip"]));
      const answer = await json({ text: "Mail bob@example.com" }, "redacts", undefined, headers);
      assert.deepEqual(answer.json, { text: "Mail [EMAIL_1]" });
      for (const name of Object.keys(headers)) assert.equal(answer.header(name), "gzip");
    });

    it("takes off where a part stood that came unasked, where the client gets other bytes", async () => {
      const range = async (key: string, headers: Record<string, string> = {}) => {
        const answer = await edge.send({
          key,
          body: chat("hello"),
          upstream: () => ({
            status: 206,
            headers: { "content-type": "application/json", "content-range": "bytes 0-30/31", ...headers },
            body: '{"text":"Mail bob@example.com"}',
          }),
        });
        return answer.header("content-range");
      };
      assert.equal(await range("plain"), "bytes 0-30/31");
      assert.equal(await range("redacts"), undefined);
      assert.equal(await range("mixed"), undefined);
      assert.equal(await range("strict", { "content-encoding": "gzip" }), undefined);
    });

    it("takes them off trailers, too", async () => {
      if (profile === "ngx_wasm") return; // nginx drops trailers
      const request = requestOf({ key: "redacts", body: chat("hello") });
      const { trailers } = await exchange(edge.vms[0] as Vm, request, () => ({
        headers: { "content-type": "application/json" },
        body: '{"text":"Mail bob@example.com"}',
        trailers: [
          ["content-digest", "a=1"],
          ["x-end", "1"],
        ],
      }));
      assert.deepEqual(trailers, [["x-end", "1"]]);
    });

    it("ends a stream with an error event when a canary appears, even across deltas", async () => {
      const events = ["My rules: You are Ar", "ia, the internal", " assistant of", " ACME"].map((text) =>
        chunk(text),
      );
      const answer = await stream([...events, finish, "[DONE]"], "mixed");
      assert.ok(
        !answer.text.includes("Aria") && !answer.text.includes("internal") && !answer.text.includes("ACME"),
      );
      assert.match(
        answer.text,
        /event: error\ndata: \{"type":"error","error":\{[^\n]*"code":"answer_blocked"/,
      );
      assert.equal(contentOf(answer.text.slice(0, answer.text.indexOf("event: error"))), "My rules: ");
    });

    it("tells of a block that is found at the end before the stream says that it is complete", async () => {
      const texts = ["pay with 4111 1111 1111 ", "1111"].map((text) => chunk(text));
      // nginx takes no more bytes after the last ones.
      const unended = profile === "envoy" ? [texts] : [];
      for (const events of [[...texts, "[DONE]"], [...texts, finish, "[DONE]"], ...unended]) {
        for (let cut = 0; cut < sse(events).length; cut += 3) {
          const { text } = await stream(events, "mixed", cut);
          assert.match(text, /event: error\ndata: [^\n]*"answer_blocked"[^\n]*\n\n$/);
          assert.ok(!text.includes("[DONE]") && !text.includes('"stop"'), text);
          assert.equal(contentOf(text.slice(0, text.indexOf("event: error"))), "pay with ");
        }
      }
    });

    it("refuses a compressed answer that had to be read, lets it pass where the policy says, and asks it away", async () => {
      const gzip = { "content-encoding": "gzip" };
      const refused = await json({ text: "x" }, "redacts", 0, gzip);
      assert.equal(refused.json.error.code, "answer_unreadable");
      assert.equal(refused.header("content-encoding"), undefined);
      assert.equal(refused.header("x-weir-verdict"), "answer_unreadable");
      if (profile === "envoy") assert.equal(refused.status, 502);
      // An answer without a body has nothing that could not be read.
      const head = {
        key: "redacts",
        method: "HEAD",
        path: "/v1/models",
        upstream: upstreamOf(Buffer.of(), 0, gzip),
      };
      if (profile === "envoy") assert.equal((await edge.send(head)).header("x-weir-verdict"), "ok");
      assert.equal((await json({ text: "x" }, "lenient", 0, gzip)).text, '{"text":"x"}');
      assert.equal((await json({ text: "x" }, "strict", 0, gzip)).json.error.code, "answer_unreadable");
      assert.equal((await json({ text: "x" }, "plain", 0, gzip)).text, '{"text":"x"}');
      const asked = await edge.send({
        key: "redacts",
        body: chat("hello"),
        headers: [["accept-encoding", "gzip"]],
      });
      assert.equal(asked.upstream?.header("accept-encoding"), undefined);
    });

    it("asks for no part of an answer", async () => {
      const asked = async (key: string) => {
        const call = {
          key,
          method: "GET",
          path: "/v1/files/f/content",
          headers: [["Range", "bytes=0-7"]] as Pairs,
        };
        return (await edge.send(call)).upstream?.header("range");
      };
      assert.equal(await asked("redacts"), undefined);
      assert.equal(await asked("plain"), "bytes=0-7");
    });

    it("keeps the channels of choices, tools and reasoning apart", async () => {
      const delta = (index: number, more: object) => ({
        choices: [{ index, delta: more, finish_reason: null }],
      });
      const tool = (text: string) => ({ tool_calls: [{ index: 0, function: { arguments: text } }] });
      const answer = await stream([
        delta(0, { content: "bob@exam" }),
        delta(1, { content: "ann@exam" }),
        delta(0, tool('{"to":"bob@')),
        delta(1, { reasoning_content: "10.0." }),
        delta(0, { content: "ple.com " }),
        delta(0, tool('example.com"}')),
        delta(1, { content: "ple.com " }),
        delta(1, { reasoning_content: "0.1" }),
        {
          choices: [
            { index: 0, delta: {}, finish_reason: "stop" },
            { index: 1, delta: {}, finish_reason: "stop" },
          ],
        },
        "[DONE]",
      ]);
      const seen: Record<string, string> = {};
      for (const line of answer.text.split("\n")) {
        if (!line.startsWith("data: {")) continue;
        for (const { index, delta: d } of JSON.parse(line.slice(6)).choices) {
          seen[`${index} text`] = (seen[`${index} text`] ?? "") + (d.content ?? "");
          seen[`${index} why`] = (seen[`${index} why`] ?? "") + (d.reasoning_content ?? "");
          seen[`${index} tool`] =
            (seen[`${index} tool`] ?? "") + (d.tool_calls?.[0].function.arguments ?? "");
        }
      }
      assert.deepEqual(seen, {
        "0 text": "[EMAIL_1] ",
        "0 why": "",
        "0 tool": '{"to":"[EMAIL_1]"}',
        "1 text": "[EMAIL_2] ",
        "1 why": "[IP_1]",
        "1 tool": "",
      });
    });

    it("says no name and no identifier of a call again where held text goes out in an event of its own", async () => {
      const args = '{"to":"bob@example.com';
      const calls = {
        tool: {
          tool_calls: [
            { index: 0, id: "call_1", type: "function", function: { name: "mail", arguments: args } },
          ],
        },
        custom: {
          tool_calls: [{ index: 0, type: "custom", custom: { input: args, name: "mail" }, id: "call_1" }],
        },
        legacy: { content: null, function_call: { name: "mail", arguments: args } },
        both: { content: "ann@example.com", function_call: { name: "mail", arguments: "{" } },
      };
      for (const [what, delta] of Object.entries(calls)) {
        const first = { id: "chatcmpl-1", choices: [{ index: 0, delta, finish_reason: null }] };
        const { text } = await stream([first, finish, "[DONE]"]);
        const told = (member: string) =>
          [...text.matchAll(new RegExp(`"${member}":"((?:[^"\\\\]|\\\\.)*)"`, "g"))]
            .map(([, value]) => value)
            .join("|");
        assert.equal(told("name"), "mail", what);
        assert.equal(
          told("id"),
          `chatcmpl-1|${"tool_calls" in delta ? "call_1|" : ""}chatcmpl-1|chatcmpl-1`,
          text,
        );
        const whole = told("content") + told("arguments") + told("input");
        assert.match(
          whole.replaceAll("|", ""),
          what === "both" ? /^\[EMAIL_1\]\{$/ : /^\{\\"to\\":\\"\[EMAIL_1\]$/,
        );
        for (const line of text.matchAll(/^data: (\{.*)$/gm)) JSON.parse(line[1] as string);
      }
    });

    it("knows names of members and types of events however they are escaped", async () => {
      const type = (name: string, i: number) =>
        i % 2 ? name : name.replace("e", String.raw`\u0065`).replace("_", String.raw`\u005F`);
      const delta = (text: string, i: number) =>
        `{"type":"${type("response.reasoning_text.delta", i)}","output_index":0,"content_index":0,"delta":"${text}"}`;
      const done = `{"type":"${type("response.reasoning_text.done", 0)}","output_index":0,"content_index":0,"text":"bob@example.com 10.0.0.1."}`;
      const parts = ["bob@exa", "mple.com 1", "0.0", ".0.1."];
      const { text } = await stream([...parts.map(delta), done]);
      const deltas = [...text.matchAll(/"delta":"([^"]*)"/g)].map(([, one]) => one).join("");
      assert.equal(deltas, "[EMAIL_1] [IP_1].");
      assert.match(text, /"text":"\[EMAIL_1\] \[IP_1\]\."/);
      const call = String.raw`{"candidates":[{"content":{"parts":[{"functionCall":{"arg\u0073":{"bob@example.com":1}}}]}}]}`;
      assert.match((await stream([call])).text, /\{"\[EMAIL_1\]":1\}/);
      const tokens = String.raw`{"choices":[{"index":0,"delta":{"content":"b"},"logprob\u0073":{"content":[{"token":"b"}]}}]}`;
      assert.match((await stream([tokens])).text, /answer_unreadable/);
    });

    it("says the role of a delta no second time, which clients put behind the first", async () => {
      const first = {
        ...chunk(""),
        choices: [{ index: 0, delta: { role: "assistant", content: "Hi bob" } }],
      };
      const spaced = JSON.stringify(first).replaceAll(":", ": ");
      for (const event of [first, spaced]) {
        const answer = await stream([event, finish, "[DONE]"]);
        assert.equal(contentOf(answer.text), "Hi bob");
        assert.equal(answer.text.split('"role"').length, 2, answer.text);
      }
    });

    it("follows events that are longer than a template, by emptying what is beside the text", async () => {
      const results = Array.from({ length: 60 }, (_, i) => ({
        title: `result ${i}`,
        url: `https://example.com/${i}`,
      }));
      const events = ["Mail bob@exa", "mple.com"].map((text) => ({
        search_results: results,
        ...chunk(text),
      }));
      const answer = await stream([...events, finish, "[DONE]"]);
      assert.equal(contentOf(answer.text), "Mail [EMAIL_1]");
    });

    it("finds an address that goes on after an event that is too long to be held, wherever that is cut", async () => {
      const long = "word ".repeat(6_000);
      const streams = [
        [chunk(`${long}Mail bob@exa`), chunk("mple.com")],
        [chunk("word "), { ...chunk("Mail bob@exa"), search_results: [long] }, chunk("mple.com")],
        [chunk("Mail bob@"), chunk("exa"), chunk(`mple.com ${long}`)],
        [{ ...chunk("Mail bob@exa"), search_results: [long] }, chunk("mple.com")],
        [
          { ...chunk(""), search_results: [long] },
          chunk("Mail bob@exa", { index: 1 }),
          chunk("mple.com", { index: 1 }),
        ],
      ];
      for (const events of streams) {
        const all = [...events, finish, "[DONE]"];
        const want = contentOf(sse(all).toString()).replace("bob@example.com", "[EMAIL_1]");
        for (const cut of [0, 1, 90, 120, 200, 12_288, 12_300, 30_000, 30_100, 30_130, 30_150, 30_300]) {
          const answer = await stream(all, "redacts", cut);
          assert.equal(contentOf(answer.text), want, `cut at ${cut}`);
          assert.ok(answer.text.endsWith("data: [DONE]\n\n"));
        }
      }
    });

    it("lets out what was held after an event in parts that ends its text, and not within it", async () => {
      const padding = "word ".repeat(6_000);
      const after = { ...finish, choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } };
      const events = [chunk("Mail "), chunk("bob@example.com"), { padding, ...finish }, after, "[DONE]"];
      for (const cut of [0, 200, 12_500, 24_800, 30_200]) {
        const { text } = await stream(events, "redacts", cut);
        assert.equal(contentOf(text), "Mail [EMAIL_1]", `cut at ${cut}`);
        assert.ok(
          text.indexOf("[EMAIL_1]") < text.indexOf('"usage"'),
          `before the next event, cut at ${cut}`,
        );
      }
    });
  });
}
