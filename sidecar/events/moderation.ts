/**
 * Asks one moderation API (OpenAI's shape: POST {"model","input":[…]} → {"results":[{"flagged","categories"}]}) about the
 * texts of events, after the fact: what it flags is told, never stopped. It stands at the end of a queue, so however slow
 * it is, nobody waits for it: with the queue full, texts go unmoderated and are counted. Which API that is for an event:
 * moderators.ts.
 *
 * After BREAK_AFTER failures in a row it is left alone for BREAK_MS; then one text tries whether it is back.
 */
import type { WeirEvent } from "./event.ts";
import { type Outcome, Queue } from "./queue.ts";

const QUEUE_MAX = 500;
const TIMEOUT_MS = 5_000;
const BREAK_AFTER = 5;
const BREAK_MS = 30_000;
const ANSWER_BYTES_MAX = 1 << 20;
/** Of a policy that names none. */
const MODEL = "omni-moderation-latest";

export interface Flagged {
  readonly event: WeirEvent;
  /** What of it: the prompt, the answer, or both. */
  readonly parts: readonly ("prompt" | "answer")[];
  /** Names of categories, as the API has them. */
  readonly categories: readonly string[];
}

export interface ModerationOptions {
  readonly url: string;
  /** Sent as `Authorization: Bearer`, unless empty. */
  readonly key: string;
  readonly onFlagged: (flagged: Flagged) => void;
  readonly onOutcome: (outcome: Outcome | "clean" | "flagged" | "skipped", count: number) => void;
  readonly onFailure: (error: unknown) => void;
  /** For tests. */
  readonly timeoutMs?: number;
  readonly breakMs?: number;
}

export interface Moderation {
  take(event: WeirEvent): void;
  /** The share of the queue that is taken. */
  readonly used: number;
  close(graceMs: number): Promise<void>;
}

interface Result {
  readonly flagged: boolean;
  /** Not there, or of any form: what is flagged is told without names then. */
  readonly categories?: unknown;
}

/** What says neither yes nor no is no answer: a text would count as clean that nobody has judged. */
const isResult = (result: unknown): result is Result =>
  typeof result === "object" && typeof (result as Result | null)?.flagged === "boolean";

/** Opens after failures in a row, closes after a success. By the monotonic clock: the other may be set back by hours. */
class Breaker {
  #failures = 0;
  #until = 0;
  readonly #breakMs: number;

  constructor(breakMs: number) {
    this.#breakMs = breakMs;
  }

  get isOpen(): boolean {
    return performance.now() < this.#until;
  }

  succeed(): void {
    this.#failures = 0;
  }

  fail(): void {
    // Once open, the first failure after the break opens it again.
    if (++this.#failures >= BREAK_AFTER) this.#until = performance.now() + this.#breakMs;
  }
}

async function ask(options: ModerationOptions, model: string, input: readonly string[]): Promise<Result[]> {
  const response = await fetch(options.url, {
    method: "POST",
    redirect: "manual",
    signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
    headers: {
      "content-type": "application/json",
      ...(options.key !== "" && { authorization: `Bearer ${options.key}` }),
    },
    body: JSON.stringify({ model, input }),
  });
  const text = await bounded(response);
  if (!response.ok) throw new Error(`the moderation API answered ${response.status}`);
  const results = resultsOf(text);
  if (!Array.isArray(results) || results.length !== input.length || !results.every(isResult))
    throw new Error(
      "the moderation API answered something else than a result, flagged or not, for each input",
    );
  return results;
}

/** The member `results` of the JSON text; undefined without one. */
function resultsOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { results?: unknown } | null)?.results;
  } catch {
    // The parser's message would repeat what it found.
    return undefined;
  }
}

async function bounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > ANSWER_BYTES_MAX) throw new Error("the moderation API answered more than 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const categoriesOf = ({ categories }: Result): string[] =>
  Object.entries(categories ?? {})
    .filter(([, isOne]) => isOne === true)
    .map(([name]) => name)
    .slice(0, 32)
    .map((name) => name.slice(0, 64));

export function openModeration(options: ModerationOptions): Moderation {
  const breaker = new Breaker(options.breakMs ?? BREAK_MS);

  const moderate = async (event: WeirEvent): Promise<void> => {
    if (breaker.isOpen) {
      options.onOutcome("skipped", 1);
      return;
    }
    const prompt = event.promptTexts.filter(({ speaker }) => speaker !== "assistant" && speaker !== "system");
    const input = [...prompt.map(({ text }) => text), event.answerText].filter((text) => text.trim() !== "");
    const answers = event.answerText.trim() === "" ? 0 : 1;
    if (input.length === 0) return;
    let results: Result[];
    try {
      results = await ask(options, event.moderator?.model || MODEL, input);
      breaker.succeed();
    } catch (error) {
      breaker.fail();
      throw error;
    }
    const hits = results.flatMap((result, i) => (result.flagged ? [{ result, i }] : []));
    options.onOutcome(hits.length > 0 ? "flagged" : "clean", 1);
    if (hits.length === 0) return;
    const isAnswer = ({ i }: { i: number }) => i >= input.length - answers;
    const parts = [
      ...(hits.some((hit) => !isAnswer(hit)) ? (["prompt"] as const) : []),
      ...(hits.some(isAnswer) ? (["answer"] as const) : []),
    ];
    options.onFlagged({
      event,
      parts,
      categories: [...new Set(hits.flatMap(({ result }) => categoriesOf(result)))],
    });
  };

  const queue = new Queue<WeirEvent>({
    max: QUEUE_MAX,
    chars: ({ promptTexts, answerText }) =>
      promptTexts.reduce((sum, { text }) => sum + text.length, answerText.length),
    deliver: ([event]) => moderate(event as WeirEvent),
    onOutcome: (outcome, count) => {
      if (outcome !== "delivered") options.onOutcome(outcome, count);
    },
    onFailure: options.onFailure,
  });
  return {
    get used() {
      return queue.used;
    },
    take: (event) => {
      if (event.promptTexts.length > 0 || event.answerText !== "") queue.push(event);
    },
    close: (graceMs) => queue.close(graceMs),
  };
}
