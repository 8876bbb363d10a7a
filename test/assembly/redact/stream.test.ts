import assert from "node:assert/strict";
import { test } from "node:test";
import { ACTIONS, redactor, TYPES } from "./support.ts";

const engine = await redactor();
const { exports, reserve, write, read } = engine;

const PEM = `-----BEGIN RSA PRIVATE KEY-----\n${"MIIEowIBAAKCAQEAx8zq1vT5\n".repeat(40)}-----END RSA PRIVATE KEY-----`;
const JWT = `${btoa('{"alg":"HS256"}')}.${btoa(`{"sub":"${"0123456789".repeat(40)}"}`).replaceAll("=", "")}.c2lnbmF0dXJl`;
const TEXTS = [
  "Write to bob.smith@example.com or call +44 (0)20 7946 0958, then bob.smith@example.com again.",
  "Card 4111-1111-1111-1111; IBAN DE89 3704 0044 0532 0130 00; SSN 078-05-1120; hosts 10.0.0.1 and 2001:db8::1.",
  `Key AKIAQWERTY2345ZXCVBN, token ${JWT}. Keep\n${PEM}\nsafe ("(415) 555-0134")`,
  `Chrome/110.0.0.1, ${"Xk9".repeat(30)}/10.0.0.0 and ${"Xk9".repeat(22)}/10.0.0.1 x`,
  "größe 😀 日本語 müller@example.de “quoted” 2024-01-15 v1.2.3.4 plain text that holds nothing at all",
];

test("any single cut, and one byte at a time, gives what the whole gives", () => {
  for (const action of ["redact", "mask", "hash", "flag", "ignore", "block"] as const) {
    for (const text of TEXTS) {
      const whole = engine.redact(text, { action });
      const length = Buffer.byteLength(text);
      assert.notEqual(whole, action === "redact" && text === TEXTS.at(-1) ? text : "");
      for (let cut = 0; cut <= length; cut++) assert.equal(engine.redact(text, { action }, [cut]), whole);
      const each = Array.from({ length }, (_, i) => i + 1);
      assert.equal(engine.redact(text, { action }, each), whole);
    }
  }
});

