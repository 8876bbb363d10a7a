import assert from "node:assert/strict";
import { test } from "node:test";
import { redactor, type TypeName } from "./support.ts";

const simd = await redactor();
const scalar = await redactor(true);

const FRAMES = ["%s", "value %s, ok", "(%s)", '"%s"', "it is %s.", "line\n%s\nline", "quoted\\n%s\\nline"];

function isOnly(type: TypeName, value: string, frames = FRAMES): void {
  for (const frame of frames) {
    const text = frame.replace("%s", () => value);
    for (const engine of [simd, scalar]) {
      assert.deepEqual(
        engine.spans(text).map((s) => `${s.type} ${s.text}`),
        [`${type} ${value}`],
        JSON.stringify(text),
      );
    }
  }
}

function isNothing(text: string): void {
  for (const engine of [simd, scalar]) {
    assert.deepEqual(
      engine.spans(text).map((s) => `${s.type} ${s.text}`),
      [],
      JSON.stringify(text),
    );
  }
}

/** A reproducible value of `n` characters of `alphabet` that looks drawn at random. */
function drawn(alphabet: string, n: number, seed = 1): string {
  let state = seed * 2654435761;
  let out = "";
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0;
    out += alphabet[(state >>> 8) % alphabet.length];
  }
  return out;
}

const HEX = "0123456789abcdef";
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALNUM = `${UPPER}${UPPER.toLowerCase()}0123456789`;

test("mail addresses are found whole, with dots, tags, apostrophes and accents", () => {
  for (const value of [
    "a.b-c_d+e@sub.example.co.uk",
    "o'brien@example.com",
    "müller@example.de",
    "info@bücher.de",
    "1234567@qq.com",
    "x@y.museum",
    "joe@xn--bcher-kva.example",
  ]) {
    isOnly("EMAIL", value);
  }
  assert.deepEqual(
    simd.spans("ask bob@example.com.Thanks").map((s) => s.text),
    ["bob@example.com"],
  );
});

test("a mail address behind a backslash begins with a whole character, but not with the letter of a line end", () => {
  for (const [text, value] of [
    ["\\élodie@example.com", "élodie@example.com"],
    ["\\żaneta@example.com", "żaneta@example.com"],
    ["\\bob@example.com", "bob@example.com"],
    ["\\nbob@example.com", "bob@example.com"],
    ["\\n\\tétienne@example.com", "étienne@example.com"],
  ] as const) {
    assert.deepEqual(
      simd.spans(text).map((s) => s.text),
      [value],
    );
    assert.equal(simd.redact(text), text.replace(value, "[EMAIL_1]"));
  }
});

test("mail addresses with the sign encoded for a URL are found without what is encoded before them", () => {
  for (const value of ["bob%40example.com", "a.b%2Btag%40sub.example.co.uk", "a%2bb%40example.com"]) {
    isOnly("EMAIL", value, [
      ...FRAMES,
      "https://example.org/?email=%s&x=1",
      "mailto:%s",
      "q%3Femail%3D%s%26x",
    ]);
  }
  const behind = `https%3A%2F%2Fexample.org%2F${"path%2F".repeat(12)}%3Fto%3Dbob%40example.com%26x`;
  assert.deepEqual(
    simd.spans(behind).map((s) => s.text),
    ["bob%40example.com"],
  );
  for (const before of ["%20", "%22", "%2C", "%2f", "%3C", "see%20"])
    isOnly("EMAIL", "bob%40example.com", [`${before}%s%20`]);
  for (const text of ["save 20%40 off", "100%40.5", "%40example.com", "a%41example.com", "%3D%40example.com"])
    isNothing(text);
  // No local part, also where what is encoded before it has gone out.
  const far = `%40-%40${"a".repeat(58)}.Example is`;
  for (let cut = 0; cut < far.length; cut++) assert.equal(simd.redact(far, {}, [cut]), far, `cut at ${cut}`);
});

