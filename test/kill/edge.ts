/**
 * A model edge over the wire: unary gRPC-Web by HTTP/1.1, as the filter sends it. It leases, spends, reports and ends its
 * leases; what is not answered it repeats, unchanged, until it is. It remembers what it really spent, which is what the
 * ledger must hold in the end.
 */
import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  AcquireRequestSchema,
  type AcquireResponse,
  AcquireResponseSchema,
  Meter,
  OnExpiry,
  Outcome,
  ReportStatus,
  SettleRequestSchema,
  SettleResponseSchema,
  Window,
} from "../../sidecar/gen/weir/v1/ledger_pb.ts";
import type { Random } from "../sim/random.ts";

const ANSWER_MS = 1_500;
const PAUSE_MS = 100;
/** How long a lease lives. */
export const TTL_MS = 2_000;
const GAVE_UP = "the run is over";

export const LIMITS = { key: 2_000, team: 20_000, all: 30_000 } as const;

/** What one budget path must have been charged, by its subject. */
export type Books = Map<string, number>;

export interface Counts {
  granted: number;
  denied: number;
  repeated: number;
  reports: number;
  abandoned: number;
}

/** Sends one call once. Rejects on any failure of the connection, and with the status if the ledger refuses. */
function call<I extends DescMessage, O extends DescMessage>(
  agent: Agent,
  port: number,
  method: string,
  [input, message]: [I, MessageShape<I>],
  output: O,
): Promise<MessageShape<O>> {
  const bytes = toBinary(input, message);
  const body = Buffer.alloc(5 + bytes.length);
  body.writeUInt32BE(bytes.length, 1);
  body.set(bytes, 5);
  const headers = { "content-type": "application/grpc-web+proto", "content-length": body.length };
  const path = `/weir.v1.Ledger/${method}`;
  return new Promise((resolve, reject) => {
    const options = { agent, host: "127.0.0.1", port, path, method: "POST", headers, timeout: ANSWER_MS };
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const answer = Buffer.concat(chunks);
        if (!response.complete || answer.length < 5) reject(new Error("cut off"));
        else if (answer[0] !== 0) reject(new Error(answer.subarray(5).toString()));
        else resolve(fromBinary(output, answer.subarray(5, 5 + answer.readUInt32BE(1))));
      });
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer")));
    sent.on("error", reject);
    sent.end(body);
  });
}

export class KillEdge {
  readonly #id: string;
  readonly #port: number;
  readonly #random: Random;
  readonly #agent = new Agent({ keepAlive: true });
  readonly charged: Books = new Map();
  readonly counts: Counts = { granted: 0, denied: 0, repeated: 0, reports: 0, abandoned: 0 };
  #leases = 0;

  constructor(id: string, port: number, random: Random) {
    this.#id = id;
    this.#port = port;
    this.#random = random;
  }

  /** Works until it is told to stop, and finishes what it holds; gives up at `deadline` (by performance.now). */
  async run(stopped: () => boolean, deadline: number): Promise<void> {
    while (!stopped()) await this.#lease(deadline);
    this.#agent.destroy();
  }

  async #repeat<T>(deadline: number, once: () => Promise<T>): Promise<T> {
    for (;;)
      try {
        return await once();
      } catch (thrown) {
        if (performance.now() > deadline) throw new Error(GAVE_UP, { cause: thrown });
        this.counts.repeated++;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
  }

  async #lease(deadline: number): Promise<void> {
    const team = `org/${this.#random.pick(["a", "b"])}`;
    const paths = [`${team}/${this.#id}`, team, "org"];
    const leaseId = `${this.#id}-${++this.#leases}`;
    const acquired = await this.#acquire(leaseId, paths, deadline);
    if (acquired.outcome === Outcome.DENIED) {
      this.counts.denied++;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      return;
    }
    this.counts.granted++;
    const granted = Math.min(...acquired.granted.map(Number));
    // An edge that dies: it was granted this, and nobody will ever say what became of it. Charged whole.
    if (this.#random.chance(0.03)) {
      this.counts.abandoned++;
      acquired.granted.forEach((amount, i) => {
        this.#charge(paths[i] ?? "", Number(amount));
      });
      return;
    }
    let spent = 0;
    const reports = this.#random.between(1, 3);
    for (let sequence = 1; sequence <= reports; sequence++) {
      spent += Math.floor((granted - spent) * this.#random.next());
      await this.#report(leaseId, paths, sequence, spent, sequence === reports, deadline);
    }
    for (const path of paths) this.#charge(path, spent);
  }

  #charge(path: string, amount: number): void {
    this.charged.set(path, (this.charged.get(path) ?? 0) + amount);
  }

  async #acquire(leaseId: string, paths: string[], deadline: number): Promise<AcquireResponse> {
    const limits = [LIMITS.key, LIMITS.team, LIMITS.all];
    const need = BigInt(this.#random.between(1, 200));
    const message = create(AcquireRequestSchema, {
      leaseId,
      edge: this.#id,
      subject: paths[0] ?? "",
      ttlMs: TTL_MS,
      onExpiry: OnExpiry.CHARGE_ALL,
      budgets: paths.map((subject, i) => ({
        ...{ name: "all", subject, meter: Meter.TOKENS, limit: BigInt(limits[i] ?? 0) },
        ...{ window: Window.MONTH, need, want: need * 3n },
      })),
    });
    const once = () =>
      call(this.#agent, this.#port, "Acquire", [AcquireRequestSchema, message], AcquireResponseSchema);
    const first = await this.#repeat(deadline, once);
    // Now and then the answer is lost on its last yard: what was granted stays granted, whoever was killed meanwhile.
    if (first.outcome === Outcome.GRANTED && this.#random.chance(0.1)) {
      const again = await this.#repeat(deadline, once);
      assert.deepEqual([again.outcome, again.granted], [first.outcome, first.granted], leaseId);
    }
    return first;
  }

  async #report(
    leaseId: string,
    paths: string[],
    sequence: number,
    spent: number,
    final: boolean,
    deadline: number,
  ): Promise<void> {
    const amounts = paths.map(() => BigInt(spent));
    const report = { leaseId, subject: paths[0] ?? "", sequence: BigInt(sequence), spent: amounts, final };
    const message = create(SettleRequestSchema, { edge: this.#id, reports: [report] });
    const { results } = await this.#repeat(deadline, () =>
      call(this.#agent, this.#port, "Settle", [SettleRequestSchema, message], SettleResponseSchema),
    );
    this.counts.reports++;
    const status = results[0]?.status ?? ReportStatus.UNSPECIFIED;
    // Stale: the answer to an earlier copy was lost. Closed: the lease died during an outage, and is corrected.
    const well = [ReportStatus.APPLIED, ReportStatus.STALE, ReportStatus.CLOSED].includes(status);
    assert.ok(well, `${leaseId}, report ${sequence}: ${ReportStatus[status]}: a granted lease is lost`);
  }
}
