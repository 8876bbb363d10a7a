// The way in: what happens to a request, in the order in which it happens, with every branch that it can take.
//
//   headers ─ shield ─ identity ─ limits ─┐
//   body ──── json ─ prompt ─ injection ─ tokens ─ rewrite ─ reserve ─▶ upstream
//                                                               └─ (no lease) acquire ─▶ wait ─▶ upstream
//
// Stages are leaves: they look at slices and tables and answer a closed enum. Here it is decided what that means.
import {
  Admission,
  admitAddress,
  admitSubject,
  left,
  limiting,
  refundAddress,
  waitNs,
} from "./admission/admission";
import { acquireFor, denialCovers, finishAcquire, Outcome, waiterCount, waiterOf } from "./budget/acquire";
import { applyBudgets, bound, needsPrice } from "./budget/amounts";
import { coveredLocally, growth, Reserve, reserveLocally } from "./budget/reserve";
import { because, deny, more, retryAfter } from "./deny";
import {
  ACCEPT_ENCODING,
  API_KEY,
  AUTHORIZATION,
  CONTENT_LENGTH,
  WEIR_LANE,
  WEIR_REQUEST_ID,
  WEIR_SUBJECT,
  WEIR_TIER,
  X_API_KEY,
  X_GOOG_API_KEY,
} from "./headers";
import { addressTag, identify, laneName, readAddress } from "./identity/identity";
import { Judgement, judge, judgedScore, judgedWhy } from "./inspect/injection";
import { beginMemo } from "./inspect/memo";
import { findPrompt, Prompt, Shape, SPANS_MAX } from "./inspect/prompt";
import { errorText } from "./json/errors";
import { Tape } from "./json/tape";
import { toU64 } from "./json/text";
import { BODY_DEPTH_MAX, BODY_VALUES_MAX } from "./limits";
import { count, counted, Metric } from "./metrics";
import { Injection, Key, matchesAny, Policy, Rate, Tier } from "./policy/policy";
import { Action, BufferType, MapType } from "./proxy-wasm/abi";
import { arenaTake } from "./proxy-wasm/arena";
import { removeHeader, setHeader } from "./proxy-wasm/headers";
import {
  bufferBytes,
  continueRequest,
  replaceBuffer,
  now,
  property,
  setEffectiveContext,
} from "./proxy-wasm/host";
import {
  ambiguous,
  claimsJson,
  contentLength,
  contentEncoding,
  credential,
  FORM_API_KEY,
  FORM_AUTHORIZATION,
  FORM_X_API_KEY,
  FORM_X_GOOG_API_KEY,
  forgedCount,
  forgedName,
  forwardedFor,
  method,
  path,
  readRequestHeaders,
  requestId,
  shownIn,
  upgrade,
} from "./request-headers";
import { nginx } from "./proxy-wasm/kind";
import {
  badMember,
  bodyTooLarge,
  bodyUnavailable,
  emptyPrompt,
  limited,
  modelNotAllowed,
  notPriced,
  oddModel,
  overBudget,
  promptTooLong,
  tokenPrompt,
  tooManyTexts,
  unidentified,
  unknownShape,
} from "./refusals";
import { openRedaction } from "./response-redact";
import { rewrite } from "./rewrite";
import { is, lenOf, lit, NONE, ptrOf, Slice } from "./slice";
import { findStream, Phase, Stream } from "./stream";
import { countPrompt, promptBound } from "./tokens/prompt";
import { Reason } from "./verdicts.gen";
import { Writer } from "./writer";

const SOURCE_ADDRESS = lit("source\0address");
const POST = lit("POST");
const tape = new Tape(BODY_VALUES_MAX);
const prompt = new Prompt(SPANS_MAX);
/** Room for the longest text of the body in hand, in the arena. */
let work: usize = 0;
/** The body in hand as it is to go upstream, in the arena; NONE: as it is. */
let rewritten: Slice = NONE;
const number = new Writer(32);

// ---------------------------------------------------------------------------------------------------- headers

