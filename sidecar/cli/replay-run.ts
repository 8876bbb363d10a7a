// Recorded requests through the filter, one after the other, each at its own time: a fake clock follows the records, so that
// rate limits refill and budgets' windows turn as they would have. The ledger is the state machine in this process, and the
// policy's own rules are compiled in it before the first record.
//
// The same filter as at the edge gives the verdicts, in the Node host. Keys are not in records: each digest or subject gets
// a key of our own, which is added to the policy beside the entry that it stands for.
//
// What is not as it was: a request is over before the next begins, so reservations never overlap; the local limits of
// several proxies are one proxy's; nothing was reserved or spent before the first record.
import { createHash } from "node:crypto";
import type { Pairs } from "../../host/abi.ts";
import type { FakeClock } from "../../host/clock.ts";
import { exchange, type UpstreamResponse } from "../../host/exchange.ts";
import { advance, createVm, type Vm } from "../../host/vm.ts";
import { controlCallouts } from "../control/callouts.ts";
import { WeirError } from "../errors.ts";
import { ledgerCallouts } from "../ledger/in-process.ts";
import { LocalLedger } from "../ledger/local.ts";
import type { ReplayRecord } from "./replay-record.ts";

/** Larger than any body that a policy may allow. */
const BODY_BUFFER_BYTES = 32 << 20;
/** Of a longer pause so much is gone through tick by tick: by then leases have been reported and given back. */
const TICKED_MS_MAX = 60_000;
const DEFAULT_HEADERS = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

export interface Verdict {
  /** "ok", "ok;shadow=…" or a code. */
  readonly verdict: string;
  readonly status: number;
  /** The message of a refusal; else empty. */
  readonly message: string;
}

interface KeyEntry {
  sha256: string;
  subject: string;
  tier: string;
}

interface Policy {
  tiers: Record<string, unknown>;
  keys?: KeyEntry[];
  identity?: { headers?: string[] };
}

/** Who the records' callers are, as far as it decides which key they show. */
export interface Callers {
  readonly digests: Set<string>;
  /** Subject to the tier that its records name. */
  readonly subjects: Map<string, string | undefined>;
}

export function newCallers(): Callers {
  return { digests: new Set(), subjects: new Map() };
}

export function noteCaller(callers: Callers, { keySha256, subject, tier }: ReplayRecord): void {
  if (keySha256) callers.digests.add(keySha256);
  else if (subject) callers.subjects.set(subject, tier ?? callers.subjects.get(subject));
}

/** The key that a record shows here; undefined: none. */
function keyOf({ keySha256, subject }: ReplayRecord): string | undefined {
  if (keySha256) return `weir-replay-${keySha256}`;
  return subject ? `weir-replay-${subject}` : undefined;
}

const digestOf = (key: string) => createHash("sha256").update(key).digest("hex");

/** The policy with a key of ours for each caller that it knows. A caller it does not know is refused, as it would be. */
function withKeys(policy: Policy, callers: Callers): Policy {
  const keys = policy.keys ?? [];
  const byDigest = new Map(keys.map((entry) => [entry.sha256.toLowerCase(), entry]));
  const bySubject = new Map(keys.map((entry) => [entry.subject, entry]));
  const added: KeyEntry[] = [];
  for (const digest of callers.digests) {
    const entry = byDigest.get(digest);
    if (entry) added.push({ ...entry, sha256: digestOf(`weir-replay-${digest}`) });
  }
  for (const [subject, tier] of callers.subjects) {
    const known = tier !== undefined && Object.hasOwn(policy.tiers, tier) ? { subject, tier } : undefined;
    const entry = bySubject.get(subject) ?? known;
    if (entry) added.push({ ...entry, sha256: digestOf(`weir-replay-${subject}`) });
  }
  return { ...policy, keys: [...keys, ...added] };
}

/** One policy with its filter, its ledger and its local limits. Several share a clock. */
export class Replayed {
  readonly #vm: Vm;
  readonly #header: string;

  /** The first 8 lines of what the filter complained of. */
  readonly #said: string[] = [];

