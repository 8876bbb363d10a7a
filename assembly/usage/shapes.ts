// Where in an answer the things stand that we read: one tree for all providers, because no two of them put
// different things at one path. A value is found by its whole path from the root of the document (or of the SSE
// event's data), never by a name alone, so `"usage"` in a tool's argument or in a text is not usage.
//
// Sources: the API references of OpenAI (chat completions, completions, responses, embeddings), Anthropic
// (messages), Google (generateContent, streamGenerateContent), Bedrock (converse), Cohere (chat, embed),
// Ollama (chat, generate, embed), Mistral, OpenRouter, vLLM, Groq, DeepSeek and Moonshot.
//
//   next[node][name] → node      element[node] → node of an array's items      what[node], mark[node]
import { reserve } from "../memory";
import { Counter } from "./counters";
import { name, nameCount } from "./names";

/** What a value at a node means to us. */
export enum What {
  Nothing = 0,
  /** An object (or array) to go into. */
  Inner = 1,
  /** Text for people; `detail` is its Channel kind. An array here holds parts. */
  Text = 2,
  /** A number; `detail` is the index of the counter. */
  Counter = 3,
  /** A text: the answer, or a part of it, is complete; true: all of it. */
  Finish = 4,
  Type = 5,
  Model = 6,
  /** Index of a choice, block or item; Minor: within it. */
  Major = 7,
  Minor = 8,
  /** Boolean: the part holds thoughts. */
  Thought = 9,
  /** An object or a string: the upstream failed. */
  Error = 10,
  /** Everything inside is text that a tool will read. */
  Any = 11,
  /** What a round of sampling was for. */
  RoundType = 12,
}

/** What entering an object or array does. */
export enum Mark {
  None = 0,
  Root = 1,
  /** An item with an index of its own: a choice, a candidate. */
  Choice = 2,
  /** An item with an index inside a choice: a tool call. */
  Tool = 3,
  Part = 4,
  /** Texts inside are complete in themselves, not deltas. */
  Whole = 5,
  Choices = 6,
  /** An object of usage; or a counter that has none around it. */
  Usage = 7,
  /** A text at the root that is a delta; others there repeat what came. */
  Delta = 8,
  /** A list of what was sampled one after the other, and one of these. */
  Rounds = 9,
  Round = 10,
  /** An item with an index inside a choice that says again what other members say. */
  Again = 11,
}

/** The kinds of text, in the highest four bits of a channel. */
export enum Channel {
  /** Not a text: what came in the channel so far is complete. */
  End = 0,
  Text = 1,
  Reasoning = 2,
  Refusal = 3,
  /** What a tool is called with: JSON inside the string. */
  Arguments = 4,
  /** What a tool is called with that is no JSON: a custom tool's input. */
  Input = 5,
  /** Not text at all (base64 of sound). */
  Data = 6,
  /** A delta whose event's type has not been seen yet. */
  Unknown = 8,
}

/** Minor indices of what is said again begin here: they are no others' then. */
export const AGAIN: i32 = 0x1000;

const NODES: i32 = 128;
const NAMES: i32 = 160;
/** Names among them that are values of types (types.ts), at most. */
const TYPES: i32 = 40;

const next: usize = reserve(NODES * NAMES);
const element: usize = reserve(NODES);
const what: usize = reserve(NODES);
const detail: usize = reserve(NODES);
const marks: usize = reserve(NODES);
let nodes: i32 = 0;

export function child(node: i32, id: i32): i32 {
  return load<u8>(next + <usize>(node * NAMES + id));
}
export function elementOf(node: i32): i32 {
  return load<u8>(element + <usize>node);
}
export function whatOf(node: i32): i32 {
  return load<u8>(what + <usize>node);
}
export function detailOf(node: i32): i32 {
  return load<u8>(detail + <usize>node);
}
export function markOf(node: i32): i32 {
  return load<u8>(marks + <usize>node);
}

function node(means: What, more: i32 = 0, mark: Mark = Mark.None): i32 {
  const id = ++nodes;
  store<u8>(what + <usize>id, <u8>means);
  store<u8>(detail + <usize>id, <u8>more);
  store<u8>(marks + <usize>id, <u8>mark);
  return id;
}
function inner(mark: Mark = Mark.None): i32 {
  return node(What.Inner, 0, mark);
}
function on(from: i32, key: string, to: i32): void {
  store<u8>(next + <usize>(from * NAMES + name(key)), <u8>to);
}
function items(list: i32, item: i32): void {
  store<u8>(element + <usize>list, <u8>item);
}
function counter(from: i32, key: string, index: Counter): void {
  on(from, key, node(What.Counter, index));
}
/** `to` has the members of `from` too. */
function likewise(from: i32, to: i32): void {
  memory.copy(next + <usize>(to * NAMES), next + <usize>(from * NAMES), NAMES);
}

