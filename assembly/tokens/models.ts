// Which vocabulary a model counts with, and what a chat's frame costs. Model names as of OpenAI's own table
// (`tiktoken/model.py`: exact names and prefixes), with Azure's spelling; an `ft:` or `openai/` in front is skipped.
// Other names get an estimate by family: an unknown model never counts as one that it may not be.
//
// Bounds: a fixed number of prefix comparisons.
import { lenOf, ptrOf, Slice, slice, startsWithFolded } from "../slice";
import { FAMILY_CLAUDE, FAMILY_GEMINI, FAMILY_LLAMA, FAMILY_MISTRAL, FAMILY_OTHER } from "./bounds";
import { CL100K, ESTIMATE, O200K } from "./vocabulary";

/** The encoding of `model`: O200K, CL100K, or ESTIMATE where OpenAI does not say. */
export function modelEncoding(model: Slice): i32 {
  const name = bare(model);
  if (
    named(name, "gpt-4o") ||
    named(name, "gpt-4.1") ||
    named(name, "gpt-4.5") ||
    named(name, "gpt-5") ||
    named(name, "o1") ||
    named(name, "o3") ||
    named(name, "o4-mini") ||
    named(name, "chatgpt-4o") ||
    named(name, "gpt-oss")
  ) {
    return O200K;
  }
  if (
    named(name, "gpt-4") ||
    named(name, "gpt-3.5") ||
    named(name, "gpt-35") ||
    named(name, "text-embedding-3") ||
    named(name, "text-embedding-ada-002") ||
    named(name, "davinci-002") ||
    named(name, "babbage-002")
  ) {
    return CL100K;
  }
  return ESTIMATE;
}

/** The family of `model`, for `estimateTokensUpper`. */
export function modelFamily(model: Slice): i32 {
  if (contains(model, "claude")) return FAMILY_CLAUDE;
  if (contains(model, "gemini") || contains(model, "gemma")) return FAMILY_GEMINI;
  if (contains(model, "llama")) return FAMILY_LLAMA;
  if (contains(model, "mistral") || contains(model, "mixtral")) return FAMILY_MISTRAL;
  return FAMILY_OTHER;
}

/**
 * Tokens that OpenAI's chat format adds to those of roles, contents and names: 3 for each message, 1 for each name,
 * and 3 that prime the answer. Source: OpenAI cookbook, "How to count tokens with tiktoken",
 * `num_tokens_from_messages`, for gpt-3.5-turbo-0613 and later, gpt-4 and gpt-4o.
 */
export function chatOverhead(messages: i32, names: i32): i32 {
  return 3 * messages + names + 3;
}

function bare(model: Slice): Slice {
  if (startsWithFolded(model, "openai/")) return slice(ptrOf(model) + 7, lenOf(model) - 7);
  if (startsWithFolded(model, "ft:")) return slice(ptrOf(model) + 3, lenOf(model) - 3);
  return model;
}

/** Whether `model` is `name` or a variant of it: what follows is `-`, `:` or `@`. */
function named(model: Slice, name: string): bool {
  if (!startsWithFolded(model, name)) return false;
  if (lenOf(model) == name.length) return true;
  const next = load<u8>(ptrOf(model) + name.length);
  return next == 45 || next == 58 || next == 64;
}

const NAME_BYTES_MAX = 128;

/** Whether the lower-case `name` occurs in the first 128 bytes of `model`. */
function contains(model: Slice, name: string): bool {
  const last = min(lenOf(model), NAME_BYTES_MAX) - name.length;
  for (let i = 0; i <= last; i++) {
    if (startsWithFolded(slice(ptrOf(model) + i, lenOf(model) - i), name)) return true;
  }
  return false;
}