  private constructor(policy: string, callers: Callers, wasm: WebAssembly.Module, clock: FakeClock) {
    const parsed = JSON.parse(policy) as Policy;
    const headers = parsed.identity?.headers ?? DEFAULT_HEADERS;
    this.#header = headers.includes("authorization") ? "authorization" : (headers[0] ?? "authorization");
    const ledger = new LocalLedger({ clock: () => Number(clock.now() / 1_000_000n) });
    this.#vm = createVm({
      wasm,
      profile: "envoy",
      clock,
      bodyBufferBytes: BODY_BUFFER_BYTES,
      callouts: controlCallouts(ledgerCallouts(ledger)),
      plugins: [{ configuration: JSON.stringify(withKeys(parsed, callers)) }],
      log: (level, text) => {
        if (level !== "info" && this.#said.length < 8) this.#said.push(text);
      },
    });
  }

  /**
   * Ready for the first record. Throws WeirError `invalid_argument` when the filter refuses the policy together with the
   * callers' keys, or the table of its rules.
   */
  static async open(
    policy: string,
    callers: Callers,
    wasm: WebAssembly.Module,
    clock: FakeClock,
  ): Promise<Replayed> {
    const replayed = new Replayed(policy, callers, wasm, clock);
    const vm = replayed.#vm;
    // The first tick asks for the policy's own rules.
    vm.tick();
    await vm.settled();
    if (!vm.roots[0]?.ok || replayed.#said.length > 0)
      throw new WeirError(
        "invalid_argument",
        `the policy with the records' callers: ${replayed.#said.join("; ")}`,
      );
    return replayed;
  }

  get vm(): Vm {
    return this.#vm;
  }

  async serve(record: ReplayRecord): Promise<Verdict> {
    const key = keyOf(record);
    const shown = this.#header === "authorization" ? `Bearer ${key}` : (key ?? "");
    const headers: Pairs = [
      ...(record.body !== undefined && !("content-type" in record.headers)
        ? ([["content-type", "application/json"]] as Pairs)
        : []),
      ...(key ? ([[this.#header, shown]] as Pairs) : []),
      ...Object.entries(record.headers),
    ];
    const address = record.address.includes(":") ? `[${record.address}]` : record.address;
    const answer = await exchange(
      this.#vm,
      {
        method: record.method,
        path: record.path,
        headers,
        ...(record.body !== undefined && { body: record.body }),
        properties: new Map([["source.address", `${address}:1`]]),
      },
      () => upstream(record),
    );
    const verdict = answer.header("x-weir-verdict") ?? `status ${answer.status}`;
    return {
      verdict,
      status: answer.status,
      message: verdict.startsWith("ok") ? "" : messageOf(answer.body),
    };
  }
}

/** The upstream's answer as far as the record tells: its status if Weir let the request through, and its usage. */
function upstream(record: ReplayRecord): UpstreamResponse {
  const passed = record.verdict?.startsWith("ok") ?? false;
  const status = (passed && record.status) || 200;
  return {
    status,
    headers: { "content-type": "application/json" },
    body: record.usage ? JSON.stringify(usageBody(record.path, record.usage)) : "{}",
  };
}

/** Usage as the API of `path` tells it. */
function usageBody(path: string, { prompt, completion }: NonNullable<ReplayRecord["usage"]>): object {
  if (/:(stream)?generateContent/i.test(path))
    return { usageMetadata: { promptTokenCount: prompt, candidatesTokenCount: completion } };
  if (/\/(messages|responses)(\?|$)/.test(path))
    return { usage: { input_tokens: prompt, output_tokens: completion } };
  return {
    choices: [],
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  };
}

function messageOf(body: Buffer): string {
  try {
    return (JSON.parse(body.toString()) as { error?: { message?: string } }).error?.message ?? "";
  } catch {
    return "";
  }
}

/** Moves the clock to a record's time. A time that is not later than the clock's is now. True: it was earlier. */
export async function moveTo(
  clock: FakeClock,
  replayed: readonly Replayed[],
  timeMs: number,
): Promise<boolean> {
  const ms = Number(BigInt(timeMs) * 1_000_000n - clock.now()) / 1e6;
  if (ms <= 0) return ms < 0;
  const vms = replayed.map(({ vm }) => vm);
  await advance(clock, vms, Math.min(ms, TICKED_MS_MAX));
  if (ms > TICKED_MS_MAX) clock.move(ms - TICKED_MS_MAX);
  return false;
}