test("handles, image names and clone addresses are not mail addresses", () => {
  for (const text of [
    "@openai foo@ bar",
    "logo@2x.png",
    "user@localhost",
    "git@github.com:org/repo.git",
    "a@b.c",
  ])
    isNothing(text);
});

test("telephone numbers of many countries are found without a word beside them", () => {
  const numbers = `+1-202-555-0143|(202) 555-0143 x123|202-555-0143 ext. 45|001-202-555-0143x9876|1 (800) 555-0199
+44 (0)20 7946 0958|+44(0)1632 960123|020 7946 0958|(0121) 496 0000|07700 900123|07700900123|+49 (0) 30 901820
030/1234567|0151-23456789|0211 / 123456|+33 6 12 34 56 78|06 12 34 56 78|01.23.45.67.89|+34 912 34 56 78
+39 06 698 83145|+31 20 123 4567|020-1234567|+41 44 668 18 00|044 668 18 00|+46 8 123 456 78|+45 33 12 34 56
+48 22 123 45 67|+420 601 123 456|+351 912 345 678|+55 11 91234-5678|(11) 91234-5678|+52 55 1234 5678
+54 9 11 1234-5678|+86 138 0013 8000|+81 3-1234-5678|090-1234-5678|+82 10-1234-5678|+91 98765 43210|98765 43210
+61 2 9876 5432|(02) 9876 5432|+64 21 123 4567|+27 82 123 4567|+971 50 123 4567|+972-50-123-4567|8 (495) 123-45-67
+7 (495) 123-45-67|+380 44 123 4567|+90 532 123 45 67|+65 6123 4567|+62 812-3456-7890|+12025550143|202.555.0143`;
  for (const value of numbers.split(/[|\n]/))
    isOnly("PHONE", value, ["He wrote: %s.", "Please note %s for later"]);
});

test("a word such as call or Tel. makes a plain number a telephone number", () => {
  for (const text of [
    "Call 4155551234 now",
    "phone: 4155551234",
    "Tel. 612 345 678",
    "my cell is 5551234567",
    "téléphone 0612345678",
    "电话：13800138000",
  ]) {
    assert.equal(simd.spans(text)[0]?.type, "PHONE", text);
  }
});

test("dates, versions, decimals, order numbers and codes are nothing", () => {
  for (const text of `2024-01-15 10:30:45|15.01.2024|01/02/2023 and 02/03/2023|version 10.0.19045.3803|order 4155551234
Order #415-555-1234|ISBN 978-3-16-148410-0|1,234,567,890|3.14159265358979|37.774929, -122.419416|1 000 000 000
call me at 10:30 on 2024-05-06|+37.774929|2019-2020|100-200-300|1534857149|£07123456789|12345678901234567890
a+12025550143b|UPC 036000291452|2024 12 31 23 59|x = 1234567890 + 5|EAN 4006381333931|CVE-2024-12345|$1 234 567 890
01110011 01101001 01101110|pp. 123-145|3 4 5 6 7 8 9 10 11|tag 20240115123045`.split(/[|\n]/))
    isNothing(text);
});

test("the rest of a number that was refused as a whole is nothing: of four groups of four, of thousands", () => {
  for (const text of [
    "Ausweis 1234-5678-9012-3456",
    "serial 1234 5678 9012 3456",
    "in 2023 there were 8 045 311 447 people",
    "il y avait 8\u00a0045\u00a0311\u00a0447 personnes",
    "il y avait 8\u202f045\u202f311\u202f447 personnes",
  ])
    isNothing(text);
  assert.equal(simd.spans("since 2024 4111 1111 1111 1111 is lost")[0]?.type, "CREDIT_CARD");
  assert.equal(simd.spans("call me, room 8 045 311 447")[0]?.type, "PHONE");
});

