// The facts of a request that budgets need: model, streaming, output limits, number of answers.
//
// A member of the wrong type is not guessed at: `bad` names it, and the request is refused, because the provider
// might read it in another way than we did. So is one whose name differs in nothing but capitals from a member that is
// read here: some servers take it for that one (Go's, without regard to case). null means absent, as the providers have it.
import { Kind, Tape } from "../json/tape";
import { NOT_WHOLE, sameText, toU64 } from "../json/text";
import { reserve } from "../memory";
import { endOf, isFolded, lenOf, ptrOf, Slice, slice, startsWith, sub } from "../slice";
import { nameOf } from "./prompt-form";
import { Bedrock, isConfigured } from "./prompt-bedrock";
import { findPathModel } from "./prompt-path";
import {
  asksForCount,
  isCohereChat,
  isGeminiStream,
  isOllama,
  plainPath,
  Shape,
  writesNoText,
} from "./prompt-shape";
import { ALTERNATIVES_MAX, Prompt } from "./prompt-spans";

const MINUS: u8 = 45;
/** The first bytes of U+017F and of U+212A as little-endian words. */
const LONG_S: u32 = 0xbfc5;
const KELVIN: u32 = 0x84e2;
/** No name that is read is longer, whatever it is written in. */
const SMALL_MAX: i32 = 64;
const small: usize = reserve(SMALL_MAX);

export function findFacts(tape: Tape, path: Slice, out: Prompt): void {
  findCapitals(tape, out);
  findPathModel(path, out);
  findModel(tape, present(tape, 0, "model"), out);
  const models = present(tape, 0, "models");
  out.fallbacks = models >= 0 ? models : present(tape, 0, "fallbacks");
  out.stream = flag(tape, present(tape, 0, "stream"), out);
  const options = present(tape, 0, "stream_options");
  if (options >= 0) {
    if (tape.kind(options) != Kind.Object) bad(out, options, "an object");
    else out.includeUsage = flag(tape, present(tape, options, "include_usage"), out);
  }
  const clean = plainPath(path);
  out.cohere = out.shape == Shape.Chat && isCohereChat(clean);
  limits(tape, out);
  alternatives(tape, out);
  out.n = number(tape, present(tape, 0, "n"), 1, out);
  out.bestOf = number(tape, present(tape, 0, "best_of"), 1, out);
  if (out.shape == Shape.Completions) out.prompts = prompts(tape, tape.member(0, "prompt"));
  if (out.shape == Shape.Gemini) gemini(tape, clean, out);
  if (out.shape == Shape.Interactions) {
    config(tape, present(tape, 0, "generation_config"), out);
    out.agent = present(tape, 0, "agent");
  }
  if (isOllama(out.shape)) ollama(tape, out);
  out.onlyCounts = asksForCount(path);
  out.isAnswered = out.shape != Shape.Embeddings && !out.onlyCounts && !writesNoText(clean);
  const background = present(tape, 0, "background");
  const keeps = out.shape == Shape.Responses || out.shape == Shape.Interactions || out.shape == Shape.Unknown;
  out.background = keeps && background >= 0 && tape.kind(background) != Kind.False;
}

function findCapitals(tape: Tape, out: Prompt): void {
  if (tape.kind(0) != Kind.Object) return;
  for (let n = tape.first(0); n >= 0; n = tape.next(n)) {
    const name = inSmall(nameOf(tape, n));
    if (ptrOf(name) != small) continue;
    if (isRead(name) || (isOllama(out.shape) && isFolded(name, "options")))
      bad(out, n, "its name in small letters");
  }
}

/** Whether `name` is, but for capitals, that of a member on which the model or the answer's length depends. */
function isRead(name: Slice): bool {
  return (
    isFolded(name, "n") ||
    isFolded(name, "model") ||
    isFolded(name, "models") ||
    isFolded(name, "best_of") ||
    isFolded(name, "fallbacks") ||
    isFolded(name, "max_tokens") ||
    isFolded(name, "max_output_tokens") ||
    isFolded(name, "max_completion_tokens")
  );
}

/** `name` in small letters, at `small`; itself if it is already. For Go, as for Unicode, ſ and K (the Kelvin sign) are letters too. */
function inSmall(name: Slice): Slice {
  if (lenOf(name) > SMALL_MAX) return name;
  let changed = false;
  let o = small;
  for (let p = ptrOf(name); p < endOf(name); p++) {
    let c: u32 = load<u8>(p);
    const left = endOf(name) - p;
    if (c - 65 < 26) c |= 32;
    else if (left >= 2 && load<u16>(p) == LONG_S) {
      c = 115;
      p++;
    } else if (left >= 3 && load<u16>(p) == KELVIN && load<u8>(p, 2) == 0xaa) {
      c = 107;
      p += 2;
    }
    changed = changed || c != <u32>load<u8>(p);
    store<u8>(o++, <u8>c);
  }
  return changed ? slice(small, <i32>(o - small)) : name;
}

