/** Splits the texts of one `embed` into requests within the provider's limits, and combines their answers. */
import { Clock, Effect } from "effect"
import * as Attempt from "../vocabulary/attempt.js"
import type { Embeddable, EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"

export interface Limits {
  readonly maxBatch: number
  readonly maxBatchTokens?: number
}

/** Splits texts in order into as few batches as the limits allow. A text over the token limit is a batch alone. */
export const split = <A extends Embeddable>(
  texts: ReadonlyArray<A>,
  limits: Limits
): ReadonlyArray<ReadonlyArray<A>> => {
  const maxTokens = limits.maxBatchTokens ?? Infinity
  const batches: Array<Array<A>> = []
  let open: Array<A> = []
  let tokens = 0
  for (const text of texts) {
    const size = maxTokens === Infinity ? 0 : Usage.estimateAll([text])
    if (open.length > 0 && (open.length >= limits.maxBatch || tokens + size > maxTokens)) {
      batches.push(open)
      open = []
      tokens = 0
    }
    open.push(text)
    tokens += size
  }
  batches.push(open)
  return batches
}

const combine = (
  first: EmbeddingResponse,
  answers: ReadonlyArray<EmbeddingResponse>,
  latency: number
): EmbeddingResponse => ({
  ...first,
  embeddings: answers.flatMap(({ embeddings }) => embeddings),
  usage: Usage.combineAll(answers.map(({ usage }) => usage)),
  latency,
  attempts: answers.reduce<ReadonlyArray<Attempt.Attempt>>(
    (earlier, { attempts }) => Attempt.concat(earlier, attempts),
    []
  )
})

/** Embeds all batches, at most `concurrency` at once. The first failure interrupts the others. */
export const embed = (
  request: EmbeddingRequest,
  limits: Limits,
  concurrency: number,
  embedBatch: (request: EmbeddingRequest) => Effect.Effect<EmbeddingResponse, LLMError>
): Effect.Effect<EmbeddingResponse, LLMError> => {
  const batches = split(request.input, limits)
  if (batches.length === 1) return embedBatch(request)
  return Clock.clockWith((clock) => {
    const startedAt = clock.unsafeCurrentTimeMillis()
    return Effect.flatMap(
      Effect.forEach(batches, (input) => embedBatch({ ...request, input }), { concurrency }),
      (answers) => {
        const [first] = answers
        return first === undefined
          ? embedBatch(request)
          : Effect.succeed(combine(first, answers, clock.unsafeCurrentTimeMillis() - startedAt))
      }
    )
  })
}
