// The corpus's little grammar: templates with slots that expand to many texts, the same ones for the same seed.
//
//   $name: one | two {other}     a slot; alternatives may use slots
//   == category                  the lines that follow belong to it
//   {name}  (a|b|)  [maybe]      a slot; one of; with or without
//   \n  \(  \{ …                 a line feed; the character itself
//   @text@                       only in carriers: the text is encoded when it is expanded (train-corpus.ts)
//
// Every other line is one template. Bounds: slots nest at most DEPTH_MAX deep, so a slot that uses itself is
// refused and not followed for ever.
import { WeirError } from "../errors.ts";

const DEPTH_MAX = 12;

type Part = string | { slot: string } | { choice: Part[][] };

export interface Template {
  category: string;
  /** 1-based line in the file. */
  line: number;
  parts: Part[];
}

export interface Grammar {
  slots: Map<string, Part[][]>;
  templates: Template[];
}

/** Random numbers from a seed (mulberry32): uniform in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Parses a grammar file; `name` is for messages. */
export function parseGrammar(source: string, name: string): Grammar {
  const grammar: Grammar = { slots: new Map(), templates: [] };
  let category = "";
  for (const [index, text] of source.split("\n").entries()) {
    const line = text.trim();
    if (!line || line.startsWith("# ") || line === "#") {
      // A comment starts with "# "; a template may too, escaped or with a group.
      if (!line.startsWith("# (") && !line.startsWith("# {")) continue;
    }
    const slot = /^\$([a-z0-9]+):(.*)$/s.exec(line);
    if (slot) {
      const where = `${name}:${index + 1}`;
      const [, own = "", alternatives = ""] = slot;
      if (grammar.slots.has(own))
        throw new WeirError("invalid_argument", `${where}: slot {${own}} is defined twice`);
      grammar.slots.set(own, new Parser(alternatives.trim(), where).alternatives(true).map(trimEnds));
    } else if (line.startsWith("== ")) {
      category = line.slice(3);
    } else {
      const parser = new Parser(line, `${name}:${index + 1}`);
      grammar.templates.push({ category, line: index + 1, parts: parser.sequence("") });
    }
  }
  for (const { parts, line } of grammar.templates) check(grammar, parts, `${name}:${line}`, 0);
  return grammar;
}

/** One expansion of `parts`. */
export function expand(grammar: Grammar, parts: Part[], rand: () => number): string {
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    const options = "slot" in part ? (grammar.slots.get(part.slot) ?? []) : part.choice;
    text += expand(grammar, options[Math.floor(rand() * options.length)] ?? [], rand);
  }
  return text;
}

function check(grammar: Grammar, parts: Part[], where: string, depth: number): void {
  if (depth > DEPTH_MAX)
    throw new WeirError("invalid_argument", `${where}: slots nest deeper than ${DEPTH_MAX}`);
  for (const part of parts) {
    if (typeof part === "string") continue;
    const options = "slot" in part ? grammar.slots.get(part.slot) : part.choice;
    if (!options)
      throw new WeirError(
        "invalid_argument",
        `${where}: slot {${"slot" in part ? part.slot : ""}} is not defined`,
      );
    for (const option of options) check(grammar, option, where, depth + 1);
  }
}

function trimEnds(parts: Part[]): Part[] {
  const trimmed = [...parts];
  const first = trimmed[0];
  if (typeof first === "string") trimmed[0] = first.trimStart();
  const last = trimmed.at(-1);
  if (typeof last === "string") trimmed[trimmed.length - 1] = last.trimEnd();
  return trimmed;
}

class Parser {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly where: string,
  ) {}

  /** Parts up to one of the characters in `stop`, which is left unread. */
  sequence(stop: string): Part[] {
    const parts: Part[] = [];
    let plain = "";
    const flush = () => {
      if (plain) parts.push(plain);
      plain = "";
    };
    while (this.at < this.text.length) {
      const char = this.text[this.at] ?? "";
      if (stop.includes(char)) break;
      this.at++;
      if (char === "\\") {
        const next = this.text[this.at++] ?? "";
        plain += next === "n" ? "\n" : next;
      } else if (char === "{") {
        const end = this.text.indexOf("}", this.at);
        if (end < 0) throw new WeirError("invalid_argument", `${this.where}: { without }`);
        flush();
        parts.push({ slot: this.text.slice(this.at, end) });
        this.at = end + 1;
      } else if (char === "(" || char === "[") {
        flush();
        const choice = this.alternatives(false, char === "(" ? ")" : "]");
        if (char === "[") choice.push(...Array.from(choice, () => []));
        parts.push({ choice });
        this.at++;
      } else plain += char;
    }
    flush();
    return parts;
  }

  /** Alternatives between bars, up to the end or `close` (left unread). */
  alternatives(whole: boolean, close = ""): Part[][] {
    const options = [this.sequence(`|${close}`)];
    while (this.text[this.at] === "|") {
      this.at++;
      options.push(this.sequence(`|${close}`));
    }
    if (!whole && this.text[this.at] !== close)
      throw new WeirError("invalid_argument", `${this.where}: no ${close}`);
    return options;
  }
}
