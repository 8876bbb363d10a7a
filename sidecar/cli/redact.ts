// `weir redact --jsonl`: what the edge would find in texts, through the same compiled detectors.
//
// Lines {"id","text"} in, {"id","text","spans":[{"start","end","type"}]} out, offsets in code points. A line is at most
// TEXT_MAX bytes of text; output waits for a slow reader.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { parseArgs } from "node:util";
import { WeirError } from "../errors.ts";
import { builtFile } from "./filter.ts";
import { linesOf, Unread } from "./lines.ts";
import { pipedInput, pipedOutput, UsageError } from "./usage.ts";

export const USAGE = `usage: weir redact --jsonl < TEXTS.jsonl

Finds what the proxy would redact: lines {"id","text"} in, lines {"id","text","spans":[{"start","end","type"}]} out. The text is
given back as it is; start and end count code points.

exit status: 0 whatever was found, 1 at the first line that is not {"id","text"}, 2 wrong usage`;

/** In the order of assembly/redact/types.ts. */
const TYPES = ["EMAIL", "PHONE", "CREDIT_CARD", "IBAN", "US_SSN", "IP", "API_KEY", "PRIVATE_KEY", "JWT"];

export interface FoundSpan {
  /** Code points from the beginning of the text. */
  start: number;
  end: number;
  type: string;
}

interface Tool {
  memory: WebAssembly.Memory;
  TEXT_MAX: WebAssembly.Global;
  SPANS_MAX: WebAssembly.Global;
  textAt(): number;
  spansAt(): number;
  find(length: number, from: number): number;
}

/** A function that lists the spans of a text. Throws WeirError `invalid_argument` for a text that is too long. */
export function detector(
  wasm: Uint8Array = readFileSync(builtFile("redact.wasm")),
): (text: string) => FoundSpan[] {
  const abort = () => {
    throw new WeirError("internal", "the detectors stopped");
  };
  const module = new WebAssembly.Module(wasm as BufferSource);
  const tool = new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as Tool;
  const textAt = tool.textAt() >>> 0;
  const spansAt = tool.spansAt() >>> 0;
  const longest = Number(tool.TEXT_MAX.value);
  const most = Number(tool.SPANS_MAX.value);
  return (text) => {
    const bytes = Buffer.from(text);
    if (bytes.length > longest)
      throw new WeirError("invalid_argument", `a text is longer than ${longest} bytes`);
    new Uint8Array(tool.memory.buffer).set(bytes, textAt);
    const found: FoundSpan[] = [];
    let from = 0;
    let byte = 0;
    let point = 0;
    const pointAt = (offset: number) => {
      for (; byte < offset; byte++) if (((bytes[byte] as number) & 0xc0) !== 0x80) point++;
      return point;
    };
    for (;;) {
      const count = tool.find(bytes.length, from);
      const list = new Uint32Array(tool.memory.buffer, spansAt, 3 * count);
      for (let i = 0; i < count; i++) {
        const [start = 0, end = 0, type = 0] = list.subarray(3 * i, 3 * i + 3);
        found.push({ start: pointAt(start), end: pointAt(end), type: TYPES[type] ?? "CUSTOM" });
        from = end;
      }
      if (count < most) return found;
    }
  };
}

export async function run(
  args: string[],
  stdin?: Readable,
  stdout: Writable = pipedOutput(),
): Promise<number> {
  const { values } = parseArgs({ args, options: { jsonl: { type: "boolean" } } });
  if (!values.jsonl) throw new UsageError("--jsonl is missing");
  const input = stdin ?? pipedInput();
  const spansOf = detector();
  const spansAt = (number: number, text: string) => {
    try {
      return spansOf(text);
    } catch (thrown) {
      const { code, message } = WeirError.from(thrown);
      throw new WeirError(code, `line ${number}: ${message}`, thrown);
    }
  };
  let number = 0;
  for await (const line of linesOf(input)) {
    number++;
    if (line instanceof Unread) throw new WeirError("invalid_argument", `line ${number}: ${line.why}`);
    if (line.trim() === "") continue;
    const row = parse(line);
    if (!row) throw new WeirError("invalid_argument", `line ${number}: expected {"id", "text"}`);
    const out = `${JSON.stringify({ id: row.id, text: row.text, spans: spansAt(number, row.text) })}\n`;
    if (!stdout.write(out)) await once(stdout, "drain");
  }
  return 0;
}

function parse(line: string): { id: unknown; text: string } | undefined {
  try {
    const row = JSON.parse(line) as { id?: unknown; text?: unknown } | null;
    return typeof row?.text === "string" ? { id: row.id, text: row.text } : undefined;
  } catch {
    return undefined;
  }
}