/** Only what the shape's own API takes for a limit bounds the answer: servers pass over other members, whatever they are called. */
function limits(tape: Tape, out: Prompt): void {
  const shape = out.shape;
  const unknown = shape == Shape.Unknown;
  const other = out.bedrock != Bedrock.None;
  const chat = shape == Shape.Chat || unknown;
  const plain = chat || shape == Shape.Completions || shape == Shape.Messages;
  limit(tape, present(tape, 0, "max_tokens"), plain && (!other || out.bedrock == Bedrock.Plain), out);
  // Of Bedrock's models those with OpenAI's members obey it before `max_tokens`; others refuse it.
  const completion = present(tape, 0, "max_completion_tokens");
  if (out.bedrock == Bedrock.Plain) mayWin(tape, completion, out);
  else limit(tape, completion, chat && !other && !out.cohere, out);
  limit(tape, present(tape, 0, "max_output_tokens"), !other && (shape == Shape.Responses || unknown), out);
  bedrock(tape, out);
  // llama.cpp obeys its own name before the others.
  mayWin(tape, present(tape, 0, "n_predict"), out);
}

/** A limit that some servers obey before the others: it is reserved for. For servers that do not know it, it bounds nothing. */
function mayWin(tape: Tape, node: i32, out: Prompt): void {
  if (node < 0) return;
  limit(tape, node, false, out);
  out.limit = max(out.limit, number(tape, node, 0, out));
}

/** Anthropic's fallbacks, and LiteLLM's, may each have a limit of their own in the place of the request's. */
function alternatives(tape: Tape, out: Prompt): void {
  const list = present(tape, 0, "fallbacks");
  if (list < 0 || tape.kind(list) != Kind.Array) return;
  let bounded = 0;
  for (let one = tape.first(list); one >= 0; one = tape.next(one)) {
    if (tape.kind(one) != Kind.Object) continue;
    const tokens = present(tape, one, "max_tokens");
    const completion = present(tape, one, "max_completion_tokens");
    if (tokens < 0 && completion < 0) continue;
    if (++bounded > ALTERNATIVES_MAX) bad(out, list, "at most 4 items with a limit of their own");
    mayWin(tape, tokens, out);
    mayWin(tape, completion, out);
  }
}

function bedrock(tape: Tape, out: Prompt): void {
  if (out.bedrock == Bedrock.Llama) limit(tape, present(tape, 0, "max_gen_len"), true, out);
  const more = out.bedrock == Bedrock.Config ? present(tape, 0, "additionalModelRequestFields") : -1;
  if (more >= 0) {
    refuseLimits(tape, more, out);
    refuseLimits(tape, tape.member(more, "inferenceConfig"), out);
  }
  const config = present(tape, 0, "inferenceConfig");
  if (config < 0) return;
  // On other paths for servers behind us that ask Bedrock: there it bounds nothing.
  const obeyed = isConfigured(out.bedrock);
  limit(tape, present(tape, config, "maxTokens"), obeyed, out);
  if (!obeyed) return;
  if (tape.kind(config) != Kind.Object) bad(out, config, "an object");
  // Nova's former name, which Converse passes over.
  limit(tape, present(tape, config, "max_new_tokens"), out.bedrock == Bedrock.Nova, out);
}

/** What Converse hands on to the model as it is has no limits, which could win over its own. */
function refuseLimits(tape: Tape, object: i32, out: Prompt): void {
  if (object < 0) return;
  refuseLimit(tape, present(tape, object, "maxTokens"), out);
  refuseLimit(tape, present(tape, object, "max_tokens"), out);
  refuseLimit(tape, present(tape, object, "max_gen_len"), out);
  refuseLimit(tape, present(tape, object, "max_new_tokens"), out);
  refuseLimit(tape, present(tape, object, "max_completion_tokens"), out);
}

function refuseLimit(tape: Tape, node: i32, out: Prompt): void {
  if (node >= 0) bad(out, node, "inferenceConfig.maxTokens in its place");
}