test("inside a JSON string the decoded text is redacted, however it is escaped and cut", () => {
  const escapes = [
    (c: string) => JSON.stringify(c).slice(1, -1),
    (c: string) =>
      /[@.+"<]/.test(c)
        ? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
        : JSON.stringify(c).slice(1, -1),
    (c: string) =>
      [...Array(c.length).keys()].map((i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  ];
  for (const text of TEXTS) {
    const plain = engine.redact(text);
    for (const escaping of escapes) {
      const raw = [...text].map(escaping).join("");
      const whole = engine.redact(raw, { escaped: true });
      assert.equal(JSON.parse(`"${whole}"`), plain);
      const length = Buffer.byteLength(raw);
      for (let cut = 0; cut <= length; cut += 1 + (length >> 8)) {
        assert.equal(engine.redact(raw, { escaped: true }, [cut]), whole);
      }
    }
  }
});

test("JSON inside a JSON string is redacted as a tool reads it, however both are escaped and cut", () => {
  const unicode = (c: string) =>
    [...Array(c.length).keys()].map((i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`).join("");
  const escapes = [
    (c: string) => JSON.stringify(c).slice(1, -1),
    (c: string) => (/[@.+"<😀]/u.test(c) ? unicode(c) : JSON.stringify(c).slice(1, -1)),
    unicode,
  ];
  for (const text of TEXTS) {
    const plain = engine.redact(text);
    for (const escaping of escapes) {
      const inside = [...text].map(escaping).join("");
      const raw = JSON.stringify(inside).slice(1, -1);
      const whole = engine.redact(raw, { nested: true });
      assert.equal(JSON.parse(`"${JSON.parse(`"${whole}"`)}"`), plain);
      const length = Buffer.byteLength(raw);
      for (let cut = 0; cut <= length; cut += 1 + (length >> 8)) {
        assert.equal(engine.redact(raw, { nested: true }, [cut]), whole);
      }
      const each = Array.from({ length }, (_, i) => i + 1);
      assert.equal(engine.redact(raw, { nested: true }, each), whole);
    }
  }
  const odd = String.raw`\\\"x\\\\ \\ud83d\\ude00 \\ud83d \\ud83d\\n \\u00 \\q \\/ \u005c\u006e \\\\n\\u005cn bob@example.com\\`;
  assert.equal(engine.redact(odd, { nested: true }), odd.replace("bob@example.com", "[EMAIL_1]"));
  const spelled = String.raw`\\u0075\\u0073er@example.com`;
  assert.equal(engine.redact(spelled, { nested: true }), "[EMAIL_1]");
});

const SECRETS: [string, string][] = [
  ["bob.smith@example.com", "EMAIL"],
  ["+44 20 7946 0958", "PHONE"],
  ["4111 1111 1111 1111", "CREDIT_CARD"],
  ["DE89 3704 0044 0532 0130 00", "IBAN"],
  ["078-05-1120", "US_SSN"],
  ["2001:db8::8a2e:370:7334", "IP"],
  ["AKIAQWERTY2345ZXCVBN", "API_KEY"],
  [`sk-proj-${"aB3dE5fG7h".repeat(4)}`, "API_KEY"],
];
const UNSEEN = ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u200b\u2060"];
const jsonEscape = (c: string) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;

test("characters that are not seen hide nothing, wherever they stand and however it is cut, and go with what they hid in", () => {
  for (const [secret, type] of SECRETS) {
    for (const sign of UNSEEN) {
      const between = [...secret].join(sign);
      const within = secret.slice(0, 8) + sign + secret.slice(8);
      for (const hidden of [between, within]) {
        const text = `It is \u201c${hidden}\u201d,${sign} then.`;
        const want = `It is \u201c[${type}_1]\u201d,${sign} then.`;
        assert.equal(engine.redact(text), want, text);
        for (let cut = 0; cut <= Buffer.byteLength(text); cut++) {
          assert.equal(engine.redact(text, {}, [cut]), want, `${text} cut at ${cut}`);
        }
        const raw = text.replaceAll(sign[0] as string, jsonEscape(sign));
        if (sign.length > 1) continue;
        for (let cut = 0; cut <= Buffer.byteLength(raw); cut++) {
          const out = engine.redact(raw, { escaped: true }, [cut]);
          assert.equal(out, want.replace(sign, jsonEscape(sign)), `${raw} cut at ${cut}`);
        }
      }
    }
  }
});

test("an address is found behind HTML's number for its sign, wherever it is cut", () => {
  for (const sign of ["&#64;", "&#064;", "&#x40;", "&#X40;"]) {
    for (const [text, escaped] of [
      [`R&D &amp; &#98;, ann.bob${sign}example.com & &#955; AT&T; a&#64;b`, false],
      [`R\\u0026D & ann.bob${sign.replace("&", "\\u0026")}example.com &`, true],
    ] as const) {
      const want = text.replace(/ann\.bob\S*/, "[EMAIL_1]");
      for (let cut = 0; cut <= Buffer.byteLength(text); cut++) {
        assert.equal(engine.redact(text, { escaped }, [cut]), want, `${text} cut at ${cut}`);
      }
    }
  }
  assert.equal(engine.redact("ann&#64;example.com", { action: "mask" }), "a***&#64;example.com");
});

test("quotes, backslashes and characters of two escapes are read through both levels, wherever they are cut", async () => {
  const own = await redactor();
  const phrase = 'go "\u{1f600}\u{10ffff}" on\\off \u{50000}\u{90000}';
  assert.ok(own.phrase(phrase, "CUSTOM"));
  assert.ok(own.phrase("say \u{1f600}\u{10ffff}", "CUSTOM"));
  const inner = (text: string) => JSON.stringify(text).slice(1, -1);
  const quoted = inner(phrase).replace(/[\ud800-\udfff]/g, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
  const nested = inner(quoted);
  const upper = (raw: string) => raw.replace(/u(d\w{3})/g, (_, hex) => `u${hex.toUpperCase()}`);
  const said = String.raw`say \\ud83d\\ude00\\udbff\\udfff`;
  const halves = [
    String.raw`say \ud83d\\ude00\\udbff\udfff`,
    String.raw`say \\ud83d\\n\\udbff\\\\`,
    String.raw`say \\ud83d\\\"\ud83d\/\ud83dx`,
    String.raw`say \\ud83dx\\ude00\\\\ude00\\ud83`,
  ];
  const many = [String.raw`\ud83d\ude00`.repeat(250), String.raw`\\ud83d\\ude00`.repeat(250)];
  for (const [options, forms] of [
    [{ escaped: true }, [quoted, upper(quoted), said, upper(said)]],
    [{ nested: true }, [nested, upper(nested), nested.replace(" on", "\\\\non"), said]],
  ] as const) {
    for (const form of [...forms, ...halves, ...many]) {
      const raw = `x ${form}, \u{1f600}`;
      const want = halves.includes(form) || many.includes(form) ? raw : "x [CUSTOM_1], \u{1f600}";
      const length = Buffer.byteLength(raw);
      for (let cut = 0; cut <= length; cut += 1 + (length >> 9))
        assert.equal(own.redact(raw, options, [cut]), want, `${raw} cut at ${cut}`);
      const each = Array.from({ length }, (_, i) => i + 1);
      assert.equal(own.redact(raw, options, each), want);
    }
  }
});

test("a private key without an end is given up after so many bytes, wherever it is cut", () => {
  const begin = "-----BEGIN PRIVATE KEY-----";
  for (const over of [0, 1, 5000]) {
    const key = begin + "MIIEowIBAAKCAQEAx8zq1vT5Qw3\n".repeat(800).slice(0, 16384 + over);
    const whole = engine.redact(`${key}! bob@example.com`);
    assert.match(
      whole,
      over < 5000 ? /^\[PRIVATE_KEY_1\].{0,40}! \[EMAIL_1\]$/s : /^\[PRIVATE_KEY_1\].*! \[EMAIL_1\]$/s,
    );
    for (const step of [1, 1009, 8191])
      assert.equal(
        engine.redact(
          `${key}! bob@example.com`,
          {},
          Array.from({ length: Math.floor(key.length / step) }, (_, i) => (i + 1) * step),
        ),
        whole,
      );
    assert.ok(whole.length >= over && whole.length < over + 100, `${whole.length}`);
  }
});

test("a key goes on behind unseen characters until they are too many, wherever it is cut", () => {
  const half = "aB3dE5fG7h".repeat(9);
  for (const [unseen, count, options] of [
    ["\u200b", 2, {}],
    ["\u00ad", 3, {}],
    ["\\u200b", 1, { escaped: true }],
  ] as const) {
    for (let more = 0; more < 3; more++) {
      const between = unseen.repeat(count + more);
      const text = `use sk-proj-${half}${between}${half}${unseen} now`;
      const rest = more > 0 ? `${between}${half}` : "";
      const want = `use [API_KEY_1]${rest}${unseen} now`;
      for (let cut = 0; cut <= Buffer.byteLength(text); cut++)
        assert.equal(engine.redact(text, options, [cut]), want, `${text} cut at ${cut}`);
      const each = Array.from({ length: Buffer.byteLength(text) }, (_, i) => i + 1);
      assert.equal(engine.redact(text, options, each), want);
    }
  }
});

test("a phrase with unseen characters between all of its own is the same in pieces, however many they are", async () => {
  const own = await redactor();
  const phrase = "aB3dE5fG7h".repeat(19);
  assert.ok(own.phrase(phrase, "CUSTOM"));
  for (const [unseen, most, options] of [
    ["\u200b", 2, {}],
    ["\\u200b", 1, { escaped: true }],
  ] as const) {
    for (const count of [most, most + 1, most + 9]) {
      const text = `x ${[...phrase].join(unseen.repeat(count))} y`;
      const each = Array.from({ length: Buffer.byteLength(text) }, (_, i) => i + 1);
      const whole = own.redact(text, options);
      assert.equal(whole === "x [CUSTOM_1] y", count === most);
      assert.equal(own.redact(text, options, each), whole);
      assert.equal(own.redactWhole(Buffer.from(text), options), whole);
    }
  }
});

test("more unseen characters than can be held are text like any other, at every cut", () => {
  for (const more of [3, 4, 40]) {
    const text = `to bo${"\u200b".repeat(more)}b@example.com ${"\u00ad".repeat(more)}4111 1111 1111 1111`;
    const whole = engine.redact(text);
    assert.ok(!whole.includes("b@example.com") && !whole.includes("4111"), whole);
    for (let cut = 0; cut <= Buffer.byteLength(text); cut++)
      assert.equal(engine.redact(text, {}, [cut]), whole);
    const each = Array.from({ length: Buffer.byteLength(text) }, (_, i) => i + 1);
    assert.equal(engine.redact(text, {}, each), whole);
  }
});

test("what is not redacted keeps its bytes, escapes included", () => {
  const raw = String.raw`a\u00e9\n\/\"x\ud83d\ude00 bob@example.com \u0041\t\ud800 end\\`;
  assert.equal(engine.redact(raw, { escaped: true }), raw.replace("bob@example.com", "[EMAIL_1]"));
});

test("no piece that comes out ends inside a UTF-8 sequence, and little is held", () => {
  const bytes = Buffer.from(TEXTS.at(-1) as string);
  engine.open();
  for (let i = 0; i < bytes.length; i++) {
    const out = engine.feed(bytes.subarray(i, i + 1), i === bytes.length - 1);
    assert.ok(!out.toString().includes("\ufffd"));
    assert.ok(engine.held() <= 320);
  }
  engine.open();
  assert.equal(
    engine.feed(Buffer.from("An ordinary sentence goes out but for its last word"), false).toString(),
    "An ordinary sentence goes out but for its last ",
  );
});

test("a value has one number in its answer, and each type counts by itself", () => {
  assert.equal(
    engine.redact("a@x.com b@x.com a@x.com 10.0.0.1 b@x.com"),
    "[EMAIL_1] [EMAIL_2] [EMAIL_1] [IP_1] [EMAIL_2]",
  );
  assert.equal(engine.countOf("EMAIL"), 4);
});

test("when the table of numbers is full, placeholders go without", () => {
  const text = Array.from({ length: 200 }, (_, i) => `user${i}@example.com`).join(" ");
  const out = engine.redact(text).split(" ");
  assert.equal(out[111], "[EMAIL_112]");
  assert.equal(out[199], "[EMAIL]");
});

test("each type has its own action", () => {
  const text = "bob@example.com 4111-1111-1111-1111 10.0.0.1 078-05-1120";
  const actions = { EMAIL: "mask", CREDIT_CARD: "mask", IP: "flag", US_SSN: "ignore" } as const;
  assert.equal(engine.redact(text, { actions }), "b***@example.com ****-****-****-1111 10.0.0.1 078-05-1120");
  assert.equal(engine.countOf("IP"), 1);
  assert.equal(engine.countOf("US_SSN"), 0);
  assert.equal(engine.redact("?to=a%2Bbob%40example.com&x", { actions }), "?to=a***%40example.com&x");
  assert.match(engine.redact(text, { action: "hash" }), /^\[EMAIL:[0-9a-f]{12}\] \[CREDIT_CARD:/);
});

test("a masked address keeps its own domain, whatever sign comes after it", () => {
  const mask = { actions: { EMAIL: "mask" } } as const;
  assert.equal(
    engine.redact("bob@example.com@ bob@example.com%20", mask),
    "b***@example.com@ b***@example.com%20",
  );
});

test("block ends the output before the match and names the type", () => {
  assert.equal(engine.redact("so far fine 10.0.0.1 never", { actions: { IP: "block" } }), "so far fine ");
  assert.equal(engine.blockedBy(), "IP");
});

const profile = reserve(16);
const answer = reserve(exports.sizes(0));
const set = reserve(exports.sizes(3));
const pieces = reserve(12 * 64);
const between = reserve(exports.sizes(4));
exports.createRecords(20);

function openAnswer(vault = 0): void {
  write(
    profile,
    Uint8Array.from(TYPES, () => ACTIONS.redact),
  );
  exports.openAnswer(answer, profile, vault);
  exports.openBody(between, answer);
}

function output(run: () => void): string {
  exports.setOutput(engine.output, 1 << 20);
  run();
  return Buffer.from(read(engine.output, (exports.written() >>> 0) - engine.output)).toString();
}

/** Rewrites one event whose texts are the values of "t", on channels given by "c". */
function rewriteEvent(event: string, channel: number, last = false): string {
  const bytes = Buffer.from(event);
  write(engine.input, bytes);
  const start = bytes.indexOf('"t":"') + 5;
  const end = bytes.indexOf('"}', start);
  write(pieces, new Uint8Array(Uint32Array.of((channel | (last ? 0x80000000 : 0)) >>> 0, start, end).buffer));
  return output(() => assert.ok(exports.rewriteEvent(set, between, engine.input, bytes.length, pieces, 1)));
}

test("an address that straddles deltas is redacted, channel by channel, and the rest is flushed", () => {
  openAnswer();
  exports.openSet(set, answer);
  const out = [
    rewriteEvent('{"c":0,"t":"Mail bob@exa"}', 0),
    rewriteEvent('{"c":1,"t":"bob"}', 1),
    rewriteEvent('{"c":0,"t":"mple.com now, or"}', 0),
    rewriteEvent('{"c":1,"t":"@example.com"}', 1),
  ];
  assert.deepEqual(out, [
    '{"c":0,"t":"Mail "}',
    '{"c":1,"t":""}',
    '{"c":0,"t":"[EMAIL_1] now, "}',
    '{"c":1,"t":""}',
  ]);
  assert.ok(exports.isHolding(set, 0));
  assert.equal(
    output(() => exports.flush(set, 0)),
    '{"c":0,"t":"or"}',
  );
  assert.ok(exports.isHolding(set, 1));
  assert.equal(
    output(() => exports.flush(set, 1)),
    '{"c":1,"t":"[EMAIL_1]"}',
  );
  assert.ok(!exports.isHolding(set, 1));
  assert.equal(rewriteEvent('{"c":2,"t":"call bob"}', 2, true), '{"c":2,"t":"call bob"}');
  exports.closeSet(set);
});

test("a key that is not over when its channel ends is pending, and goes out at the flush", () => {
  openAnswer();
  exports.openSet(set, answer);
  assert.equal(rewriteEvent(`{"c":0,"t":"use sk-proj-${"aB3dE5fG7h".repeat(30)}"}`, 0), '{"c":0,"t":"use "}');
  assert.ok(exports.isHolding(set, 0));
  assert.equal(
    output(() => exports.flush(set, 0)),
    '{"c":0,"t":"[API_KEY_1]"}',
  );
  exports.closeSet(set);
});

test("what is flushed goes out in an event of which everything else is redacted too", () => {
  openAnswer();
  exports.openSet(set, answer);
  const event = (more: string) =>
    `id: carol@example.com\ndata: {"by":"bob@example.com","t":"${more}"}\n: carol@example.com\n\n`;
  const redacted = (text: string) => `id: [EMAIL_1]\ndata: {"by":"[EMAIL_2]","t":"${text}"}\n: [EMAIL_1]\n\n`;
  assert.equal(rewriteEvent(event("Mail dan@exa"), 0), redacted("Mail "));
  assert.equal(
    output(() => exports.flush(set, 0)),
    redacted("dan@exa"),
  );
  exports.closeSet(set);
});

test("JSON that is called an event stream is redacted as what its escapes stand for, over lines too; fields are as they are", () => {
  for (const [text, want] of [
    ['{"a":"no ada\\u0040example.com"}\n\n', '{"a":"no [EMAIL_1]"}\n\n'],
    ['[{"a":"no ada\\u0040example.com"}]\n\n', '[{"a":"no [EMAIL_1]"}]\n\n'],
    ['{\n  "a": "no ada\\u0040example.com"\n}\n\n', '{\n  "a": "no [EMAIL_1]"\n}\n\n'],
    ["event: \\u0061da@example.com\n: \\u0062ob@example.com\n\n", "event: \\[EMAIL_1]\n: \\[EMAIL_2]\n\n"],
  ] as const) {
    openAnswer();
    exports.openSet(set, answer);
    const bytes = Buffer.from(text);
    write(engine.input, bytes);
    assert.equal(
      output(() => assert.ok(exports.rewriteEvent(set, between, engine.input, bytes.length, pieces, 0))),
      want,
    );
    exports.closeSet(set);
  }
});

test("more channels than a stream may have are redacted by themselves, and records come back", () => {
  for (let round = 0; round < 3; round++) {
    openAnswer();
    exports.openSet(set, answer);
    for (let channel = 0; channel < 16; channel++) rewriteEvent('{"t":"bob@"}', channel);
    assert.ok(!exports.isCrowded(set));
    assert.equal(rewriteEvent('{"t":"bob@example.com"}', 99), '{"t":"[EMAIL_1]"}');
    assert.ok(exports.isCrowded(set));
    exports.closeSet(set);
  }
});

test("a piece outside its event is refused", () => {
  openAnswer();
  exports.openSet(set, answer);
  write(pieces, new Uint8Array(Uint32Array.of(0, 4, 99).buffer));
  exports.setOutput(engine.output, 1 << 20);
  assert.equal(exports.rewriteEvent(set, between, engine.input, 10, pieces, 1), 0);
  exports.closeSet(set);
});

test("a JSON answer is redacted in every string but identifiers, at every cut, and stays valid", () => {
  const body = reserve(exports.sizes(4));
  const json = JSON.stringify({
    id: "chatcmpl-10.0.0.1",
    model: "x@y.example.com",
    created: 4111111111111111,
    "bob@example.com": "a name is not a value",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: 'Mail "bob@example.com"\n or 10.0.0.1 \\' },
        finish_reason: "stop",
      },
      { index: 1, message: { content: ["ann@example.com", { text: "é 😀 +44 20 7946 0958" }], empty: "" } },
    ],
    text: "end bob@example.com",
  });
  const want = json
    .replace('\\"bob@example.com\\"', '\\"[EMAIL_1]\\"')
    .replace("or 10.0.0.1", "or [IP_1]")
    .replace("ann@example.com", "[EMAIL_2]")
    .replace("+44 20 7946 0958", "[PHONE_1]")
    .replace("end bob@example.com", "end [EMAIL_1]");
  const bytes = Buffer.from(json);
  const run = (cuts: number[]) => {
    openAnswer();
    exports.openBody(body, answer);
    let from = 0;
    let out = "";
    for (const cut of [...cuts, bytes.length]) {
      write(engine.input, bytes.subarray(from, cut));
      out += output(() => assert.equal(exports.feedBody(body, engine.input, cut - from), cut - from));
      from = cut;
    }
    return out + output(() => exports.endBody(body));
  };
  assert.equal(run([]), want);
  JSON.parse(want);
  for (let cut = 1; cut < bytes.length; cut++) assert.equal(run([cut]), want, `cut at ${cut}`);
  assert.equal(run(Array.from({ length: bytes.length - 1 }, (_, i) => i + 1)), want);
});

test("a name of broken escapes, which stand for more bytes than they have, writes nothing behind its place", () => {
  const body = reserve(exports.sizes(4));
  exports.openBody(body, reserve(exports.sizes(0)));
  const text = body + exports.sizes(4) - exports.sizes(2);
  const untouched = Buffer.alloc(exports.sizes(2), 0xaa);
  write(text, untouched);
  const name = Buffer.from(`{"${"\\u".repeat(60)}":`);
  write(engine.input, name);
  output(() => assert.equal(exports.feedBody(body, engine.input, name.length), name.length));
  assert.ok(untouched.equals(read(text, untouched.length)));
});

test("a JSON answer is over with its last bracket and not before, wherever it is cut", () => {
  const extent = reserve(8);
  for (const json of [
    String.raw`{"a":"}]\"} \\","b":[{"c":"[{\\\""},[]],"d":{}}`,
    '[{"a":"\\\\"},"]"]',
    ' {"":[1,{"b":"\\\\\\""}]}',
    "[]",
  ]) {
    const bytes = Buffer.from(`${json} \n`);
    for (let cut = 0; cut <= bytes.length; cut++) {
      write(engine.input, bytes);
      write(extent, Buffer.alloc(8));
      assert.equal(
        exports.isOver(extent, engine.input, cut) !== 0,
        cut >= json.length,
        `${json} cut at ${cut}`,
      );
      assert.ok(exports.isOver(extent, engine.input + cut, bytes.length - cut));
    }
    write(extent, Buffer.alloc(8));
    for (let at = 0; at < bytes.length; at++)
      assert.equal(exports.isOver(extent, engine.input + at, 1) !== 0, at >= json.length - 1);
  }
});

test("too little room takes less input, and loses nothing", () => {
  engine.open();
  const text = Buffer.from("bob@example.com ".repeat(4000));
  const want = engine.redact(text);
  engine.open();
  let out = "";
  let from = 0;
  while (from < text.length) {
    write(engine.input, text.subarray(from));
    exports.setOutput(engine.output, 9000);
    const taken = engine.feedSome(text.length - from, true);
    assert.ok(taken.taken > 0);
    out += taken.out;
    from += taken.taken;
  }
  assert.equal(out, want);
});
