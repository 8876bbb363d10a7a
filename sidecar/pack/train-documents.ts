// Harmless documents and code for the trainer: what people give a model to read beside what they ask. Licences, changelogs,
// interfaces and tables hold many words of attacks ("without restriction", "override", "credentials"), and hardly any
// corpus of prompts holds them.
//
// They are those of the packages installed beside the command: READMEs, licences, sources, typings, headers. Nothing of
// them is kept but weights. One tree of files gives one list, and what is installed is what package-lock.json pins.
// Bounds: KIND_MAX characters of each kind, PIECE_MAX of each file, of which none above FILE_BYTES_MAX is read.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative, sep } from "node:path";
import type { Sample } from "./train-corpus.ts";

/** Kinds by the end of a file's name; what has none is text when its name is in capitals (LICENSE, README). */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  text: [".txt", ".rst"],
  markdown: [".md"],
  typescript: [".ts", ".tsx"],
  javascript: [".js", ".mjs", ".cjs"],
  c: [".c", ".cc", ".cpp", ".h"],
  code: [".py", ".go", ".rs", ".java", ".kt", ".cs", ".rb", ".php", ".lua", ".sql", ".sh"],
  data: [".json", ".yml", ".yaml", ".toml", ".csv"],
  markup: [".html", ".xml", ".css"],
};
const KIND_OF = new Map(Object.entries(KINDS).flatMap(([kind, ends]) => ends.map((end) => [end, kind])));
/** Characters of each kind. */
const KIND_MAX = 1_500_000;
/** Characters of each file, and the fewest that are a document. */
const PIECE_MAX = 8000;
const PIECE_MIN = 200;
/** Longer ones are data. */
const FILE_BYTES_MAX = 64 << 20;
/** Packages that are installed on some machines only. */
const PLATFORM =
  /^fsevents$|\b(linux|darwin|win32|android|openharmony|(free|net|open)bsd|sunos|aix)-(aarch|arm|ia32|loong|mips|ppc|riscv|s390|x64)/;
/** This one, where it is installed as others are: the attacks of its corpus are no harmless documents. */
const OWN = "weir";
/** Packages are dealt out to so many sources, of which each is left out of one judging model (train-folds.ts). */
const GROUPS = 6;

/** The directory of packages that `directory` is in, or that lies beside it or above. */
export function packagesOf(directory: string): string {
  if (basename(directory) === "node_modules") return directory;
  const beside = join(directory, "node_modules");
  return existsSync(beside) || dirname(directory) === directory ? beside : packagesOf(dirname(directory));
}

/** Documents of the packages in `directory`, all of them harmless. */
export function documents(directory: string): Sample[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .flatMap((path) => {
      const kind = kindOf(path);
      return kind ? [{ path, kind, order: digest(path) }] : [];
    })
    .sort((a, b) => a.order.compare(b.order));
  const samples: Sample[] = [];
  const taken: Record<string, number> = {};
  const seen = new Set<string>();
  for (const { path, kind, order } of files) {
    if ((taken[kind] ?? 0) >= KIND_MAX) continue;
    const file = join(directory, path);
    if (statSync(file).size > FILE_BYTES_MAX) continue;
    const text = pieceOf(readFileSync(file, "utf8"), order.readUInt32LE());
    if (text.length < PIECE_MIN || text.includes("\ufffd") || seen.has(text)) continue;
    seen.add(text);
    taken[kind] = (taken[kind] ?? 0) + text.length;
    const group = digest(packageOf(path)).readUInt32LE() % GROUPS;
    samples.push({ text, label: 0, source: `documents${group}_${kind}`, kind: "document" });
  }
  return samples;
}

/** The kind of a file; undefined: it is no document, a hidden one, of this package, or not installed everywhere. */
function kindOf(path: string): string | undefined {
  const its = packageOf(path);
  if (/(^|\/)\./.test(path) || its === OWN || PLATFORM.test(its)) return undefined;
  const name = basename(path);
  return KIND_OF.get(extname(name)) ?? (/^[A-Z]+$/.test(name) ? "text" : undefined);
}

/** The package that a file belongs to, the innermost: `a/node_modules/@b/c/d.js` is of `@b/c`. */
function packageOf(path: string): string {
  const [first = "", second = ""] = (path.split("node_modules/").at(-1) as string).split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}

/** The piece of a text that begins at a place which `chance` chooses, after a line's end. */
function pieceOf(text: string, chance: number): string {
  if (text.length <= PIECE_MAX) return text;
  const from = text.indexOf("\n", chance % (text.length - PIECE_MAX));
  return text.slice(from + 1, from + 1 + PIECE_MAX);
}

const digest = (text: string) => createHash("sha256").update(text).digest();
