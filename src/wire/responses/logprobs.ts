/** The value of `include` that requests log probabilities. OpenAI, API reference, responses/create. */
export const logprobsInclude = "message.output_text.logprobs"