/** The request's headers have arrived. `end`: there is no body. */
export function onRequestHeaders(context: u32, end: bool, seed: u64): Action {
  const stream = findStream(context);
  if (stream == null) {
    because().text("This proxy is serving as many requests as it can.");
    return refuse(null, Reason.Overloaded);
  }
  const policy = changetype<Policy>(stream.policy);
  stream.startNs = now();
  const reason = admitHeaders(stream, policy, seed);
  if (reason != Reason.None) return refuse(stream, reason);
  const tier = changetype<Tier>(stream.tier);
  forward(stream, tier, policy);
  if (end) {
    stream.phase = Phase.Upstream;
    return Action.Continue;
  }
  stream.phase = Phase.Body;
  if (nginx) return fetchAhead(stream, tier, policy);
  if (policy.holdHeaders) return Action.Pause;
  // The body may yet be rewritten, and its new length cannot be told to an upstream that already has the headers.
  removeHeader(MapType.RequestHeaders, CONTENT_LENGTH);
  return Action.Continue;
}

/**
 * nginx: sees to it that a lease is at hand before the body comes, as a body that changes length cannot wait. The need
 * is a guess from the content-length; whether it was enough is decided when the body is there.
 */
function fetchAhead(stream: Stream, tier: Tier, policy: Policy): Action {
  stream.contentLength = <u32>min(toU64(contentLength), u32.MAX_VALUE);
  if (contentLength == NONE) stream.contentLength = 0;
  if (stream.contentLength == 0 || !policy.leases || tier.budgetCount == 0) return Action.Continue;
  const budgets = applyBudgets(stream, tier, <u64>stream.policy);
  if (budgets == 0 || needsPrice(stream, tier)) return Action.Continue;
  guess(stream, tier, stream.contentLength / BYTES_PER_TOKEN_LOW);
  if (coveredLocally(stream, budgets, now())) return Action.Continue;
  if (!acquireFor(stream, policy, tier, budgets, growth)) return Action.Continue;
  count(Metric.Acquires);
  stream.ahead = true;
  stream.phase = Phase.Waiting;
  return Action.Pause;
}

/** Text with fewer bytes for each token than this is rare. */
const BYTES_PER_TOKEN_LOW: u32 = 2;
/** No guess takes more than this part of a budget: most requests bound their answer below the tier's limit. */
const GUESS_PART: u64 = 64;

function guess(stream: Stream, tier: Tier, promptTokens: u64): void {
  bound(stream, tier, null, promptTokens, tier.outputTokensMax);
  let n = 0;
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1) {
    const most = max(tier.budget(ctz<u32>(mask)).limit / GUESS_PART, 1);
    stream.setReserved(n, min(stream.reserved(n), most));
    n++;
  }
}

/** All that headers alone can decide. */
function admitHeaders(stream: Stream, policy: Policy, seed: u64): Reason {
  if (!readRequestHeaders(policy.keyHeaders)) {
    because().text("The request has more headers than can be checked.");
    return Reason.Overloaded;
  }
  if (!readAddress(property(SOURCE_ADDRESS), forwardedFor, policy.trustedHops)) {
    because().text("The client's address cannot be read.");
    return Reason.AddressNotAllowed;
  }
  stream.addressTag = addressTag(seed);
  if (policy.shield) {
    const shielded = admitAddress(changetype<Rate>(policy.shield), stream.addressTag, stream.startNs);
    if (shielded != Admission.Admitted) return limited(stream, shielded, Reason.AddressLimitExceeded);
  }
  const unknown = ambiguous ? Reason.InvalidApiKey : identify(stream, policy, credential, seed);
  if (unknown != Reason.None) return unidentified(unknown, ambiguous);
  const tier = changetype<Tier>(stream.tier);
  const admitted = admitSubject(tier, stream.lane, stream.subjectTag, stream.startNs);
  if (limiting != null) {
    stream.rate = changetype<usize>(limiting);
    stream.rateLeft = left;
    stream.rateResetNs = waitNs;
  }
  if (admitted != Admission.Admitted) {
    if (policy.shield) refundAddress(changetype<Rate>(policy.shield), stream.addressTag, stream.startNs);
    return limited(stream, admitted, Reason.RateLimitExceeded);
  }
  if (upgrade) {
    because().text(
      "Requests that switch protocols are not let through: what follows could not be inspected.",
    );
    return Reason.UnsupportedUpgrade;
  }
  if (!stream.setPath(path)) {
    because().text("The path is longer than 256 bytes.");
    return Reason.UnknownShape;
  }
  stream.isPost = is(method, "POST");
  stream.acceptable = contentEncoding == NONE && claimsJson();
  return tier.redacts ? prepareRedaction(stream, tier) : Reason.None;
}

