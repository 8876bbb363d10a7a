/**
 * The protocol's side of the ledger: proto/weir/v1/ledger.proto ↔ types.ts. Translation only; checks are in validate.ts.
 *
 * A batch of reports is applied one by one, each atomically. A malformed report gets the status INVALID of its own, so
 * that it cannot keep the others of its batch away; where the store is away for some of them (a node of a cluster), those stay
 * without a status. If it is for all, or the edge does not know that, the whole call fails. The edge repeats what was not
 * answered, which is safe.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { type ErrorCode, WeirError } from "../errors.ts";
import {
  type AcquireRequest,
  type AcquireResponse,
  AcquireResponseSchema,
  Ledger as LedgerService,
  Meter as MeterPb,
  OnExpiry as OnExpiryPb,
  Outcome,
  type ReleaseRequest,
  type ReleaseResponse,
  ReleaseResponseSchema,
  type Report,
  ReportStatus as ReportStatusPb,
  type SettleRequest,
  type SettleResponse,
  SettleResponseSchema,
  Window as WindowPb,
} from "../gen/weir/v1/ledger_pb.ts";
import { type UnaryMethod, unary } from "./grpc-web.ts";
import {
  type Acquire,
  type AcquireReply,
  type Ledger,
  LIMITS,
  type Meter,
  type Notice,
  type ReportReply,
  type ReportStatus,
  type Settle,
  type Warning,
  type Window,
} from "./types.ts";

/** How a call ended: `denied` and `busy` are answers, `invalid` is the caller's fault, `error` is not. */
export type CallOutcome = "ok" | "denied" | "busy" | "invalid" | "error";

export interface ServiceHooks {
  /** Each call of a proxy. For metrics. */
  readonly onCall?: (method: "acquire" | "settle" | "release", seconds: number, outcome: CallOutcome) => void;
  /** What became of the reports of one message. */
  readonly onReports?: (statuses: readonly ReportStatus[]) => void;
  /** Budgets that crossed 80 % or 100 %, told by this sidecar; each once per window, as far as it knows. */
  readonly onNotices?: (notices: readonly Notice[]) => void;
  /** How many of them nobody has told yet, as each sweep of all organisations finds it. */
  readonly onUntold?: (notices: number) => void;
  /** What a caller was told only a code of; with the cause, for the log. */
  readonly onError?: (error: WeirError) => void;
  /** An edge asked for what cannot be, such as a budget in a time zone that is none. It tells its callers only that it failed. */
  readonly onInvalid?: (error: WeirError) => void;
}

const METERS: Record<MeterPb, Meter | null> = {
  [MeterPb.UNSPECIFIED]: null,
  [MeterPb.REQUESTS]: "requests",
  [MeterPb.TOKENS]: "tokens",
  [MeterPb.PROMPT_TOKENS]: "prompt_tokens",
  [MeterPb.COMPLETION_TOKENS]: "completion_tokens",
  [MeterPb.COST]: "cost",
};

const WINDOWS: Record<WindowPb, Window | null> = {
  [WindowPb.UNSPECIFIED]: null,
  [WindowPb.HOUR]: "hour",
  [WindowPb.DAY]: "day",
  [WindowPb.WEEK]: "week",
  [WindowPb.MONTH]: "month",
};

const STATUSES: Record<ReportStatus, ReportStatusPb> = {
  applied: ReportStatusPb.APPLIED,
  stale: ReportStatusPb.STALE,
  unknown_lease: ReportStatusPb.UNKNOWN_LEASE,
  closed: ReportStatusPb.CLOSED,
  invalid: ReportStatusPb.INVALID,
};

const CODES: Record<ErrorCode, Code> = {
  invalid_argument: Code.InvalidArgument,
  conflict: Code.AlreadyExists,
  unavailable: Code.Unavailable,
  refused: Code.FailedPrecondition,
  resource_exhausted: Code.ResourceExhausted,
  internal: Code.Internal,
};

export function connectCode(code: ErrorCode): Code {
  return CODES[code];
}

/** Beyond 2^53-1 the conversion is inexact but stays beyond, and validate.ts refuses it. */
const amount = (value: bigint): number => Number(value);

function named<K extends number, V>(table: Record<K, V | null>, value: K, path: string): V {
  // An open enum: a newer edge may send what this table does not have.
  const found = table[value] as V | null | undefined;
  if (found === null || found === undefined)
    throw new WeirError("invalid_argument", `${path}: ${value}: expected a known value`);
  return found;
}

function acquireCommand(request: AcquireRequest): Acquire {
  return {
    kind: "acquire",
    leaseId: request.leaseId,
    edge: request.edge,
    subject: request.subject,
    ttlMs: request.ttlMs,
    onExpiry: request.onExpiry === OnExpiryPb.CHARGE_ALL ? "charge_all" : "charge_reported",
    budgets: request.budgets.map((budget, i) => ({
      name: budget.name,
      subject: budget.subject,
      meter: named(METERS, budget.meter, `budgets[${i}].meter`),
      limit: amount(budget.limit),
      window: named(WINDOWS, budget.window, `budgets[${i}].window`),
      timeZone: budget.timeZone === "" ? "UTC" : budget.timeZone,
      billingDay: budget.billingDay === 0 ? 1 : budget.billingDay,
      modelClass: budget.modelClass,
      need: amount(budget.need),
      want: amount(budget.want),
    })),
  };
}

function warningMessage(warning: Warning | null) {
  if (warning === null) return {};
  const { budget, percent, resetMs } = warning;
  return { warning: { budget, percent, resetSeconds: Math.ceil(resetMs / 1_000) } };
}