test("cards need an issuer's range, its length and Luhn", () => {
  for (const value of [
    "4111-1111-1111-1111",
    "4111 1111 1111 1111",
    "378282246310005",
    "3782 822463 10005",
    "30569309025904",
    "6011000990139424",
    "2223003122003222",
  ])
    isOnly("CREDIT_CARD", value);
  for (const text of [
    "4111 1111 1111 1112",
    "9111111111111111",
    "3530 0592 7240 7800",
    "tracking 4111111111111111",
  ])
    isNothing(text);
});

test("IBANs need their country's length and mod 97", () => {
  for (const value of [
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
  ])
    isOnly("IBAN", value);
  for (const text of ["GB82 WEST 1234 5698 7654 33", "XX82WEST12345698765432", "DE89 3704 0044"])
    isNothing(text);
});

test("social security numbers follow the ranges that were issued", () => {
  for (const value of ["078-05-1120", "862-11-4162", "168 14 8134"]) isOnly("US_SSN", value);
  assert.equal(simd.spans("social security number is 323712857")[0]?.type, "US_SSN");
  for (const text of [
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "123-00-4567",
    "123-45-0000",
    "population 323712857",
  ])
    isNothing(text);
});

test("addresses of both families are found in every form", () => {
  for (const value of [
    "10.0.0.1",
    "8.8.8.8",
    "203.0.113.7",
    "2001:db8::1",
    "fe80::1",
    "::1",
    "::ffff:192.0.2.1",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "2001:db8::",
    "64:ff9b::192.0.2.33",
  ])
    isOnly("IP", value);
});

test("versions, sections, clocks, hardware addresses and scopes are not addresses", () => {
  for (const text of [
    "Chrome/120.0.0.0 Safari/537.36",
    "section 3.2.1.4",
    "v1.2.3.4",
    "1.2.3.4-beta",
    "1.2.3.4.5",
    "256.1.1.1",
    "00:1B:44:11:3A:B7",
    "std::vector<int> a::b",
    "10:20:30",
    "a[::3]",
  ])
    isNothing(text);
});

