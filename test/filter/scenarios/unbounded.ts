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
  ["no limit", "interactions", {}, { generation_config: { max_output_tokens: 20 } }],
  [
    "another spelling",
    "interactions",
    { generation_config: { temperature: 1 }, generationConfig: { maxOutputTokens: 9 } },
    {
      generation_config: { max_output_tokens: 20, temperature: 1 },
      generationConfig: { maxOutputTokens: 9 },
    },
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

/** The same of Bedrock's paths, which name the model. */
export const bedrock: [string, object, object][] = [
  ["amazon.nova-pro-v1%3A0/converse", {}, { inferenceConfig: { maxTokens: 20 } }],
  [
    "anthropic.claude-x/converse-stream",
    { system: [{ text: "Be kind." }] },
    { inferenceConfig: { maxTokens: 20 } },
  ],
  [
    "any/converse",
    { inferenceConfig: { temperature: 1 }, max_tokens: 9 },
    { inferenceConfig: { maxTokens: 20, temperature: 1 }, max_tokens: 9 },
  ],
  ["any/converse", { inferenceConfig: null }, { inferenceConfig: { maxTokens: 20 } }],
  ["any/converse", { inferenceConfig: { maxTokens: 900 } }, { inferenceConfig: { maxTokens: 20 } }],
  ["any/converse", { inferenceConfig: { maxTokens: 9 } }, { inferenceConfig: { maxTokens: 9 } }],
  // Converse does not know Nova's former name.
  [
    "amazon.nova-pro-v1:0/converse",
    { inferenceConfig: { max_new_tokens: 9 } },
    { inferenceConfig: { maxTokens: 20, max_new_tokens: 9 } },
  ],
  [
    "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aapplication-inference-profile%2Fk2x9/converse",
    {},
    { inferenceConfig: { maxTokens: 20 } },
  ],
  [
    "arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Famazon.nova-pro-v1%3A0/invoke",
    {},
    { inferenceConfig: { maxTokens: 20 } },
  ],
  [
    "arn%3Aaws%3Abedrock%3A%3A1%3Ainference-profile%2Fus.meta.llama3-8b-v1%3A0/invoke",
    { prompt: "Hi" },
    { max_gen_len: 20 },
  ],
  ["arn%3Aaws%3Abedrock%3A%3A1%3Aprovisioned-model%2Fk2x9/invoke", { prompt: "Hi" }, { max_tokens: 20 }],
  ["any/converse/", {}, { inferenceConfig: { maxTokens: 20 } }],
  ["us.amazon.nova-pro-v1:0/invoke", {}, { inferenceConfig: { maxTokens: 20 } }],
  [
    "amazon.nova-lite-v1:0/invoke",
    { inferenceConfig: { max_new_tokens: 30 } },
    { inferenceConfig: { max_new_tokens: 20 } },
  ],
  ["meta.llama3-8b-instruct-v1:0/invoke", { prompt: "Hi" }, { max_gen_len: 20 }],
  ["eu.meta.llama3-2-1b-instruct-v1:0/invoke", { prompt: "Hi", max_gen_len: 512 }, { max_gen_len: 20 }],
  ["meta.llama3-8b-instruct-v1:0/invoke", { prompt: "Hi", max_gen_len: 5 }, { max_gen_len: 5 }],
  ["mistral.mistral-large-2407-v1:0/invoke", { prompt: "Hi" }, { max_tokens: 20 }],
  ["mistral.mistral-large-2407-v1%3A0/invoke", {}, { max_tokens: 20 }],
  ["openai.gpt-oss-20b-1:0/invoke", {}, { max_completion_tokens: 20 }],
  // For a server that looks at the end of a path it is no path of Bedrock's.
  ["any/converse/v1/chat/completions", {}, { max_completion_tokens: 20 }],
  ["any/count-tokens/v1/chat/completions", {}, { max_completion_tokens: 20 }],
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
  interactions: { input: "Hi" },
  "x:generateContent": { model: "x", contents: [{ parts: [{ text: "Hi" }] }] },
};
