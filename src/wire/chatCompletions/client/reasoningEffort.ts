/** How thinking is asked for. */
import type { Reasoning } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { named } from "../fields.js"
import type { Dialect } from "../dialect.js"

/** Whether reasoning is requested; a summary alone does not request it. */
export const isThinking = ({ budgetTokens, effort, summary }: Reasoning): boolean =>
  effort !== "none" &&
  budgetTokens !== 0 &&
  (effort !== undefined || budgetTokens !== undefined || summary === undefined)

/** Groq, "Reasoning": without `reasoning_format` these models write their reasoning into the text, in `<think>` tags. */
const thinksInTags = /qwen-?3|qwq|deepseek-r1/i

/** Qwen has no levels of effort. OpenAI's models take `include_reasoning` instead of the format, so they get none. */
const groq = (asked: Reasoning | undefined, effort: string | undefined, model: string): Json => {
  if (!thinksInTags.test(model)) return named("reasoning_effort", effort)
  return {
    reasoning_format: "parsed",
    ...(asked?.effort === undefined ? {} : { reasoning_effort: asked.effort === "none" ? "none" : "default" })
  }
}

/** The fields that request reasoning. The protocol has no field for a summary. */
export const reasoning = (asked: Reasoning | undefined, dialect: Dialect, model: string): Json => {
  const { budgetTokens, effort } = asked ?? {}
  const word = effort === undefined ? undefined : (dialect.efforts[effort] ?? effort)
  if (dialect.reasoning === "groq") return groq(asked, word, model)
  if (asked === undefined) return {}
  if (effort === undefined && budgetTokens === undefined && asked.summary !== undefined) return {}
  const off = effort === "none" || budgetTokens === 0
  switch (dialect.reasoning) {
    case "effort":
      return named("reasoning_effort", word)
    case "object":
      return {
        reasoning:
          budgetTokens !== undefined && effort !== "none"
            ? { max_tokens: budgetTokens }
            : word === undefined
              ? { enabled: true }
              : { effort: word }
      }
    case "enabled":
      return off
        ? { reasoning: { enabled: false } }
        : { reasoning: { enabled: true }, ...named("reasoning_effort", word) }
    case "thinking":
      return off
        ? { thinking: { type: "disabled" } }
        : { thinking: { type: "enabled" }, ...named("reasoning_effort", word) }
    case "enable_thinking":
      return off ? { enable_thinking: false } : { enable_thinking: true, ...named("thinking_budget", budgetTokens) }
    case "none":
      return {}
  }
}
