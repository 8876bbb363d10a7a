// The chats that benchmarks send: of a given size, without repeated sentences, and new each time, so that the filter's
// memo of inspected texts helps nobody.
const WORDS =
  "the river carries water from mountains to the sea and every engineer who builds beside it learns how level pressure and flow decide what holds while notes about weather harvest trade music history science travel and food fill long evenings with questions".split(
    " ",
  );

/** Stands in every message for the number of the request, so that no text is one that was inspected before. */
const FRESH = "@@@@@@@@";

/** A chat of about `bytes`, without repeated sentences; deterministic. */
export function chatBody(bytes: number): string {
  let seed = 12345;
  const next = (n: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return seed % n;
  };
  const messages: { role: string; content: string }[] = [];
  let size = 60;
  while (size < bytes) {
    let content = `${FRESH} `;
    const want = Math.min(1500, bytes - size - 40);
    while (content.length < want) content += `${WORDS[next(WORDS.length)]}${next(12) === 0 ? ".\n" : " "}`;
    messages.push({ role: messages.length % 2 ? "assistant" : "user", content });
    size += content.length + 45;
  }
  if (messages.length % 2 === 0) messages.push({ role: "user", content: "And then?" });
  return JSON.stringify({ model: "gpt-4o", max_tokens: 100, messages });
}

let serial = 0;

/** The body with a number in every message that no other has. */
export function fresh(body: string): string {
  return body.replaceAll(FRESH, String(serial++).padStart(FRESH.length, "0"));
}
