// The tour: the table of scenarios and the official clients, with real requests through the running demo, and what became
// of each. Every row says what it should show, so that the tour is also a test.
import { ROWS, type Row } from "./scenarios.ts";
import { httpSender, type Outcome, type Stage, Walk } from "./walk.ts";

/** The clients come before this row, which is the first that waits. */
const WAITING = "ten requests of 10/min";

/** Walks the whole list. `url` is asked each time, because a restart may change it. */
export async function tour(url: () => string, stage: Omit<Stage, "send">): Promise<Outcome[]> {
  const walking = new Walk({ ...stage, send: httpSender(url) });
  const walked = async (rows: readonly Row[]) => {
    const outcomes: Outcome[] = [];
    for (const row of rows) outcomes.push(await walking.row(row));
    return outcomes;
  };
  const middle = ROWS.findIndex((row) => row.name === WAITING);
  return [
    ...(await walked(ROWS.slice(0, middle))),
    ...(await clients(url())),
    ...(await walked(ROWS.slice(middle))),
  ];
}

/** The official clients, unchanged but for their address. */
async function clients(url: string): Promise<Outcome[]> {
  const { default: OpenAI } = await import("openai");
  const { default: Anthropic } = await import("@anthropic-ai/sdk");
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "weir-demo-pro", maxRetries: 0 });
  const said = await openai.chat.completions.create({
    model: "mock-1",
    messages: [{ role: "user", content: "Hi" }],
  });
  const anthropic = new Anthropic({ baseURL: url, apiKey: "weir-demo-pro", maxRetries: 0 });
  const stream = anthropic.messages.stream({
    model: "mock-1",
    max_tokens: 20,
    messages: [{ role: "user", content: "Hi" }],
  });
  const streamed = await stream.finalText();
  const wrong = new OpenAI({ baseURL: `${url}/v1`, apiKey: "weir-demo-wrong", maxRetries: 0 });
  const error = await wrong.models.list().catch((thrown: Error) => thrown);
  const row = (name: string, expected: string, got: string) => ({ name, expected, got, note: "" });
  const answered = (text: string | null | undefined) => (text ? "answered" : "nothing");
  return [
    row("the openai client", "answered", answered(said.choices[0]?.message.content)),
    row("Anthropic's client, as a stream", "answered", answered(streamed)),
    row("its error for a wrong key", "AuthenticationError", error.constructor.name),
  ];
}

/** The rows as a table for a terminal. */
export function table(rows: Outcome[]): string {
  const width = (pick: (row: Outcome) => string) => Math.max(...rows.map((row) => pick(row).length));
  const [name, got] = [width((row) => row.name), width((row) => row.got)];
  return rows
    .map((row) => {
      const ok = row.got === row.expected;
      const wrong = ok ? "" : `  expected ${row.expected}`;
      return `${ok ? "✓" : "✗"} ${row.name.padEnd(name)}  ${row.got.padEnd(got)}  ${row.note.slice(0, 110)}${wrong}`;
    })
    .join("\n");
}