/** Each text of a list is answered, and so is each list of tokens; one list of tokens is one prompt. */
function prompts(tape: Tape, node: i32): u64 {
  if (node < 0 || tape.kind(node) != Kind.Array) return 1;
  const first = tape.first(node);
  return first < 0 || tape.kind(first) == Kind.Number ? 1 : <u64>tape.count(node);
}

/** The path's model holds, and the body may only repeat it. */
function findModel(tape: Tape, node: i32, out: Prompt): void {
  if (node < 0) return;
  if (tape.kind(node) != Kind.String) bad(out, node, "a text");
  else if (!out.modelInPath) {
    out.model = tape.raw(node);
    out.modelEscaped = tape.escaped(node);
  } else if (!repeats(tape.raw(node), tape.escaped(node), out.model)) {
    bad(out, node, "the model that the path names");
  }
}

/** Google's models are also written with their collection: `models/gemini-2.0-flash`. */
function repeats(raw: Slice, escaped: bool, model: Slice): bool {
  const name = startsWith(raw, "models/") ? sub(raw, 7, lenOf(raw)) : raw;
  return sameText(name, escaped, model, false);
}

function gemini(tape: Tape, path: Slice, out: Prompt): void {
  const camel = present(tape, 0, "generationConfig");
  const snake = present(tape, 0, "generation_config");
  config(tape, camel, out);
  config(tape, snake, out);
  if (camel >= 0 && snake >= 0) bad(out, snake, "one spelling of it in the body");
  out.stream = isGeminiStream(path);
}

function config(tape: Tape, node: i32, out: Prompt): void {
  if (node < 0) return;
  if (tape.kind(node) != Kind.Object) {
    bad(out, node, "an object");
    return;
  }
  limit(tape, present(tape, node, "maxOutputTokens"), true, out);
  limit(tape, present(tape, node, "max_output_tokens"), true, out);
  const camel = number(tape, present(tape, node, "candidateCount"), 1, out);
  const snake = number(tape, present(tape, node, "candidate_count"), 1, out);
  out.n = max(out.n, max(camel, snake));
}

/** Ollama passes over the limits of others; below 0 its own is none at all, and is written over like one that is too large. */
function ollama(tape: Tape, out: Prompt): void {
  out.stream = out.stream || present(tape, 0, "stream") < 0;
  const options = present(tape, 0, "options");
  if (options < 0) return;
  if (tape.kind(options) != Kind.Object) {
    bad(out, options, "an object");
    return;
  }
  const own = present(tape, options, "num_predict");
  if (own < 0) return;
  // -0 is 0, which is refused.
  const signed = tape.kind(own) == Kind.Number && load<u8>(ptrOf(tape.raw(own))) == MINUS;
  const endless = signed && toU64(tape.raw(own)) == NOT_WHOLE;
  if (endless) out.addLimit(own, u64.MAX_VALUE, true);
  else limit(tape, own, true, out);
}

/** The member `name` of `object`, or -1 where it is absent or null. */
export function present(tape: Tape, object: i32, name: string): i32 {
  const node = tape.member(object, name);
  return node >= 0 && tape.kind(node) == Kind.Null ? -1 : node;
}

/** `expected` is what should have been there, in words. */
function bad(out: Prompt, node: i32, expected: string): void {
  if (out.bad >= 0) return;
  out.bad = node;
  out.badExpected = expected;
}

function flag(tape: Tape, node: i32, out: Prompt): bool {
  if (node < 0) return false;
  const kind = tape.kind(node);
  if (kind != Kind.True && kind != Kind.False) bad(out, node, "true or false");
  return kind == Kind.True;
}

function number(tape: Tape, node: i32, absent: u64, out: Prompt): u64 {
  if (node < 0) return absent;
  const value = tape.kind(node) == Kind.Number ? toU64(tape.raw(node)) : NOT_WHOLE;
  if (value != NOT_WHOLE) return value;
  bad(out, node, "a whole number from 0");
  return absent;
}

/**
 * `obeyed`: by this API. Another's is lowered too, for a server that knows it, and bounds nothing. Of 0 servers make none at
 * all (`max_completion_tokens or max_tokens`), but for the two APIs in which it means that nothing is to be written.
 */
function limit(tape: Tape, node: i32, obeyed: bool, out: Prompt): void {
  if (node < 0) return;
  const value = number(tape, node, 0, out);
  const named = isConfigured(out.bedrock) || out.bedrock == Bedrock.Llama;
  const means = !named && (out.shape == Shape.Completions || out.shape == Shape.Messages);
  if (obeyed && value == 0 && !means) bad(out, node, "a whole number from 1");
  out.addLimit(node, value, obeyed);
}
