// Walks the table of scenarios.ts through one engine: sends each row's requests, and says what it saw.
import type { Seen } from "./mock-llm.ts";
import { type Engine, REPEATS_MAX, type Request, ROWS, type Row, type See } from "./scenarios.ts";

export interface Answer {
  status: number;
  header(name: string): string | null | undefined;
  text: string;
  /** How many pieces its body came in. */
  pieces: number;
}

/** An engine that runs, and what a walk may do to it. */
export interface Stage {
  engine: Engine;
  send(request: Request): Promise<Answer>;
  /** The last request that arrived upstream. */
  seen(): Seen | undefined;
  stopLedger(): Promise<unknown>;
  startLedger(): Promise<unknown>;
  /** Ends and starts the ledger's server, and then the engine. */
  restart(): Promise<unknown>;
}

export interface Outcome {
  name: string;
  expected: string;
  got: string;
  note: string;
}

/** What a row expects of an engine. */
function expectedOf(row: Row, engine: Engine): string {
  return (engine !== "envoy" && row.differs?.[engine]?.expected) || row.expected;
}

/** Requests over HTTP/1.1. `url` is asked each time, because a restart may change it. */
export function httpSender(url: () => string): Stage["send"] {
  return async (request) => {
    const { body } = request;
    const raw = typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(url() + (request.path ?? "/v1/chat/completions"), {
      method: "POST",
      headers: headersOf(request),
      body: raw ? (body as BodyInit) : JSON.stringify(body),
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body ?? []) chunks.push(chunk);
    return {
      status: response.status,
      header: (name) => response.headers.get(name),
      text: Buffer.concat(chunks).toString(),
      pieces: chunks.length,
    };
  };
}

/** A request's headers, its key among them. */
export function headersOf({ key, headers }: Request): Record<string, string> {
  return {
    "content-type": "application/json",
    ...(key && { authorization: `Bearer ${key}` }),
    ...headers,
  };
}

const seconds = (s: number) => new Promise((resolve) => setTimeout(resolve, s * 1000));

function errorOf(answer: Answer): { code?: string; message?: string } {
  try {
    return (JSON.parse(answer.text) as { error?: { code?: string; message?: string } }).error ?? {};
  } catch {
    return {};
  }
}

/** The code of Weir's verdict; "ok" for an answer that is the upstream's, whatever its status. */
const codeOf = (answer: Answer) => (answer.header("x-weir-verdict") ?? "none").replace(/;.*/, "");

function tokensOf(answer: Answer): number {
  const { usage } = JSON.parse(answer.text) as { usage?: { total_tokens: number } };
  return usage?.total_tokens ?? 0;
}

export class Walk {
  readonly #stage: Stage;
  #last: Answer | undefined;
  #passed = 0;
  #used = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Does what a row says. Throws only when something does not answer at all. */
  async row(row: Row): Promise<Outcome> {
    const { engine } = this.#stage;
    if (row.before === "stop ledger") await this.#stage.stopLedger();
    if (row.before === "start ledger") await this.#stage.startLedger();
    if (row.before === "restart") await this.#stage.restart();
    const wait = row.waits ? Number(this.#last?.header("retry-after") ?? 0) : 0;
    await seconds(wait);
    if (row.request) await this.#send(row, row.request);
    const note = wait > 0 ? `after ${wait} s` : this.#note(row.see);
    return { name: row.name, expected: expectedOf(row, engine), got: this.#see(row.see), note };
  }

  async #send(row: Row, request: Request): Promise<void> {
    const send = async () => {
      const answer = await this.#stage.send(request);
      this.#last = answer;
      if (answer.status === 200) this.#passed++;
      return answer;
    };
    this.#passed = 0;
    if (row.atOnce) await Promise.all(Array.from({ length: row.atOnce }, send));
    if (row.until) return this.#sendUntil(row.until, send);
    for (let i = 0; i < (row.times ?? (row.atOnce ? 0 : 1)); i++) await send();
  }

  async #sendUntil(status: number, send: () => Promise<Answer>): Promise<void> {
    this.#used = 0;
    for (let i = 0; i < REPEATS_MAX; i++) {
      const answer = await send();
      if (answer.status === status) return;
      if (answer.status === 200) this.#used += tokensOf(answer);
      else await seconds(0.2);
    }
  }

  #see(see: See): string {
    const answer = this.#last!;
    const yes = (is: boolean) => (is ? "yes" : "no");
    switch (see.what) {
      case "outcome":
        return `${answer.status} ${codeOf(answer)}`;
      case "passed":
        return `${this.#passed} passed`;
      case "pieces":
        return answer.pieces > 1 ? "streamed" : "whole";
      case "header":
        return yes(Boolean(answer.header(see.name)));
      case "text": {
        const hidden = !see.not || !new RegExp(see.not).test(answer.text);
        return yes(new RegExp(see.has).test(answer.text) && hidden);
      }
      case "used":
        return yes(this.#used > 0 && this.#used <= see.most);
      case "upstream": {
        const seen = this.#stage.seen();
        const has = Object.entries(see.has ?? {}).every(([name, value]) => seen?.headers[name] === value);
        const absent = (see.absent ?? []).every((name) => seen?.headers[name] === undefined);
        return yes(seen !== undefined && has && absent && seen.body.includes(see.body ?? ""));
      }
    }
  }

  /** For a person: the error's message, or what was looked at. */
  #note(see: See): string {
    const answer = this.#last!;
    if (see.what === "header") return `${see.name}: ${answer.header(see.name)}`;
    if (see.what === "used") return `${this.#used} tokens were used`;
    return see.what === "outcome" ? (errorOf(answer).message ?? "") : "";
  }
}

/** Walks the whole table. */
export async function walk(stage: Stage, rows: readonly Row[] = ROWS): Promise<Outcome[]> {
  const walking = new Walk(stage);
  const outcomes: Outcome[] = [];
  for (const row of rows) outcomes.push(await walking.row(row));
  return outcomes;
}