// Node 0 is "nothing of ours".
export const ROOT: i32 = inner(Mark.Root);
export const ANY: i32 = node(What.Any, Channel.Arguments);

const text = node(What.Text, Channel.Text);
const reasoning = node(What.Text, Channel.Reasoning);
const refusal = node(What.Text, Channel.Refusal);
const argument = node(What.Text, Channel.Arguments);
const input = node(What.Text, Channel.Input);
const finish = node(What.Finish);
const type = node(What.Type);
const model = node(What.Model);
const major = node(What.Major);
const minor = node(What.Minor);
const error = node(What.Error);
/** A tool's function, as it is called. */
const called = inner();

usageShapes();
openAiShapes();
anthropicShapes();
cohereShapes();
geminiShapes();
responsesShapes();
interactionShapes();
ollamaShapes();
limits();

function usageShapes(): void {
  const usage = inner(Mark.Usage);
  const prompt = inner();
  const completion = inner();
  counter(usage, "prompt_tokens", Counter.Prompt);
  counter(usage, "completion_tokens", Counter.Completion);
  counter(usage, "total_tokens", Counter.Total);
  counter(usage, "input_tokens", Counter.Input);
  counter(usage, "output_tokens", Counter.Output);
  counter(usage, "cache_read_input_tokens", Counter.CacheRead);
  counter(usage, "cache_creation_input_tokens", Counter.CacheWrite);
  counter(usage, "prompt_cache_hit_tokens", Counter.Cached);
  counter(usage, "cached_tokens", Counter.Cached);
  // Gemini's interactions.
  counter(usage, "total_input_tokens", Counter.GeminiPrompt);
  counter(usage, "total_output_tokens", Counter.GeminiCandidates);
  counter(usage, "total_thought_tokens", Counter.GeminiThoughts);
  counter(usage, "total_tool_use_tokens", Counter.GeminiTools);
  counter(usage, "total_cached_tokens", Counter.Cached);
  counter(usage, "inputTokens", Counter.Input);
  counter(usage, "outputTokens", Counter.Output);
  counter(usage, "cacheReadInputTokens", Counter.CacheRead);
  counter(usage, "cacheWriteInputTokens", Counter.CacheWrite);
  const tokens = inner();
  counter(tokens, "input_tokens", Counter.Input);
  counter(tokens, "output_tokens", Counter.Output);
  on(usage, "tokens", tokens);
  on(usage, "prompt_tokens_details", prompt);
  on(usage, "input_tokens_details", prompt);
  on(usage, "completion_tokens_details", completion);
  on(usage, "output_tokens_details", completion);
  counter(prompt, "cached_tokens", Counter.Cached);
  counter(prompt, "cache_write_tokens", Counter.CacheWritten);
  // Anthropic's, for each time that a cache lives.
  const written = inner();
  on(usage, "cache_creation", written);
  counter(written, "ephemeral_1h_input_tokens", Counter.CacheWriteHour);
  counter(completion, "reasoning_tokens", Counter.Reasoning);
  counter(completion, "thinking_tokens", Counter.Reasoning);
  // Cohere's embeddings.
  const meta = inner();
  const billed = inner(Mark.Usage);
  counter(billed, "input_tokens", Counter.Input);
  on(meta, "billed_units", billed);
  on(ROOT, "meta", meta);
  // Anthropic's compactions and advisors are not in what stands around the list, nor is what a model wrote that then declined.
  const rounds = inner(Mark.Rounds);
  const round = inner(Mark.Round);
  on(usage, "iterations", rounds);
  items(rounds, round);
  on(round, "type", node(What.RoundType));
  counter(round, "input_tokens", Counter.RoundInput);
  counter(round, "output_tokens", Counter.RoundOutput);
  counter(round, "cache_read_input_tokens", Counter.RoundCacheRead);
  counter(round, "cache_creation_input_tokens", Counter.RoundCacheWrite);
  const writtenThen = inner();
  on(round, "cache_creation", writtenThen);
  counter(writtenThen, "ephemeral_1h_input_tokens", Counter.RoundCacheWriteHour);
  on(ROOT, "usage", usage);
  const groq = inner();
  on(groq, "usage", usage);
  on(ROOT, "x_groq", groq);
  on(ROOT, "model", model);
  on(ROOT, "error", error);
  on(ROOT, "type", type);
  on(ROOT, "object", type);
}

