// Events that differ in nothing but a text, paddings and numbers are not read whole (usage/repeat.ts, redact/channels.ts):
// what comes out must be what comes out where each is, which a padding of another name sees to.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProfileName } from "../../host/profiles.ts";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";
import { random } from "../support/random.ts";
import { contentOf, finish, sse, upstreamOf } from "./support.ts";

const policy = {
  tiers: { redacts: { tokens: "1G/month", response: { redact: ["email", "ip"] } } },
  keys: [keyEntry("redacts", "redacts")],
};

/** Members that are passed over, each with one of its length that is read. */
const TWINS = [
  ["obfuscation", "obfuscatiom"],
  ["p", "q"],
  ["created_at", "created_as"],
  ["sequence_number", "sequence_numbes"],
] as const;

const TEXTS = [
  "word ",
  " and",
  " bob@exa",
  "mple.com",
  " 10.0",
  ".0.1 ",
  ' "said" ',
  "é ",
  "ann@example.org, ",
  "",
];
const VALUES = ["a", "kkk7", "", "zoe@example.net", "10.9.8.7", 'p"q', "é", "a".repeat(40)];

function someStream(seed: number): unknown[] {
  const pick = random(seed);
  const member = (name: string, i: number) => ({
    [name]: name === "sequence_number" ? i : VALUES[pick(pick(2) ? 3 : 8)],
  });
  const names = TWINS.map(([name]) => name).filter(() => pick(2) === 0);
  const first = names.filter(() => pick(2) === 0);
  const last = names.filter((name) => !first.includes(name));
  const note = pick(4) === 0 ? { note: VALUES[pick(8)] } : {};
  const events = Array.from({ length: 4 + pick(30) }, (_, i) => ({
    ...Object.assign({}, ...first.map((name) => member(name, i))),
    id: pick(9) ? "c1" : "c2",
    ...note,
    choices: [
      { index: pick(20) ? 0 : 1, delta: { content: TEXTS[pick(TEXTS.length)] }, finish_reason: null },
    ],
    ...Object.assign({}, ...last.map((name) => member(name, i))),
  }));
  const ends = [0, 1].map((index) => ({ choices: [{ index, delta: {}, finish_reason: "stop" }] }));
  return [...events, ...ends, "[DONE]"];
}

for (const profile of ["envoy", "ngx_wasm"] as const satisfies ProfileName[]) {
  describe(`events that are alike (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy, kind: "trapping" });
    const ask = async (body: Buffer, cut?: number) =>
      (
        await edge.send({
          key: "redacts",
          body: chat("hello", { stream: true }),
          upstream: upstreamOf(body, cut),
        })
      ).text;

    it("are not taken for others of their length that stand where they stood", async () => {
      const event = (user: string, i: number) =>
        sse([
          {
            ...{ id: "c1", user, obfuscation: `x${i}` },
            choices: [{ index: 0, delta: { content: "word" }, finish_reason: null }],
          },
        ]);
      const users = ["nobody-of-these", "nobody-of-these", "nobody-of-these", "bob@example.com"];
      const body = [...users.map(event), sse([finish, "[DONE]"])];
      const { text } = await edge.send({
        key: "redacts",
        body: chat("hello", { stream: true }),
        upstream: () => ({ status: 200, headers: { "content-type": "text/event-stream" }, body }),
      });
      assert.match(text, /"user":"\[EMAIL_1\]"/);
      assert.equal(contentOf(text), "word".repeat(users.length));
    });

    it("come out as if each was read whole", async () => {
      for (let seed = 1; seed <= 150; seed++) {
        const body = sse(someStream(seed));
        let twin = body.toString();
        for (const [name, other] of TWINS) twin = twin.replaceAll(`"${name}":`, `"${other}":`);
        let expected = await ask(Buffer.from(twin));
        for (const [name, other] of TWINS) expected = expected.replaceAll(`"${other}":`, `"${name}":`);
        assert.equal(await ask(body), expected, `seed ${seed}`);
        assert.equal(await ask(body, 1 + ((seed * 131) % body.length)), expected, `seed ${seed}, cut`);
      }
    });

    it("do not pass what must not leave in a padding, before the text or after it", async () => {
      for (const name of ["obfuscation", "p"]) {
        const event = (i: number) => ({
          [name]: i === 4 ? "bob@example.com" : `a${i}`,
          choices: [{ index: 0, delta: { content: ` word${i}` }, finish_reason: null }],
          created_at: i === 6 ? "ann@example.com" : `b${i}`,
        });
        const text = await ask(sse([...Array.from({ length: 9 }, (_, i) => event(i)), "[DONE]"]));
        assert.ok(!text.includes("@"), text);
        assert.match(text, /"\w+":"\[EMAIL_1\]".*"created_at":"b4"/);
        assert.match(text, /"created_at":"\[EMAIL_2\]"/);
        assert.match(text, /"a8".*"word7 ".*"b8"/);
      }
    });

    it("have no padding of which a part is taken for what does not change", async () => {
      const event = (i: number, padding: string) =>
        `data: {"choices":[{"index":0,"delta":{"content":" word${i}"}}],"p":"${padding}"}\n\n`;
      const events = ["", "", "x ", "bob", "zoe"].map((begin, i) => event(i, `${begin}\\u0040example.com`));
      const text = await ask(Buffer.from([...events, "data: [DONE]\n\n"].join("")));
      assert.ok(!/bob|zoe/.test(text), text);
      assert.match(text, /"p":"x \\u0040example.com".*\n\n.*"p":"\[EMAIL_1\]".*\n\n.*"p":"\[EMAIL_2\]"/);
    });

    it("are read as such after very many that are all different", async () => {
      const event = (content: string, more: object) => ({
        id: "c1",
        choices: [{ index: 0, delta: { content } }],
        ...more,
      });
      const events = [
        ...Array.from({ length: 300 }, (_, i) => event(`${i} `, { marker: `a${i}` })),
        ...Array.from({ length: 40 }, (_, i) => event(`${i} 10.0.0.${i} `, {})),
      ];
      const text = contentOf(await ask(sse([...events, "[DONE]"])));
      const numbers = (count: number, rest: (i: number) => string) =>
        Array.from({ length: count }, (_, i) => `${i} ${rest(i)}`).join("");
      assert.equal(text, numbers(300, () => "") + numbers(40, (i) => `[IP_${i + 1}] `));
    });
  });
}
