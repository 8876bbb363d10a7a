// Small changes to a request's body, made on its bytes: the limit on the answer's length, the wish for usage in a stream,
// and a cheaper model. What is not changed stays as the client wrote it.
import { Prompt, Shape } from "./inspect/prompt";
import { Bedrock, isConfigured } from "./inspect/prompt-bedrock";
import { isOllama } from "./inspect/prompt-shape";
import { LIMITS_MAX } from "./inspect/prompt-spans";
import { Kind, Tape } from "./json/tape";
import { toU64 } from "./json/text";
import { arenaTake } from "./proxy-wasm/arena";
import { endOf, lenOf, lit, NONE, ptrOf, slice, Slice } from "./slice";
import { Writer } from "./writer";

/** Replacements of one body: its limits, its model, and insertions of a limit and of the wish for usage. */
const EDITS_MAX: i32 = LIMITS_MAX + 3;
/** Bytes that all insertions together can add. */
export const GROWTH_MAX: i32 = 512;

// | offset u32 | bytes removed u32 | text slice u64 |
const edits = memory.data(EDITS_MAX * 16, 8);
const text = new Writer(GROWTH_MAX);
let editCount: i32 = 0;

const TRUE = lit("true");

function edit(offset: i32, removed: i32, insert: Slice): void {
  if (editCount == EDITS_MAX) return;
  let at = editCount++;
  // Kept in order of their offsets.
  while (at > 0 && load<u32>(edits + ((<usize>(at - 1)) << 4)) > <u32>offset) {
    memory.copy(edits + ((<usize>at) << 4), edits + ((<usize>(at - 1)) << 4), 16);
    at--;
  }
  const to = edits + ((<usize>at) << 4);
  store<u32>(to, offset);
  store<u32>(to, removed, 4);
  store<u64>(to, insert, 8);
}

/** Begins a piece of text to insert; `since` it was begun. */
function since(from: i32): Slice {
  return slice(ptrOf(text.written) + from, text.length - from);
}

/**
 * The body with the answer's length bounded by `outputMax`, usage asked for in a stream if `wantUsage`, and `model` in
 * place of its own unless that is NONE; NONE when nothing is to be changed. The result is in the arena.
 */
export function rewrite(
  tape: Tape,
  prompt: Prompt,
  body: Slice,
  outputMax: u64,
  wantUsage: bool,
  model: Slice,
): Slice {
  editCount = 0;
  text.reset();
  if (model != NONE) putModel(prompt, body, model);
  if (outputMax != u64.MAX_VALUE && prompt.isAnswered) boundOutput(tape, prompt, outputMax);
  if (wantUsage && wantsUsage(prompt)) askUsage(tape, prompt);
  return editCount == 0 ? NONE : apply(body);
}

/** The body with `model` in place of its own; NONE when the arena has no room. */
export function rewriteModel(prompt: Prompt, body: Slice, model: Slice): Slice {
  editCount = 0;
  text.reset();
  putModel(prompt, body, model);
  return apply(body);
}

/** A model's name in a policy needs no escapes. */
function putModel(prompt: Prompt, body: Slice, model: Slice): void {
  edit(<i32>(ptrOf(prompt.model) - ptrOf(body)), lenOf(prompt.model), model);
}

function boundOutput(tape: Tape, prompt: Prompt, most: u64): void {
  for (let i = 0; i < prompt.limitCount; i++) {
    const node = prompt.limitNode(i);
    if (toU64(tape.raw(node)) <= most) continue;
    const from = text.length;
    text.u64(most);
    edit(tape.offset(node), lenOf(tape.raw(node)), since(from));
  }
  if (prompt.bounded) return;
  if (isConfigured(prompt.bedrock))
    putConfig(tape, tape.member(0, "inferenceConfig"), "inferenceConfig", "maxTokens", most);
  else if (prompt.shape == Shape.Gemini) boundGemini(tape, most);
  else if (prompt.shape == Shape.Interactions)
    putConfig(tape, tape.member(0, "generation_config"), "generation_config", "max_output_tokens", most);
  else if (isOllama(prompt.shape)) putConfig(tape, tape.member(0, "options"), "options", "num_predict", most);
  else putLimit(tape, 0, limitName(prompt), most);
}

