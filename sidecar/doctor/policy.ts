/**
 * What the doctor needs to know of a policy. The filter alone says whether a policy is valid; here it is only read, with
 * the defaults of catalog/policy.schema.json, and what is not there or odd is left out.
 */
import { createHash } from "node:crypto";

const BODY_BYTES_DEFAULT = 1 << 20;
/** Where the ledger is asked unless a policy says otherwise. */
export const CLUSTER_DEFAULT = "weir_sidecar";

interface Tier {
  tokens?: string;
  cost?: string;
  budgets?: { models?: unknown }[];
  prompt?: { max_bytes?: number | string; injection?: string };
}

interface Key {
  sha256?: string;
  subject?: string;
  tier?: string;
  expires?: string;
  not_before?: string;
}

export interface PolicyDocument {
  tiers?: Record<string, Tier>;
  keys?: Key[];
  identity?: { trusted_hops?: number; claims?: { metadata?: string } };
  ledger?: { cluster?: string; sync?: string };
  rules?: unknown[];
  events?: object;
  hold_headers?: boolean;
}

/** The policy in a JSON text; undefined if it is none. */
export function parsePolicy(text: string): PolicyDocument | undefined {
  try {
    const value = JSON.parse(text) as PolicyDocument | null;
    return typeof value === "object" && value?.tiers ? value : undefined;
  } catch {
    return undefined;
  }
}

const UNITS: Record<string, number> = { "": 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20 };

/** A quantity as policies write it; undefined for anything else. */
export function quantity(value: number | string | undefined): number | undefined {
  const match = /^(\d+(?:\.\d{1,3})?)(k|M|G|Ki|Mi)?$/.exec(String(value));
  return match ? Number(match[1]) * (UNITS[match[2] ?? ""] ?? 1) : undefined;
}

const bytesOf = (tier: Tier | undefined) => quantity(tier?.prompt?.max_bytes) ?? BODY_BYTES_DEFAULT;

/** The largest body that some tier lets in. */
export function bodyBytesMax({ tiers = {} }: PolicyDocument): number {
  return Math.max(...Object.values(tiers).map(bytesOf));
}

/** What the proxies of the deployments buffer where no tier lets in more. */
const BUFFER_BYTES = 4 << 20;
/** Above the largest body that some tier lets in: what a proxy cannot buffer it answers itself. */
const BUFFER_SPARE_BYTES = 1 << 20;

/** What a proxy should buffer for this policy. */
export function bufferBytes(policy: PolicyDocument): number {
  return Math.max(BUFFER_BYTES, Math.ceil(bodyBytesMax(policy)) + BUFFER_SPARE_BYTES);
}

const hasBudget = (tier: Tier | undefined) =>
  tier?.tokens !== undefined || tier?.cost !== undefined || (tier?.budgets ?? []).length > 0;

/** What happens without the sidecar because of what the policy has; nothing where it does not need one. */
export function withoutSidecar({ tiers = {}, rules, events }: PolicyDocument): string[] {
  return [
    ...(Object.values(tiers).some(hasBudget)
      ? ["every request of a tier with budgets is refused as ledger_unavailable"]
      : []),
    ...(rules ? ["every request of a tier that inspects is refused as rules_unavailable"] : []),
    ...(events ? ["events are lost"] : []),
  ];
}

export function ledgerCluster({ ledger = {} }: PolicyDocument): string {
  return ledger.cluster ?? CLUSTER_DEFAULT;
}

export interface Caller {
  readonly subject: string;
  readonly tier: string;
  readonly bodyBytesMax: number;
  readonly budgeted: boolean;
  /** `block`, `shadow` or `off`. */
  readonly injection: string;
  /** Whether the key's time has not come yet, or is over. */
  readonly outdated: boolean;
}

/** Whose key this is; undefined if the policy does not have it. Only its digest is looked at. */
export function callerOf(
  { keys = [], tiers = {} }: PolicyDocument,
  key: string,
  now: number,
): Caller | undefined {
  const digest = createHash("sha256").update(key).digest("hex");
  const entry = keys.find(({ sha256 }) => sha256?.toLowerCase() === digest);
  if (!entry) return undefined;
  const tier = tiers[entry.tier ?? ""];
  return {
    subject: entry.subject ?? "",
    tier: entry.tier ?? "",
    bodyBytesMax: bytesOf(tier),
    budgeted: hasBudget(tier),
    injection: tier?.prompt?.injection ?? "block",
    outdated: Date.parse(entry.expires ?? "") <= now || Date.parse(entry.not_before ?? "") > now,
  };
}