function openAiShapes(): void {
  const choices = inner(Mark.Choices);
  const choice = inner(Mark.Choice);
  const delta = inner();
  const message = inner(Mark.Whole);
  on(ROOT, "choices", choices);
  items(choices, choice);
  on(choice, "index", major);
  on(choice, "text", text);
  on(choice, "finish_reason", finish);
  on(choice, "delta", delta);
  on(choice, "message", message);
  // Moonshot's streams have it here alone.
  on(choice, "usage", child(ROOT, name("usage")));

  on(delta, "content", text);
  on(delta, "refusal", refusal);
  on(delta, "reasoning_content", reasoning);
  on(delta, "reasoning", reasoning);
  const calls = inner();
  const call = inner(Mark.Tool);
  on(delta, "tool_calls", calls);
  items(calls, call);
  on(call, "index", minor);
  on(call, "function", called);
  on(delta, "function_call", called);
  on(called, "arguments", argument);
  const custom = inner();
  on(call, "custom", custom);
  on(custom, "input", input);
  const audio = inner();
  on(delta, "audio", audio);
  on(audio, "transcript", text);
  // OpenRouter's and LiteLLM's: they repeat what `reasoning` or `reasoning_content` says, so they are no part of its channel.
  const details = inner();
  const detail = inner(Mark.Again);
  on(delta, "reasoning_details", details);
  items(details, detail);
  on(detail, "index", node(What.Minor, AGAIN >> 8));
  on(detail, "text", refusal);
  on(detail, "summary", refusal);
  const specific = inner();
  on(delta, "thinking_blocks", details);
  on(delta, "provider_specific_fields", specific);
  on(specific, "thinking_blocks", details);
  on(detail, "thinking", refusal);
  likewise(delta, message);

  // Mistral's and Magistral's content parts: `{"type":"thinking","thinking":[{"type":"text","text":"…"}]}`.
  const part = inner();
  const thought = inner();
  items(text, part);
  on(part, "text", text);
  on(part, "thinking", reasoning);
  on(part, "refusal", refusal);
  items(reasoning, thought);
  on(thought, "text", reasoning);
}

function anthropicShapes(): void {
  const block = inner();
  const blocks = inner(Mark.Whole);
  on(block, "text", text);
  on(block, "thinking", reasoning);
  on(block, "input", ANY);
  items(blocks, block);
  on(ROOT, "index", major);
  on(ROOT, "content_block", block);
  on(ROOT, "content", blocks);
  on(ROOT, "stop_reason", finish);
  const start = inner();
  on(ROOT, "message", start);
  on(start, "model", model);
  on(start, "usage", child(ROOT, name("usage")));
  on(start, "content", blocks);
  // The Responses API puts a string here.
  const delta = node(What.Text, Channel.Unknown, Mark.Delta);
  on(ROOT, "delta", delta);
  on(delta, "text", text);
  on(delta, "thinking", reasoning);
  on(delta, "partial_json", argument);
  on(delta, "stop_reason", finish);
}

/** A message in the delta of Anthropic's events. */
function cohereShapes(): void {
  const delta = child(ROOT, name("delta"));
  const message = inner();
  const content = inner();
  const call = inner();
  on(delta, "message", message);
  on(delta, "usage", child(ROOT, name("usage")));
  on(delta, "error", error);
  on(message, "content", content);
  on(content, "text", text);
  on(content, "thinking", reasoning);
  on(message, "tool_plan", reasoning);
  on(message, "tool_calls", call);
  on(call, "function", called);
}

function geminiShapes(): void {
  const meta = inner(Mark.Usage);
  counter(meta, "promptTokenCount", Counter.GeminiPrompt);
  counter(meta, "candidatesTokenCount", Counter.GeminiCandidates);
  counter(meta, "thoughtsTokenCount", Counter.GeminiThoughts);
  counter(meta, "toolUsePromptTokenCount", Counter.GeminiTools);
  counter(meta, "totalTokenCount", Counter.GeminiTotal);
  counter(meta, "cachedContentTokenCount", Counter.Cached);
  on(ROOT, "usageMetadata", meta);
  on(ROOT, "modelVersion", model);
  // A prompt that is refused gets no candidate.
  const feedback = inner();
  on(ROOT, "promptFeedback", feedback);
  on(feedback, "blockReason", finish);
  const candidates = inner();
  const candidate = inner(Mark.Choice);
  const content = inner();
  const parts = inner();
  const part = inner(Mark.Part);
  const code = inner(Mark.Whole);
  const call = inner(Mark.Whole);
  on(ROOT, "candidates", candidates);
  items(candidates, candidate);
  on(candidate, "index", major);
  on(candidate, "finishReason", finish);
  on(candidate, "content", content);
  on(content, "parts", parts);
  items(parts, part);
  on(part, "text", text);
  on(part, "thought", node(What.Thought));
  on(part, "executableCode", code);
  on(part, "codeExecutionResult", code);
  on(code, "code", text);
  on(code, "output", text);
  on(part, "functionCall", call);
  on(call, "args", ANY);
}