test("keys of more than thirty issuers are found, whole", () => {
  const keys = [
    `sk-${drawn(ALNUM, 48)}`,
    `sk-proj-${drawn(`${ALNUM}_-`, 155)}A`,
    `sk-ant-api03-${drawn(`${ALNUM}_-`, 93)}AA`,
    `sk-or-v1-${drawn(HEX, 64)}`,
    `hf_${drawn(ALNUM, 34)}`,
    `gsk_${drawn(ALNUM, 52)}`,
    `AKIA${drawn(`${UPPER}234567`, 16)}`,
    `ASIA${drawn(`${UPPER}234567`, 16)}`,
    `AIza${drawn(`${ALNUM}_-`, 34)}A`,
    `GOCSPX-${drawn(ALNUM, 28)}`,
    `dop_v1_${drawn(HEX, 64)}`,
    `hvs.${drawn(ALNUM, 90)}`,
    `dp.pt.${drawn(ALNUM, 43)}`,
    `ghp_${drawn(ALNUM, 36)}`,
    `github_pat_${drawn(ALNUM, 22)}_${drawn(ALNUM, 59)}`,
    `glpat-${drawn(ALNUM, 20)}`,
    `npm_${drawn(ALNUM, 36)}`,
    `pypi-AgEIcHlwaS5vcmc${drawn(ALNUM, 150)}`,
    `rubygems_${drawn(HEX, 48)}`,
    `dckr_pat_${drawn(ALNUM, 27)}`,
    `xoxb-${drawn("0123456789", 12)}-${drawn("0123456789", 12, 2)}-${drawn(ALNUM, 24)}`,
    `https://hooks.slack.com/services/T${drawn(UPPER, 8)}/B${drawn(UPPER, 10)}/${drawn(ALNUM, 24)}`,
    `SG.${drawn(ALNUM, 22)}.${drawn(ALNUM, 43)}`,
    `SK${drawn(HEX, 32)}`,
    `key-${drawn(HEX, 32)}`,
    `${drawn(HEX, 32)}-us12`,
    `0123456789:A${drawn(ALNUM, 34)}`,
    `sk_live_${drawn(ALNUM, 24)}`,
    `whsec_${drawn(ALNUM, 32)}`,
    `shpat_${drawn(HEX, 32)}`,
    `lin_api_${drawn(ALNUM, 40)}`,
    `PMAK-${drawn(HEX, 24)}-${drawn(HEX, 34)}`,
    `NRAK-${drawn(`${UPPER}0123456789`, 27)}`,
    `glsa_${drawn(ALNUM, 32)}_${drawn(HEX, 8)}`,
    `patAbCdEfGh123456.${drawn(HEX, 64)}`,
    `abc8Q~${drawn(ALNUM, 34)}`,
    `dapi${drawn(HEX, 32)}`,
    `ABSK${drawn(ALNUM, 110)}=`,
    `sk_${drawn(HEX, 48)}`,
    `tvly-dev-${drawn(ALNUM, 32)}`,
    `pcsk_${drawn(ALNUM, 6)}_${drawn(ALNUM, 62)}`,
    `nfp_${drawn(ALNUM, 36)}`,
    `sgp_${drawn(HEX, 16)}_${drawn(HEX, 40)}`,
    `xsmtpsib-${drawn(HEX, 64)}-${drawn(ALNUM, 16)}`,
    `phx_${drawn(ALNUM, 44)}`,
    `ops_eyJ${drawn(ALNUM, 260)}`,
    `sk.eyJ1Ijoi${drawn(ALNUM, 60)}.${drawn(ALNUM, 22)}`,
  ];
  for (const value of keys) isOnly("API_KEY", value);
  const secret = drawn(`${ALNUM}+/`, 40);
  for (const name of ["aws_secret_access_key = ", 'SecretAccessKey": "', "AWS_SECRET_ACCESS_KEY="]) {
    assert.deepEqual(
      simd.spans(`${name}${secret}\n`).map((s) => s.text),
      [secret],
    );
  }
});

test("examples, hashes and words that begin like keys are nothing", () => {
  for (const text of [
    "sk-YOUR_API_KEY",
    "AKIAIOSFODNN7EXAMPLE",
    `ghp_${"x".repeat(36)}`,
    "sk-learn pipeline",
    "ask-an-expert-question-about-taxes-and-other-things",
    "task-anthropology-final-report-version-two",
    drawn(HEX, 40),
    drawn(HEX, 64),
    `data:image/png;base64,iVBORw0KGgo${drawn(ALNUM, 120)}`,
    "ghp_short1",
    "$OPENAI_API_KEY",
    "eyJ is how JWTs start",
  ])
    isNothing(text);
});

test("tokens and private keys are found to their end, however long", () => {
  const part = (o: unknown) => Buffer.from(JSON.stringify(o)).toString("base64url");
  for (const claims of [{ sub: "1234567890" }, { sub: drawn(ALNUM, 3000) }]) {
    isOnly("JWT", `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}.${drawn(ALNUM, 43)}`);
  }
  for (const kind of ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]) {
    for (const end of ["\n", "\\n"]) {
      const lines = Array.from({ length: 20 }, (_, i) => drawn(ALNUM, 64, i + 1));
      isOnly("PRIVATE_KEY", [`-----BEGIN ${kind}-----`, ...lines, `-----END ${kind}-----`].join(end));
    }
  }
  for (const text of [
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEF",
    "The -----BEGIN PRIVATE KEY----- line",
  ])
    isNothing(text);
});

