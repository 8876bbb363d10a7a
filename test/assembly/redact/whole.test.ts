// Texts of prompts: redacted whole, remembered, and put back into answers however those are cut.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { ACTIONS, type ActionName, redactor, TYPES } from "./support.ts";

const { exports, reserve, write, read, input, output, text: textAt, phrase } = await redactor();
const profile = reserve(16);
const prompt = reserve(exports.sizes(0));
const answer = reserve(exports.sizes(0));
const record = reserve(exports.sizes(2));
const texts = reserve(12 * 64);
const work = reserve(1 << 20);
const ROOM = 1 << 20;
exports.createVaults(2);
phrase('say "x\\y"', "CUSTOM");

/** How a text is written: PLAIN, QUOTED and NESTED of restore.ts. */
const LEVELS = { plain: 0, quoted: 1, nested: 2 } as const;

let vault = 0;
beforeEach(() => {
  if (vault) exports.closeVault(vault);
  vault = exports.openVault();
});

function open(action: ActionName, actions: Partial<Record<string, ActionName>> = {}): void {
  write(
    profile,
    Uint8Array.from(TYPES, (type) => ACTIONS[actions[type] ?? action]),
  );
  exports.openAnswer(prompt, profile, vault);
}

/** Redacts the strings of a JSON body (all of its texts between quotes), or a plain text. */
function redact(body: string, json = true, room = ROOM): string | undefined {
  const bytes = Buffer.from(body);
  write(input, bytes);
  const list: number[] = [];
  if (!json) list.push(0, bytes.length, 0);
  for (const found of json ? body.matchAll(/"((?:[^"\\]|\\.)*)"/g) : []) {
    const start = Buffer.byteLength(body.slice(0, (found.index as number) + 1));
    const raw = found[1] as string;
    list.push(start, start + Buffer.byteLength(raw), raw.includes("\\") ? 1 : 0);
  }
  write(texts, new Uint8Array(Uint32Array.from(list).buffer));
  const slice: bigint = exports.whole(
    prompt,
    input,
    bytes.length,
    texts,
    list.length / 3,
    work,
    output,
    room,
  );
  return slice === 0n ? undefined : textAt(Number(slice >> 32n), Number(slice & 0xffffffffn));
}

/** What comes out of an answer in pieces that end at `cuts`, with the originals put back. */
function answered(text: string, level: keyof typeof LEVELS, action: ActionName, cuts: number[]): string {
  write(
    profile,
    Uint8Array.from(TYPES, () => ACTIONS[action]),
  );
  exports.openAnswer(answer, profile, 0);
  exports.follow(answer, prompt, vault);
  exports.openPassage(record, answer, LEVELS[level]);
  const bytes = Buffer.from(text);
  const ends = [...cuts, bytes.length];
  let out = "";
  let from = 0;
  for (const [i, to] of ends.entries()) {
    write(input, bytes.subarray(from, to));
    exports.setOutput(output, ROOM);
    const last = i === ends.length - 1 ? 1 : 0;
    assert.equal(exports.pass(record, input, to - from, last), to - from);
    out += Buffer.from(read(output, (exports.written() >>> 0) - output)).toString();
    from = to;
  }
  return out;
}

function answeredAtEveryCut(text: string, level: keyof typeof LEVELS, action: ActionName): string {
  const length = Buffer.byteLength(text);
  const whole = answered(text, level, action, []);
  for (let cut = 0; cut <= length; cut++) {
    assert.equal(answered(text, level, action, [cut]), whole, `cut at ${cut}`);
  }
  const each = Array.from({ length: length - 1 }, (_, i) => i + 1);
  assert.equal(answered(text, level, action, each), whole);
  return whole;
}

