// What is Amazon Bedrock's own: its path names the model, and with it the member that bounds the answer.
//
//   /model/anthropic.claude-sonnet-4-v1%3A0/invoke
//   /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fk2x9/converse-stream
//
// AWS' clients write the colon of a name as `%3A`, and the slash of an ARN as `%2F`. There alone an escaped slash divides no
// path: a server that takes it for a divider still finds Bedrock's method at the path's end, and no other's.
import { indexOf, lenOf, ptrOf, Slice, startsWith, startsWithFolded, sub } from "../slice";

/** By which member Bedrock has an answer bounded. */
export enum Bedrock {
  None = 0,
  /** `inferenceConfig.maxTokens`: Converse. */
  Config = 1,
  /** `max_gen_len`: Meta's Llama. */
  Llama = 2,
  /** `max_tokens`: other models, which refuse what they do not know; OpenAI's take what they take elsewhere. */
  Plain = 3,
  /** `inferenceConfig.maxTokens`, or there `max_new_tokens`: Amazon's Nova. */
  Nova = 4,
}

const DOT: u8 = 46;
const SLASH: u8 = 47;
/** Of `/model/`. */
const MODEL_BYTES: i32 = 7;

/** Whether the limit stands in `inferenceConfig`. */
export function isConfigured(bedrock: i32): bool {
  return bedrock == Bedrock.Config || bedrock == Bedrock.Nova;
}

/** Whether `segment`, behind a model's name, says what is asked of it. */
export function isBedrockMethod(segment: Slice): bool {
  if (startsWithFolded(segment, "invoke") || startsWithFolded(segment, "converse")) return true;
  return startsWithFolded(segment, "count-tokens");
}

/** Which member bounds the answer where Bedrock's `model` is asked by `method`. */
export function limitOf(model: Slice, method: Slice): Bedrock {
  if (startsWithFolded(method, "converse")) return Bedrock.Config;
  const resource = after(model, SLASH);
  // An inference profile has its region before the model's name.
  const name = isMakers(resource) ? resource : after(resource, DOT);
  if (startsWithFolded(name, "amazon.nova")) return Bedrock.Nova;
  if (startsWithFolded(name, "meta.llama")) return Bedrock.Llama;
  return startsWithFolded(name, "openai.") ? Bedrock.None : Bedrock.Plain;
}

function isMakers(model: Slice): bool {
  const isAmazons = startsWithFolded(model, "amazon.");
  return isAmazons || startsWithFolded(model, "meta.") || startsWithFolded(model, "openai.");
}

/** What follows the first `byte` in `name`; all of it if there is none. */
function after(name: Slice, byte: u8): Slice {
  return sub(name, indexOf(name, byte) + 1, lenOf(name));
}

/** Where the escaped slash in the ARN that `path`, which has no query, names as Bedrock's model is; -1 if it names none. */
export function arnSlash(path: Slice): i32 {
  const to = lastSlash(path, lenOf(path));
  const from = lastSlash(path, to) + 1;
  if (from < MODEL_BYTES || !startsWith(sub(path, from - MODEL_BYTES, from), "/model/")) return -1;
  if (!isBedrockMethod(sub(path, to + 1, lenOf(path))) || !startsWithFolded(sub(path, from, to), "arn%3a"))
    return -1;
  for (let i = from; i < to; i++) {
    if (!startsWithFolded(sub(path, i, to), "%2f")) continue;
    // No dot segment for whoever divides the path there.
    const next = <u32>load<u8>(ptrOf(path) + i + 3);
    return (next | 32) - 97 < 26 || next - 48 < 10 ? i : -1;
  }
  return -1;
}

/** The last slash in front of `end`; -1 if there is none. */
function lastSlash(path: Slice, end: i32): i32 {
  let i = end - 1;
  while (i >= 0 && load<u8>(ptrOf(path) + i) != SLASH) i--;
  return i;
}