function responsesShapes(): void {
  const output = inner(Mark.Whole);
  const item = inner(Mark.Whole);
  const parts = inner();
  const part = inner(Mark.Whole);
  const thoughts = inner();
  const thought = inner(Mark.Whole);
  items(output, item);
  on(item, "content", parts);
  on(item, "summary", thoughts);
  on(item, "arguments", argument);
  on(item, "input", input);
  items(parts, part);
  on(part, "text", text);
  on(part, "refusal", refusal);
  items(thoughts, thought);
  on(thought, "text", reasoning);

  // Ollama puts a string here.
  const response = node(What.Text, Channel.Text, Mark.Delta);
  on(response, "model", model);
  on(response, "usage", child(ROOT, name("usage")));
  on(response, "error", error);
  on(response, "output", output);
  const tools = inner();
  const images = inner();
  on(tools, "image_gen", images);
  counter(images, "input_tokens", Counter.ToolInput);
  counter(images, "output_tokens", Counter.ToolOutput);
  on(response, "tool_usage", tools);
  on(ROOT, "tool_usage", tools);
  on(ROOT, "response", response);
  on(ROOT, "output", output);
  on(ROOT, "item", item);
  on(ROOT, "part", part);
  on(ROOT, "output_index", major);
  on(ROOT, "content_index", minor);
  on(ROOT, "summary_index", minor);
  // Whole texts at the end of a part: `response.output_text.done` and its like.
  on(ROOT, "text", text);
  on(ROOT, "refusal", refusal);
  on(ROOT, "arguments", argument);
  on(ROOT, "input", input);
}

/** Gemini's other API: its deltas and parts are like Anthropic's. */
function interactionShapes(): void {
  const step = inner(Mark.Whole);
  const steps = inner(Mark.Whole);
  const interaction = inner();
  items(steps, step);
  on(step, "content", child(ROOT, name("content")));
  on(step, "summary", child(ROOT, name("content")));
  on(step, "arguments", ANY);
  on(interaction, "model", model);
  on(interaction, "usage", child(ROOT, name("usage")));
  on(interaction, "steps", steps);
  on(ROOT, "event_type", type);
  on(ROOT, "interaction", interaction);
  on(ROOT, "steps", steps);
  on(ROOT, "step", step);
  const delta = child(ROOT, name("delta"));
  // A string is what Anthropic's compaction makes of the conversation.
  const thought = node(What.Text, Channel.Reasoning);
  on(delta, "arguments", argument);
  on(delta, "content", thought);
  on(thought, "text", reasoning);
}

/** Each line, and an answer that is no stream, has the message or the text at its root, and its end and usage beside it. */
function ollamaShapes(): void {
  const message = child(ROOT, name("message"));
  // Anthropic and Cohere put a list here.
  const content = node(What.Text, Channel.Text, Mark.Whole);
  items(content, elementOf(child(ROOT, name("content"))));
  on(message, "content", content);
  on(message, "thinking", reasoning);
  const calls = inner();
  const call = inner();
  const tool = inner();
  on(message, "tool_calls", calls);
  items(calls, call);
  on(call, "function", tool);
  on(tool, "arguments", ANY);
  on(ROOT, "thinking", node(What.Text, Channel.Reasoning, Mark.Delta));
  on(ROOT, "done", finish);
  on(ROOT, "prompt_eval_count", node(What.Counter, Counter.Prompt, Mark.Usage));
  counter(ROOT, "prompt_eval_cached_count", Counter.Cached);
  on(ROOT, "eval_count", node(What.Counter, Counter.Completion, Mark.Usage));
  // Llama's on Bedrock.
  on(ROOT, "prompt_token_count", node(What.Counter, Counter.Prompt, Mark.Usage));
  on(ROOT, "generation_token_count", node(What.Counter, Counter.Completion, Mark.Usage));
}

/** The tables hold what was put into them, and the names of types (types.ts), or the module must not start. */
function limits(): void {
  if (nodes >= NODES || nameCount() + TYPES >= NAMES) abort("usage: too many shapes");
}
