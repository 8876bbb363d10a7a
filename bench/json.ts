// How fast the JSON scanner and the tape are on chat bodies, with JSON.parse beside them. Run: npx tsx bench/json.ts
//
// The bodies are realistic text: sentences, code and lists, so that about one character in twenty is escaped;
// one is plain English with some typographic characters, one Russian, one Japanese, one the same Japanese as
// `\u` escapes (Python's json.dumps), one pretty-printed tool definitions, one an array of token numbers.
// "tape + prompt" also finds the prompt's spans. Engines take turns, and the best of the rounds counts, because the machine is shared. Answers are checked:
// every engine must see the same number of values.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Leaf, leaf } from "../test/support/leaf.ts";

const ENTRY = "test/assembly/json/json.entry.ts";
const PROMPT_ENTRY = "test/assembly/inspect/prompt.entry.ts";
const BODY_BYTES = 32 * 1024;
const ROUNDS = 15;
const ROUND_MS = 25;

const ENGLISH = [
  "Please review the function below and tell me why it returns the wrong total for the second customer.",
  'The log says "connection reset by peer", but only after the third retry — which I don’t understand.',
  "Here is what I tried so far:\n- restarting the service\n- raising the timeout to 30 s\n- reading the docs",
  'const total = items.map((item) => item.price * item.count).reduce((a, b) => a + b, 0);\n\tconsole.log("total:", total);',
  '{\n\t"name": "Ann",\n\t"city": "Paris",\n\t"tags": ["new", "eu"],\n\t"orders": [{ "sku": "A-17", "count": 3 }]\n}\n',
  'if (status !== "ok") {\n\tthrow new Error("failed: " + status + "\\n");\n}\nprint("done", "Ann’s order", "ok");\n',
  "The first table lists every customer with the number of orders in the last quarter, and the second one the totals by region; I would like to see both of them in one, sorted by total.",
  "Summarise the report in three sentences, and keep the figures for 2023 and 2024 apart (the café ones too).",
];
const RUSSIAN = [
  "Пожалуйста, посмотрите на функцию ниже и скажите, почему она возвращает неверную сумму.",
  'В журнале написано "соединение сброшено", но только после третьей попытки.\n',
];
const JAPANESE = [
  "以下の関数を確認して、二番目の顧客の合計が間違っている理由を教えてください。",
  "ログには「接続がリセットされました」とありますが、三回目の再試行の後だけです。\n",
];

function chat(sentences: string[], escapeAll = false): Buffer {
  const messages: { role: string; content: string }[] = [];
  for (let turn = 0; ; turn++) {
    let content = "";
    for (let i = 0; i < 8; i++) content += `${sentences[(turn * 5 + i) % sentences.length]} `;
    messages.push({ role: turn % 2 ? "assistant" : "user", content });
    let json = JSON.stringify({ model: "gpt-4o-mini", temperature: 0.7, max_tokens: 512, messages });
    if (escapeAll) {
      json = json.replace(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
    }
    const bytes = Buffer.from(json);
    if (bytes.length >= BODY_BYTES) return bytes;
  }
}

function tools(): Buffer {
  const list = Array.from({ length: 60 }, (_, i) => ({
    type: "function",
    function: {
      name: `tool_${i}`,
      description: "Looks up one customer by number.",
      parameters: {
        type: "object",
        properties: { id: { type: "integer", minimum: 1 }, full: { type: "boolean" } },
      },
    },
  }));
  return Buffer.from(JSON.stringify({ model: "gpt-4o", messages: [], tools: list }, null, 2));
}

export const bodies: Record<string, Buffer> = {
  "chat, 5 % escapes": chat(ENGLISH),
  "chat, Russian": chat(RUSSIAN),
  "chat, Japanese": chat(JAPANESE),
  "chat, Japanese as \\u": chat(JAPANESE, true),
  "tools, indented": tools(),
  "token numbers": Buffer.from(
    JSON.stringify({ model: "e", input: Array.from({ length: 6000 }, (_, i) => (i * 7919) % 100000) }),
  ),
};

function values(value: unknown): number {
  if (value === null || typeof value !== "object") return 1;
  const children = Object.values(value);
  const keys = Array.isArray(value) ? 0 : children.length;
  return children.reduce((sum: number, child) => sum + values(child), 1 + keys);
}

type Engine = { name: string; run(): unknown };

function promptEngine({ exports, reserve, write }: Leaf, body: Buffer): Engine {
  const ptr = reserve(body.length + 64);
  const path = Buffer.from("/v1/chat/completionsPOST");
  write(ptr, path);
  write(ptr + 64, body);
  const run = () => exports.find(ptr + 64, body.length, ptr, 20, ptr + 20, 4);
  assert.equal(run(), 0);
  assert.equal(exports.shape(), 1);
  return { name: "tape + prompt", run };
}

function engines(simd: Leaf, scalar: Leaf, prompt: Leaf, body: Buffer): Engine[] {
  const list: Engine[] = [];
  const nodes = values(JSON.parse(body.toString()));
  for (const [name, { exports, reserve, write }] of [
    ["SIMD", simd],
    ["scalar", scalar],
  ] as const) {
    const ptr = reserve(body.length);
    write(ptr, body);
    assert.equal(exports.tapeScan(ptr, body.length, 64), 0, name);
    assert.equal(exports.tapeLength(), nodes, name);
    assert.ok(exports.scanAll(ptr, body.length, 64) > nodes, name);
    list.push({ name: `scanner ${name}`, run: () => exports.scanAll(ptr, body.length, 64) });
    list.push({ name: `tape ${name}`, run: () => exports.tapeScan(ptr, body.length, 64) });
  }
  list.push(promptEngine(prompt, body));
  const text = body.toString();
  list.push({ name: "JSON.parse (string)", run: () => JSON.parse(text) });
  list.push({ name: "JSON.parse (bytes)", run: () => JSON.parse(body.toString()) });
  return list;
}

function round(engine: Engine): number {
  const until = performance.now() + ROUND_MS;
  const from = performance.now();
  let runs = 0;
  do {
    for (let i = 0; i < 8; i++) engine.run();
    runs += 8;
  } while (performance.now() < until);
  return (performance.now() - from) / runs;
}

/** MB/s of every engine on every body. */
export async function measure(): Promise<Record<string, Record<string, number>>> {
  const simd = await leaf(ENTRY);
  const scalar = await leaf(ENTRY, { scalar: true });
  const prompt = await leaf(PROMPT_ENTRY);
  const table: Record<string, Record<string, number>> = {};
  for (const [name, body] of Object.entries(bodies)) {
    const best = new Map<string, number>();
    const list = engines(simd, scalar, prompt, body);
    for (let i = 0; i < ROUNDS; i++) {
      for (const engine of list) {
        best.set(engine.name, Math.min(best.get(engine.name) ?? Number.POSITIVE_INFINITY, round(engine)));
      }
    }
    table[name] = Object.fromEntries([...best].map(([k, ms]) => [k, Math.round(body.length / 1e3 / ms)]));
  }
  return table;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log("MB/s, best of rounds");
  console.table(await measure());
}
