// The way in: what happens to a request, in the order in which it happens, with every branch that it can take.
//
//   headers ─ shield ─ identity ─ limits ─┐
//   body ──── json ─ schema ─ (redact) ─ injection ─ tokens ─ rewrite ─ reserve ─▶ upstream
//                                                               └─ (no lease) acquire ─▶ wait ─▶ upstream
//
// Stages are leaves: they look at slices and tables and answer a closed enum. Here it is decided what that means; for
// the last line of the picture, in request-budget.ts.
import {
  Admission,
  admitAddress,
  admitSubject,
  left,
  limiting,
  refundAddress,
  waitNs,
} from "./admission/admission";
import { applyBudgets, bound, needsPrice } from "./budget/amounts";
import { deniedLately } from "./budget/denials";
import { because } from "./deny";
import {
  ACCEPT_ENCODING,
  API_KEY,
  AUTHORIZATION,
  CONTENT_LENGTH,
  RANGE,
  WEIR_LANE,
  WEIR_REQUEST_ID,
  WEIR_SUBJECT,
  WEIR_TIER,
  X_API_KEY,
  X_GOOG_API_KEY,
} from "./headers";
import { holdsTooMany, redactsTooMany } from "./fair-share";
import { addressTag, Appended, identify, isLoopback, laneName, readAddress } from "./identity/identity";
import {
  Judgement,
  judge,
  judgedByOwn,
  judgedReport,
  judgedScore,
  judgedWhy,
  useOwnRules,
} from "./inspect/injection";
import { beginMemo } from "./inspect/memo";
import { Shape } from "./inspect/prompt";
import { asksForArray, asksForTokens } from "./inspect/prompt-form";
import { errorText } from "./json/errors";
import { Kind } from "./json/tape";
import { STREAMS_MAX } from "./limits";
import { claimsJson, saysJson } from "./media-type";
import { count, Metric, tally } from "./metrics";
import { Injection, Key, matchesAny, Policy, Rate, Tier } from "./policy/policy";
import { findRoute } from "./policy/routes";
import {
  forwardTrace,
  observeAddress,
  observeBody,
  observeHeaders,
  observeJudgement,
  observePrompt,
  observeRequest,
} from "./observe";
import { Action, BufferType, MapType } from "./proxy-wasm/abi";
import { addHeader, removeHeader } from "./proxy-wasm/headers";
import { bufferBytes, now, property } from "./proxy-wasm/host";
import { nginx } from "./proxy-wasm/kind";
import {
  acceptEncoding,
  ambiguous,
  connects,
  contentEncoding,
  contentType,
  credential,
  FORM_API_KEY,
  FORM_AUTHORIZATION,
  FORM_X_API_KEY,
  FORM_X_GOOG_API_KEY,
  forgedCount,
  forgedName,
  forwardedFor,
  joined,
  method,
  path,
  ranged,
  readRequestHeaders,
  removeTrailers,
  requestId,
  shownIn,
  upgrade,
} from "./request-headers";
import {
  arrayAsked,
  badMember,
  bodyTooLarge,
  bodyUnavailable,
  emptyPrompt,
  injection,
  limited,
  modelNotAllowed,
  notPriced,
  oddModel,
  oddPath,
  promptTooLong,
  rulesUnavailable,
  severalModels,
  tokenPrompt,
  tokensAsked,
  tooManyHeaders,
  tooManyOpen,
  tooManyTexts,
  unboundable,
  unidentified,
  unknownShape,
  unsupportedMedia,
} from "./refusals";
import {
  hasTools,
  openBody,
  outputBound,
  prompt,
  readBody,
  replaceBody,
  rewriteBody,
  tape,
  work,
} from "./request-body";
import { countExactly } from "./request-bound";
import { fetchAhead, reserve } from "./request-budget";
import { takeCheaper } from "./request-downgrade";
import { goOn, refuse } from "./request-ends";
import { redacted, redactPrompt } from "./request-redact";
import { checkRoute, judgeUpgrade, lacksBody, passBodiless, passUninspected } from "./request-route";
import { openRedaction } from "./response-redact-slot";
import { is, lenOf, lit, NONE, Slice } from "./slice";
import { findStream, ownStream, Phase, Stream, streamsOpen } from "./stream";
import {
  boundPrompt,
  countPrompt,
  promptBound,
  promptEstimate,
  promptLeast,
  promptMost,
} from "./tokens/prompt";
import { Reason } from "./verdicts.gen";

