/** The results of a batch: one line of JSON per request, in their order, and a summary. */
import { Cause, Exit, Option } from "effect"
import * as Cost from "../../vocabulary/cost.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Item } from "./input.js"
import type { BatchAnswer } from "./task.js"
import type { ErrorCount } from "./countErrors.js"
import { countErrors } from "./countErrors.js"

export type Outcome = Exit.Exit<BatchAnswer, LLMError>

const errorOf = (cause: Cause.Cause<LLMError>) =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => ({ class: "Defect", message: "Internal error, please report it." }),
    onSome: ({ _tag, message, status }) => ({ class: _tag, message, ...(status === undefined ? {} : { status }) })
  })

const contentOf = (answer: BatchAnswer) => {
  if ("embeddings" in answer) return { embeddings: answer.embeddings }
  const { finishReason, reasoning, refusal, text, toolCalls } = answer
  return {
    text,
    ...(reasoning === "" ? {} : { reasoning }),
    ...(refusal === "" ? {} : { refusal }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    finishReason
  }
}

/** `{ "index", "id"?, "text", … }`, `{ "index", "id"?, "embeddings", … }`, or `{ "index", "id"?, "error": { "class", "message", "status"? } }` */
const lineOf = (index: number, { id }: Item, outcome: Outcome): string =>
  JSON.stringify({
    index,
    ...(id === undefined ? {} : { id }),
    ...Exit.match(outcome, {
      onFailure: (cause) => ({ error: errorOf(cause) }),
      onSuccess: (answer) => ({
        ...contentOf(answer),
        provider: answer.provider,
        model: answer.model,
        usage: answer.usage,
        ...(answer.cost === undefined ? {} : { cost: answer.cost.total })
      })
    })
  })

export const lines = (items: ReadonlyArray<Item>, outcomes: ReadonlyArray<Outcome>): string =>
  items
    .flatMap((item, index) => {
      const outcome = outcomes[index]
      return outcome === undefined ? [] : [`${lineOf(index, item, outcome)}\n`]
    })
    .join("")

export interface Summary {
  readonly requests: number
  readonly succeeded: number
  readonly failed: number
  readonly errors: ReadonlyArray<ErrorCount>
  readonly usage: Usage.Usage
  /** In dollars; absent if no answer has a price. */
  readonly cost?: number
}

export const summary = (outcomes: ReadonlyArray<Outcome>): Summary => {
  const answers = outcomes.flatMap((outcome) => (Exit.isSuccess(outcome) ? [outcome.value] : []))
  const costs = answers.flatMap(({ cost }) => (cost === undefined ? [] : [cost]))
  return {
    requests: outcomes.length,
    succeeded: answers.length,
    failed: outcomes.length - answers.length,
    errors: countErrors(outcomes.flatMap((outcome) => (Exit.isFailure(outcome) ? [errorOf(outcome.cause)] : []))),
    usage: Usage.combineAll(answers.map(({ usage }) => usage)),
    ...(costs.length === 0 ? {} : { cost: Cost.combineAll(costs).total })
  }
}
