// From the bytes of a plugin configuration to a compiled policy, or to a list of everything that is wrong with it.
// The one reader of policies: `weir check` runs this very code.
import { hash64 } from "../hash";
import { Schema } from "../inspect/schema";
import { errorText, JsonError } from "../json/errors";
import { Tape } from "../json/tape";
import { BODY_DEPTH_MAX, POLICY_BYTES_MAX, POLICY_VALUES_MAX } from "../limits";
import { reserve } from "../memory";
import { lenOf, ptrOf, putAscii, Slice } from "../slice";
import { Writer } from "../writer";
import { closeBlock, openBlock } from "./block";
import { blockSize, compile } from "./compile";
import { policyFormat } from "./formats";
import { plain } from "./plain";
import { Policy } from "./policy";
import { problems } from "./problems";
import { POLICY_SCHEMA } from "./schema.gen";
import { mayBeSecret } from "./secrets";

const tape = new Tape(POLICY_VALUES_MAX);
const schema = new Schema(2048);
const line = new Writer(2048);
let schemaLoaded: bool = false;
/** Of a document that is no JSON at all. */
let syntaxError: i32 = 0;
let syntaxErrorAt: i32 = 0;
let tooLong: bool = false;
/** The problems are the schema's: what is told has not been found to be what belongs there. */
let misfits: bool = false;
/** The VM has no room for one more. */
let noRoom: bool = false;

/** The block of the policy that was compiled last: what `closeBlock` takes when it ends. */
export let block: usize = 0;

/**
 * Compiles a policy of `size` bytes, of which a host hands over none when they are more than there is room for; null if
 * anything is wrong with it: see `problemLine`. Configuration only.
 */
export function loadPolicy(text: Slice, size: i32 = lenOf(text)): Policy | null {
  problems.reset();
  syntaxError = 0;
  noRoom = false;
  tooLong = size > POLICY_BYTES_MAX;
  if (tooLong) return null;
  loadSchema();
  syntaxError = tape.scan(ptrOf(text), lenOf(text), BODY_DEPTH_MAX);
  syntaxErrorAt = tape.errorAt;
  if (syntaxError != 0) return null;
  const given = lenOf(text);
  text = plain(text);
  // What is shorter has its values elsewhere.
  if (lenOf(text) != given) tape.scan(ptrOf(text), lenOf(text), BODY_DEPTH_MAX);
  misfits = schema.check(tape, tape.root, problems) > 0;
  if (misfits) return null;
  block = openBlock(blockSize(tape, lenOf(text)));
  if (!block) {
    noRoom = true;
    return null;
  }
  const policy = compile(tape);
  policy.tag = hash64(text, 0);
  if (problems.total == 0) return policy;
  closeBlock(block);
  block = 0;
  return null;
}

function loadSchema(): void {
  if (schemaLoaded) return;
  schemaLoaded = true;
  const len = POLICY_SCHEMA.length;
  const ptr = reserve(len);
  putAscii(ptr, POLICY_SCHEMA);
  schema.setFormat(policyFormat);
  const ok = schema.load(ptr, len);
  assert(ok, "the policy's schema uses a keyword that the validator does not support");
}

/** How many lines `problemLine` has. */
export function problemCount(): i32 {
  if (tooLong || noRoom || syntaxError != 0) return 1;
  return problems.count + <i32>(problems.total > problems.count);
}

/** The `i`th problem as `path: value: expected …`; without the value where that may be a secret. */
export function problemLine(i: i32): Slice {
  line.reset();
  if (tooLong) return line.text("/: policy: expected a document of at most 1 MiB").written;
  if (noRoom)
    return line.text("/: policy: expected those of one VM to take at most 512 MiB together").written;
  if (syntaxError == JsonError.TooManyValues)
    return line.text("/: policy: expected a document of at most ").u64(POLICY_VALUES_MAX).text(" values")
      .written;
  if (syntaxError != 0) {
    line
      .text("/: not JSON: expected JSON without errors, found ")
      .text(errorText(syntaxError))
      .text(" at byte ");
    return line.u64(syntaxErrorAt).written;
  }
  if (i >= problems.count)
    return line
      .text("/: and ")
      .u64(problems.total - problems.count)
      .text(" more").written;
  const pointer = problems.pointer(i);
  if (lenOf(pointer) == 0) line.text("/");
  line.bytes(pointer);
  const value = problems.value(i);
  if (!misfits || !mayBeSecret(pointer, value)) line.text(": ").bytes(value);
  return line.text(": expected ").bytes(problems.expected(i)).written;
}