const SOURCE_ADDRESS = lit("source\0address");
const CONNECTION_ID = lit("connection\0id");

// ---------------------------------------------------------------------------------------------------- headers

/** The request's headers have arrived. `end`: there is no body. */
export function onRequestHeaders(context: u32, end: bool, seed: u64): Action {
  const stream = findStream(context);
  if (stream == null) {
    because().text(
      streamsOpen() == STREAMS_MAX
        ? "This proxy is serving as many requests as it can."
        : "This proxy could not take its policy: its log says why.",
    );
    return refuse(null, Reason.Overloaded);
  }
  const policy = changetype<Policy>(stream.policy);
  stream.startNs = now();
  if (policy.ring) observeRequest(stream, policy);
  const reason = admitHeaders(stream, policy, seed);
  if (reason != Reason.None) return refuse(stream, reason);
  const tier = changetype<Tier>(stream.tier);
  forward(stream, tier, policy);
  if (upgrade != NONE) return passUninspected(stream, tier, 0);
  if (end || (nginx && lacksBody(stream))) return passBodiless(stream);
  stream.phase = Phase.Body;
  if (nginx) return fetchAhead(stream, tier, policy);
  if (policy.holdHeaders) return Action.Pause;
  // The body may yet be rewritten, and its new length cannot be told to an upstream that already has the headers.
  removeHeader(MapType.RequestHeaders, CONTENT_LENGTH);
  return Action.Continue;
}

/**
 * Reads the client's address. Envoy has appended the connection's to x-forwarded-for, and for a connection from its own
 * machine one of the machine's addresses instead; only Envoy has a connection's id. Kong appends later.
 */
function readClient(hops: i32): bool {
  const connection = property(SOURCE_ADDRESS);
  if (nginx) return readAddress(connection, forwardedFor, hops, Appended.Nothing);
  const own = hops > 0 && isLoopback(connection) && property(CONNECTION_ID) != NONE;
  return readAddress(connection, forwardedFor, hops, own ? Appended.Own : Appended.Connection);
}

/** All that headers alone can decide. */
function admitHeaders(stream: Stream, policy: Policy, seed: u64): Reason {
  if (!readRequestHeaders(policy.keyHeaders)) return tooManyHeaders();
  if (stream.draft) observeHeaders(stream);
  if (asksForAddress(policy) && !readClient(policy.trustedHops)) {
    because().text("The client's address cannot be read.");
    return Reason.AddressNotAllowed;
  }
  if (stream.draft) observeAddress(stream);
  if (policy.shield) {
    stream.addressTag = addressTag(seed);
    const shielded = admitAddress(changetype<Rate>(policy.shield), stream.addressTag, stream.startNs);
    if (shielded != Admission.Admitted) return limited(stream, shielded, Reason.AddressLimitExceeded);
  }
  const unknown = ambiguous ? Reason.InvalidApiKey : identify(stream, policy, credential, seed);
  if (unknown != Reason.None) return unidentified(unknown, ambiguous || joined);
  const tier = changetype<Tier>(stream.tier);
  if (holdsTooMany(stream)) return tooManyOpen(stream, "");
  if ((tier.redacts || tier.restores) && redactsTooMany(stream))
    return tooManyOpen(stream, " in tiers that redact");
  ownStream(stream);
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
  if (!stream.setPath(path)) {
    because().text("The path is longer than 256 bytes.");
    return Reason.UnknownShape;
  }
  const route = findRoute(policy, tier, path);
  stream.route = changetype<usize>(route);
  if (upgrade != NONE || connects) {
    const reason = judgeUpgrade(stream);
    if (reason != Reason.None) return reason;
  }
  stream.isPost = is(method, "POST");
  stream.acceptable = contentEncoding == NONE && claimsJson(contentType);
  if (!stream.acceptable && route != null && route.otherMedia)
    stream.uninspected = contentEncoding != NONE || !saysJson(contentType);
  return tier.redacts ? prepareRedaction(stream, tier) : Reason.None;
}

