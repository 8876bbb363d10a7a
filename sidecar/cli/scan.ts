// `weir scan`: what the filter would say, without a proxy. It runs the inspection component (wit/inspect.wit), which is
// compiled from the filter's sources and carries the same packs.
//
// A score is a probability, 0 … 1 with three decimals: a thousandth is the edge's own unit (policy: prompt.threshold).
// `verdict` is "allow" or "block", at the threshold that the pack was made with. A text of JSONL is judged as a user's
// own turn. A line that cannot be read is answered in its place by {"id":null,"error":…}.
//
// Bounds: memory is one line (or body) of at most INPUT_BYTES_MAX and what the reader of stdout has not taken yet, which
// is waited for.
import { once } from "node:events";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { WeirError } from "../errors.ts";
import { builtFile } from "./filter.ts";
import { type LineInput, linesOf, Unread } from "./lines.ts";
import { pipedInput, pipedOutput, UsageError } from "./usage.ts";

/** As the filter's BODY_BYTES_MAX. */
const INPUT_BYTES_MAX = 16 << 20;
/** Lines are written in pieces of about this size. */
const CHUNK_CHARACTERS = 1 << 16;
/** Names no API: the members of the body tell which it is. */
const DEFAULT_PATH = "/";

export const USAGE = `usage: weir scan [--path /v1/chat/completions] < BODY.json
       weir scan --jsonl < TEXTS.jsonl

  --path PATH   where the body would be sent; without it its members tell which API it is
  --jsonl       lines {"id","text"} in, lines {"id","score","verdict","rules","tokens"} out

It judges by the filter's defaults: what a policy adds (max_bytes, max_tokens, thresholds, routes, rules) \`weir replay\` looks at. A body or a text
has at most ${INPUT_BYTES_MAX} bytes.

exit status: 0 whatever the verdict, 1 the body or a line could not be scanned, 2 wrong usage`;

export type ScanOutput = Pick<NodeJS.WritableStream, "write" | "once">;

interface Tokens {
  o200kBase?: number;
  cl100kBase?: number;
}

interface TextOutcome {
  verdict: "allow" | "block";
  code: string;
  score: number;
  why: string;
  rules: string[];
  tokens: Tokens;
}

interface Outcome extends TextOutcome {
  detail: string;
  param: string;
  promptTokens: number;
  shape: string;
  model: string;
  spans: { offset: number; length: number; trust: string; name: boolean; score: number }[];
}

interface Options {
  threshold: number;
  untrustedThreshold: number;
  maxPromptTokens: number;
  allowUnknownShape: boolean;
  countTokens: boolean;
}

/** The component's interface, as jco names it. */
export interface Inspector {
  scan(body: Uint8Array, path: string, options: Options): Outcome;
  scanText(text: string, speaker: "user", options: Options): TextOutcome;
}

/** The pack's own threshold, and exact tokens. */
const OPTIONS: Options = {
  threshold: 0,
  untrustedThreshold: 0,
  maxPromptTokens: 0,
  allowUnknownShape: false,
  countTokens: true,
};

/** The component: beside the bundled command, or in dist/ when run from the sources. */
export async function loadInspector(): Promise<Inspector> {
  const { inspector } = await import(pathToFileURL(builtFile("component/inspect.js")).href);
  return inspector;
}

export async function run(
  args: string[],
  stdin?: LineInput,
  stdout: ScanOutput = pipedOutput(),
): Promise<number> {
  const { values } = parseArgs({ args, options: { jsonl: { type: "boolean" }, path: { type: "string" } } });
  const { jsonl, path = DEFAULT_PATH } = values;
  if (jsonl && values.path !== undefined) throw new UsageError("expected --jsonl or --path, not both");
  if (!path.startsWith("/")) throw new UsageError(`--path: ${path}: expected a path that begins with /`);
  const input = stdin ?? pipedInput();
  const inspector = await loadInspector();
  if (jsonl) return scanLines(inspector, input, stdout);
  const body = await readBody(input);
  if (!body) throw new WeirError("invalid_argument", `the body is larger than ${INPUT_BYTES_MAX} bytes`);
  stdout.write(`${JSON.stringify(bodyVerdict(inspector, body, path), null, 2)}\n`);
  return 0;
}

async function readBody(stdin: LineInput): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk as Uint8Array));
    bytes += chunks.at(-1)?.length ?? 0;
    if (bytes > INPUT_BYTES_MAX) return undefined;
  }
  return Buffer.concat(chunks);
}

/** The verdict on one request body sent to `path`. */
function bodyVerdict(inspector: Inspector, body: Uint8Array, path: string): object {
  const { score, tokens, spans, ...rest } = inspector.scan(body, path, OPTIONS);
  const { verdict, code, detail, param, why, rules, promptTokens, shape, model } = rest;
  return {
    verdict,
    code,
    ...(detail && { detail }),
    ...(param && { param }),
    score: score / 1000,
    ...(why && { why }),
    rules,
    tokens: named(tokens),
    prompt_tokens: promptTokens,
    shape,
    model,
    spans: spans.map((span) => ({ ...span, score: span.score / 1000 })),
  };
}

/** The verdict on one text, as a line of JSONL has it. */
function textVerdict(inspector: Inspector, id: unknown, text: string): object {
  const { score, verdict, rules, tokens } = inspector.scanText(text, "user", OPTIONS);
  return { id, score: score / 1000, verdict, rules, tokens: named(tokens) };
}

function named({ o200kBase, cl100kBase }: Tokens): Record<string, number | null> {
  return { o200k_base: o200kBase ?? null, cl100k_base: cl100kBase ?? null };
}

async function scanLines(inspector: Inspector, stdin: LineInput, stdout: ScanOutput): Promise<number> {
  let out = "";
  let number = 0;
  let failed = 0;
  for await (const line of linesOf(stdin)) {
    number++;
    if (typeof line === "string" && line.trim() === "") continue;
    const answer = line instanceof Unread ? unread(number, line) : lineVerdict(inspector, line, number);
    if ("error" in answer) failed++;
    out += `${JSON.stringify(answer)}\n`;
    if (out.length < CHUNK_CHARACTERS) continue;
    if (!stdout.write(out)) await once(stdout as NodeJS.WritableStream, "drain");
    out = "";
  }
  if (out) stdout.write(out);
  return failed ? 1 : 0;
}

function lineVerdict(inspector: Inspector, line: string, number: number): object {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (error) {
    return { id: null, error: `line ${number}: not JSON: ${(error as Error).message}` };
  }
  const { id, text } = (typeof row === "object" && row !== null ? row : {}) as {
    id?: unknown;
    text?: unknown;
  };
  if (typeof text !== "string") return { id: id ?? null, error: `line ${number}: text: expected a string` };
  if (Buffer.byteLength(text) > INPUT_BYTES_MAX)
    return { id: id ?? null, error: `line ${number}: text: longer than ${INPUT_BYTES_MAX} bytes` };
  return textVerdict(inspector, id ?? null, text);
}

function unread(number: number, { why }: Unread): object {
  return { id: null, error: `line ${number}: ${why}` };
}
