// Envoy's configuration without Weir's filter: what a benchmark compares with.

/** Weir's filter, as it stands in the configuration, taken out. */
export const without = (text: string) =>
  text.replace(
    / {18}- name: weir\n(?: {20}.*\n| {22}.*\n|\s*\n)*?(?= {18}- name: envoy.filters.http.router)/,
    "",
  );