/** Whether anything depends on the client's address, whose property is the dearest of all host calls. */
function asksForAddress(policy: Policy): bool {
  return policy.shield != 0 || policy.networked || policy.events || credential == NONE;
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
  // Parts of an answer that are asked for one by one could not be redacted, a compressed one not even be read.
  if (ranged && (tier.redacts || tier.restores)) removeHeader(MapType.RequestHeaders, RANGE);
  if (acceptEncoding != NONE && (tier.counts || tier.redacts || tier.restores)) {
    removeHeader(MapType.RequestHeaders, ACCEPT_ENCODING);
  }
  // None of these is there: whatever could be read as x-weir-… is off.
  addHeader(MapType.RequestHeaders, WEIR_SUBJECT, stream.subject);
  addHeader(MapType.RequestHeaders, WEIR_TIER, tier.name);
  addHeader(MapType.RequestHeaders, WEIR_LANE, laneName(stream.lane));
  if (requestId != NONE) addHeader(MapType.RequestHeaders, WEIR_REQUEST_ID, requestId);
  if (stream.draft) forwardTrace(stream);
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
  if (!end) {
    stream.bodyHeld = size;
    return Action.Pause;
  }
  if (size == 0) return passBodiless(stream);
  if (stream.uninspected) return passUninspected(stream, tier, size);
  let body = bufferBytes(BufferType.RequestBody, size);
  if (lenOf(body) != size) {
    return refuse(stream, bodyUnavailable(size));
  }
  tally(Metric.ScannedBytes, size);
  stream.bodySize = size;
  if (!openBody(tier.redactsPrompt ? <i32>tier.bytesMax : size)) return refuse(stream, bodyTooLarge(tier));
  let reason = read(stream, tier, body);
  if (stream.draft != 0 && reason == Reason.None) observeBody(stream, size);
  if (reason == Reason.None && tier.redactsPrompt) {
    reason = redactPrompt(stream, tier, body);
    body = redacted;
  }
  if (stream.draft != 0 && reason == Reason.None) observePrompt(stream);
  if (reason == Reason.None) reason = inspect(stream, tier);
  if (reason == Reason.None) reason = spend(stream, tier, body, size);
  if (reason != Reason.None) return refuse(stream, reason);
  if (stream.budgetMask != 0) return reserve(stream, tier, size);
  if (stream.unsent) replaceBody(stream, size);
  return goOn(stream);
}

/**
 * Trailers end a request in the place of its body's last bytes (Envoy, HTTP/2): what is held of the body is all of it. They
 * go no further, as what they say would pass by what the headers are held against.
 */
export function onRequestTrailers(context: u32): Action {
  const stream = findStream(context);
  if (stream == null) return Action.Continue;
  if (!removeTrailers()) return refuse(stream, tooManyHeaders());
  return onRequestBody(context, stream.bodyHeld, true);
}

/** json → prompt → schema. */
function read(stream: Stream, tier: Tier, body: Slice): Reason {
  if (!stream.acceptable) return unsupportedMedia();
  const policy = changetype<Policy>(stream.policy);
  if (tier.injection != Injection.Off && policy.awaitsRules) return rulesUnavailable();
  const error = readBody(stream, body);
  if (error != 0) {
    because()
      .text("The body is not acceptable JSON: ")
      .text(errorText(error))
      .text(" at byte ")
      .u64(tape.errorAt);
    return Reason.MalformedJson;
  }
  return checkRoute(stream, tape);
}

