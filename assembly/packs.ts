// Packs are big static tables (vocabularies, rules, classifier weights) that are attached to the compiled module
// by `scripts/attach-packs.ts`, because asc needs seconds for a megabyte of literal and a small installation
// wants none of them. A pack is an active data segment behind the pages that the compiler asked for; the script
// raises the module's initial memory accordingly and fills this directory, and the first thing that the module
// does when it starts is to claim that space for good. A pack that is not attached takes no memory and no bytes
// in the file.
//
//   directory      0        4        8          12        16
//                 ┌────────┬────────┬──────────┬──────────┐
//   one entry     │ at     │ length │ capacity │ 0        │  × PACKS; all zero: not attached
//                 └────────┴────────┴──────────┴──────────┘
//
// Vocabularies have exactly the capacity they need. Rules and classifier weights are replaced while the filter
// runs, so they get the whole of `RULES_BYTES_MAX` and `CLASSIFIER_BYTES_MAX`.
//
// `memory.ts` imports this file, so that nothing is reserved before the claim; a module that breaks this rule
// traps when it starts, not later.

export const RULES = 0;
export const CLASSIFIER = 1;
export const O200K_VOCABULARY = 2;
export const CL100K_VOCABULARY = 3;
const PACKS = 4;

/** Bytes kept for a pack that may be replaced; `scripts/attach-packs.ts` repeats them. */
export const RULES_BYTES_MAX = 11 << 17;
export const CLASSIFIER_BYTES_MAX = 64 + (1 << 17);

/** Address of the directory. The module must export it under this name. */
export const packDirectory: usize = memory.data(64, 16);

claim();

function claim(): void {
  let end: usize = 0;
  for (let i = 0; i < PACKS; i++) {
    const entry = packDirectory + (i << 4);
    end = max(end, <usize>load<u32>(entry) + <usize>load<u32>(entry, 8));
  }
  if (end == 0) return;
  // The stub allocator keeps 4 bytes before a 16-byte aligned block.
  const first = (__heap_base + 4 + 15) & ~15;
  if (heap.alloc(end - first) != first) unreachable();
}

/** The address of pack `name` (16-byte aligned), or 0 when it is not attached. */
export function packAt(name: i32): usize {
  return <usize>load<u32>(packDirectory + (name << 4));
}

/** Bytes that were attached. */
export function packLength(name: i32): i32 {
  return load<i32>(packDirectory + (name << 4), 4);
}

/** Bytes that belong to the pack; never less than its length. */
export function packCapacity(name: i32): i32 {
  return load<i32>(packDirectory + (name << 4), 8);
}
