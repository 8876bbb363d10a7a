/**
 * What people do with a ledger (`Books`), and the same over the wire: proto/weir/v1/ledger_admin.proto ↔ types.ts. The
 * command line works on Books, whether they are the store itself or a running sidecar's.
 *
 * A bearer token guards every call; it is compared by its digest, in constant time. Without a token in the settings the
 * service is not there at all.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { create, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  type HandlerContext,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ErrorCode, WeirError } from "../errors.ts";
import {
  AdjustResponseSchema,
  type BudgetStateSchema,
  GetOrganisationResponseSchema,
  type JournalLineSchema,
  type LeaseStateSchema,
  LedgerAdmin,
  ListOrganisationsResponseSchema,
} from "../gen/weir/v1/ledger_admin_pb.ts";
import { connectCode, type ServiceHooks } from "./service.ts";
import {
  type AdjustReply,
  type BudgetRecord,
  isWithin,
  type JournalEntry,
  type LeaseRecord,
  type Ledger,
  organisationOf,
  subjectOf,
} from "./types.ts";

/** The part of a ledger that people use. */
export interface Books extends Pick<Ledger, "organisations" | "budgets" | "adjust" | "close"> {
  /** All that is kept of a subject and of those below it; from a sidecar of one moment. */
  book(subject: string): Promise<Book>;
}

export interface Book {
  /** The ledger's time, in ms since the epoch. */
  readonly now: number;
  readonly budgets: BudgetRecord[];
  readonly leases: LeaseRecord[];
  readonly journal: JournalEntry[];
}

/** The books of a store. */
export function booksOf(ledger: Ledger): Books {
  return {
    organisations: () => ledger.organisations(),
    budgets: (subject) => ledger.budgets(subject),
    book: (subject) => bookOf(ledger, subject),
    adjust: (command) => ledger.adjust(command),
    close: () => ledger.close(),
  };
}

async function bookOf(ledger: Ledger, subject: string): Promise<Book> {
  const organisation = organisationOf(subject);
  const concerns = (key: string): boolean => isWithin(subjectOf(key), subject);
  const budgets = await ledger.budgets(subject);
  const leases = await ledger.leases(organisation);
  const journal = await ledger.journal(organisation);
  return {
    now: ledger.now(),
    budgets,
    leases: leases.filter(({ entries }) => entries.some(({ budget }) => concerns(budget))),
    journal: journal.filter(({ budget }) => concerns(budget)),
  };
}

/** What one message has of budgets, leases or lines: making it takes a few milliseconds, in which no proxy is answered. */
const PART = 500;

function* parts<T>(items: readonly T[]): Generator<T[]> {
  for (let i = 0; i < items.length; i += PART) yield items.slice(i, i + PART);
}

/** What tells the sidecar's refusal of a token from that of whatever else listens at an address, such as the proxy. */
const TOKEN_EXPECTED = "expected the admin token";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Adds the service to a router. */
export function serveAdmin(router: ConnectRouter, ledger: Ledger, token: string, hooks: ServiceHooks): void {
  const expected = digest(`Bearer ${token}`);

  const guarded = async <T>(context: HandlerContext, work: () => Promise<T>): Promise<T> => {
    const given = digest(context.requestHeader.get("authorization") ?? "");
    if (!timingSafeEqual(given, expected)) throw new ConnectError(TOKEN_EXPECTED, Code.Unauthenticated);
    try {
      return await work();
    } catch (thrown) {
      const error = WeirError.from(thrown);
      hooks.onError?.(error);
      throw new ConnectError(error.message, connectCode(error.code));
    }
  };

  router.service(LedgerAdmin, {
    listOrganisations: (_request, context) =>
      guarded(context, async () =>
        create(ListOrganisationsResponseSchema, { organisations: await ledger.organisations() }),
      ),
    getOrganisation: async function* ({ organisation, subject }, context) {
      const { now, budgets, leases, journal } = await guarded(context, () =>
        bookOf(ledger, subject || organisation),
      );
      const part = (some: MessageInitShape<typeof GetOrganisationResponseSchema>) =>
        create(GetOrganisationResponseSchema, some);
      yield part({ nowMs: BigInt(now) });
      for (const some of parts(budgets)) yield part({ budgets: some.map(budgetState) });
      for (const some of parts(leases)) yield part({ leases: some.map(leaseState) });
      for (const some of parts(journal)) yield part({ journal: some.map(journalLine) });
    },
    adjust: (request, context) =>
      guarded(context, async () => {
        const { id, organisation: subject, budget, by, reason } = request;
        const amount = Number(request.amount);
        const reply = await ledger.adjust({ kind: "adjust", id, subject, budget, amount, by, reason });
        if (reply.notices.length > 0) hooks.onNotices?.(reply.notices);
        return create(AdjustResponseSchema, { status: reply.status, spent: BigInt(reply.spent) });
      }),
  });
}

function budgetState(record: BudgetRecord) {
  const { key, leases, notified } = record;
  return {
    key,
    leases,
    notified,
    startMs: BigInt(record.start),
    endMs: BigInt(record.end),
    limit: BigInt(record.limit),
    limitMax: BigInt(record.limitMax),
    spent: BigInt(record.spent),
    outstanding: BigInt(record.outstanding),
    debt: BigInt(record.debt),
    keepUntilMs: BigInt(record.keepUntil),
  };
}