/** Takes what redacting the answer will need while the request can still be refused. */
function prepareRedaction(stream: Stream, tier: Tier): Reason {
  const redaction = openRedaction(tier);
  if (redaction == null) {
    because().text("This proxy is redacting as many answers as it can.");
    return Reason.Overloaded;
  }
  stream.redaction = changetype<usize>(redaction);
  return Reason.None;
}

/** Tells the upstream who calls, and takes off what only we may say and the key, which is not the upstream's. */
function forward(stream: Stream, tier: Tier, policy: Policy): void {
  for (let i = 0; i < forgedCount; i++) removeHeader(MapType.RequestHeaders, forgedName(i));
  if (!policy.forwardKey) {
    if (shownIn & FORM_AUTHORIZATION) removeHeader(MapType.RequestHeaders, AUTHORIZATION);
    if (shownIn & FORM_X_API_KEY) removeHeader(MapType.RequestHeaders, X_API_KEY);
    if (shownIn & FORM_API_KEY) removeHeader(MapType.RequestHeaders, API_KEY);
    if (shownIn & FORM_X_GOOG_API_KEY) removeHeader(MapType.RequestHeaders, X_GOOG_API_KEY);
  }
  // A compressed answer could not be read.
  if (tier.counts || tier.redacts) removeHeader(MapType.RequestHeaders, ACCEPT_ENCODING);
  setHeader(MapType.RequestHeaders, WEIR_SUBJECT, stream.subject);
  setHeader(MapType.RequestHeaders, WEIR_TIER, tier.name);
  setHeader(MapType.RequestHeaders, WEIR_LANE, number.reset().text(laneName(stream.lane)).written);
  if (requestId != NONE) setHeader(MapType.RequestHeaders, WEIR_REQUEST_ID, requestId);
}

// ------------------------------------------------------------------------------------------------------- body

/** `size` bytes of the request's body are there; with `end`, they are all. */
export function onRequestBody(context: u32, size: i32, end: bool): Action {
  const stream = findStream(context);
  if (stream == null) return Action.Continue;
  if (stream.phase == Phase.Waiting) return Action.Pause;
  if (stream.phase != Phase.Body) return Action.Continue;
  const tier = changetype<Tier>(stream.tier);
  if (<u64>size > tier.bytesMax) return refuse(stream, bodyTooLarge(tier));
  if (!end) return Action.Pause;
  if (size == 0) return goOn(stream);
  const body = bufferBytes(BufferType.RequestBody, size);
  if (lenOf(body) != size) {
    return refuse(stream, bodyUnavailable(size));
  }
  count(Metric.ScannedBytes, size);
  work = arenaTake(size);
  if (!work) return refuse(stream, bodyTooLarge(tier));
  let reason = inspect(stream, tier, body);
  if (reason == Reason.None) reason = spend(stream, tier, body);
  if (reason != Reason.None) return refuse(stream, reason);
  if (tier.budgetCount > 0 && stream.budgetMask != 0) return reserve(stream, tier, size);
  if (stream.unsent) replaceBody(stream, size);
  return goOn(stream);
}

/** json → prompt → injection. */
function inspect(stream: Stream, tier: Tier, body: Slice): Reason {
  if (!stream.acceptable) {
    because().text(
      "The body must be application/json without content-encoding: anything else cannot be inspected.",
    );
    return Reason.UnsupportedMediaType;
  }
  const error = tape.scan(ptrOf(body), lenOf(body), BODY_DEPTH_MAX);
  if (error != 0) {
    because()
      .text("The body is not acceptable JSON: ")
      .text(errorText(error))
      .text(" at byte ")
      .u64(tape.errorAt);
    return Reason.MalformedJson;
  }
  findPrompt(tape, stream.path, stream.isPost ? POST : NONE, prompt);
  beginMemo();
  if (prompt.tooMany) return tooManyTexts();
  if (prompt.shape == Shape.Unknown && !tier.unknownShapeAllowed) return unknownShape();
  if (prompt.tokenIds > 0 && prompt.shape != Shape.Embeddings && tier.injection == Injection.Block) {
    return tokenPrompt();
  }
  if (prompt.bad >= 0) return badMember(tape, prompt.bad);
  if (!prompt.nonEmpty) return emptyPrompt(tape, prompt);
  if (prompt.modelEscaped || !stream.setModel(prompt.model)) {
    return oddModel();
  }
  const allowed = stream.key ? changetype<Key>(stream.key).models : NONE;
  if (allowed != NONE && !matchesAny(stream.model, allowed)) {
    return modelNotAllowed(stream);
  }
  return checkInjection(stream, tier);
}

