// A conversation of 40 turns, each request with all turns before it, in real Envoy: what a turn costs, and whether its
// tokens are counted exactly.
//
// Cost. CPU time of Envoy per request over a bare one, for turn k of conversations that were never seen before
// (`full`), beside a request that holds only the last turn, as new (`last`), and the JSON scan of all that comes before:
// what the same two requests differ by when prompts are not inspected (`rest`). From the second turn on, full
// must be below 2 × (last + rest). All are measured in turn, turn by turn and round by round.
//
// Tokens. With leases off every reservation is an exact count. Each turn is sent under a subject of its own to an
// upstream that tells no usage, so that the ledger charges what was reserved: the prompt, which gpt-tokenizer
// counts too, and the answer's limit. Turns come in order over one connection, so that most counts come from the memo.
//
//   npx tsx bench/conversation.ts [--rounds 5] [--conversations 40]      WEIR_DATA: see texts.ts
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { until } from "../demo/processes.ts";
import { describeKey } from "../sidecar/ledger/types.ts";
import { startSidecar } from "../sidecar/server.ts";
import { makeSettings } from "../sidecar/settings.ts";
import { openInspector } from "./inspector.ts";
import { entry, KEY, post, sendAll, startUpstream, startVariant, stopVariant, type Variant } from "./load.ts";
import { median, optionsOf, printTable, record } from "./measure.ts";
import { chatTexts } from "./texts.ts";
import { without } from "./without.ts";

const TURNS = 40;
const SHOWN = [1, 2, 5, 10, 20, 30, 40];
const OUTPUT = 100;
const TURN_BYTES = 800;

interface Message {
  role: string;
  content: string;
}

const { rounds, conversations } = optionsOf({ rounds: 5, conversations: 40 });
const { passes } = await openInspector(1 << 18);
const { texts, from } = chatTexts(passes);
/** The beginning of a text, at most half a turn, up to a space. */
const begin = (text: string) => text.slice(0, text.lastIndexOf(" ", TURN_BYTES / 2));
const beginnings = texts.map(begin).filter((text) => text.length > 40 && passes(text));
let serial = 0;

/** A text of about half a turn that no conversation had before. */
const fresh = () => `${serial}. ${beginnings[serial++ % beginnings.length]}`;

/** The messages of a conversation: a question, and from the second turn on an answer and a question for each turn. */
const conversation = (): Message[] =>
  Array.from({ length: 2 * TURNS - 1 }, (_, i) => ({ role: i % 2 ? "assistant" : "user", content: fresh() }));
const bodyOf = (messages: Message[]) => JSON.stringify({ model: "gpt-4o", max_tokens: OUTPUT, messages });
const upTo = (messages: Message[], turn: number) => messages.slice(0, 2 * turn - 1);
/** What turn `turn` adds, as texts that are as new. */
const only = (messages: Message[], turn: number) =>
  messages
    .slice(Math.max(2 * turn - 3, 0), 2 * turn - 1)
    .map(({ content }, i) => ({ role: i % 2 ? "assistant" : "user", content: `${serial++} ${content}` }));

async function cost(bare: Variant, off: Variant, weir: Variant): Promise<Record<string, string | number>[]> {
  const samples = new Map<number, number[][]>(SHOWN.map((turn) => [turn, []]));
  const bytes = new Map<number, number>();
  for (let round = -1; round < rounds; round++) {
    const all = Array.from({ length: conversations }, conversation);
    for (let turn = 1; turn <= TURNS; turn++) {
      const full = all.map((messages) => bodyOf(upTo(messages, turn)));
      const micros = await sendAll(weir, full);
      if (!SHOWN.includes(turn)) continue;
      const last = all.map((messages) => bodyOf(only(messages, turn)));
      const row = [
        micros - (await sendAll(bare, full)),
        (await sendAll(weir, last)) - (await sendAll(bare, last)),
        (await sendAll(off, full)) - (await sendAll(bare, full)),
        (await sendAll(off, last)) - (await sendAll(bare, last)),
      ];
      bytes.set(turn, full.reduce((sum, body) => sum + body.length, 0) / full.length);
      // The first round warms the code up.
      if (round >= 0) samples.get(turn)?.push(row);
    }
  }
  return SHOWN.map((turn) => {
    const column = (i: number) => median((samples.get(turn) as number[][]).map((row) => row[i] as number));
    const [full, last, rest] = [column(0), column(1), Math.max(column(2) - column(3), 0)];
    const ratio = full / (last + rest);
    return {
      turn,
      "body B": Math.round(bytes.get(turn) as number),
      "full µs": full.toFixed(1),
      "last µs": last.toFixed(1),
      "rest µs": rest.toFixed(1),
      "full ÷ (last + rest)": ratio.toFixed(2),
      within: turn === 1 || ratio <= 2 ? "yes" : "no",
    };
  });
}

const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
const sidecar = await startSidecar(makeSettings({ port: 0, ledger: { kind: "embedded", directory } }));
const upstream = await startUpstream({ choices: [] });
const limits = { requests: "1M/s" };
const keys = [entry(KEY, "bench/team/key", "pro")];
const turns = Array.from({ length: TURNS }, (_, i) => i + 1);
const counting = {
  tiers: { pro: { ...limits, tokens: "1G/month", output: { max_tokens: OUTPUT } } },
  keys: turns.map((turn) => entry(`turn-${turn}`, `chat/turn/${turn}`, "pro")),
  ledger: { leases: false, sync: "200ms" },
};

/** What the ledger charged for turn `turn`, once nothing of it is out. */
async function charged(turn: number): Promise<number> {
  let spent = -1;
  await until(`the settlement of turn ${turn}`, async () => {
    const records = await sidecar.ledger.budgets("chat");
    const mine = records.find(({ key }) => describeKey(key).subject === `chat/turn/${turn}`);
    spent = mine?.spent ?? -1;
    return mine?.outstanding === 0 && spent > 0;
  });
  return spent;
}

async function checkTokens(exact: Variant): Promise<number> {
  const messages = conversation();
  let total = 0;
  for (const turn of turns) await post(exact, bodyOf(upTo(messages, turn)), { key: `turn-${turn}` });
  for (const turn of turns) {
    const sent = upTo(messages, turn);
    // As OpenAI counts a chat: 3 for each message and for the answer's start, 1 for each role.
    const texts = sent.reduce(
      (sum, { content }) => sum + countTokens(content, { disallowedSpecial: new Set() }),
      0,
    );
    const expected = texts + 4 * sent.length + 3;
    assert.equal((await charged(turn)) - OUTPUT, expected, `tokens of turn ${turn}`);
    total += expected;
  }
  return total;
}

const variants: Variant[] = [];
const add = async (name: string, policy: unknown, edit?: (text: string) => string) => {
  const options = { policy, upstreamPort: upstream.port, sidecarPort: sidecar.port, ...(edit && { edit }) };
  const variant = await startVariant(name, options);
  variants.push(variant);
  return variant;
};
try {
  const total = await checkTokens(await add("exact", counting));
  console.log(`texts: ${from}\ntokens of all ${TURNS} turns as gpt-tokenizer counts them: ${total} in all`);
  const rows = await cost(
    await add("bare", { tiers: { pro: limits }, keys }, without),
    await add("off", { tiers: { pro: { ...limits, prompt: { injection: "off" } } }, keys }),
    await add("weir", { tiers: { pro: limits }, keys }),
  );
  printTable(rows);
  record("conversation", rows);
} finally {
  for (const variant of variants) await stopVariant(variant);
  await sidecar.close();
  upstream.close();
  rmSync(directory, { recursive: true, force: true });
}