function acquireResponse(reply: AcquireReply): MessageInitShape<typeof AcquireResponseSchema> {
  const notices = [...reply.notices];
  if (reply.outcome === "granted")
    return {
      outcome: Outcome.GRANTED,
      granted: reply.granted.map(BigInt),
      remaining: reply.remaining.map(BigInt),
      usableMs: reply.usableMs,
      ...warningMessage(reply.warning),
      notices,
    };
  return {
    outcome: Outcome.DENIED,
    deniedBudget: reply.budget,
    limit: BigInt(reply.limit),
    used: BigInt(reply.used),
    window: reply.window,
    resetSeconds: Math.ceil(reply.resetMs / 1_000),
    never: reply.never,
    busy: reply.busy,
    notices,
  };
}

function settleCommand(report: Report): Settle {
  return {
    kind: "settle",
    leaseId: report.leaseId,
    subject: report.subject,
    sequence: amount(report.sequence),
    spent: report.spent.map(amount),
    final: report.final,
  };
}

export interface LedgerHandlers {
  acquire(request: AcquireRequest): Promise<AcquireResponse>;
  settle(request: SettleRequest): Promise<SettleResponse>;
  release(request: ReleaseRequest): Promise<ReleaseResponse>;
}

/** The service's methods on a ledger. They reject with ConnectError. */
export function ledgerHandlers(ledger: Ledger, hooks: ServiceHooks = {}): LedgerHandlers {
  const told = <T extends { readonly notices: readonly Notice[] }>(reply: T): T => {
    if (reply.notices.length > 0) hooks.onNotices?.(reply.notices);
    return reply;
  };

  const guarded = async <T>(
    method: "acquire" | "settle" | "release",
    work: () => Promise<T>,
    outcomeOf: (answer: T) => CallOutcome = () => "ok",
  ): Promise<T> => {
    const started = performance.now();
    let outcome: CallOutcome = "error";
    try {
      const answer = await work();
      outcome = outcomeOf(answer);
      return answer;
    } catch (thrown) {
      const error = WeirError.from(thrown);
      if (error.code === "invalid_argument") {
        outcome = "invalid";
        hooks.onInvalid?.(error);
      } else hooks.onError?.(error);
      throw new ConnectError(error.message, connectCode(error.code));
    } finally {
      hooks.onCall?.(method, (performance.now() - started) / 1_000, outcome);
    }
  };

  const settleOne = async (report: Report): Promise<ReportReply> => {
    try {
      return told(await ledger.settle(settleCommand(report)));
    } catch (thrown) {
      const error = WeirError.from(thrown);
      if (error.code === "invalid_argument")
        return { status: "invalid", usableMs: 0, warning: null, notices: [] };
      throw error;
    }
  };

  /** Undefined for what failed, if it may fail in part and not all did. */
  const settleAll = async (
    reports: readonly Report[],
    partly: boolean,
  ): Promise<(ReportReply | undefined)[]> => {
    const count = reports.length;
    if (count > LIMITS.reportsPerSettle)
      throw new WeirError(
        "invalid_argument",
        `reports: ${count}: expected at most ${LIMITS.reportsPerSettle}`,
      );
    const failures: unknown[] = [];
    const replies = await Promise.all(
      reports.map((report) => settleOne(report).catch((thrown) => void failures.push(thrown))),
    );
    const answered = replies.flatMap((reply) => reply ?? []);
    if (failures.length > 0 && (!partly || answered.length === 0)) throw failures[0];
    for (const failure of failures) hooks.onError?.(WeirError.from(failure));
    if (answered.length > 0) hooks.onReports?.(answered.map(({ status }) => status));
    return replies.map((reply) => reply ?? undefined);
  };

  return {
    acquire: (request) =>
      guarded(
        "acquire",
        async () => {
          const command = acquireCommand(request);
          await settleAll(request.reports, false);
          const reply = told(await ledger.acquire(command));
          return create(AcquireResponseSchema, acquireResponse(reply));
        },
        ({ outcome, busy }) => (outcome === Outcome.GRANTED ? "ok" : busy ? "busy" : "denied"),
      ),

    settle: (request) =>
      guarded("settle", async () => {
        const replies = await settleAll(request.reports, request.partly);
        return create(SettleResponseSchema, {
          results: replies.map((reply) =>
            reply === undefined
              ? {}
              : {
                  status: STATUSES[reply.status],
                  usableMs: reply.usableMs,
                  ...warningMessage(reply.warning),
                  notices: [...reply.notices],
                },
          ),
        });
      }),

    release: (request) =>
      guarded("release", async () => {
        const { leaseId, subject } = request;
        const reply = told(await ledger.release({ kind: "release", leaseId, subject }));
        return create(ReleaseResponseSchema, {
          status: STATUSES[reply.status],
          notices: [...reply.notices],
        });
      }),
  };
}

/** Adds the ledger's service to a router. */
export function serveLedger(router: ConnectRouter, handlers: LedgerHandlers): void {
  router.service(LedgerService, { ...handlers });
}

/** The same methods for grpc-web.ts, by path. */
export function ledgerMethods(handlers: LedgerHandlers): Map<string, UnaryMethod> {
  const { acquire, settle, release } = LedgerService.method;
  const path = (method: { name: string }): string => `/${LedgerService.typeName}/${method.name}`;
  return new Map([
    [path(acquire), unary(acquire.input, acquire.output, handlers.acquire)],
    [path(settle), unary(settle.input, settle.output, handlers.settle)],
    [path(release), unary(release.input, release.output, handlers.release)],
  ]);
}
