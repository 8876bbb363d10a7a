// Counts the work of compiled code in steps, so that "linear" is a statement about numbers and not about times: each turn of
// each loop and each call of a function is a step, and so are 64 bytes of a bulk copy, fill or comparison's loop. The counter
// is put into the finished module, so nothing that loops or recurses can be forgotten, and the sources know nothing of it.
//
//   (loop $a …body…)   →   (loop $a (steps += 1) …body…)
//   (func $f … body)   →   (func $f … (steps += 1) body)
//
// The module exports `takeSteps`, which returns the steps since it was last called (i64).

const GLOBAL = "$steps-taken";
const ONE = `(global.set ${GLOBAL} (i64.add (global.get ${GLOBAL}) (i64.const 1)))`;
const DECLARED = `
 (global ${GLOBAL} (mut i64) (i64.const 0))
 (func $take-steps (export "takeSteps") (result i64)
  (global.get ${GLOBAL})
  (global.set ${GLOBAL} (i64.const 0))
 )
`;

/** `wasm` with a counter in every loop and function. */
export async function countSteps(wasm: Uint8Array): Promise<Uint8Array> {
  const { default: binaryen } = await import("binaryen");
  const module = binaryen.readBinary(wasm);
  module.setFeatures(binaryen.Features.All);
  const text = module.emitText();
  module.dispose();
  const counted = binaryen.parseText(withCounters(text));
  counted.setFeatures(binaryen.Features.All);
  if (!counted.validate()) throw new Error("the module with counters is not valid");
  const bytes = counted.emitBinary();
  counted.dispose();
  return bytes;
}

/** Binaryen writes one expression a line, locals directly below the head of their function. */
function withCounters(text: string): string {
  const out: string[] = [];
  let opens = false;
  let loops = 0;
  for (const line of text.split("\n")) {
    if (opens && !/^\s*\(local /.test(line)) {
      out.push(ONE);
      opens = false;
    }
    out.push(line);
    if (/^ \(func \$[^)]*/.test(line) && !line.trimEnd().endsWith("))")) opens = true;
    if (/^\s*\(loop /.test(line)) {
      out.push(ONE);
      loops++;
    }
  }
  if (loops === 0) throw new Error("the module has no loops: its text is not what was expected");
  const end = out.lastIndexOf(")");
  return [...out.slice(0, end), DECLARED, ...out.slice(end)].join("\n");
}
