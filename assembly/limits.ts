// Every bound of the filter in one place, with what follows from it. Relations between them are asserted below
// when the module starts, so a change that breaks one cannot be shipped.

/** Streams that one worker serves at once; one more is refused with 503. */
export const STREAMS_MAX: i32 = 2048;
/** Root contexts (policies) of one VM: those of listeners that drain, on Envoy 10 minutes unless set, are among them. */
export const ROOTS_MAX: i32 = 256;
/** Bytes of all of them, compiled: half of what Envoy lets a module have. */
export const POLICIES_BYTES_MAX: usize = 512 << 20;
/** A policy document in bytes. */
export const POLICY_BYTES_MAX: i32 = 1 << 20;
/** Values in a policy document. */
export const POLICY_VALUES_MAX: i32 = 1 << 16;
/** Values and keys in the schema of one route. */
export const ROUTE_SCHEMA_VALUES_MAX: i32 = 2048;
/** A policy's own rules as they are sent to be compiled, in bytes. */
export const OWN_RULES_TEXT_MAX: i32 = 48 << 10;
/** The table that a policy's own rules are compiled to, in bytes: reserved while configuring. */
export const OWN_RULES_BYTES_MAX: i32 = 256 << 10;
/** Budgets that one request can be held against. */
export const BUDGETS_MAX: i32 = 8;
/** Rate limits of one tier. */
export const RATES_MAX: i32 = 4;
/** A subject in bytes: the policy's longest, or "anonymous/" and an IPv6 address. */
export const SUBJECT_MAX: i32 = 96;
/** A request's path in bytes, its query included. */
export const PATH_MAX: i32 = 256;
/** A model's name in bytes. */
export const MODEL_MAX: i32 = 128;
/** Values in a request body. */
export const BODY_VALUES_MAX: i32 = 1 << 16;
/** Nesting of a request body. */
export const BODY_DEPTH_MAX: i32 = 64;
/** A request body in bytes, whatever the policy says. */
export const BODY_BYTES_MAX: u64 = 16 << 20;
/** Header maps, shared data and properties handed over in one callback, beside the body. */
export const ARENA_BESIDE_BODY: usize = 256 << 10;

/** Shared records; a subject or an address belongs to one of them by hash. */
export const SHARDS: u32 = 4096;
/** Buckets and leases of one shared record. */
export const SHARD_BUCKETS_MAX: i32 = 64;
export const SHARD_LEASES_MAX: i32 = 128;
/** Attempts of one compare-and-set before the request is refused with 503. */
export const SWAP_TRIES: i32 = 64;

/** Shared records of what outages let through; a subject's budgets belong to one of them by hash. */
export const DEBT_RECORDS: u32 = 256;
/** Bytes of one of them: some fifty subjects with a budget or two each. */
export const DEBT_RECORD_MAX: i32 = 32 << 10;
/** Requests of which the texts are kept for their events at once, where a policy wants that. */
export const CAPTURES_MAX: i32 = 256;

/** Leases that one worker looks after (acquired and not yet finally settled). */
export const LEASES_HELD_MAX: i32 = 4096;
/** Leases of which one worker has taken something beforehand; a power of two. */
export const PURSES: u32 = 1024;
/** Reports in one Settle message: the ledger's own bound. */
export const REPORTS_MAX: i32 = 256;
/** Ledgers to which reports are under way at once from one worker. */
export const LEDGERS_MAX: i32 = 4;
/** Acquires in flight from one worker. */
export const ACQUIRES_MAX: i32 = 128;
