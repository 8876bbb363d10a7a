// What was found in one request: the texts that a model will read, and the facts that budgets need.
//
// Bounds: `spansMax` spans; with more, `tooMany` is set and the rest is missing, so the request must be refused.
import { reserve } from "../memory";
import { NONE, Slice } from "../slice";

/** Who wrote a text, as far as the body says. Everything comes from the client; Untrusted is what even it quotes. */
export enum Trust {
  /** System and developer text, and descriptions of tools. */
  System = 0,
  User = 1,
  Assistant = 2,
  /** Results of tools, documents, files, searches; and what has an unknown role. */
  Untrusted = 3,
}

/** Models that may answer instead, each with limits of its own: Anthropic takes three. */
export const ALTERNATIVES_MAX: i32 = 4;
/** Members that limit the output: four at the root, two of Bedrock's, two in Gemini's configuration, two of each alternative. */
export const LIMITS_MAX: i32 = 8 + 2 * ALTERNATIVES_MAX;

/** Whether a text is a message's, or one of its parts'. */
enum Part {
  None = 0,
  /** It begins what its speaker says. */
  First = 1,
  /** It belongs together with the one before: of the same message, or of one of the same speaker right before, and the same trust. */
  GoesOn = 2,
}

/** A text that a model will read. */
@unmanaged
class Span {
  raw: Slice;
  node: i32;
  trust: u8;
  escaped: bool;
  key: bool;
  part: u8;
}

export class Prompt {
  /** A Shape; Unknown leaves it to the policy, and the spans are found all the same. */
  shape: i32 = 0;
  count: i32 = 0;
  tooMany: bool = false;
  /** Images, sounds and files, by value or by address, that were not inspected. */
  media: i32 = 0;
  /** Numbers where text could stand, or embeddings: a prompt that was not inspected. */
  tokenIds: i32 = 0;
  /** The first part of a type that is not understood, or -1. Its strings are spans all the same. */
  unknownPart: i32 = -1;
  /** Elements of the conversation. */
  messages: i32 = 0;
  /** Whether there is something to answer; if not, `emptyAt` is the node to name, or -1: the main member is absent. */
  nonEmpty: bool = false;
  emptyAt: i32 = -1;

  /** As it stands in the path or, where that names none, in the body; NONE if absent. */
  model: Slice = NONE;
  modelEscaped: bool = false;
  modelInPath: bool = false;
  /** The path could name a model that is not known here. */
  oddPath: bool = false;
  /** The member that lists other models which may answer, or -1. */
  fallbacks: i32 = -1;
  /** The member that names an agent, whose answer takes no limit, or -1. */
  agent: i32 = -1;
  stream: bool = false;
  includeUsage: bool = false;
  /** The answer is written also when nobody waits for it, and can be fetched later. */
  background: bool = false;
  /** The tokens of the prompt are asked for, and no answer to it. */
  onlyCounts: bool = false;
  /** A chat of Cohere's own API. */
  cohere: bool = false;
  /** Which member bounds the answer where the path is Bedrock's. */
  bedrock: i32 = 0;
  /** A model writes text in answer, which has to be bounded. */
  isAnswered: bool = true;
  /** The largest output limit that the body asks for in this API's own members; 0 if none. */
  limit: u64 = 0;
  /** There is one. */
  bounded: bool = false;
  limitCount: i32 = 0;
  /** Answers asked for. */
  n: u64 = 1;
  bestOf: u64 = 1;
  /** Prompts, each of which has its answers: more than one only where the API takes a list of them. */
  prompts: u64 = 1;
  /** The first fact of the wrong type or range ("n": "2"), or -1. */
  bad: i32 = -1;
  /** What should have been there, in words; of `bad` only. */
  badExpected: string = "";

  /** The first of the messages in a row that one speaker wrote, and who that is; -1: no message has come. */
  private turn: i32 = -1;
  private turnTrust: i32 = 0;
  /** What the part's text that was added last belongs to, and its trust; -1: none was. */
  private partOf: i32 = -1;
  private partTrust: i32 = 0;
  private readonly spans: usize;
  private readonly spansMax: i32;
  private readonly limits: usize;

