// Attaches packs to a compiled module: see `assembly/packs.ts` for what the module expects. The wasm binary is
// edited directly. Only the memory, data count and data sections change, every other byte is copied; that takes
// milliseconds, where a pass through binaryen parses and prints all code again.
//
//   npx tsx scripts/attach-packs.ts IN.wasm OUT.wasm NAME=FILE …
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PACK_BYTES_MAX } from "../sidecar/pack/rules-pack.ts";
import { SLOTS } from "../sidecar/pack/train-model.ts";
import { HEADER_BYTES } from "../sidecar/pack/train-pack.ts";

/** In the order of the directory; 0: the capacity is the pack's length. As in `assembly/packs.ts`. */
const CAPACITY = { rules: PACK_BYTES_MAX, classifier: HEADER_BYTES + SLOTS, o200k: 0, cl100k: 0 };
export type PackName = keyof typeof CAPACITY;
const ENTRY_BYTES = 16;
const PAGE_BYTES = 65536;

const SECTION = { memory: 5, global: 6, export: 7, data: 11, dataCount: 12 };
const EXTERNAL_GLOBAL = 3;
const OPCODE = { i32Const: 0x41, f32Const: 0x43, f64Const: 0x44, vector: 0xfd, end: 0x0b };

interface Section {
  id: number;
  body: Uint8Array;
}

/** `core` with `packs` as data segments behind its own static data. Throws when `core` is not ready for them. */
export function attachPacks(core: Uint8Array, packs: Partial<Record<PackName, Uint8Array>>): Uint8Array {
  const sections = parse(core);
  const directory = exportedConstant(sections, "packDirectory");

  const names = Object.keys(CAPACITY) as PackName[];
  const unknown = Object.keys(packs).filter((name) => !(name in CAPACITY));
  if (unknown.length) throw new Error(`pack ${unknown}: expected one of ${names.join(", ")}`);
  const entries = new Uint32Array((names.length * ENTRY_BYTES) / 4);
  const segments: Uint8Array[] = [];
  let at = memoryPages(sections) * PAGE_BYTES;
  names.forEach((name, i) => {
    const pack = packs[name];
    if (!pack) return;
    const capacity = (Math.max(CAPACITY[name], pack.length) + 15) & ~15;
    if (CAPACITY[name] && capacity > CAPACITY[name]) {
      throw new Error(`pack ${name}: ${pack.length} bytes, expected ≤ ${CAPACITY[name]}`);
    }
    entries.set([at, pack.length, capacity], (i * ENTRY_BYTES) / 4);
    segments.push(segment(at, pack));
    at += capacity;
  });
  if (!segments.length) return core;
  segments.push(segment(directory, new Uint8Array(entries.buffer)));
  return encode(
    sections.map((section) => attached(section, segments, at)),
    segments,
  );
}

function attached(section: Section, segments: Uint8Array[], bytes: number): Section {
  const { id, body } = section;
  if (id === SECTION.memory) return { id, body: memoryOf(body, Math.ceil(bytes / PAGE_BYTES)) };
  if (id === SECTION.dataCount) return { id, body: leb(new Reader(body).u32() + segments.length) };
  if (id !== SECTION.data) return section;
  const reader = new Reader(body);
  const count = reader.u32();
  return { id, body: concat([leb(count + segments.length), body.subarray(reader.at), ...segments]) };
}

/** Initial pages of the module's own memory: they hold its static data and the start of its heap. */
function memoryPages(sections: Section[]): number {
  const reader = new Reader(bodyOf(sections, SECTION.memory));
  if (reader.u32() !== 1) throw new Error("attach packs: expected one memory of the module's own");
  reader.u32();
  return reader.u32();
}

/** The memory section with at least `pages` initial pages. */
function memoryOf(body: Uint8Array, pages: number): Uint8Array {
  const reader = new Reader(body);
  reader.u32();
  const flags = reader.u32();
  const initial = Math.max(reader.u32(), pages);
  const limits = [leb(1), leb(flags), leb(initial)];
  if (flags & 1) limits.push(leb(Math.max(reader.u32(), initial)));
  return concat(limits);
}

