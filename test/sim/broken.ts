/**
 * Ledgers that are wrong on purpose, each in one way that real ones have been. The simulation must catch every one of
 * them; if it does not, the simulation is what is broken.
 */
import { apply } from "../../sidecar/ledger/machine.ts";
import type { State } from "../../sidecar/ledger/state.ts";
import { type Command, organisationOf, type Reply } from "../../sidecar/ledger/types.ts";

export type Apply = (state: State, command: Command, now: number) => Reply;

export const BROKEN: Readonly<Record<string, Apply>> = {
  "a repeated Acquire debits again": (state, command, now) => {
    if (command.kind !== "acquire") return apply(state, command, now);
    const org = state.organisation(organisationOf(command.subject));
    const known = org.leases.has(command.leaseId);
    return apply(state, known ? { ...command, leaseId: `${command.leaseId}-again-${now}` } : command, now);
  },
  "a repeated report counts again": (state, command, now) => {
    if (command.kind !== "settle") return apply(state, command, now);
    const lease = state.organisation(organisationOf(command.subject)).leases.get(command.leaseId);
    if (lease === undefined || command.sequence > lease.sequence) return apply(state, command, now);
    const spent = lease.entries.map((entry, i) => entry.spent + (command.spent[i] ?? 0));
    return apply(state, { ...command, sequence: lease.sequence + 1, spent }, now);
  },
  "more is granted than is left": (state, command, now) => {
    if (command.kind !== "acquire") return apply(state, command, now);
    const budgets = command.budgets.map((budget) => ({ ...budget, limit: budget.limit + budget.need }));
    return apply(state, { ...command, budgets }, now);
  },
  "a late report is lost": (state, command, now) => {
    if (command.kind !== "settle") return apply(state, command, now);
    const lease = state.organisation(organisationOf(command.subject)).leases.get(command.leaseId);
    const late = lease !== undefined && (lease.state !== "open" || lease.expiresAt <= now);
    return late ? { status: "closed", usableMs: 0, warning: null, notices: [] } : apply(state, command, now);
  },
  "a repeated adjustment counts again": (state, command, now) => {
    if (command.kind !== "adjust") return apply(state, command, now);
    const known = state.organisation(organisationOf(command.subject)).leases.has(command.id);
    return apply(state, known ? { ...command, id: `${command.id}-again-${now}` } : command, now);
  },
  "leases in the way are taken for money spent": (state, command, now) => {
    const reply = apply(state, command, now);
    return "busy" in reply ? { ...reply, busy: false } : reply;
  },
  "a lease of nothing is denied on a budget that is used up": (state, command, now) => {
    const reply = apply(state, command, now);
    if (command.kind !== "acquire" || !("remaining" in reply)) return reply;
    const [first] = command.budgets;
    const full = first?.need === 0 && reply.remaining.includes(0);
    const denied = {
      outcome: "denied",
      budget: first?.name ?? "",
      limit: 0,
      used: 0,
      window: "month",
    } as const;
    return full ? { ...denied, resetMs: 0, never: false, busy: false, notices: [] } : reply;
  },
  "the rest of a final lease stays away": (state, command, now) =>
    apply(state, command.kind === "settle" ? { ...command, final: false } : command, now),
};
