// What the benchmarks send: texts as people write them, none twice.
//
// With WEIR_DATA (labelledFile of train-corpus.ts), its harmless rows (`label` 0), in all their languages. Without, what
// lies in node_modules (READMEs, licences, typings, sources), cut into texts of 2 to 8 KB of which none repeats a
// line of another, and harmless texts of training/.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { labelledFile } from "../sidecar/pack/train-corpus.ts";
import { expand, parseGrammar, random as templateRandom } from "../sidecar/pack/train-grammar.ts";
import { random } from "../test/support/random.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const modules = join(root, "node_modules");
const CORPUS_BYTES = 1 << 20;

/** Texts of files under node_modules whose names match; lines that came before are dropped. */
function fromFiles(pattern: RegExp): string[] {
  const seen = new Set<string>();
  const texts: string[] = [];
  let size = 0;
  let text = "";
  for (const file of readdirSync(modules, { recursive: true })
    .map(String)
    .sort()
    .filter((f) => pattern.test(f))) {
    const content = readFileSync(join(modules, file), "utf8").slice(0, 40_000);
    for (const line of content.split(/(?<=\n)/)) {
      if (line.length > 4 && (seen.has(line) || line.length > 2000)) continue;
      seen.add(line);
      text += line;
      if (text.length < 2000 + (size % 6000)) continue;
      texts.push(text);
      size += text.length;
      text = "";
      if (size > CORPUS_BYTES) return texts;
    }
  }
  return texts;
}

export const documentation = () => fromFiles(/(README|CHANGELOG|LICENSE)[^/]*\.(md|txt)$/i);
export const code = () => fromFiles(/\.(d\.ts|[cm]?js|py|h)$/);

/** A text of each harmless template. */
function harmless(): string[] {
  const pick = templateRandom(7);
  return readdirSync(join(root, "training/hard")).flatMap((name) => {
    const grammar = parseGrammar(readFileSync(join(root, "training/hard", name), "utf8"), name);
    return grammar.templates.map(({ parts }) => expand(grammar, parts, pick));
  });
}

/** The rows of WEIR_DATA; undefined when there are none. */
export function dataRows(): { text: string; label: number }[] | undefined {
  const file = labelledFile(process.env.WEIR_DATA ?? "");
  if (!file) return undefined;
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as { text: string; label: number });
}

/** Harmless texts that `passes` agrees to, in an order that one seed fixes; `from` says which they are. */
export function chatTexts(passes: (text: string) => boolean): { texts: string[]; from: string } {
  const rows = dataRows()?.filter(({ label }) => label === 0);
  const texts = [
    ...new Set(rows ? rows.map(({ text }) => text) : [...documentation(), ...code(), ...harmless()]),
  ];
  const pick = random(7);
  for (let i = texts.length - 1; i > 0; i--) {
    const j = pick(i + 1);
    [texts[i], texts[j]] = [texts[j] as string, texts[i] as string];
  }
  return {
    texts: texts.filter(passes),
    from: rows ? "prompts.jsonl" : "texts of node_modules and training/",
  };
}

/** Bytes of JSON that one message takes besides its text. */
const FRAME = 40;

/** Cuts chats of about `bytes` out of `texts`, each with texts of its own, as long as they last or up to `most`. */
export function chatBodies(texts: string[], bytes: number, most: number, mark = ""): string[] {
  const bodies: string[] = [];
  let messages: { role: string; content: string }[] = [];
  let size = 80;
  for (const text of texts) {
    const left = bytes - size - FRAME;
    // A message is cut at a space, so that no character and no word is.
    const whole = Buffer.byteLength(JSON.stringify(text)) <= left ? text : cut(text, left);
    messages.push({ role: messages.length % 2 ? "assistant" : "user", content: mark + whole });
    size += Buffer.byteLength(JSON.stringify(mark + whole)) + FRAME;
    if (bytes - size > bytes / 8) continue;
    if (messages.length % 2 === 0) messages.push({ role: "user", content: `${mark}And then?` });
    bodies.push(JSON.stringify({ model: "gpt-4o", max_tokens: 100, messages }));
    if (bodies.length === most) break;
    messages = [];
    size = 80;
  }
  return bodies;
}

function cut(text: string, bytes: number): string {
  let end = text.lastIndexOf(" ", bytes);
  while (end > 0 && Buffer.byteLength(JSON.stringify(text.slice(0, end))) > bytes) {
    end = text.lastIndexOf(" ", end - 1);
  }
  return text.slice(0, Math.max(end, 0)) || "Go on.";
}