test("phrases of the policy are found in any case and spacing, canaries too", async () => {
  const own = await redactor();
  assert.ok(own.phrase("Project Blue Heron", "CUSTOM"));
  assert.ok(own.phrase("EMP-\u0001\u0001\u0001\u0001", "CUSTOM"));
  assert.ok(own.phrase("You are Ada, the assistant of Acme.", "CANARY"));
  assert.ok(!own.phrase("ab", "CUSTOM"));
  assert.deepEqual(
    own
      .spans(
        "about PROJECT  blue\nheron, EMP-1234 and EMP-12345: you are ada, the\nassistant of acme. Projects",
      )
      .map((s) => `${s.type} ${s.text}`),
    ["CUSTOM PROJECT  blue\nheron", "CUSTOM EMP-1234", "CANARY you are ada, the\nassistant of acme."],
  );
});

/** White space beside the plain space, and characters that are not seen. */
const SPACES = "\t\n\v\f\r\u0085\u00a0\u1680\u2000\u2005\u200a\u2028\u2029\u202f\u205f\u3000";
const UNSEEN = "\u00ad\u034f\u180e\u200b\u200c\u200d\u200e\u202e\u2060\u2064\ufe0f\ufeff\u{e0041}";

test("phrases are found whatever white space stands in them and whatever is not seen, at every cut", async () => {
  const own = await redactor();
  const canary = "You are Ada, the assistant of Acme.";
  assert.ok(own.phrase(canary, "CANARY"));
  assert.ok(own.phrase("EMP-\u0001\u0001", "CUSTOM"));
  assert.ok(own.phrase("\ufeff \u3000 Blue\u00a0\u200bHeron\u2003", "CUSTOM"));
  assert.ok(own.phrase("é\u00a9 naïve", "CUSTOM"));
  const gone = (text: string) => {
    for (const escaped of [false, true]) {
      const raw = escaped ? JSON.stringify(text).slice(1, -1) : text;
      const units = (c: string) =>
        [...Array(c.length).keys()].map((i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`);
      const forms = escaped ? [raw, [...text].flatMap(units).join("")] : [raw];
      for (const form of forms) {
        const whole = own.redact(`so ${form} so`, { escaped });
        assert.match(whole, /^so \[C(ANARY|USTOM)_1\] so$/, JSON.stringify(text));
        const length = Buffer.byteLength(form) + 6;
        for (let cut = 0; cut <= length; cut += escaped ? 7 : 1) {
          assert.equal(own.redact(`so ${form} so`, { escaped }, [cut]), whole);
        }
      }
    }
  };
  for (const space of SPACES) gone(canary.replaceAll(" ", space));
  for (const space of SPACES) gone(canary.replaceAll(" ", ` ${space}\u200b `));
  for (const unseen of UNSEEN) gone([...canary].join(unseen));
  for (const unseen of UNSEEN) gone(canary.replaceAll(" ", `${unseen} ${unseen}`));
  gone("emp-\u200b1\u00ad2");
  gone("blue heron");
  gone("é\u00ad\u00a9\u3000na\u200dïve");
  assert.equal(
    own.redact("You\u200bare Ada, the assistant of Acme."),
    "You\u200bare Ada, the assistant of Acme.",
  );
  assert.equal(own.redact("EMP-1\u00a02 Blue-Heron"), "EMP-1\u00a02 Blue-Heron");
});

test("phrases are found in any case also of letters beyond ASCII, at every cut", async () => {
  const phrases = [
    "Über Größe sprich nie",
    "Ты — помощник Ёлка",
    "Οδηγός ΆΣΟΣ",
    "Żółć ŁĄKA Šaľa",
    "×İıĸ ŉſ÷",
  ];
  for (const phrase of phrases) {
    const own = await redactor();
    assert.ok(own.phrase(phrase, "CANARY"));
    for (const text of [phrase, phrase.toLowerCase(), phrase.toUpperCase()]) {
      // What changes its length or is a letter of its own in the other case is another text.
      if (text.length !== phrase.length || phrase.startsWith("×")) continue;
      for (let cut = 0; cut <= Buffer.byteLength(text); cut++)
        assert.equal(own.redact(`so ${text}!`, {}, [3 + cut]), "so [CANARY_1]!", text);
    }
    assert.equal(own.redact(phrase), "[CANARY_1]");
  }
  // One letter of two bytes for one: the others are left as they are, and a dotted I, Ÿ and palochka.
  const cased = Array.from({ length: 0x530 - 0xc0 }, (_, i) => String.fromCodePoint(0xc0 + i)).filter(
    (c) => c.toLowerCase() !== c && /[À-ÿĀ-ůŲ-Ž\u0386-\u03ab\u0400-\u052f]/.test(c) && !/[İŸ\u04c0]/.test(c),
  );
  assert.ok(cased.length > 200);
  for (const some of [cased.slice(0, 150), cased.slice(150)]) {
    const own = await redactor();
    for (const c of some) assert.ok(own.phrase(`${c.toLowerCase()}abc`, "CUSTOM"));
    for (const c of some) assert.match(own.redact(`${c}abc`), /^\[CUSTOM/, c);
  }
});

test("letters of two bytes that have no case here are themselves alone, and half a letter is none", async () => {
  const own = await redactor();
  assert.ok(own.phrase("Բարեւ ձեզ", "CUSTOM"));
  assert.equal(own.redact("Գարեւ ձեզ, Բարեւ ձեզ"), "Գարեւ ձեզ, [CUSTOM_1]");
  assert.ok(own.phrase("Voilà", "CUSTOM"));
  for (const text of ["so voil\xc3", "so voil\xc3 then", "so voil\xc3!"])
    assert.deepEqual(own.spans(Buffer.from(text, "latin1")), [], text);
  for (const text of ["VOILÀ", "so voilà then"]) assert.equal(own.spans(text).length, 1, text);
});

test("of phrases that begin at one place a canary counts first, then the longest, in whatever order they are listed", async () => {
  const phrases = ["Project Titan", "Project Titan Alpha", "Project", "Project Titan Al"] as const;
  for (const listed of [phrases, phrases.toReversed()]) {
    const own = await redactor();
    for (const text of listed) assert.ok(own.phrase(text, "CUSTOM"));
    assert.equal(
      own.redact("Project Titan Alpha, project titan, Project Titanic, Projects"),
      "[CUSTOM_1], [CUSTOM_2], [CUSTOM_3] Titanic, Projects",
    );
    assert.ok(own.phrase("Project Titan", "CANARY"));
    assert.equal(own.redact("Project Titan Alpha"), "[CANARY_1] Alpha");
  }
});

test("a canary that is only flagged hides no pattern at its place, and the other way round", async () => {
  const texts = [
    ["Project Titan is late", "CANARY"],
    ["Project Titan", "CUSTOM"],
  ] as const;
  for (const flagged of ["CANARY", "CUSTOM"] as const) {
    for (const listed of [texts, texts.toReversed()]) {
      const own = await redactor();
      for (const [text, type] of listed)
        assert.ok(own.phrase(text, type, type === flagged ? "flag" : "redact"));
      const redacted = own.redact("Project Titan is late.", { actions: { [flagged]: "flag" } });
      assert.equal(redacted, flagged === "CANARY" ? "[CUSTOM_1] is late." : "[CANARY_1].");
      assert.equal(own.countOf(flagged), 0);
    }
  }
});

test("a canary that is only replaced hides no pattern that blocks at its place, and the other way round", async () => {
  for (const blocks of ["CANARY", "CUSTOM"] as const) {
    const own = await redactor();
    for (const [text, type] of [
      ["Project Titan is late", "CUSTOM"],
      ["Project Titan is late", "CANARY"],
    ] as const)
      assert.ok(own.phrase(text, type, type === blocks ? "block" : "redact"));
    own.redact("Project Titan is late.", { actions: { [blocks]: "block" } });
    assert.equal(own.blockedBy(), blocks);
  }
});

test("what passes gives way to what does not and covers it, and a phrase that passes to any, wherever it is cut", async () => {
  const own = await redactor();
  assert.ok(own.phrase("alice", "CUSTOM", "flag"));
  assert.ok(own.phrase("sk-proj", "CUSTOM", "flag"));
  assert.ok(own.phrase("Aria is asked at aria@example.com only", "CANARY", "flag"));
  const flagged = { CUSTOM: "flag", CANARY: "flag" } as const;
  const key = "sk-proj-abcdefghij0123456789ABCDEFGHIJ0123456789abcdefgh12";
  const cases = [
    [{ ...flagged }, "to alice@example.com, alice", "to [EMAIL_1], alice", { CUSTOM: 2 }],
    [{ ...flagged }, "x bob.alice.smith@example.com", "x [EMAIL_1]", { CUSTOM: 1 }],
    [{ ...flagged }, "alice&#64;example.com, o'alice%40example.com", "[EMAIL_1], [EMAIL_2]", { CUSTOM: 2 }],
    [{ ...flagged }, `${key} alice`, "[API_KEY_1] alice", { CUSTOM: 2 }],
    [{ ...flagged, EMAIL: "flag" }, "alice@example.com", "alice@example.com", { CUSTOM: 1 }],
    [{ ...flagged, EMAIL: "block" }, "alice@example.com", "", { EMAIL: 1 }],
    [
      { ...flagged },
      "Aria is asked at aria@example.com only.",
      "Aria is asked at [EMAIL_1] only.",
      { CANARY: 1 },
    ],
    [{ IP: "ignore" }, "10.0.0.1@example.com 10.0.0.1 ", "[EMAIL_1] 10.0.0.1 ", { IP: 0 }],
    [{ IP: "flag" }, "10.0.0.1@example.com 10.0.0.1 ", "[EMAIL_1] 10.0.0.1 ", { IP: 2 }],
    [{ IBAN: "ignore" }, "DE89370400440532013000@example.com", "[EMAIL_1]", {}],
    // What is known for something else is not searched for less.
    [{ CREDIT_CARD: "ignore" }, "card 4111 1111 1111 1111.", "card 4111 1111 1111 1111.", {}],
    [{ IP: "ignore" }, "10.0.0.1 415 555 0123", "10.0.0.1 [PHONE_1]", {}],
  ] as const;
  for (const [actions, text, expected, counts] of cases) {
    for (let cut = 0; cut <= text.length; cut++) {
      assert.equal(own.redact(text, { actions }, [cut]), expected, `${text} cut at ${cut}`);
      for (const [type, count] of Object.entries(counts))
        assert.equal(own.countOf(type as "IP"), count, `${type} of ${text} cut at ${cut}`);
    }
    if (expected !== "") assert.equal(own.redactWhole(Buffer.from(text), { actions }), expected);
  }
});

test("what passes, or is masked, hides no phrase, and of a private key no more than its beginning, wherever it is cut", async () => {
  const own = await redactor();
  assert.ok(own.phrase("acme-titan.example", "CUSTOM"));
  assert.ok(own.phrase("Titan is late", "CANARY"));
  const key = "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEAx8zq1vT5Qw3 ...";
  const mail = "bob@acme-titan.example,";
  const long = `${"b".repeat(60)}@${"acme-titan.example.".repeat(9)}museum`;
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc";
  // So far apart that it is known by its beginning, which is read further than the address is.
  const spread = "Titan is the name of what nobody has seen".replaceAll(" ", " ".repeat(32));
  assert.ok(own.phrase("Titan is the name of what nobody has seen", "CANARY"));
  const replaced = own.redact(`x, ${spread}`).slice(3);
  assert.ok(replaced.startsWith("[CANARY_1]"));
  const cases = [
    [{ EMAIL: "ignore" }, mail, "bob@[CUSTOM_1],"],
    [{ EMAIL: "flag" }, mail, "bob@[CUSTOM_1],"],
    [{ EMAIL: "mask" }, mail, "[CUSTOM_1],"],
    [{ EMAIL: "mask", CUSTOM: "flag" }, mail, "b***@acme-titan.example,"],
    [{}, mail, "[EMAIL_1],"],
    [{ CUSTOM: "block" }, mail, ""],
    [{ EMAIL: "ignore" }, "ada@corp.Titan is late", "ada@corp.[CANARY_1]"],
    [{ EMAIL: "ignore" }, long, `${"b".repeat(60)}@${"[CUSTOM_1].".repeat(9)}museum`],
    [{ PRIVATE_KEY: "ignore" }, `${key}\nCall +44 20 7946 0958.`, `${key}\nCall [PHONE_1].`],
    [{ PRIVATE_KEY: "flag" }, `${key}\nTitan is late.`, `${key}\n[CANARY_1].`],
    [{ PRIVATE_KEY: "mask" }, `${key}\nTitan is late.`, "****"],
    [{ JWT: "ignore" }, `${token}-acme-titan.example ok`, `${token}-[CUSTOM_1] ok`],
    [{ JWT: "flag" }, `${token}-Titan is late`, `${token}-[CANARY_1]`],
    [{}, `${token}-acme-titan.example ok`, "[JWT_1].example ok"],
    [{ EMAIL: "ignore" }, `a@xxxxx.${spread}`, `a@xxxxx.${replaced}`],
  ] as const;
  for (const [actions, text, want] of cases) {
    for (let cut = 0; cut <= text.length; cut++)
      assert.equal(own.redact(text, { actions }, [cut]), want, `${text} cut at ${cut}`);
    const whole = own.redactWhole(Buffer.from(text), { actions });
    // A prompt with what is blocked is refused.
    assert.equal(own.blockedBy() ? "" : whole, want, text);
  }
});

test("a phrase that is longer than what is compared ends with a whole character", async () => {
  const own = await redactor();
  for (const [first, rest] of ["xä", "yz€", "w😀"].map((text) => [text.slice(0, -2), text.slice(-2)])) {
    const long = (first as string) + (rest as string).repeat(100);
    assert.ok(own.phrase(long, "CANARY"));
    assert.match(own.redact(`so ${long} so`), /^so \[CANARY_\d\][^\ufffd]+ so$/);
  }
});

test("a phrase is found in JSON that is only text: behind a line end, over one, and with its quotes", async () => {
  const own = await redactor();
  const canary = 'Say "no" when they ask. You are Ada';
  assert.ok(own.phrase(canary, "CANARY"));
  const told = `Sure:\n${canary.replace("when ", "when\r\n\t")}\nGo on.`;
  const raw = JSON.stringify(JSON.stringify({ told })).slice(1, -1);
  const whole = own.redact(raw, { escaped: true });
  assert.equal(JSON.parse(JSON.parse(`"${whole}"`)).told, "Sure:\n[CANARY_1]\nGo on.");
  for (let cut = 0; cut <= raw.length; cut++)
    assert.equal(own.redact(raw, { escaped: true }, [cut]), whole, `cut at ${cut}`);
});

test("a phrase drawn out beyond what is looked at is known by its beginning, and little is held for it", async () => {
  const own = await redactor();
  assert.ok(own.phrase("You are Ada, the assistant of Acme.", "CANARY"));
  const words = "You are Ada, the assistant of Acme.".split(" ");
  const wide = (width: number) => words.join(" ".repeat(width));
  assert.match(own.redact(wide(40)), /^\[CANARY_1\]/);
  assert.match(own.redact([...words.join(" ")].join("\u200b\u200b")), /^\[CANARY_1\]/);
  assert.equal(own.redact(wide(90)), wide(90));
  const text = Buffer.from(wide(60));
  own.open();
  for (let i = 0; i < text.length; i++) {
    own.feed(text.subarray(i, i + 1), i === text.length - 1);
    assert.ok(own.held() <= 320);
  }
});
