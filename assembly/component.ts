// The inspection core as a WebAssembly component: the world `inspect` of wit/inspect.wit. It asks the filter's own
// stages in the filter's own order (request.ts: json → prompt → injection → tokens) and answers with what the filter
// would say, and with more detail than an edge has time for: every span's score, every rule.
//
// AssemblyScript can name no export `weir:inspect/inspector#scan`; scripts/build-component.ts renames the functions
// below. Arguments come flattened, results go by address, as the canonical ABI says.
//
// Bounds: a body or a text of more than BODY_BYTES_MAX is answered with body_too_large; memory: component-memory.ts.
// Judged texts are not remembered: the memo keeps no list of rules.
import "./component-abort";
import { giveBack, retake, take } from "./component-memory";
import * as result from "./component-result";
import { probability } from "./inspect/classifier";
import {
  beginJudging,
  convicts,
  exceeds,
  judgedScore,
  judgedWhy,
  judgeText,
  judgeTogether,
  limitOf,
  spanRule,
  useClassifier,
  useRules,
  whyBlocked,
} from "./inspect/injection";
import { emptyPointer, findPrompt, Prompt, Shape, SPANS_MAX } from "./inspect/prompt";
import { errorText } from "./json/errors";
import { Tape } from "./json/tape";
import { decode, nearest, POINTER_MAX } from "./json/text";
import { BODY_BYTES_MAX, BODY_DEPTH_MAX, BODY_VALUES_MAX, MODEL_MAX, PATH_MAX } from "./limits";
import { CLASSIFIER, packAt, packLength, RULES } from "./packs";
import { lenOf, lit, ptrOf, Slice, slice } from "./slice";
import { configureTokens, countTokens, UNCOUNTED } from "./tokens/count";
import { countPrompt } from "./tokens/prompt";
import { CL100K, O200K } from "./tokens/vocabulary";
import { Reason } from "./verdicts.gen";
import { Writer } from "./writer";

export { packDirectory } from "./packs";

const POST = lit("POST");
const tape = new Tape(BODY_VALUES_MAX);
const prompt = new Prompt(SPANS_MAX);
const detail = new Writer(256);
const param = new Writer(POINTER_MAX);

/** The longest text that `countTokens` has room for. */
let countable: i32 = 1 << 16;

configureTokens(countable);
// A pack of another version would leave its stage without an opinion: better no component at all.
if (packAt(RULES) && !useRules(packAt(RULES), packLength(RULES))) unreachable();
if (packAt(CLASSIFIER) && !useClassifier(packAt(CLASSIFIER), packLength(CLASSIFIER))) unreachable();

export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return size == 0 ? align : retake(old, oldSize, size);
}

export function scan(
  body: usize,
  bodyBytes: i32,
  path: usize,
  pathBytes: i32,
  threshold: i32,
  untrusted: i32,
  tokensMax: u32,
  unknownAllowed: bool,
  counting: bool,
): usize {
  const to = result.openResult(result.OUTCOME_BYTES);
  detail.reset();
  param.reset();
  let reason = read(body, bodyBytes, slice(path, pathBytes), unknownAllowed);
  const readable = reason != Reason.MalformedJson && reason != Reason.BodyTooLarge;
  if (pathBytes > PATH_MAX) {
    // The filter refuses with the headers, before there is a body.
    reason = Reason.UnknownShape;
    detail.reset();
    param.reset();
  }
  if (readable) {
    store<u8>(to + result.OUTCOME_SHAPE, <u8>prompt.shape);
    result.putText(to + result.OUTCOME_MODEL, prompt.model);
    const work = take(<usize>bodyBytes);
    const found = judge(to, body, work, threshold, untrusted);
    if (reason == Reason.None) reason = found;
    const tokens = countTexts(to, bodyBytes, work, counting, tokensMax);
    if (reason == Reason.None && tokensMax != 0 && tokens > <u64>tokensMax) reason = Reason.PromptTooLong;
  }
  result.putVerdict(to, reason);
  result.putText(to + result.OUTCOME_DETAIL, detail.written);
  result.putText(to + result.OUTCOME_PARAM, param.written);
  return to;
}

export function scan_text(
  text: usize,
  bytes: i32,
  speaker: i32,
  threshold: i32,
  untrusted: i32,
  tokensMax: u32,
  unknownAllowed: bool,
  counting: bool,
): usize {
  const to = result.openResult(result.TEXT_BYTES);
  if (<u64>(<u32>bytes) > BODY_BYTES_MAX) {
    result.putVerdict(to, Reason.BodyTooLarge);
    return to;
  }
  const raw = slice(text, bytes);
  const logit = judgeText(raw, false, speaker, take(<usize>bytes));
  const why = spanRule;
  let reason = Reason.None;
  store<i32>(to + result.TEXT_SCORE, probability(logit));
  if (exceeds(logit, limitOf(speaker, threshold, untrusted))) {
    reason = Reason.InjectionDetected;
    result.putText(to + result.TEXT_WHY, whyBlocked(why));
  }
  result.gatherRules();
  result.putRules(to + result.TEXT_RULES);
  if (counting || tokensMax != 0) {
    fit(bytes);
    const o200k = countTokens(O200K, raw, i32.MAX_VALUE - 1);
    const cl100k = countTokens(CL100K, raw, i32.MAX_VALUE - 1);
    result.putCount(to + result.TEXT_TOKENS, o200k);
    result.putCount(to + result.TEXT_TOKENS + 8, cl100k);
    // Of a text alone no model is known: it must fit the limit in either encoding.
    if (reason == Reason.None && tokensMax != 0 && <u64>max(o200k, cl100k) > <u64>tokensMax) {
      reason = Reason.PromptTooLong;
    }
  }
  result.putVerdict(to, reason);
  return to;
}