/** What the prompt may be, and injection. */
function inspect(stream: Stream, tier: Tier): Reason {
  const policy = changetype<Policy>(stream.policy);
  useOwnRules(policy.ruleLength ? policy.ruleTable : 0);
  beginMemo(prompt.count);
  if (prompt.tooMany) return tooManyTexts();
  if (prompt.shape == Shape.Unknown && !tier.unknownShapeAllowed) return unknownShape();
  const takesNoLimit = tape.kind(0) != Kind.Object || prompt.agent >= 0;
  if (takesNoLimit && prompt.isAnswered && tier.outputTokensMax != u64.MAX_VALUE)
    return unboundable(tape, prompt);
  if (prompt.tokenIds > 0 && prompt.shape != Shape.Embeddings && tier.injection == Injection.Block) {
    return tokenPrompt();
  }
  if (prompt.bad >= 0) return badMember(tape, prompt);
  if (!prompt.nonEmpty) return emptyPrompt(tape, prompt);
  if (prompt.modelEscaped || !stream.setModel(prompt.model)) {
    return oddModel();
  }
  const form = tier.redacts ? checkForm(stream) : Reason.None;
  if (form != Reason.None) return form;
  const allowed = stream.key ? changetype<Key>(stream.key).models : NONE;
  if ((prompt.oddPath || prompt.fallbacks >= 0) && (allowed != NONE || tier.dependsOnModel)) {
    return prompt.oddPath ? oddPath() : severalModels(tape, prompt);
  }
  if (allowed != NONE && !matchesAny(stream.model, allowed)) {
    return modelNotAllowed(stream);
  }
  return checkInjection(stream, tier);
}

/** Whether the answer will come in a form that can be redacted. */
function checkForm(stream: Stream): Reason {
  const asking = asksForTokens(tape);
  if (asking >= 0) return tokensAsked(tape, asking);
  return asksForArray(tape, stream.path) ? arrayAsked() : Reason.None;
}

function checkInjection(stream: Stream, tier: Tier): Reason {
  if (tier.injection == Injection.Off) return Reason.None;
  const judgement = judge(prompt, work, tier.threshold, tier.untrustedThreshold, tier.systemShadowed);
  stream.score = judgedScore;
  if (stream.draft) observeJudgement(stream);
  if (judgement != Judgement.Clean && tier.injection == Injection.Block)
    return injection(judgedWhy, judgedByOwn);
  if (judgement == Judgement.Clean && !judgedReport) return Reason.None;
  stream.shadowed = true;
  count(Metric.Shadowed);
  return Reason.None;
}

// ------------------------------------------------------------------------------------------- tokens and budgets

/** Tokens, the clamp of the answer's length, and what is to be reserved. The host's body has `size` bytes. */
function spend(stream: Stream, tier: Tier, body: Slice, size: i32): Reason {
  stream.outputsMax = outputBound(tier);
  stream.outlives = prompt.background;
  stream.onlyCounts = prompt.onlyCounts;
  const tools = hasTools();
  let tokens = promptBound(prompt, lenOf(body), tools);
  let estimate = tier.counts || stream.draft != 0 ? promptEstimate(prompt, tools) : 0;
  const limit = tier.promptTokensMax;
  if (tokens > limit) {
    boundPrompt(prompt, stream.model, lenOf(body), tools);
    if (promptLeast > limit) return promptTooLong(tier, prompt.media);
    tokens = promptMost;
  }
  if (tokens > limit) estimate = tokens = countPrompt(prompt, stream.model, lenOf(body), tools, work, limit);
  if (tokens > limit) return promptTooLong(tier, prompt.media);
  stream.promptTokens = tokens;
  stream.promptEstimate = estimate;
  const reason = tier.budgetCount == 0 ? Reason.None : hold(stream, tier, lenOf(body));
  if (reason == Reason.None) rewriteBody(stream, tier, body, size);
  return reason;
}

/** Finds the budgets and bounds what the request can cost; for the cheaper model where this one was just denied. */
function hold(stream: Stream, tier: Tier, size: i32): Reason {
  const budgets = applyBudgets(stream, tier);
  if (budgets == 0) return Reason.None;
  const price = changetype<Policy>(stream.policy).price(stream.model);
  if (price == null && needsPrice(stream, tier)) return notPriced(stream);
  bound(stream, tier, price, stream.promptTokens, stream.outputsMax);
  if (tier.downgradeCount == 0 || !deniedLately(stream, budgets, stream.startNs)) return Reason.None;
  if (tier.counts) {
    countExactly(stream, tier, size);
    if (!deniedLately(stream, budgets, stream.startNs)) return Reason.None;
  }
  takeCheaper(stream, tier);
  return Reason.None;
}
