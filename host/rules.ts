// Every way in which a filter can break a real host, as one sentence each. A breach is thrown as a HostViolation
// with the rule's name; host/rules.test.ts has one test per rule and fails when a rule has none.

export const RULES = {
  // Both hosts
  "import-unknown": "an import that the host does not offer does not link",
  "request-hangs": "a paused request that nothing can continue waits for good",
  "response-hangs": "a paused response that nothing can continue waits for good",
  "content-length": "a body of another length than its content-length breaks the message",
  // Envoy
  "configure-beside-others":
    "a worker's VM in which a configuration fails is skipped by the requests of its others, unseen",
  // ngx_wasm_module
  "import-get-log-level": "proxy_get_log_level does not link in ngx_wasm_module (arity)",
  "function-traps": "this host function links and traps when called in ngx_wasm_module",
  "action-not-0-or-1": "callbacks may return only 0 and 1 in ngx_wasm_module",
  "response-headers-pause": "ngx_wasm_module does not pause response headers",
  "response-body-pause":
    "a paused response body is not relied upon in ngx_wasm_module: replace the chunk instead",
  "dispatch-without-pause": "a callout followed by anything but pause crashes the nginx worker",
  "callout-phase": "a callout from configure, response phases or log traps",
  "callout-target": "a callout's target is ip:port, a DNS name or unix:/path in ngx_wasm_module",
  "local-response-phase": "a local response in response phases, log or tick breaks or crashes nginx",
  "local-response-reason": "details become the HTTP reason phrase in nginx, and this one is not valid",
  "local-response-twice": "a second local response traps in ngx_wasm_module",
  "request-body-phase": "the request body can be reached in the headers and body callbacks only",
  "response-body-phase": "the response body can be reached in its own callback only",
  "body-partial-read":
    "a partial or offset body read corrupts memory in ngx_wasm_module: read (0, full length)",
  "body-truncated": "set_buffer_bytes(0, n, v) truncates v to n in ngx_wasm_module",
  "content-length-reverts":
    "after a pause in the body phase content-length is the client's again in ngx_wasm_module",
  "request-headers-final": "request headers are final once the response is produced",
  "response-headers-final": "status and response headers are final after the first chunk",
  "metric-kind": "increment only counters, record only gauges and histograms, and read no histogram",
  "plugin-name-in-configure": "plugin_name read in configure crashes the nginx worker",
  "effective-context-fixed":
    "ngx_wasm_module ignores proxy_set_effective_context: one stream cannot act on another",
  "tick-not-root": "the tick period can be set on the root context only",
  "tick-set-twice": "the tick period can be set once; set 0 first to change it",
  "shared-data-no-memory": "a shared value that the guest has no room for traps in ngx_wasm_module",
  "memory-out-of-bounds": "a pointer outside the guest's memory traps in ngx_wasm_module",
} as const;

export type Rule = keyof typeof RULES;