/** The caller has read the result of either function. */
export function done(at: usize): void {
  giveBack();
}

/** json → prompt, as request.ts has it. */
function read(body: usize, bytes: i32, path: Slice, unknownAllowed: bool): Reason {
  if (<u64>(<u32>bytes) > BODY_BYTES_MAX) return Reason.BodyTooLarge;
  const error = tape.scan(body, bytes, BODY_DEPTH_MAX);
  if (error != 0) {
    detail.text(errorText(error)).text(" at byte ").u64(tape.errorAt);
    return Reason.MalformedJson;
  }
  findPrompt(tape, path, POST, prompt);
  if (prompt.tooMany) return Reason.BodyTooLarge;
  if (prompt.shape == Shape.Unknown && !unknownAllowed) return Reason.UnknownShape;
  // Numbers or embeddings in the place of text: they cannot be inspected.
  if (prompt.tokenIds > 0 && prompt.shape != Shape.Embeddings) return Reason.UnknownShape;
  if (prompt.bad >= 0) {
    nearest(tape, prompt.bad, param);
    return Reason.EmptyPrompt;
  }
  if (!prompt.nonEmpty) {
    emptyPointer(tape, prompt, param);
    return Reason.EmptyPrompt;
  }
  if (prompt.modelEscaped || lenOf(prompt.model) > MODEL_MAX) {
    param.text("/model");
    return Reason.UnknownShape;
  }
  return Reason.None;
}

/** Judges every span, also behind one that blocks; the verdict and its score are the filter's, which stops there. */
function judge(to: usize, body: usize, work: usize, threshold: i32, untrusted: i32): Reason {
  const list = take(max<usize>(<usize>prompt.count * result.SPAN_BYTES, 1));
  let reason = Reason.None;
  beginJudging();
  for (let i = 0; i < prompt.count; i++) {
    const raw = prompt.raw(i);
    const trust = prompt.trust(i);
    const logit = judgeText(raw, prompt.escaped(i), trust, work);
    result.gatherRules();
    const at = list + <usize>i * result.SPAN_BYTES;
    store<u32>(at, <u32>(ptrOf(raw) - body));
    store<i32>(at, lenOf(raw), 4);
    store<u32>(at, <u32>trust | ((<u32>prompt.isKey(i)) << 8), 8);
    store<i32>(at, probability(logit), 12);
    if (!convicts(logit, limitOf(trust, threshold, untrusted)) || reason != Reason.None) continue;
    reason = Reason.InjectionDetected;
    result.putText(to + result.OUTCOME_WHY, judgedWhy);
  }
  if (reason == Reason.None && judgeTogether(prompt, threshold, untrusted, false)) {
    reason = Reason.InjectionDetected;
    result.gatherRules();
    result.putText(to + result.OUTCOME_WHY, judgedWhy);
  }
  store<i32>(to + result.OUTCOME_SCORE, judgedScore);
  result.putRules(to + result.OUTCOME_RULES);
  result.putList(to + result.OUTCOME_SPANS, list, prompt.count);
  return reason;
}

/** The prompt's tokens, and the texts' if they are asked for. */
function countTexts(to: usize, bytes: i32, work: usize, counting: bool, tokensMax: u32): u64 {
  if (!counting && tokensMax == 0) return 0;
  fit(bytes);
  const tools = tape.member(0, "tools") >= 0 || tape.member(0, "functions") >= 0;
  const tokens = countPrompt(prompt, prompt.model, bytes, tools, work);
  store<u32>(to + result.OUTCOME_PROMPT_TOKENS, <u32>min<u64>(tokens, <u64>u32.MAX_VALUE));
  if (!counting) return tokens;
  result.putCount(to + result.OUTCOME_TOKENS, countIn(O200K, work));
  result.putCount(to + result.OUTCOME_TOKENS + 8, countIn(CL100K, work));
  return tokens;
}

/** The sum over all spans, or -1 without the vocabulary. */
function countIn(encoding: i32, work: usize): i64 {
  let sum: i64 = 0;
  for (let i = 0; i < prompt.count; i++) {
    const raw = prompt.raw(i);
    const text = prompt.escaped(i) ? slice(work, decode(raw, work, lenOf(raw))) : raw;
    const tokens = countTokens(encoding, text, i32.MAX_VALUE - 1);
    if (tokens == UNCOUNTED) return -1;
    sum += tokens;
  }
  return sum;
}

/** Makes room to count texts of `bytes`. */
function fit(bytes: i32): void {
  if (bytes <= countable) return;
  while (countable < bytes) countable <<= 1;
  configureTokens(countable);
}