  /** Reserves its memory: construct at module level only. */
  constructor(spansMax: i32) {
    this.spansMax = spansMax;
    this.spans = reserve(<usize>spansMax * offsetof<Span>());
    this.limits = reserve((<usize>LIMITS_MAX) << 2);
  }

  reset(): void {
    this.shape = 0;
    this.count = 0;
    this.tooMany = false;
    this.media = 0;
    this.tokenIds = 0;
    this.unknownPart = -1;
    this.messages = 0;
    this.nonEmpty = false;
    this.emptyAt = -1;
    this.model = NONE;
    this.modelEscaped = false;
    this.modelInPath = false;
    this.oddPath = false;
    this.fallbacks = -1;
    this.agent = -1;
    this.stream = false;
    this.includeUsage = false;
    this.background = false;
    this.onlyCounts = false;
    this.cohere = false;
    this.bedrock = 0;
    this.isAnswered = true;
    this.limit = 0;
    this.bounded = false;
    this.limitCount = 0;
    this.n = 1;
    this.bestOf = 1;
    this.prompts = 1;
    this.bad = -1;
    this.turn = -1;
    this.partOf = -1;
  }

  /** Message `node` of the conversation begins, written by `trust`. */
  beginMessage(node: i32, trust: i32): void {
    if (this.turn >= 0 && trust == this.turnTrust) return;
    this.turn = node;
    this.turnTrust = trust;
  }

  add(raw: Slice, node: i32, trust: i32, escaped: bool, key: bool): void {
    if (this.count >= this.spansMax) {
      this.tooMany = true;
      return;
    }
    const span = this.span(this.count++);
    span.raw = raw;
    span.node = node;
    span.trust = <u8>trust;
    span.escaped = escaped;
    span.key = key;
    span.part = <u8>Part.None;
  }

  /** The text that was just added, of class `trust`, is one of a part in the list `list`; of the message in hand without one. */
  markPart(list: i32, trust: i32): void {
    if (this.tooMany) return;
    const whole = list < 0 ? this.turn : list;
    const goesOn = whole == this.partOf && trust == this.partTrust;
    this.span(this.count - 1).part = <u8>(goesOn ? Part.GoesOn : Part.First);
    this.partOf = whole;
    this.partTrust = trust;
  }

  /** A member that limits the answer; `obeyed`: for this API it does. */
  addLimit(node: i32, value: u64, obeyed: bool): void {
    if (obeyed) {
      this.limit = max(this.limit, value);
      this.bounded = true;
    }
    if (this.limitCount == LIMITS_MAX) return;
    store<i32>(this.limits + ((<usize>this.limitCount) << 2), node);
    this.limitCount++;
  }

  /** The value node of the i-th member that limits the output (0 ≤ i < limitCount). */
  limitNode(i: i32): i32 {
    return load<i32>(this.limits + ((<usize>i) << 2));
  }

  private span(i: i32): Span {
    return changetype<Span>(this.spans + ((<usize>i) << 4));
  }

  /** The raw text (escapes intact) of span i (0 ≤ i < count). */
  raw(i: i32): Slice {
    return this.span(i).raw;
  }

  /** The value's node; for a key, the node of its value. */
  node(i: i32): i32 {
    return this.span(i).node;
  }

  trust(i: i32): i32 {
    return this.span(i).trust;
  }

  escaped(i: i32): bool {
    return this.span(i).escaped;
  }

  isPart(i: i32): bool {
    return this.span(i).part != Part.None;
  }

  /** Whether it belongs together with the part before it. */
  goesOn(i: i32): bool {
    return this.span(i).part == Part.GoesOn;
  }

  /** Whether the text is a member's name. */
  isKey(i: i32): bool {
    return this.span(i).key;
  }
}
