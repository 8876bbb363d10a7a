// The names of all headers that the filter sets, reads or removes (catalog/headers.json documents them).
import { lit } from "./slice";

export const CONTENT_TYPE = lit("content-type");
export const CONTENT_LENGTH = lit("content-length");
export const CONTENT_ENCODING = lit("content-encoding");
export const CONTENT_DIGEST = lit("content-digest");
export const CONTENT_MD5 = lit("content-md5");
export const REPR_DIGEST = lit("repr-digest");
export const DIGEST = lit("digest");
export const ETAG = lit("etag");
export const ACCEPT_ENCODING = lit("accept-encoding");
export const RANGE = lit("range");
export const CONTENT_RANGE = lit("content-range");
export const AUTHORIZATION = lit("authorization");
export const X_API_KEY = lit("x-api-key");
export const API_KEY = lit("api-key");
export const X_GOOG_API_KEY = lit("x-goog-api-key");
export const STATUS = lit(":status");
export const RETRY_AFTER = lit("retry-after");
/** Read by the clients of OpenAI, Anthropic, Groq and others before anything else that speaks for a retry. */
export const SHOULD_RETRY = lit("x-should-retry");
export const RATELIMIT = lit("ratelimit");
export const RATELIMIT_POLICY = lit("ratelimit-policy");
export const LIMIT_REQUESTS = lit("x-ratelimit-limit-requests");
export const REMAINING_REQUESTS = lit("x-ratelimit-remaining-requests");
export const RESET_REQUESTS = lit("x-ratelimit-reset-requests");
export const WEIR_VERDICT = lit("x-weir-verdict");
export const WEIR_BUDGET_WARNING = lit("x-weir-budget-warning");
export const WEIR_MODEL = lit("x-weir-model");
export const WEIR_REQUEST_ID = lit("x-weir-request-id");
export const WEIR_SUBJECT = lit("x-weir-subject");
export const WEIR_TIER = lit("x-weir-tier");
export const WEIR_LANE = lit("x-weir-lane");
export const TRACEPARENT = lit("traceparent");
export const TRACESTATE = lit("tracestate");

export const JSON_TYPE = lit("application/json");