function checkInjection(stream: Stream, tier: Tier): Reason {
  if (tier.injection == Injection.Off) return Reason.None;
  const judgement = judge(prompt, work, tier.threshold, tier.untrustedThreshold);
  stream.score = judgedScore;
  if (judgement == Judgement.Clean) return Reason.None;
  if (tier.injection == Injection.Shadow) {
    stream.shadowed = true;
    count(Metric.Shadowed);
    return Reason.None;
  }
  because().text("The prompt looks like an attempt to override the model's instructions (").bytes(judgedWhy);
  more().text(").");
  return Reason.InjectionDetected;
}

// ------------------------------------------------------------------------------------------- tokens and budgets

/** Tokens, the clamp of the answer's length, and what is to be reserved. */
function spend(stream: Stream, tier: Tier, body: Slice): Reason {
  stream.outputsMax = outputBound(tier);
  let tokens = promptBound(prompt, lenOf(body), hasTools());
  if (tokens > tier.promptTokensMax) {
    tokens = countPrompt(prompt, stream.model, lenOf(body), hasTools(), work);
    if (tokens > tier.promptTokensMax) {
      return promptTooLong(tier);
    }
  }
  stream.promptTokens = tokens;
  rewritten = rewrite(tape, prompt, body, tier.outputTokensMax, tier.counts);
  stream.unsent = rewritten != NONE;
  if (stream.unsent && !waitsForLease(stream, lenOf(body))) replaceBody(stream, lenOf(body));
  if (tier.budgetCount == 0) return Reason.None;
  const policy = changetype<Policy>(stream.policy);
  if (applyBudgets(stream, tier, <u64>stream.policy) == 0) return Reason.None;
  const price = policy.price(stream.model);
  if (price == null && needsPrice(stream, tier)) {
    return notPriced(stream);
  }
  bound(stream, tier, price, tokens, stream.outputsMax);
  return Reason.None;
}

function hasTools(): bool {
  return tape.member(0, "tools") >= 0 || tape.member(0, "functions") >= 0;
}

/** nginx: the rewritten body could not be sent after a pause, so it is not put in place before it needs none. */
function waitsForLease(stream: Stream, size: i32): bool {
  return nginx && stream.contentLength != 0 && lenOf(rewritten) != size;
}

function replaceBody(stream: Stream, size: i32): void {
  if (nginx || changetype<Policy>(stream.policy).holdHeaders) {
    setHeader(MapType.RequestHeaders, CONTENT_LENGTH, number.reset().u64(lenOf(rewritten)).written);
  }
  replaceBuffer(BufferType.RequestBody, size, rewritten);
  stream.hideUsage = prompt.stream && !prompt.includeUsage;
  stream.unsent = false;
}

/** The most completion tokens that all answers together can have once the body is rewritten. */
function outputBound(tier: Tier): u64 {
  if (prompt.shape == Shape.Embeddings) return 0;
  const each = prompt.limitCount > 0 ? min(prompt.limit, tier.outputTokensMax) : tier.outputTokensMax;
  const answers = max(max(prompt.n, prompt.bestOf), 1);
  return answers > ANSWERS_MAX || each > OUTPUT_MAX ? OUTPUT_MAX : each * answers;
}

/** Beyond any model; keeps sums far from the ends of their ranges. */
const ANSWERS_MAX: u64 = 1024;
const OUTPUT_MAX: u64 = 1 << 30;