function leaseState(lease: LeaseRecord) {
  const { id, edge, subject, ttlMs, onExpiry } = lease;
  return {
    id,
    edge,
    subject,
    ttlMs,
    onExpiry,
    sequence: BigInt(lease.sequence),
    windowEndMs: BigInt(lease.windowEnd),
    usableUntilMs: BigInt(lease.usableUntil),
    expiresAtMs: BigInt(lease.expiresAt),
    entries: lease.entries.map((entry) => ({
      budget: entry.budget,
      granted: BigInt(entry.granted),
      spent: BigInt(entry.spent),
      charged: BigInt(entry.charged),
      returned: BigInt(entry.returned),
      remaining: BigInt(entry.remaining),
    })),
  };
}

function journalLine({ at, kind, budget, leaseId, edge, amount, reason }: JournalEntry) {
  return { atMs: BigInt(at), kind, budget, leaseId, edge, amount: BigInt(amount), reason };
}

function budgetRecord(state: MessageShape<typeof BudgetStateSchema>): BudgetRecord {
  return {
    key: state.key,
    start: Number(state.startMs),
    end: Number(state.endMs),
    limit: Number(state.limit),
    limitMax: Number(state.limitMax),
    spent: Number(state.spent),
    outstanding: Number(state.outstanding),
    debt: Number(state.debt),
    leases: state.leases,
    keepUntil: Number(state.keepUntilMs),
    notified: state.notified as BudgetRecord["notified"],
  };
}

function leaseRecord(state: MessageShape<typeof LeaseStateSchema>): LeaseRecord {
  const { id, edge, subject, ttlMs } = state;
  return {
    id,
    edge,
    subject,
    ttlMs,
    state: "open",
    sequence: Number(state.sequence),
    onExpiry: state.onExpiry as LeaseRecord["onExpiry"],
    windowEnd: Number(state.windowEndMs),
    usableUntil: Number(state.usableUntilMs),
    expiresAt: Number(state.expiresAtMs),
    forgetAt: Number.POSITIVE_INFINITY,
    entries: state.entries.map((entry) => ({
      budget: entry.budget,
      granted: Number(entry.granted),
      spent: Number(entry.spent),
      charged: Number(entry.charged),
      returned: Number(entry.returned),
      remaining: Number(entry.remaining),
    })),
  };
}

function journalEntry(line: MessageShape<typeof JournalLineSchema>): JournalEntry {
  const { budget, leaseId, edge, reason } = line;
  const kind = line.kind as JournalEntry["kind"];
  return { at: Number(line.atMs), kind, budget, leaseId, edge, amount: Number(line.amount), reason };
}

/** Answers after which nothing was done; of every other failure nobody knows. */
const REFUSALS: ReadonlyMap<Code, ErrorCode> = new Map([
  [Code.InvalidArgument, "invalid_argument"],
  [Code.Unauthenticated, "invalid_argument"],
  [Code.Unimplemented, "invalid_argument"],
  [Code.NotFound, "invalid_argument"],
  [Code.AlreadyExists, "conflict"],
  [Code.FailedPrecondition, "refused"],
]);

/** What an error that came from `baseUrl` means for who asked. */
function reasonOf(baseUrl: string, code: Code, message: string): string {
  if (code === Code.Unauthenticated && message === TOKEN_EXPECTED)
    return "the sidecar refused the token: WEIR_ADMIN_TOKEN must be the one it was started with";
  if (code === Code.Unauthenticated)
    return `what answers at ${baseUrl} wants another login than a sidecar does: is it the proxy? expected the sidecar's own address`;
  if (code === Code.Unimplemented || code === Code.NotFound)
    return `no admin service answers at ${baseUrl}: start the sidecar with WEIR_ADMIN_TOKEN set, or give the sidecar's own address`;
  return `the sidecar at ${baseUrl}: ${message}`;
}

/** A hundred thousand budgets take a busy sidecar a quarter of it. */
const BOOK_MS = 60_000;

/** The books of a running sidecar. Calls throw WeirError with what the sidecar said, `unavailable` if it may have been done. */
export function remoteBooks(baseUrl: string, token: string): Books {
  const transport = createConnectTransport({ baseUrl, httpVersion: "1.1", defaultTimeoutMs: 10_000 });
  const client = createClient(LedgerAdmin, transport);
  const headers = { authorization: `Bearer ${token}` };
  const asked = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      const { code, rawMessage } = ConnectError.from(thrown);
      const hint = reasonOf(baseUrl, code, rawMessage);
      throw new WeirError(REFUSALS.get(code) ?? "unavailable", hint, thrown);
    }
  };
  const book = (subject: string): Promise<Book> =>
    asked(
      (async () => {
        const all = {
          now: Date.now(),
          budgets: [] as BudgetRecord[],
          leases: [] as LeaseRecord[],
          journal: [] as JournalEntry[],
        };
        const request = { organisation: organisationOf(subject), subject };
        for await (const part of client.getOrganisation(request, { headers, timeoutMs: BOOK_MS })) {
          if (part.nowMs > 0n) all.now = Number(part.nowMs);
          all.budgets.push(...part.budgets.map(budgetRecord));
          all.leases.push(...part.leases.map(leaseRecord));
          all.journal.push(...part.journal.map(journalEntry));
        }
        return all;
      })(),
    );
  return {
    organisations: async () => (await asked(client.listOrganisations({}, { headers }))).organisations,
    budgets: async (subject) => (await book(subject)).budgets,
    book,
    adjust: async ({ id, subject, budget, amount, by, reason }) => {
      const request = { id, organisation: subject, budget, amount: BigInt(amount), by, reason };
      const { status, spent } = await asked(client.adjust(request, { headers }));
      return { status: status as AdjustReply["status"], spent: Number(spent), notices: [] };
    },
    close: async () => undefined,
  };
}
