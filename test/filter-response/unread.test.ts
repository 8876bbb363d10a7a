// What cannot be read or followed never passes a tier that redacts answers: text that is no JSON where JSON should be, in
// JSON answers and in events, and tokens one by one. A tier that redacts nothing lets all of it pass.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { GuestMemory } from "../../host/memory.ts";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";
import { chunk, contentOf, finish, sse, upstreamOf } from "./support.ts";

const policy = {
  tiers: {
    plain: {},
    redacts: { response: { redact: ["email", "phone", "ip"] } },
    blocks: { response: { redact: { email: "block", phone: "redact", ip: "redact" } } },
    restores: { prompt: { redact: { email: "reversible" } } },
    counted: { tokens: "1M/day", response: { redact: ["email"] } },
  },
  keys: [
    ...["plain", "redacts", "blocks", "restores"].map((tier) => keyEntry(tier, tier)),
    keyEntry("counted", "counted", { subject: "counted/a/b" }),
  ],
};
const JSON_TYPE = { "content-type": "application/json" };
const EVENTS_TYPE = { "content-type": "text/event-stream" };
const SECRET = /ada@|example\.com|10\.0\.0|7946/;
const data = (text: string) => `data: ${text}\n\n`;

/** JSON answers with something in them that is none. */
const NO_JSON = [
  '{"a":"x", oops ada@example.com',
  '{"a":"x"} ada@example.com',
  "{'a': 'ada@example.com'}",
  '{"a": 10.0.0.1}',
  '{"a": +44 20 7946 0958}',
  "020 7946 0958",
  '{"a": true ada@example.com}',
  "nullada@example.com",
  '{"a":1} // ada@example.com',
  "ada@example.com",
  data('{"text":"ada@exa"}') + data('{"text":"mple.com"}'),
  "<p>ada@example.com</p>",
];
/** JSON that passes, whatever is odd about it. */
const JSON_ALL_THE_SAME = [
  '{"a":[true,false,null,0,-0.5,1e9,12.25E-3],"b":{}}',
  '\ufeff{"a": 1 }\r\n',
  '\u001e{"a":1}\n',
  "[1,2 , 3]",
  '"text"',
  " 12 ",
  "",
  '{"a":"cut o',
];
/** Data of events that is no JSON, or not all of it. */
const ODD_DATA = [
  "ada@example.com",
  '{"a":1} ada@example.com',
  '{"a":1,ada@example.com}',
  '{"a":"ada@example.com"',
  "[DONE] ada@example.com",
  '[DO"ada@example.com"',
  '{"a":\ndata: ada@example.com}',
];

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(`what is not read (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy, kind: "trapping" });
    const send = async (key: string, body: string, headers: Record<string, string>, cut = 0) => {
      // nginx cannot take more bytes after the last ones: it has to know when they come.
      const sized = { ...headers, "content-length": String(Buffer.byteLength(body)) };
      const upstream = upstreamOf(Buffer.from(body), cut, sized);
      return (await edge.send({ key, body: chat("hello ada@example.com"), upstream })).text;
    };

    it("withholds the rest of a JSON answer from what is no JSON on, at every cut", async () => {
      for (const body of NO_JSON) {
        for (let cut = 0; cut < body.length; cut++) {
          for (const key of ["redacts", "blocks"]) {
            const text = await send(key, body, JSON_TYPE, cut);
            assert.doesNotMatch(text, SECRET, `${body} cut at ${cut}`);
          }
        }
        assert.match(await send("redacts", body, JSON_TYPE), /"code":"answer_unreadable"/, body);
        for (const key of ["plain", "restores"]) assert.equal(await send(key, body, JSON_TYPE), body);
      }
    });

    it("lets JSON pass at every cut, with a byte order mark too", async () => {
      for (const body of JSON_ALL_THE_SAME) {
        for (let cut = 0; cut <= Buffer.byteLength(body); cut++) {
          assert.equal(await send("redacts", body, JSON_TYPE, cut), body, `${body} cut at ${cut}`);
        }
      }
    });

    it("withholds what comes after a JSON answer's root, where its text could go on", async () => {
      const two = ['{"a":"ada@exa"}', '{"a":"mple.com"}'];
      const all = [two.join("\n"), two.join(""), two.join(","), '"ada@exa" "mple.com"', '{}["mple.com"]'];
      for (const body of all) {
        for (let cut = 0; cut < body.length; cut++)
          assert.doesNotMatch(await send("redacts", body, JSON_TYPE, cut), /mple/, `${body} cut at ${cut}`);
        assert.match(await send("redacts", body, JSON_TYPE), /^\{"type":"error","error":.*answer_unreadable/);
        assert.match(await send("blocks", body, JSON_TYPE), /^\{"type":"error","error":.*answer_unreadable/);
        for (const key of ["plain", "restores"]) assert.equal(await send(key, body, JSON_TYPE), body);
      }
    });

    it("ends a stream at the second line of JSON that is no event's, where a text could go on", async () => {
      const line = (content: string) => `${JSON.stringify({ message: { content } })}\n`;
      const body = `${line("see ada@exa")}${line("mple.com")}\n`;
      for (let cut = 0; cut < body.length; cut++) {
        const text = await send("redacts", body, EVENTS_TYPE, cut);
        assert.match(text, /answer_unreadable/, `cut at ${cut}`);
        assert.doesNotMatch(text, /mple/, `cut at ${cut}`);
      }
      // An error that is labelled as a stream still says what it was.
      const error = '{"error":{"message":"no model for ada@example.com"}}\n\n';
      const want = error.replace("ada@example.com", "[EMAIL_1]");
      assert.equal(await send("redacts", error, EVENTS_TYPE), want);
      for (const key of ["plain", "restores"]) assert.equal(await send(key, body, EVENTS_TYPE), body);
    });

    it("ends a stream at data that is no JSON, at every cut", async () => {
      for (const odd of ODD_DATA) {
        const body = `${sse([chunk("hi ")])}${data(odd)}${sse([chunk("ho"), finish, "[DONE]"])}`;
        for (let cut = 0; cut < body.length; cut += 1) {
          const text = await send("redacts", body, EVENTS_TYPE, cut);
          assert.doesNotMatch(text, SECRET, `${odd} cut at ${cut}`);
          assert.match(text, /event: error\ndata: [^\n]*"answer_unreadable"[^\n]*\n\n$/);
          assert.equal(contentOf(text.slice(0, text.indexOf("event: error"))), "hi ");
        }
        for (const key of ["plain", "restores"]) assert.equal(await send(key, body, EVENTS_TYPE), body);
      }
    });

    it("follows texts that are cut between the halves of a surrogate pair", async () => {
      const parts = ["ada@example.com \ud83d", "\ude00 \ud83d", "ada@exa", "mple.com\ud83d"];
      const body = `${sse([...parts.map((part) => chunk(part)), finish, "[DONE]"])}`;
      for (const part of ["\\ud83d", "\\ude00"]) assert.ok(body.includes(part));
      for (let cut = 0; cut < body.length; cut++) {
        const text = await send("redacts", body, EVENTS_TYPE, cut);
        assert.equal(contentOf(text), "[EMAIL_1] 😀 \ud83d[EMAIL_1]\ud83d", `cut at ${cut}`);
      }
    });

    it("redacts comments and other fields of a stream, which leave its data as it is", async () => {
      const lines = ': ping "\nevent: x\nid: 7\nretry: 10\ndat: a\ndata\n';
      const body = `\ufeff: by ada@example.com\n\n${lines}data: {"a":"\\u0061da@example.com"}\n\n${sse([
        chunk("hi "),
        finish,
      ])}: so 10.0.0.1\n\ndata: [DONE] \n\n`;
      const want = body.replace(/(\\u0061|a)da@example.com/g, "[EMAIL_1]").replace("10.0.0.1", "[IP_1]");
      for (let cut = 0; cut <= Buffer.byteLength(body); cut++) {
        assert.equal(await send("redacts", body, EVENTS_TYPE, cut), want, `cut at ${cut}`);
      }
      assert.equal(await send("plain", body, EVENTS_TYPE), body);
    });

    it("redacts lines of an event that is too long to be held", async () => {
      const note = `: ${"word ".repeat(6000)}ada@example.com\n`;
      const text = `${"word ".repeat(3000)}ada@example.com`;
      const body = `${note}data: ${JSON.stringify(chunk(text))}\n\ndata: [DONE]\n\n`;
      for (const cut of [0, 5, 12_288, 12_290, 30_010, 30_030, 40_000]) {
        const out = await send("redacts", body, EVENTS_TYPE, cut);
        assert.doesNotMatch(out, SECRET);
        assert.ok(out.startsWith(note.replace("ada@example.com", "[EMAIL_1]")));
        assert.equal(contentOf(out), text.replace("ada@example.com", "[EMAIL_1]"));
      }
    });

    it("withholds tokens one by one and arguments in parts that come unasked, in JSON and in events", async () => {
      const token = { token: "ada", bytes: [97, 100, 97], logprob: -0.1, top_logprobs: [] };
      const odd = [
        { choices: [{ index: 0, delta: { content: "x" }, logprobs: { content: [token] } }] },
        { choices: [{ index: 0, text: "x", logprobs: { tokens: ["ada"] } }] },
        { output: [{ content: [{ type: "output_text", text: "x", logprobs: [token] }] }] },
        { candidates: [{ logprobsResult: { chosenCandidates: [{ token: "ada" }] } }] },
        { choices: [{ text: "x", token_ids: [97, 98] }] },
        {
          candidates: [
            {
              content: {
                parts: [{ functionCall: { partialArgs: [{ jsonPath: "$.to", stringValue: "ada" }] } }],
              },
            },
          ],
        },
      ];
      for (const body of odd) {
        assert.match(await send("redacts", JSON.stringify(body), JSON_TYPE), /answer_unreadable/);
        const stream = await send("redacts", sse([body, "[DONE]"]).toString(), EVENTS_TYPE);
        assert.match(stream, /^event: error\n/);
        assert.doesNotMatch(stream, /"ada"|97/);
        assert.equal(await send("plain", JSON.stringify(body), JSON_TYPE), JSON.stringify(body));
      }
      const none = [
        {
          choices: [
            { index: 0, logprobs: null },
            { index: 1, logprobs: null, text: "x" },
          ],
        },
        { choices: [{ logprobs: { content: null, refusal: null } }], x: 1 },
        { output: [{ content: [{ text: "x", logprobs: [] }] }], usage: { n: 1 } },
      ].map((body) => JSON.stringify(body));
      for (const body of none) assert.equal(await send("redacts", body, JSON_TYPE), body);
    });

    it("withholds frames that hold texts in base64, of any size, unless nothing must be kept in", async () => {
      for (const type of ["application/vnd.amazon.eventstream", "Application/gRPC-Web-Text+proto"]) {
        const body = JSON.stringify({ bytes: btoa("ada@example.com") });
        for (const key of ["redacts", "blocks"])
          for (const cut of [0, 5])
            assert.match(
              await send(key, body, { "content-type": type }, cut),
              /^\{"type":"error","error":.*answer_unreadable/,
            );
        for (const key of ["plain", "restores"])
          assert.equal(await send(key, body, { "content-type": type }), body);
      }
    });

    it("answers 502 for frames, also for those whose type says that they hold JSON", async () => {
      for (const type of ["application/connect+json", "application/grpc+json", "application/connect+proto"]) {
        const upstream = upstreamOf(Buffer.from("\0\0\0\0\u0002{}"), 0, { "content-type": type });
        const answer = await edge.send({ key: "redacts", body: chat("hello"), upstream });
        // nginx has made its status line by then.
        assert.equal(answer.status, profile === "envoy" ? 502 : 200, type);
        assert.equal(answer.header("x-weir-verdict"), "answer_unreadable", type);
        // Clients try a 502 again by themselves, and the provider charges each answer.
        assert.equal(answer.header("x-should-retry"), "false", type);
      }
    });

    it("withholds what may be compressed, wide or of another type, whatever else its type says", async () => {
      const odd = [
        ...[
          "application/grpc",
          "application/grpc+proto",
          "application/grpc-web+proto",
          "application/connect+proto",
        ],
        ...["text/plain; charset=utf-16", 'text/plain; x=y; Charset="UTF-32LE"'],
        ...[
          "text/plain; charset = utf-16",
          "text/plain; charset*=us-ascii''UTF16",
          "text/plain; charset=ucs-2",
        ],
        ...["text/event-stream; charset=utf-16", "application/x-ndjson; charset=utf-16be"],
        ...["image/png,text/event-stream", "text/plain, text/event-stream"],
      ];
      for (const type of odd) {
        const body = "\0ada@example.com";
        assert.match(await send("redacts", body, { "content-type": type }), /answer_unreadable/, type);
        for (const key of ["plain", "restores"])
          assert.equal(await send(key, body, { "content-type": type }), body);
      }
      // An error of gRPC is all in the headers.
      const failed = { status: 200, headers: { "content-type": "application/grpc", "grpc-status": "7" } };
      const { status, header } = await edge.send({
        key: "redacts",
        body: chat("hi"),
        upstream: () => failed,
      });
      assert.deepEqual([status, header("content-type")], [200, "application/grpc"]);
      for (const type of ["image/png,application/json", "application/json,application/json"])
        assert.equal(await send("redacts", '"ada@example.com"', { "content-type": type }), '"[EMAIL_1]"');
      for (const type of ["text/plain; charset=utf-8", "text/html; charset=ISO-8859-1"])
        assert.equal(await send("redacts", "ada@example.com", { "content-type": type }), "[EMAIL_1]");
    });

    it("withholds what begins in 16 or 32 bits a character, whatever its type says, and charges what was reserved", async () => {
      for (const type of ["text/event-stream", "text/plain", "application/json", "application/x-ndjson", ""])
        for (const swapped of [false, true])
          for (const mark of ["\ufeff", ""]) {
            const text =
              mark + (type.includes("event") ? data('{"text":"ada@example.com"}') : "ada@example.com");
            const body = Buffer.from(text, "utf16le");
            if (swapped) body.swap16();
            for (const cut of [0, 1, 2, 3]) {
              const headers = {
                ...(type && { "content-type": type }),
                "content-length": String(body.length),
              };
              const upstream = upstreamOf(body, cut, headers);
              const answer = await edge.send({ key: "redacts", body: chat("hello"), upstream });
              assert.ok(
                !answer.text.replaceAll("\0", "").includes("ada@"),
                `${type} ${swapped} ${mark} ${cut}`,
              );
            }
          }
      // Wide letters have no byte of 0: the mark alone tells.
      for (const swapped of [false, true]) {
        const body = Buffer.from("\ufeffａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "utf16le");
        if (swapped) body.swap16();
        for (const cut of [0, 1, 2, 3]) {
          const headers = { "content-type": "text/plain", "content-length": String(body.length) };
          const upstream = upstreamOf(body, cut, headers);
          const { text } = await edge.send({ key: "redacts", body: chat("hello"), upstream });
          assert.ok(!text.includes(body.subarray(4).toString()), `${swapped} ${cut}`);
        }
      }
      const lines = Buffer.from(data('{"text":"ada"}'), "utf16le");
      const before = (await edge.budget("counted")).spent;
      const upstream = upstreamOf(lines, 0, EVENTS_TYPE);
      await edge.send({ key: "counted", body: chat("hello", { max_tokens: 500 }), upstream });
      await edge.wait(2_000);
      assert.ok((await edge.budget("counted")).spent - before >= 500);
    });

    it("withholds what the host had no room to hand over and charges what was reserved; without redaction it passes", async (t) => {
      const { give } = GuestMemory.prototype;
      t.mock.method(
        GuestMemory.prototype,
        "give",
        function (this: GuestMemory, ...args: Parameters<typeof give>) {
          return !Buffer.from(args[0]).includes("ada@") && give.apply(this, args);
        },
      );
      const events = [sse([chunk("first")]), sse([chunk("ada@example.com")]), sse([finish, "[DONE]"])];
      const upstream = () => ({ status: 200, headers: EVENTS_TYPE, body: events });
      const answer = async (key: string) => {
        const { text } = await edge.send({ key, body: chat("hello", { max_tokens: 500 }), upstream });
        return text;
      };
      assert.equal(await answer("plain"), Buffer.concat(events).toString());
      const before = (await edge.budget("counted")).spent;
      const text = await answer("counted");
      assert.match(text, /answer_unreadable/);
      assert.doesNotMatch(text, /ada@|DONE/);
      await edge.wait(2_000);
      assert.ok((await edge.budget("counted")).spent - before >= 500);
    });

    it("redacts JSON that is called text or a stream as what it stands for", async () => {
      const json = String.raw`{"error":{"message":"no ada\u0040example.com"}}`;
      for (const [type, body] of [
        ["text/event-stream", json],
        ["text/event-stream", json.replace(":", ":\n  ")],
        ["text/plain", json],
        ["text/plain", `\r\n ${json}`],
        ["application/binary", json],
      ] as const)
        for (let cut = 0; cut < body.length; cut++) {
          const text = await send("redacts", body, { "content-type": type }, cut);
          assert.equal(JSON.parse(text).error.message, "no [EMAIL_1]", `${type} cut at ${cut}`);
        }
    });

    it("withholds an answer of two content-encodings of which the second compresses", async () => {
      const text = sse([chunk("ada@example.com"), finish, "[DONE]"]);
      for (const key of ["redacts", "blocks"]) {
        const headers = ["identity", "gzip"].map((name) => ["content-encoding", name] as [string, string]);
        const upstream = () => ({
          status: 200,
          headers: [["content-type", "text/event-stream"] as [string, string], ...headers],
          body: [gzipSync(text)],
        });
        const answer = await edge.send({ key, body: chat("hello"), upstream });
        assert.match(answer.text, /^\{"type":"error","error":.*answer_unreadable/);
        assert.equal(answer.header("content-encoding"), undefined);
      }
    });

    it("breaks an answer off before trailers where no more of it could go out", async () => {
      if (profile === "ngx_wasm") return; // nginx drops trailers
      const answer = async (body: string[], type = "text/plain") => {
        const upstream = () => ({
          status: 200,
          headers: { "content-type": type },
          body: body.map((part) => Buffer.from(part)),
          trailers: [["x-end", "1"]] as [string, string][],
        });
        const { text, aborted } = await edge.send({ key: "redacts", body: chat("hello"), upstream });
        return [text, aborted !== ""];
      };
      assert.deepEqual(await answer(["hi ada@exam", "ple.com. "]), ["hi [EMAIL_1]. ", false]);
      assert.deepEqual(await answer(["hi ada@exam", "ple.com"]), ["hi ", true]);
      const events = sse([chunk("hi ada@exam"), chunk("ple.com")]).toString();
      const [text, aborted] = await answer([events], "text/event-stream");
      assert.deepEqual([contentOf(text as string), aborted], ["hi ", true]);
      const done = await answer([events + sse([finish, "[DONE]"])], "text/event-stream");
      assert.deepEqual([contentOf(done[0] as string), done[1]], ["hi [EMAIL_1]", false]);
    });

    it("takes no value for an identifier because one stood before it in the list", async () => {
      const body = '{"list":[{"id":"ada@example.com"},"ada@example.com"]}';
      const want = '{"list":[{"id":"ada@example.com"},"[EMAIL_1]"]}';
      assert.equal(await send("redacts", body, JSON_TYPE), want);
    });
  });
}
