/** Finds secrets in what a system tells about itself, in whatever encoding it tells them. */

/** A text as logs may show it: as it is, percent-encoded, in JSON, in hexadecimal, and in base64 at each of its phases. */
export function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const base64 = [0, 1, 2].map((phase) => {
    const encoded = Buffer.concat([Buffer.alloc(phase), bytes]).toString("base64");
    // What depends on the bytes before and after is left out.
    return encoded.slice(Math.ceil((phase * 8) / 6), Math.floor(((phase + bytes.length) * 8) / 6));
  });
  const url = base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"));
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll("/", "\\/");
  return [...new Set([text, encodeURIComponent(text), escaped, bytes.toString("hex"), ...base64, ...url])];
}

/** `who: form` for each secret that somebody told. */
export function leaks(told: ReadonlyMap<string, string>, secrets: readonly string[]): string[] {
  return [...told].flatMap(([who, text]) =>
    secrets.flatMap((secret) =>
      formsOf(secret)
        .filter((form) => text.includes(form))
        .map((form) => `${who}: ${form}`),
    ),
  );
}