/** The value of the exported immutable i32 global `name`. */
function exportedConstant(sections: Section[], name: string): number {
  const wanted = exportedGlobal(sections, name);
  const reader = new Reader(bodyOf(sections, SECTION.global));
  const count = reader.u32();
  for (let index = 0; index < count; index++) {
    reader.byte();
    const isMutable = reader.byte() === 1;
    const opcode = reader.byte();
    const operand = operandOf(opcode, reader);
    if (index === wanted && opcode === OPCODE.i32Const && !isMutable) return operand;
    if (reader.byte() !== OPCODE.end) break;
  }
  throw new Error(`attach packs: ${name} is not an immutable i32 constant`);
}

/** Reads the operand of an initialiser; a number only where it is an integer of up to 32 bits. */
function operandOf(opcode: number, reader: Reader): number {
  if (opcode === OPCODE.f32Const) reader.bytes(4);
  else if (opcode === OPCODE.f64Const) reader.bytes(8);
  else if (opcode === OPCODE.vector) reader.bytes(1 + 16);
  else return reader.u32();
  return Number.NaN;
}

function exportedGlobal(sections: Section[], name: string): number {
  const reader = new Reader(bodyOf(sections, SECTION.export));
  const count = reader.u32();
  for (let i = 0; i < count; i++) {
    const found = new TextDecoder().decode(reader.bytes(reader.u32()));
    const kind = reader.byte();
    const index = reader.u32();
    if (found === name && kind === EXTERNAL_GLOBAL) return index;
  }
  throw new Error(`attach packs: the module does not export the global ${name} of assembly/packs.ts`);
}

function bodyOf(sections: Section[], id: number): Uint8Array {
  return sections.find((section) => section.id === id)?.body ?? new Uint8Array([0]);
}

class Reader {
  at = 0;
  constructor(private readonly from: Uint8Array) {}

  get done(): boolean {
    return this.at >= this.from.length;
  }

  byte(): number {
    const value = this.from[this.at++];
    if (value === undefined) throw new Error("attach packs: the module ends too early");
    return value;
  }

  /** LEB128; of a signed constant, its low 32 bits as unsigned when it is not negative. */
  u32(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  bytes(length: number): Uint8Array {
    this.at += length;
    return this.from.subarray(this.at - length, this.at);
  }
}

function parse(wasm: Uint8Array): Section[] {
  const reader = new Reader(wasm);
  reader.bytes(8);
  const sections: Section[] = [];
  while (!reader.done) sections.push({ id: reader.byte(), body: reader.bytes(reader.u32()) });
  return sections;
}

/** `segments` make a data section of their own when the module has none. */
function encode(sections: Section[], segments: Uint8Array[]): Uint8Array {
  if (!sections.some(({ id }) => id === SECTION.data)) {
    sections.push({ id: SECTION.data, body: concat([leb(segments.length), ...segments]) });
  }
  const header = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  return concat([header, ...sections.flatMap(({ id, body }) => [Uint8Array.of(id), leb(body.length), body])]);
}

/** An active segment of memory 0. */
function segment(at: number, bytes: Uint8Array): Uint8Array {
  return concat([
    Uint8Array.of(0, OPCODE.i32Const),
    signedLeb(at),
    Uint8Array.of(OPCODE.end),
    leb(bytes.length),
    bytes,
  ]);
}

function leb(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** Of a value that is not negative: one more byte when the last one would read as a sign. */
function signedLeb(value: number): Uint8Array {
  const bytes = leb(value);
  const last = bytes[bytes.length - 1] as number;
  return last < 0x40 ? bytes : Uint8Array.from([...bytes.subarray(0, -1), last | 0x80, 0]);
}

function concat(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from, to, ...named] = process.argv.slice(2);
  if (!from || !to) throw new Error("usage: attach-packs.ts IN.wasm OUT.wasm NAME=FILE …");
  const packs = Object.fromEntries(
    named.map((pair) => {
      const [name, file] = pair.split("=", 2) as [string, string];
      return [name, readFileSync(file)];
    }),
  );
  writeFileSync(to, attachPacks(readFileSync(from), packs));
}