/** Gemini's limit stands in the configuration, which has two spellings. */
function boundGemini(tape: Tape, most: u64): void {
  const camel = tape.member(0, "generationConfig");
  const snake = tape.member(0, "generation_config");
  const config = snake >= 0 && (camel < 0 || tape.kind(camel) == Kind.Null) ? snake : camel;
  const isObject = config >= 0 && tape.kind(config) == Kind.Object;
  const other = isObject && tape.member(config, "max_output_tokens") >= 0;
  const name = other ? "max_output_tokens" : "maxOutputTokens";
  putConfig(tape, config, "generationConfig", name, most);
}

/** Gives the object `config` of the root, which may be null or absent (-1), the limit `name`. */
function putConfig(tape: Tape, config: i32, member: string, name: string, most: u64): void {
  if (config >= 0 && tape.kind(config) == Kind.Object) {
    putLimit(tape, config, name, most);
    return;
  }
  const from = text.length;
  if (config < 0) text.text('"').text(member).text('":');
  text.text('{"').text(name).text('":').u64(most).text("}");
  if (config >= 0) edit(tape.offset(config), lenOf(tape.raw(config)), since(from));
  else {
    text.text(",");
    edit(tape.offset(0) + 1, 0, since(from));
  }
}

/** Gives `object` the limit `name`: in the place of a null, which would win over a member before it, or as a member of its own. */
function putLimit(tape: Tape, object: i32, name: string, most: u64): void {
  const from = text.length;
  const empty = tape.member(object, name);
  if (empty >= 0) {
    text.u64(most);
    edit(tape.offset(empty), lenOf(tape.raw(empty)), since(from));
    return;
  }
  text.text('"').text(name).text('":').u64(most);
  if (tape.count(object) > 0) text.text(",");
  edit(tape.offset(object) + 1, 0, since(from));
}

/** The member that bounds the answer, in the current API of each shape. */
function limitName(prompt: Prompt): string {
  if (prompt.bedrock == Bedrock.Llama) return "max_gen_len";
  if (prompt.shape == Shape.Chat && !prompt.cohere && prompt.bedrock == Bedrock.None)
    return "max_completion_tokens";
  if (prompt.shape == Shape.Responses) return "max_output_tokens";
  return "max_tokens";
}

/** Whether the answer will tell its usage only if it is asked to, which the client does not. */
export function wantsUsage(prompt: Prompt): bool {
  const isOpenAi = prompt.shape == Shape.Chat || prompt.shape == Shape.Completions;
  return isOpenAi && prompt.isAnswered && !prompt.cohere && prompt.stream && !prompt.includeUsage;
}

function askUsage(tape: Tape, prompt: Prompt): void {
  const options = tape.member(0, "stream_options");
  const from = text.length;
  if (options < 0) {
    text.text('"stream_options":{"include_usage":true},');
    edit(tape.offset(0) + 1, 0, since(from));
    return;
  }
  if (tape.kind(options) != Kind.Object) {
    text.text('{"include_usage":true}');
    edit(tape.offset(options), lenOf(tape.raw(options)), since(from));
    return;
  }
  const flag = tape.member(options, "include_usage");
  if (flag >= 0) {
    edit(tape.offset(flag), lenOf(tape.raw(flag)), TRUE);
    return;
  }
  text.text(tape.count(options) > 0 ? '"include_usage":true,' : '"include_usage":true');
  edit(tape.offset(options) + 1, 0, since(from));
}

function apply(body: Slice): Slice {
  const start = arenaTake(<usize>(lenOf(body) + GROWTH_MAX));
  if (!start) return NONE;
  let to = start;
  let from = ptrOf(body);
  for (let i = 0; i < editCount; i++) {
    const at = edits + ((<usize>i) << 4);
    const keep = ptrOf(body) + load<u32>(at) - from;
    memory.copy(to, from, keep);
    to += keep;
    from += keep + load<u32>(at, 4);
    const insert = load<u64>(at, 8);
    memory.copy(to, ptrOf(insert), lenOf(insert));
    to += lenOf(insert);
    // A replacement never makes the body shorter: hosts that hold on to its length get the same one.
    const pad = load<i32>(at, 4) - lenOf(insert);
    if (pad > 0) {
      memory.fill(to, 32, pad);
      to += pad;
    }
  }
  memory.copy(to, from, endOf(body) - from);
  return slice(start, <i32>(to + (endOf(body) - from) - start));
}
