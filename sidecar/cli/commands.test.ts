// How every command is called: help, wrong usage and bad input, told in words, with the exit status that the help tells, and never
// by a stack trace. What each command does is tested beside it.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { listening } from "../../test/support/listening.ts";
import { ownCorpus } from "../pack/train-corpus.ts";
import { SLOTS } from "../pack/train-model.ts";
import { HEADER_BYTES } from "../pack/train-pack.ts";
import { COMMANDS, runWeir } from "./commands.ts";
import { builtFile } from "./filter.ts";
import { readPolicy } from "./policy-file.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-commands-"));
const at = (name: string, text?: string | Uint8Array): string => {
  const file = join(directory, name);
  if (text !== undefined) writeFileSync(file, text);
  return file;
};
const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const policy = at("policy.yaml", "tiers: { pro: {} }\n");

async function weir(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [log, error] = [console.log, console.error];
  const told = { out: "", err: "" };
  console.log = (line: string) => {
    told.out += `${line}\n`;
  };
  console.error = (line: string) => {
    told.err += `${line}\n`;
  };
  try {
    const code = await runWeir(args);
    return { code, ...told };
  } finally {
    [console.log, console.error] = [log, error];
  }
}

describe("weir", () => {
  after(() => rmSync(directory, { recursive: true, force: true }));

  it("lists its commands, and names one that there is not", async () => {
    const { code, out, err } = await weir("--help");
    assert.deepEqual([code, err], [0, ""]);
    for (const name of COMMANDS.keys()) assert.ok(out.includes(`  weir ${name} `), name);
    for (const name of ["nonsense", "constructor"]) {
      const wrong = await weir(name);
      assert.deepEqual([wrong.code, wrong.out], [2, ""]);
      assert.ok(wrong.err.startsWith(`weir: ${name}: no such command\nusage: weir COMMAND`), wrong.err);
    }
  });

  it("says its version", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    assert.deepEqual(await weir("--version"), { code: 0, out: `${version}\n`, err: "" });
  });

  for (const [name, { load }] of COMMANDS)
    it(`${name} explains itself when asked, and says what is wrong with a wrong option`, async () => {
      const { USAGE } = await load();
      assert.ok(USAGE.startsWith(`usage: weir ${name}`));
      assert.match(USAGE, /\n\nexit status: 0 .*\b2 wrong usage$/);
      for (const help of ["--help", "-h"])
        assert.deepEqual(await weir(name, help), { code: 0, out: `${USAGE}\n`, err: "" });
      const { code, out, err } = await weir(name, "--wrong");
      assert.deepEqual([code, out], [2, ""]);
      const [line, ...usage] = err.split("\n");
      assert.equal(line, `weir ${name}: Unknown option '--wrong'`);
      assert.ok(usage[0]?.startsWith(`usage: weir ${name}`), err);
    });

  const serve = ["serve", "--policy", policy, "--upstream", "127.0.0.1:1"];
  for (const [args, message] of [
    [["check"], "expected one FILE"],
    [["check", "a", "b"], "expected one FILE"],
    [["redact"], "--jsonl is missing"],
    [["sidecar", "now"], "Unexpected argument 'now'. This command does not take positional arguments"],
    [["keys", "old"], "expected new"],
    [["keys", "new", "--tier", "pro"], "--subject is missing"],
    [["analyze"], "expected one USAGE.csv"],
    [["train"], "--labels is missing"],
    [["train", "--labels", "x", "--seed", "one"], "--seed: one: expected an integer, 0 to 4294967295"],
    [["replay", "x"], "--policy is missing"],
    [["doctor"], "expected one of --policy, --sidecar, --proxy, --envoy-admin"],
    [["doctor", "--sidecar", "h:1"], "--sidecar: h:1: expected http://HOST:PORT or https://…"],
    ...["http://u:secret@h", "http://u:sec/ret@h", "http://u:sec#ret@h", "u:secret@h:1"].map(
      (url): [string[], string] => [
        ["doctor", "--proxy", url],
        "--proxy: expected http://HOST:PORT or https://…, without user and password",
      ],
    ),
    ...["http://h/?key=secret", "http://h#secret"].map((url): [string[], string] => [
      ["doctor", "--proxy", url],
      "--proxy: expected http://HOST:PORT or https://…, without a query or fragment",
    ]),
    [["doctor", "--proxy", "http://h", "--path", "v1"], "--path: v1: expected a path that begins with /"],
    [["serve", "--upstream", "h:1"], "--policy is missing"],
    [
      ["keys", "new", "--subject", "a", "--tier", "pro", "--expires", "2020-01-01T00:00:00Z"],
      "--expires: 2020-01-01T00:00:00Z: has passed: expected a moment to come",
    ],
    [["keys", "new", "--subject", "a", "--tier=pro", "--subject=b"], "--subject: given twice: expected once"],
    [["keys", "new", "--subject", "a", "--tier", "b", "--expires="], "--expires: nothing: expected a value"],
    [["replay", "--policy", policy, "--against", "", "x"], "--against: nothing: expected a value"],
    [["ledger", "show", "--directory", ""], "--directory: nothing: expected a value"],
    [["check", ""], "argument 1: nothing: expected a value"],
    [["serve", "--policy", policy, "--upstream", "nonsense"], "--upstream: nonsense: expected HOST:PORT"],
    [[...serve, "--sidecar", "h:0"], "--sidecar: h:0: expected HOST:PORT"],
    ...["--upstream", "--sidecar"].flatMap((name) =>
      ["http://u:secret@h:1", "u:sec/ret@h:1"].map((given): [string[], string] => [
        ["serve", "--policy", policy, ...(name === "--upstream" ? [] : ["--upstream", "h:1"]), name, given],
        `${name}: expected HOST:PORT, without user and password`,
      ]),
    ),
    [[...serve, "--port", "99999"], "--port: 99999: expected an integer, 0 to 65535"],
    [[...serve, "--port", "abc"], "--port: abc: expected an integer, 0 to 65535"],
  ] as const)
    it(`refuses ${args.slice(0, 2).join(" ")}: ${message}`, async () => {
      const { code, out, err } = await weir(...args);
      assert.deepEqual([code, out], [2, ""]);
      assert.ok(err.startsWith(`weir ${args[0]}: ${message}\nusage: weir ${args[0]}`), err);
    });

  const refusal = async (args: string[], message: RegExp) => {
    const { code, out, err } = await weir(...args);
    assert.deepEqual([code, out], [1, ""], err);
    assert.match(err, message);
    assert.equal(err.trimEnd().split("\n").length, 1, err);
  };

  const sha256 = createHash("sha256").update("a-key").digest("hex");
  const keyed = at(
    "keyed.json",
    JSON.stringify({ tiers: { pro: {} }, keys: [{ sha256, subject: "a", tier: "pro" }] }),
  );
  for (const [what, key, found] of [
    ["looks for a key in a policy, without a proxy", "a-key", /ok +policy\.key +the key is a, tier pro/],
    ["finds a key that ends with the line of its file", "a-key\n", /ok +policy\.key +the key is a, tier pro/],
    ["says of a key that the policy does not have it", "b-key", /FAIL +policy\.key/],
  ] as const)
    it(`doctor ${what}`, async () => {
      process.env.WEIR_KEY = key;
      const { out } = await weir("doctor", "--policy", keyed).finally(() => {
        delete process.env.WEIR_KEY;
      });
      assert.match(out, found);
    });

  for (const variable of ["WEIR_KEY", "WEIR_ADMIN_TOKEN"])
    it(`does not repeat a ${variable} of two lines`, async () => {
      const args = variable === "WEIR_KEY" ? ["doctor", "--proxy"] : ["ledger", "show", "--sidecar"];
      process.env[variable] = "secret-a\nsecret-b";
      const message = `weir ${args[0]}: ${variable}: expected one line of printable ASCII characters\n`;
      const told = await weir(...args, "http://127.0.0.1:1").finally(() => {
        delete process.env[variable];
      });
      assert.deepEqual(told, { code: 1, out: "", err: message });
    });

  it("names a file that cannot be read, and why", async () => {
    const none = at("none");
    for (const args of [
      ["check", none],
      ["serve", "--policy", none, "--upstream", "h:1"],
      ["replay", "--policy", policy, none],
      ["analyze", none],
      ["train", "--labels", none],
      ["ledger", "reconcile", none],
    ])
      await refusal(args, /^weir \w+: \S+none: cannot be read: ENOENT: no such file or directory\n$/);
    await refusal(["train", "--labels", directory], /cannot be read: EISDIR/);
    await refusal(
      ["replay", "--policy", policy, "-"],
      /-: expected a regular file, because it is read twice/,
    );
  });

  it("says of a file what keeps it from being a policy", async () => {
    await refusal(
      ["check", at("empty.yaml", "# nothing\n")],
      /empty\.yaml: nothing in it: expected a policy/,
    );
    await refusal(
      ["check", at("round.yaml", "tiers: &a [*a]\n")],
      /round\.yaml: too many aliases, or one of itself/,
    );
    await refusal(
      ["check", at("two.yaml", "tiers: {}\n---\ntiers: {}\n")],
      /two\.yaml:2:1: not YAML: a second document begins: expected one policy\n$/,
    );
  });

  it("refuses a policy that is not UTF-8, in which other letters would be read", async () => {
    const latin1 = (text: string) => Buffer.from(text, "latin1");
    const yaml = 'tiers:\n  pro: { response: { canaries: ["über alles"] } }\n';
    const json = '{"tiers":{"pro":{"response":{"canaries":["über alles"]}}}}';
    await refusal(
      ["check", at("latin1.yaml", latin1(yaml))],
      /latin1\.yaml:2: not in UTF-8: expected UTF-8\n$/,
    );
    await refusal(["check", at("latin1.json", latin1(json))], /latin1\.json:1: not in UTF-8/);
    await refusal(
      ["check", at("utf16.yaml", Buffer.from(`\ufeff${yaml}`, "utf16le"))],
      /utf16\.yaml:1: not in UTF-8/,
    );
  });

  it("regression: of labels, a corpus, a usage CSV and an export in Latin-1 other letters were read", async () => {
    const latin1 = (name: string, text: string) => at(name, Buffer.from(text, "latin1"));
    const labels = latin1("latin1.jsonl", '{"text":"hi","label":0}\n{"text":"Müller","label":1}\n');
    await refusal(["train", "--labels", labels], /latin1\.jsonl:2: not in UTF-8: expected UTF-8\n$/);
    const usage = latin1("latin1.csv", "date,subject,tokens\n2026-01-05,acme,1\n2026-01-05,zürich,1\n");
    await refusal(["ledger", "reconcile", usage], /latin1\.csv:3: not in UTF-8: expected UTF-8\n$/);
    const csv = at("utf8.csv", "date,subject,tokens\n2026-01-05,zürich,1\n");
    await refusal(["ledger", "reconcile", csv, "--export", labels], /latin1\.jsonl:2: not in UTF-8/);
    mkdirSync(at("texts/benign"), { recursive: true });
    latin1("texts/benign/de.txt", "Guten Tag\nGrüße\n");
    assert.throws(() => ownCorpus(at("texts"), 1), /benign\/de\.txt:2: not in UTF-8: expected UTF-8$/);
  });

  it("regression: YAML's merge keys were unknown keys", async () => {
    const base = "tiers:\n  free: &free { requests: 60/min, prompt: { injection: shadow } }\n";
    const merged = at(
      "merged.yaml",
      `${base}  pro: { requests: 600/min, <<: *free }\n  own: { <<: [*free] }\n`,
    );
    assert.deepEqual(JSON.parse(readPolicy(merged).json).tiers, {
      free: { requests: "60/min", prompt: { injection: "shadow" } },
      pro: { requests: "600/min", prompt: { injection: "shadow" } },
      own: { requests: "60/min", prompt: { injection: "shadow" } },
    });
    assert.equal((await weir("check", merged)).code, 0);
    for (const [value, where] of [
      ["3", "3:10"],
      ["[*free, 3]", "3:10"],
      ["&n [*free, *n]", "3:10"],
    ])
      await refusal(
        ["check", at("merge.yaml", `${base}  pro: { <<: ${value} }\n`)],
        new RegExp(`merge\\.yaml:${where}: <<: expected an alias of a map, or a list of such\\n$`),
      );
    await refusal(
      ["check", at("merge.yaml", "tiers: &t\n  pro: { <<: *t }\n")],
      /merge\.yaml: too many aliases, or one of itself/,
    );
  });

  it("regression: sixty tiers that were each another with changes, which was one itself, were too many aliases", () => {
    const base = "tiers:\n  a: &a { requests: 1/s }\n  b: &b { <<: *a, tokens: 1M/day }\n";
    const tiers = Array.from({ length: 60 }, (_, i) => `  t${i}: { <<: *b, requests: ${i + 2}/s }\n`);
    const policy = JSON.parse(readPolicy(at("sixty.yaml", base + tiers.join(""))).json);
    assert.deepEqual(policy.tiers.t59, { requests: "61/s", tokens: "1M/day" });
  });

  it("refuses YAML that has no form in JSON, and says where and what it is", async () => {
    for (const [text, message] of [
      ["requests: {{ rate }}", "2:21: a key that is a map or a list: expected a word"],
      ["tokens: .inf", "2:18: .inf: expected a number as JSON has it"],
      ["budgets: [{ limit: 1e400 }]", "2:29: 1e400: expected a number as JSON has it"],
    ] as const) {
      const file = at("unlike.yaml", `tiers:\n  pro: { ${text} }\n`);
      assert.deepEqual(await weir("check", file), {
        code: 1,
        out: "",
        err: `weir check: ${file}:${message}\n`,
      });
    }
  });

  it("refuses of a JSON file what the proxy would, though it is YAML", async () => {
    const tiers = '"tiers":{"pro":{"requests":"60/min"';
    for (const [text, place, message] of [
      [`{${tiers},}}}`, "1:38", "unexpected character at byte 37"],
      [`{\n${tiers}}}} # one`, "2:40", "text after the document at byte 41"],
      [
        `\ufeff{${tiers}}}}`,
        "1:1",
        "byte order mark, or text that is not UTF-8, before the document at byte 0",
      ],
    ] as const) {
      const file = at("policy.json", text);
      const { code, out } = await weir("check", file);
      const problem = `/: not JSON: expected JSON without errors, found ${message}`;
      assert.deepEqual([code, out], [1, `${file}:${place}: ${problem}\n`]);
    }
    const empty = at("empty.json", "\n");
    const nothing = "nothing in it: expected a policy, which has tiers";
    assert.deepEqual((await weir("check", empty)).err, `weir check: ${empty}: ${nothing}\n`);
    const { code, err } = await weir("check", at("policy.json", `{${tiers}}}}\n`));
    assert.deepEqual([code, err.endsWith("the policy is valid\n")], [0, true]);
  });

  it("says of each problem where in the file it is, whatever it came by", async () => {
    const yaml = `tiers:
  free: &free
    requests: 60/mi
  pro:
    <<: *free
    prompt:
      injektion: off
keys:
  - { sha256: none, subject: a/b/c, tier: gone }
prices:
  openai/gpt: { prompt: much, completion: $1 }
`;
    const placed = async (name: string, text: string) => {
      const file = at(name, text);
      const { code, out } = await weir("check", file);
      assert.equal(code, 1);
      return out.split("\n").map((line) => line.replace(`${file}:`, "").replace(/^(\S+ \S+) .*/, "$1"));
    };
    assert.deepEqual(await placed("placed.yaml", yaml), [
      "3:5: /tiers/free/requests:",
      "3:5: /tiers/pro/requests:",
      "7:7: /tiers/pro/prompt/injektion:",
      "9:7: /keys/0/sha256:",
      "11:17: /prices/openai~1gpt/prompt:",
      "",
    ]);
    assert.deepEqual(await placed("placed.json", '{\n\t"tiers": {\n\t\t"a": { "requests": 5 }\n\t}\n}\n'), [
      "3:10: /tiers/a/requests:",
      "",
    ]);
    assert.deepEqual(await placed("empty.yaml", "routes: []\n"), ["1:1: /:", ""]);
  });

  it("says where a star stands that must be in quotes", async () => {
    const tiers = "tiers: { pro: { requests: 60/min } }\n";
    for (const [text, where] of [
      ["prices:\n  *: { prompt: $1, completion: $2 }\n", "3:3"],
      ["keys:\n  - models: [*-mini]\n", "3:14"],
      ["keys:\n  - models:\n      - *\n", "4:9"],
    ] as const)
      await refusal(
        ["check", at("star.yaml", tiers + text)],
        new RegExp(`star\\.yaml:${where}: not YAML: a star .* stands in quotes, such as "\\*"\\n$`),
      );
  });

  it("names the line of labels that are none", async () => {
    const good = '{"text":"hi","label":0}\n';
    for (const [line, message] of [
      ["{oops", /labels\.jsonl:2: expected JSON with text and label 0 or 1/],
      ["null", /labels\.jsonl:2: expected JSON with text and label 0 or 1/],
      ['{"text":"hi"}', /labels\.jsonl:2: expected text and label 0 or 1/],
    ] as const)
      await refusal(["train", "--labels", at("labels.jsonl", `${good}${line}\n`)], message);
  });

  it("tells before the training that the pack in use is none, or that the project's texts are not there", async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `{"text":"text ${i}","label":${i % 2}}\n`);
    // Without texts of the project the training could not begin.
    const args = ["train", "--labels", at("many.jsonl", texts.join("")), "--corpus", at("none"), "--current"];
    await refusal([...args, at("none")], /none: cannot be read: ENOENT/);
    await refusal(
      [...args, at("garbage.bin", "garbage")],
      /garbage\.bin: a classifier pack has \d+ bytes, not 7\n$/,
    );
    const zeros = "\0".repeat(HEADER_BYTES + SLOTS);
    await refusal([...args, at("zeros.bin", zeros)], /zeros\.bin: not a classifier pack\n$/);
    const missing = /weir train: \S*none: cannot be read: ENOENT: no such file or directory\n$/;
    await refusal([...args.slice(0, -1), "--out", directory], missing);
  });

  it("tells before the training that it cannot write where it is to", { timeout: 60_000 }, () => {
    const texts = Array.from({ length: 40 }, (_, i) => `{"text":"text ${i}","label":${i % 2}}\n`);
    const labels = at("many.jsonl", texts.join(""));
    // In a process of its own: what never ends would hold this one up.
    for (const [out, message] of [
      ["/proc/x/y", "/proc/x: cannot be written to: ENOENT: no such file or directory"],
      [join(policy, "x"), `${join(policy, "x")}: cannot be written to: ENOTDIR: not a directory`],
      [policy, `${policy}: expected a directory`],
    ] as const) {
      const args = [
        "--import",
        "tsx",
        MAIN,
        "train",
        "--labels",
        labels,
        "--corpus",
        at("none"),
        "--out",
        out,
      ];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 10_000 });
      assert.deepEqual([status, stderr], [1, `weir train: ${message}\n`]);
    }
  });

  it("says which address it cannot listen on, and why, and leaves no ledger behind", async () => {
    const taken = createServer();
    const port = await listening(taken);
    const reason = new RegExp(
      `: cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE: address already in use\n$`,
    );
    const home = at("ledger");
    const set = { WEIR_SIDECAR_PORT: `${port}`, WEIR_LEDGER_DIRECTORY: home };
    Object.assign(process.env, set);
    try {
      await refusal([...serve, "--port", `${port}`], reason);
      await refusal(["sidecar"], reason);
      assert.equal(existsSync(home), false);
    } finally {
      for (const name of Object.keys(set)) delete process.env[name];
      taken.close();
    }
  });

  it("says why a ledger's directory cannot be used", async () => {
    const set = { WEIR_SIDECAR_PORT: "0", WEIR_LEDGER_DIRECTORY: policy };
    Object.assign(process.env, set);
    try {
      await refusal(
        ["sidecar"],
        /the ledger's directory \S+policy\.yaml cannot be used: EEXIST: file already exists/,
      );
    } finally {
      for (const name of Object.keys(set)) delete process.env[name];
    }
  });

  it("says what is not built, and how it is", () => {
    const message = "component/none.js is not built: run make wasm";
    assert.throws(() => builtFile("component/none.js"), { name: "WeirError", message });
  });

  it("ends without a word when the reader of its output has gone", () => {
    const texts = at("texts.jsonl", '{"id":1,"text":"Mail ada@example.com"}\n'.repeat(20_000));
    const command = `"${process.execPath}" --import tsx "${MAIN}" redact --jsonl < "${texts}" | head -1`;
    const { stdout, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
    assert.equal(stderr, "");
    assert.equal(stdout.split("\n").length, 2);
  });

  it("says that its input is a directory, which Node reads as if nothing was in it, where its arguments are right", () => {
    const weir = (args: string) =>
      spawnSync("sh", ["-c", `"${process.execPath}" --import tsx "${MAIN}" ${args} < "${directory}"`], {
        encoding: "utf8",
      });
    for (const command of ["scan --jsonl", "redact --jsonl"]) {
      const { status, stderr } = weir(command);
      assert.equal(status, 1);
      assert.match(stderr, /standard input: EISDIR: is a directory: expected a file or a pipe/);
    }
    for (const [command, said] of [
      ["scan --path x", /--path: x: expected a path that begins with \//],
      ["redact", /--jsonl is missing/],
    ] as const) {
      const { status, stderr } = weir(command);
      assert.equal(status, 2);
      assert.match(stderr, said);
    }
  });

  it("says why its output cannot be written", () => {
    const command = `"${process.execPath}" --import tsx "${MAIN}" --help > /dev/full`;
    const { status, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
    assert.deepEqual([status, stderr], [1, "weir: standard output: ENOSPC: no space left on device\n"]);
  });

  /** A sidecar of its own process, and what it takes to make it tell something: that a budget is used up. */
  async function startSidecar(name: string, more: Record<string, string> = {}) {
    const env = { ...process.env, WEIR_SIDECAR_PORT: "0", WEIR_LEDGER_DIRECTORY: at(name), ...more };
    const child = spawn(process.execPath, ["--import", "tsx", MAIN, "sidecar"], { env, stdio: "pipe" });
    const [ready] = (await once(child.stdout, "data")) as [Buffer];
    const url = `http://${/127\.0\.0\.1:\d+/.exec(`${ready}`)?.[0]}`;
    const call = async (method: string, message: object) => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify(message);
      await fetch(`${url}/weir.v1.Ledger/${method}`, { method: "POST", headers, body });
    };
    const spend = async (leaseId: string) => {
      const amounts = { limit: "1", need: "1", want: "1" };
      const budget = { name: "day", subject: "acme", meter: 1, window: 2, ...amounts };
      await call("Acquire", { leaseId, subject: "acme/a/b", edge: "e", ttlMs: 60_000, budgets: [budget] });
      await call("Settle", {
        reports: [{ leaseId, subject: "acme/a/b", sequence: "1", spent: ["1"], final: true }],
      });
    };
    return { child, url, spend };
  }

  it("serves on when the reader of its log has gone", async () => {
    const { child, url, spend } = await startSidecar("unread");
    try {
      child.stdout.destroy();
      await spend("1");
      await spend("2");
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      assert.deepEqual(await ended, [0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("ends by SIGTERM though a collector never answers, however long that may take", {
    timeout: 60_000,
  }, async () => {
    const collector = createServer((socket) => socket.on("error", () => undefined));
    const heard = once(collector, "connection");
    const { child, spend } = await startSidecar("waiting", {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await listening(collector)}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: "600000",
    });
    try {
      await spend("1");
      await heard;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      assert.deepEqual(await ended, [0, null]);
    } finally {
      child.kill("SIGKILL");
      collector.close();
    }
  });
});