/** Takes the reservation, from a lease at hand or from the ledger. */
function reserve(stream: Stream, tier: Tier, size: i32): Action {
  const policy = changetype<Policy>(stream.policy);
  const budgets = <i32>popcnt<u32>(stream.budgetMask);
  let outcome = policy.leases ? reserveLocally(stream, budgets, now()) : Reserve.NeedsLease;
  if (outcome == Reserve.NeedsLease && tier.counts) {
    // The slice at hand is not ample: now the exact count is worth its price.
    stream.promptTokens = countPrompt(prompt, stream.model, size, hasTools(), work);
    bound(stream, tier, policy.price(stream.model), stream.promptTokens, stream.outputsMax);
    if (policy.leases) outcome = reserveLocally(stream, budgets, now());
  }
  if (outcome == Reserve.Reserved) {
    count(Metric.LeaseHits);
    if (stream.unsent) replaceBody(stream, size);
    return goOn(stream);
  }
  if (outcome == Reserve.Unavailable) {
    because().text("The budgets cannot be checked at the moment.");
    return refuse(stream, Reason.Overloaded);
  }
  if (acquireFor(stream, policy, tier, budgets, growth)) {
    count(Metric.Acquires);
    stream.phase = Phase.Waiting;
    return Action.Pause;
  }
  return unreachableLedger(stream, tier) ? goOn(stream) : Action.Pause;
}

/** Whether the request may pass although its budgets could not be asked; if not, it has been refused. */
function unreachableLedger(stream: Stream, tier: Tier): bool {
  stream.budgetMask = 0;
  if (tier.outageAllowed) {
    count(Metric.Unbudgeted);
    return true;
  }
  because().text("The quota ledger cannot be reached, and your budget must be checked first.");
  refuse(stream, Reason.LedgerUnavailable);
  return false;
}

/** The ledger has answered acquire `number` (NONE: it has not): every stream that waited goes on. */
export function onAcquired(number: i32, answer: Slice): void {
  const time = now();
  const outcome = finishAcquire(number, answer, time);
  if (outcome == Outcome.Failed) count(Metric.LedgerFailures);
  // The acquire's place may be taken again by a stream that must ask anew, so its waiters are read first.
  const waiters = takeWaiters(number);
  for (let i = 0; i < waiters; i++) {
    const stream = findStream(waiter(i));
    if (stream == null || stream.phase != Phase.Waiting) continue;
    setEffectiveContext(stream.context);
    resume(stream, outcome, time);
  }
}

const waiting = new StaticArray<u32>(64);

function takeWaiters(number: i32): i32 {
  const total = waiterCount(number);
  for (let i = 0; i < total; i++) unchecked((waiting[i] = waiterOf(number, i)));
  return total;
}

function waiter(i: i32): u32 {
  return unchecked(waiting[i]);
}

function resume(stream: Stream, outcome: Outcome, time: u64): void {
  const tier = changetype<Tier>(stream.tier);
  const budgets = <i32>popcnt<u32>(stream.budgetMask);
  if (stream.ahead) {
    stream.ahead = false;
    stream.phase = Phase.Body;
    continueRequest();
    return;
  }
  if (outcome == Outcome.Denied && denialCovers(stream, budgets)) {
    refuse(stream, overBudget(stream));
    return;
  }
  if (outcome == Outcome.Failed) {
    if (unreachableLedger(stream, tier)) release(stream);
    return;
  }
  if (stream.unsent) {
    because().text("Your budget was looked up while this request waited, and it has to be sent again.");
    retryAfter(1);
    refuse(stream, Reason.BudgetBusy);
    return;
  }
  if (reserveLocally(stream, budgets, time) == Reserve.Reserved) {
    release(stream);
    return;
  }
  if (outcome == Outcome.NoRoom) {
    because().text("This proxy holds as many leases as it can.");
    refuse(stream, Reason.Overloaded);
    return;
  }
  // Others who waited used the slice up, or one was denied that needed more: this one asks for its own.
  if (acquireFor(stream, changetype<Policy>(stream.policy), tier, budgets, growth)) count(Metric.Acquires);
  else if (unreachableLedger(stream, tier)) release(stream);
}

// -------------------------------------------------------------------------------------------------------- ends

function goOn(stream: Stream): Action {
  stream.phase = Phase.Upstream;
  return Action.Continue;
}

/** Lets a stream go on that waited for the ledger. */
function release(stream: Stream): void {
  stream.phase = Phase.Upstream;
  continueRequest();
}

function refuse(stream: Stream | null, reason: Reason): Action {
  counted(stream, reason);
  deny(stream, reason);
  return Action.Pause;
}
