// What Kong's Admin API accepts as the configuration of either plugin. The policy is the same document as everywhere
// else, as JSON text, because Kong's own schema language cannot say what the filter checks.

export const schema = [
  { policy: { type: "string", required: true, len_min: 2, len_max: 1 << 20 } },
  { sidecar: { type: "string", default: "127.0.0.1:8081", match: "^[^%s/]+:%d+$" } },
];
