// Requests that bound their answer in no way that their API has, for the scenarios of budgets.

/** Bodies that bound their answer in no way that their API has, and what they must be upstream, where the tier's limit is 20. */
export const unbounded: [string, string, object, object][] = [
  [
    "a limit that is null",
    "chat/completions",
    { max_completion_tokens: null },
    { max_completion_tokens: 20 },
  ],
  ["a limit that is null", "responses", { max_output_tokens: null }, { max_output_tokens: 20 }],
  ["a limit that is null", "messages", { max_tokens: null }, { max_tokens: 20 }],
  [
    "another API's limit",
    "chat/completions",
    { max_output_tokens: 1 },
    { max_output_tokens: 1, max_completion_tokens: 20 },
  ],
  [
    "a member of embeddings",
    "other/responses",
    { dimensions: 5, encoding_format: "float" },
    { dimensions: 5, encoding_format: "float", max_output_tokens: 20 },
  ],
  ["another API's limit", "responses", { max_tokens: 1 }, { max_tokens: 1, max_output_tokens: 20 }],
  [
    "another API's limit",
    "completions",
    { max_completion_tokens: 1 },
    { max_completion_tokens: 1, max_tokens: 20 },
  ],
  ["no limit", "x:generateContent", {}, { generationConfig: { maxOutputTokens: 20 } }],
  [
    "another API's limit",
    "x:generateContent",
    { max_tokens: 1 },
    { max_tokens: 1, generationConfig: { maxOutputTokens: 20 } },
  ],
  [
    "an empty configuration",
    "x:generateContent",
    { generationConfig: {} },
    { generationConfig: { maxOutputTokens: 20 } },
  ],
  [
    "a configuration that is null",
    "x:generateContent",
    { generationConfig: null },
    { generationConfig: { maxOutputTokens: 20 } },
  ],
  [
    "a limit that is null",
    "x:generateContent",
    { generationConfig: { temperature: 1, maxOutputTokens: null } },
    { generationConfig: { temperature: 1, maxOutputTokens: 20 } },
  ],
  [
    "a configuration in the other spelling",
    "x:generateContent",
    { generation_config: { temperature: 1 } },
    { generation_config: { maxOutputTokens: 20, temperature: 1 } },
  ],
  [
    "a limit that is null in the other spelling",
    "x:generateContent",
    { generationConfig: null, generation_config: { max_output_tokens: null } },
    { generationConfig: null, generation_config: { max_output_tokens: 20 } },
  ],
  [
    "another API's limit",
    "api/chat",
    { max_completion_tokens: 1, num_predict: 1 },
    { max_completion_tokens: 1, num_predict: 1, options: { num_predict: 20 } },
  ],
  [
    "no limit among its options",
    "api/generate",
    { options: { temperature: 0, num_predict: null } },
    { options: { temperature: 0, num_predict: 20 } },
  ],
  ["no limit", "v2/chat", {}, { max_tokens: 20 }],
  [
    "another API's limit",
    "v2/chat",
    { max_completion_tokens: 1 },
    { max_completion_tokens: 1, max_tokens: 20 },
  ],
  ["options that are null", "api/generate", { options: null }, { options: { num_predict: 20 } }],
  ["a limit that is none", "api/chat", { options: { num_predict: -1 } }, { options: { num_predict: 20 } }],
  [
    "a limit that is none",
    "api/chat",
    { options: { num_predict: -2, seed: 1 } },
    { options: { num_predict: 20, seed: 1 } },
  ],
];

/** A prompt as each path has it. */
export const prompts: Record<string, object> = {
  "chat/completions": { messages: [{ role: "user", content: "Hi" }] },
  messages: { messages: [{ role: "user", content: "Hi" }] },
  responses: { input: "Hi" },
  "other/responses": { input: "Hi" },
  completions: { prompt: "Hi" },
  "v2/chat": { messages: [{ role: "user", content: "Hi" }] },
  "api/chat": { messages: [{ role: "user", content: "Hi" }] },
  "api/generate": { prompt: "Hi", system: "Be kind." },
  "x:generateContent": { model: "x", contents: [{ parts: [{ text: "Hi" }] }] },
};