/** `text` in escapes of JSON. */
const escape16 = (text: string) =>
  [...Array(text.length).keys()]
    .map((i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`)
    .join("");

describe("texts of a prompt", () => {
  test("are redacted in place, and everything else keeps its bytes", () => {
    open("redact");
    assert.equal(
      redact(String.raw`{ "a": "caf\u00e9 bob@example.com\n",  "b":"é \u0062ob@example.com 10.0.0.1" }`),
      String.raw`{ "a": "caf\u00e9 [EMAIL_1]\n",  "b":"é [EMAIL_1] [IP_1]" }`,
    );
    const clean = String.raw`{"a":"nothing \"here\" \ud83d\ude00"}`;
    assert.equal(redact(clean), clean);
  });

  test("become what they would become in an answer", async () => {
    const engine = await redactor();
    const texts = [
      "Write to bob.smith@example.com, (415) 555-0134 or card 4111-1111-1111-1111, bob.smith@example.com",
      `Key AKIAQWERTY2345ZXCVBN, sk-proj-${"aB3dE5fG7h".repeat(12)}: DE89 3704 0044 0532 0130 00, 2001:db8::1.`,
      "größe 😀 müller@example.de “quoted” 2024-01-15 v1.2.3.4 plain text",
    ];
    for (const text of texts) {
      const raw = [...text].map((c) => (/[a-f@é😀]/u.test(c) ? escape16(c) : c)).join("");
      for (const action of ["redact", "mask", "hash", "flag"] as const) {
        for (const [bytes, escaped] of [
          [Buffer.from(text), false],
          [Buffer.from(raw), true],
        ] as const) {
          assert.equal(
            engine.redactWhole(bytes, { action, escaped }),
            engine.redact(bytes, { action, escaped }),
          );
        }
      }
    }
  });

  test("keep long secrets whole, which a stream could not", () => {
    open("reversible");
    const key = `sk-proj-${"aB3dE5fG7h".repeat(30)}`;
    const pem = `-----BEGIN PRIVATE KEY-----\\n${"MIIEowIBAAKCAQEAx8zq/vT+5Q\\n".repeat(40)}-----END PRIVATE KEY-----`;
    assert.equal(redact(`{"a":"use ${key}","b":"${pem}"}`), '{"a":"use [API_KEY_1]","b":"[PRIVATE_KEY_1]"}');
    assert.equal(answered("[API_KEY_1]", "plain", "ignore", []), key);
    assert.equal(answered("[PRIVATE_KEY_1]", "quoted", "ignore", []), pem.replaceAll("\\n", "\\u000a"));
  });

  test("number from above the placeholders that the prompt already has", () => {
    open("redact");
    assert.equal(
      redact('{"a":"as [EMAIL_7] and [EMAIL_99999] said","b":"ann@example.com 10.0.0.1"}'),
      '{"a":"as [EMAIL_7] and [EMAIL_99999] said","b":"[EMAIL_8] [IP_1]"}',
    );
  });

  test("go by each type's action", () => {
    open("ignore", { EMAIL: "mask", IP: "hash", US_SSN: "flag", CUSTOM: "redact" });
    assert.match(
      redact('{"a":"bob@example.com 10.0.0.1 078-05-1120 say \\"x\\\\y\\""}') ?? "",
      /^\{"a":"b\*\*\*@example\.com \[IP:[0-9a-f]{12}\] 078-05-1120 \[CUSTOM_1\]"\}$/,
    );
    assert.equal(exports.countOf(prompt, TYPES.indexOf("US_SSN")), 1);
  });

  test("stop at what is blocked", () => {
    open("redact", { IP: "block" });
    redact('{"a":"bob@example.com","b":"10.0.0.1"}');
    assert.equal(TYPES[exports.blockedBy(prompt)], "IP");
  });

  test("say when more is to be remembered than there is room for, and when the body does not fit", () => {
    const many = (count: number) =>
      JSON.stringify(Array.from({ length: count }, (_, i) => `user${i}@example.com`).join(" "));
    open("reversible");
    redact(many(112));
    assert.equal(exports.wasUnkept(), 0);
    open("reversible");
    exports.closeVault(vault);
    vault = exports.openVault();
    open("reversible");
    redact(many(113));
    assert.equal(exports.wasUnkept(), 1);
    open("hash");
    assert.equal(redact('{"a":"::1 ::2"}', true, 20), undefined);
  });

  test("say so where there is no vault for what is to come back", () => {
    exports.closeVault(vault);
    vault = 0;
    open("reversible");
    redact('{"a":"bob@example.com"}');
    assert.equal(exports.wasUnkept(), 1);
  });
});

describe("originals in an answer", () => {
  test("come back wherever the answer is cut, and only those that were taken out", () => {
    open("reversible", { PHONE: "redact" });
    redact('{"a":"I am bob@example.com at 10.0.0.1, +44 20 7946 0958"}');
    assert.equal(
      answeredAtEveryCut(
        "Hello [EMAIL_1], [EMAIL_2] [x] [IP_1]![[EMAIL_1] [PHONE_1] [IP_",
        "quoted",
        "ignore",
      ),
      "Hello bob@example.com, [EMAIL_2] [x] 10.0.0.1![bob@example.com [PHONE_1] [IP_",
    );
  });

  test("do not come back for what is no placeholder of theirs", () => {
    open("reversible");
    redact('{"a":"I am bob@example.com"}');
    const text =
      "[_1] [EM_1] [MAIL_1] [EMAIL_] [EMAIL_0] [EMAIL_1x] [EMAIL_1 [EMAIL1] [email_1] [EMAIL_4294967297] [EMAIL_000001] [EMAIL_1";
    assert.equal(
      answeredAtEveryCut(`${text}] ${text}`, "quoted", "ignore"),
      `${text}] ${text}`.replaceAll("[EMAIL_1]", "bob@example.com"),
    );
  });

  test("are not redacted again, while what the answer adds is, under numbers of its own", () => {
    open("reversible");
    redact('{"a":"I am bob@example.com"}');
    assert.equal(
      answeredAtEveryCut(
        "[EMAIL_1] or ann@example.com, ann@example.com, bob@example.com",
        "quoted",
        "redact",
      ),
      "bob@example.com or [EMAIL_2], [EMAIL_2], bob@example.com",
    );
  });

  test("are escaped as the place needs it", () => {
    open("reversible");
    redact('{"a":"say \\"x\\\\y\\""}');
    const value = 'say "x\\y"';
    assert.equal(answered("[CUSTOM_1]", "plain", "ignore", []), value);
    const quoted = answeredAtEveryCut("a [CUSTOM_1] b", "quoted", "redact");
    assert.equal(JSON.parse(`"${quoted}"`), `a ${value} b`);
    const nested = answeredAtEveryCut('{\\"q\\":\\"[CUSTOM_1]\\"}', "nested", "redact");
    assert.deepEqual(JSON.parse(JSON.parse(`"${nested}"`)), { q: value });
  });

  test("are gone when the vault is given back", () => {
    open("reversible");
    redact('{"a":"bob@example.com"}');
    assert.equal(exports.isEmpty(vault), 0);
    exports.closeVault(vault);
    vault = exports.openVault();
    assert.equal(exports.isEmpty(vault), 1);
    assert.equal(answered("[EMAIL_1]", "plain", "ignore", []), "[EMAIL_1]");
  });
});
