/** The reasoning of earlier turns that models get back, as data from the documentation of their makers and hosts. */

/**
 * Which reasoning of earlier turns the models get back whose names match.
 *
 * @since 0.2.0
 * @category model
 */
export interface HistoryRule {
  /** Hosts add prefixes and suffixes to the names of models and write them in either case. */
  readonly name: RegExp
  /**
   * - `all`: the reasoning of every turn.
   * - `tool-loop`: only that of messages with tool calls after the last user message.
   */
  readonly turns: "all" | "tool-loop"
  /**
   * Whether a message with tool calls and no reasoning needs an empty one, in `reasoning_content` or `reasoning`. It is not sent
   * when the request switches reasoning off. @default false
   */
  readonly emptyReasoning?: boolean
}

const everyModel = /(?:)/

/**
 * Models that reject a message with tool calls and no reasoning.
 *
 * - DeepSeek, "Thinking Mode": reasoning of turns with tool calls "must be passed back to the API in all subsequent requests",
 *   else error 400. An empty text counts, a missing field does not (deepseek-ai/deepseek-harness, discussions 739 and 1850).
 * - Moonshot, "Using Thinking Models"; error 400 "thinking is enabled but reasoning_content is missing in assistant tool call
 *   message" (MoonshotAI/kimi-agent-sdk, issue 169; also at SiliconFlow, agentscope-ai/QwenPaw, issue 433).
 */
const strictModels: ReadonlyArray<HistoryRule> = [
  { name: /deepseek-v(?:[4-9]|\d\d)/i, turns: "all", emptyReasoning: true },
  { name: /kimi-k\d/i, turns: "all", emptyReasoning: true }
]

/** All reasoning to all models. */
export const allHistory: ReadonlyArray<HistoryRule> = [...strictModels, { name: everyModel, turns: "all" }]

/** The same for a provider whose models all need an empty reasoning, under names without a version. */
export const strictHistory: ReadonlyArray<HistoryRule> = [{ name: everyModel, turns: "all", emptyReasoning: true }]

/**
 * OpenAI Cookbook, "How to handle the raw chain of thought in gpt-oss": kept from a tool call until the final answer, then
 * dropped.
 */
export const gptOss: HistoryRule = { name: /gpt-?oss/i, turns: "tool-loop" }

/**
 * Open models that reason between tool calls, at hosts whose chat templates read the reasoning.
 *
 * - gpt-oss: see `gptOss`.
 * - MiniMax M2 and Kimi: vLLM, "Interleaved Thinking"; MiniMax, "Tool Use & Interleaved Thinking"; Moonshot, "Using Thinking
 *   Models". Kimi K2 Instruct does not reason.
 * - GLM: Z.ai, "Thinking Mode": "thinking blocks should be explicitly preserved and returned together with the tool results".
 */
export const openModels: ReadonlyArray<HistoryRule> = [
  gptOss,
  { name: /minimax-m(?:[2-9]|\d\d)/i, turns: "tool-loop" },
  { name: /kimi-k(?:2-thinking|2\.\d|[3-9])/i, turns: "tool-loop" },
  { name: /glm-(?:4\.[5-9]|[5-9]|\d\d)/i, turns: "tool-loop" }
]
