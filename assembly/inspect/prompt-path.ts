// The model that a path names. Where it does, the provider asks that one, whatever the body says.
//
//   /openai/deployments/MODEL/chat/completions   Azure: anything may follow
//   /v1/engines/MODEL/completions                OpenAI's former API; not /engines/v1/… and /engines/llama.cpp/v1/…
//   /model/MODEL/invoke                          Bedrock (prompt-bedrock.ts): also converse, count-tokens, and what begins like them
//   /v1beta/models/MODEL:generateContent         Gemini, Vertex: what stands before the last colon of the last segment
//
// Servers decode a path before they route it, so it is read as they do: an escape may stand for a letter, a digit or
// one of `- . : _ @ + $`, or for the slash in an ARN of Bedrock's, and names are compared without regard to case. A path with any other escape, one that
// servers could read in different ways (isOddPath), and one that names two models is odd: what it names is not known.
//
// Bounds: one walk over the path; one with escapes is at most PATH_MAX bytes, others are not copied.
import { hexValue } from "../json/chars";
import { PATH_MAX } from "../limits";
import { reserve } from "../memory";
import { endOf, eq, indexOf, isFolded, lenOf, NONE, ptrOf, slice, Slice, sub } from "../slice";
import { arnSlash, isBedrockMethod, limitOf } from "./prompt-bedrock";
import { isOddPath, withoutQuery } from "./prompt-shape";
import { Prompt } from "./prompt-spans";

const PERCENT: u8 = 37;
const SLASH: u8 = 47;
const COLON: u8 = 58;

const plain: usize = reserve(PATH_MAX);
/** Where the slash of an ARN is in `plain`; 0 if there is none. */
let nameSlash: usize = 0;

/** Leaves the path's model in `out`, or that the path is odd. The slice lives as long as `path`, or until the next call. */
export function findPathModel(path: Slice, out: Prompt): void {
  const clean = decodePath(withoutQuery(path));
  if (clean == NONE || isOddPath(clean)) {
    out.oddPath = true;
    return;
  }
  let kind = NONE;
  let name = NONE;
  for (let from = 0; from < lenOf(clean); ) {
    let to = indexOf(clean, SLASH, from);
    if (to >= 0 && ptrOf(clean) + to == nameSlash) to = indexOf(clean, SLASH, to + 1);
    if (to < 0) to = lenOf(clean);
    const segment = sub(clean, from, to);
    if (to > from) {
      if (isNamed(kind, name, segment)) {
        adopt(name, out);
        // Behind another place that a server looks for at a path's end, it is not Bedrock's; a slash at the end is none.
        if (lenOf(kind) == 5 && to + 1 >= lenOf(clean)) out.bedrock = limitOf(name, segment);
      }
      kind = name;
      name = segment;
    }
    from = to + 1;
  }
  let colon = lenOf(name) - 1;
  while (colon > 0 && load<u8>(ptrOf(name) + colon) != COLON) colon--;
  if (colon > 0) adopt(sub(name, 0, colon), out);
}

/** Whether `name`, which stands between `kind` and `next`, is a model's. */
function isNamed(kind: Slice, name: Slice, next: Slice): bool {
  switch (lenOf(kind)) {
    case 5:
      return isFolded(kind, "model") && isBedrockMethod(next);
    case 7:
      return isFolded(kind, "engines") && !isFolded(name, "v1") && !isFolded(next, "v1");
    case 11:
      return isFolded(kind, "deployments");
    default:
      return false;
  }
}

function adopt(model: Slice, out: Prompt): void {
  if (out.modelInPath && !eq(out.model, model)) out.oddPath = true;
  out.modelInPath = true;
  out.model = model;
}

/** `path` without escapes; NONE when it has one that changes what the path means. */
function decodePath(path: Slice): Slice {
  nameSlash = 0;
  if (indexOf(path, PERCENT) < 0) return path;
  if (lenOf(path) > PATH_MAX) return NONE;
  const slash = arnSlash(path);
  const end = endOf(path);
  let to = plain;
  for (let p = ptrOf(path); p < end; p++) {
    let c: i32 = load<u8>(p);
    if (c == PERCENT) {
      c = p + 3 <= end ? (hexValue(load<u8>(p, 1)) << 4) | hexValue(load<u8>(p, 2)) : -1;
      if (slash >= 0 && p == ptrOf(path) + slash) nameSlash = to;
      else if (!isPlain(c)) return NONE;
      p += 2;
    }
    store<u8>(to++, <u8>c);
  }
  return slice(plain, <i32>(to - plain));
}

/** Letters, digits and `- . : _ @ + $`, of which none divides a path. */
function isPlain(c: i32): bool {
  const letter = <u32>((c | 32) - 97) < 26;
  const sign = <u32>(c - 45) <= 13 && c != SLASH;
  return c > 0 && (letter || sign || c == 95 || c == 64 || c == 43 || c == 36);
}
