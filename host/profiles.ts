// What each real host allows, as one table. Nothing else in host/ asks which host it plays: it asks this.
//
// Observed by running Envoy 1.39 and Kong's ngx_wasm_module (Gateway 3.4 to 3.10); where running told nothing,
// their sources (envoy source/extensions/common/wasm/context.cc, ngx_wasm_module src/common/proxy_wasm).
import { Phase } from "./abi.ts";

export type ProfileName = "envoy" | "ngx_wasm";

export interface Profile {
  readonly name: ProfileName;
  /** Functions of the ABI that this host does not link. */
  readonly unlinked: ReadonlySet<string>;
  /** Functions that link and trap when called. */
  readonly trapping: ReadonlySet<string>;
  /** Phases (bit masks) in which a function may be called; elsewhere it is a violation. */
  readonly calloutPhases: number;
  readonly localResponsePhases: number;
  readonly requestBodyPhases: number;
  readonly responseBodyPhases: number;
  readonly setRequestHeadersPhases: number;
  readonly setResponseHeadersPhases: number;
  /** Misuse (a pointer outside memory, a partial body read) traps; else it gets an error status. */
  readonly trapsOnMisuse: boolean;
  /** Callbacks may return only 0 and 1, and only request callbacks may pause. */
  readonly binaryActions: boolean;
  /** The request body comes once and whole; without one the callback does not come. */
  readonly wholeRequestBody: boolean;
  /** A paused request goes on by itself when its last callout's callback has returned. */
  readonly resumesAfterCallouts: boolean;
  /** `proxy_set_effective_context` does nothing; a callout's callback acts on the stream that made it. */
  readonly contextFixed: boolean;
  /** A message's headers are out of the guest's reach once they went on (until the log callback). */
  readonly headersLeave: boolean;
  /** A local response passes through the guest's own response callbacks. */
  readonly localResponseFiltered: boolean;
  /** `proxy_set_shared_data` with cas 0 overwrites; else it only creates. */
  readonly cas0Overwrites: boolean;
  /** Functions are strict about which metric kind they take. */
  readonly metricKindsChecked: boolean;
  /** Numbers among the properties are 8-byte little-endian integers; else decimal text. */
  readonly binaryNumbers: boolean;
  /** `source.address` carries the port. */
  readonly addressWithPort: boolean;
  /** Properties that do not exist although the specification has them. */
  readonly absentProperties: ReadonlySet<string>;
  /** Configuration runs on a throw-away VM first; one that passes there and fails beside others takes the VM out of all requests. */
  readonly canary: boolean;
  /** Several content-type headers are one, with commas between its values. */
  readonly joinsContentTypes: boolean;
  /** Pairs that a read of a whole header map gives at most. */
  readonly pairsMax: number;
  /** Bytes of a body that the host keeps in memory unless told otherwise. */
  readonly bodyBufferBytes: number;
  /** The status a guest's trap gives in a request callback. */
  readonly trapStatus: number;
  /** After a trap outside the request callbacks the stream goes on without the guest. */
  readonly failsOpen: boolean;
}

const NONE: ReadonlySet<string> = new Set();

const envoy: Profile = {
  name: "envoy",
  unlinked: NONE,
  trapping: NONE,
  calloutPhases: Phase.Every,
  localResponsePhases: Phase.Every,
  requestBodyPhases: Phase.Every,
  responseBodyPhases: Phase.Every,
  setRequestHeadersPhases: Phase.Every,
  setResponseHeadersPhases: Phase.Every,
  trapsOnMisuse: false,
  binaryActions: false,
  wholeRequestBody: false,
  resumesAfterCallouts: false,
  contextFixed: false,
  headersLeave: true,
  localResponseFiltered: true,
  cas0Overwrites: true,
  metricKindsChecked: false,
  binaryNumbers: true,
  addressWithPort: true,
  absentProperties: NONE,
  canary: true,
  joinsContentTypes: true,
  pairsMax: 1024,
  bodyBufferBytes: 1 << 20,
  trapStatus: 503,
  failsOpen: false,
};

const REQUEST_CALLBACKS = Phase.RequestHeaders | Phase.RequestBody;

const ngxWasm: Profile = {
  name: "ngx_wasm",
  unlinked: new Set(["proxy_get_log_level"]),
  trapping: new Set([
    "proxy_done",
    "proxy_get_status",
    "proxy_close_stream",
    "proxy_resolve_shared_queue",
    "proxy_grpc_call",
    "proxy_grpc_stream",
    "proxy_grpc_send",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_call_foreign_function",
    "proxy_continue_response",
    "proxy_clear_route_cache",
  ]),
  calloutPhases: REQUEST_CALLBACKS | Phase.Tick | Phase.Callout,
  localResponsePhases: REQUEST_CALLBACKS | Phase.Callout,
  requestBodyPhases: REQUEST_CALLBACKS,
  responseBodyPhases: Phase.ResponseBody,
  setRequestHeadersPhases: REQUEST_CALLBACKS | Phase.Callout,
  setResponseHeadersPhases: REQUEST_CALLBACKS | Phase.ResponseHeaders | Phase.Callout,
  trapsOnMisuse: true,
  binaryActions: true,
  wholeRequestBody: true,
  resumesAfterCallouts: true,
  contextFixed: true,
  headersLeave: false,
  localResponseFiltered: false,
  cas0Overwrites: false,
  metricKindsChecked: true,
  binaryNumbers: false,
  addressWithPort: false,
  absentProperties: new Set(["plugin_vm_id", "node", "cluster_name", "route_name"]),
  canary: false,
  joinsContentTypes: false,
  pairsMax: 100,
  bodyBufferBytes: 8 << 10,
  trapStatus: 500,
  failsOpen: true,
};

export const PROFILES: Readonly<Record<ProfileName, Profile>> = { envoy, ngx_wasm: ngxWasm };
