/** Embeds texts so that one that its provider refuses fails alone. */
import { Either, Effect, Predicate } from "effect"
import type { Service } from "../call/model.js"
import { normalizeEmbedding } from "../call/request.js"
import * as Attempt from "../vocabulary/attempt.js"
import type { Cost } from "../vocabulary/cost.js"
import { combine as combineCosts } from "../vocabulary/cost.js"
import type { Embeddable, EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { fromEither } from "../internal/asEffect.js"

/**
 * How the texts of `LLM.embedEach` are divided.
 *
 * @since 0.2.0
 * @category model
 */
export interface EachOptions {
  /** The most texts of one request. A smaller provider's limit divides it further. @default 100 */
  readonly batchSize?: number
  /** The most requests at once. @default 4 */
  readonly concurrency?: number
}

/**
 * The vectors of the texts, each or the error that its provider has for it, in the order of the texts.
 *
 * @since 0.2.0
 * @category model
 */
export interface EachResponse {
  readonly embeddings: ReadonlyArray<Either.Either<ReadonlyArray<number>, LLMError>>
  /** The usage of the requests that succeeded. */
  readonly usage: Usage.Usage
  /** Absent when the price of one of them is unknown, or no pricing is used. */
  readonly cost?: Cost
  /** Every attempt, also of requests that failed, in the order of the texts. */
  readonly attempts: ReadonlyArray<Attempt.Attempt>
}

/** Whether an error can be the fault of one text: the others may succeed without it. */
const isOfText = (error: LLMError): boolean =>
  error._tag === "InvalidRequestError" || error._tag === "ContextLengthError" || error._tag === "ContentFilterError"

/** Refusals without any success before the error is that of all texts, such as wrong dimensions: not each is asked for alone. */
const maxRefusals = 32

interface Part {
  readonly embeddings: EachResponse["embeddings"]
  readonly responses: ReadonlyArray<EmbeddingResponse>
  readonly attempts: ReadonlyArray<Attempt.Attempt>
}

const join = (parts: ReadonlyArray<Part>, attempts: ReadonlyArray<Attempt.Attempt> = []): Part => ({
  embeddings: parts.flatMap((part) => part.embeddings),
  responses: parts.flatMap((part) => part.responses),
  attempts: parts.reduce((all, part) => Attempt.concat(all, part.attempts), attempts)
})

const batchesOf = <A>(texts: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(texts.length / size) }, (_, index) => texts.slice(index * size, (index + 1) * size))

export const embedEach = (
  llm: Pick<Service, "embed" | "info">,
  input: EmbeddingRequest.Input,
  { batchSize = 100, concurrency = 4 }: EachOptions = {}
): Effect.Effect<EachResponse, LLMError> =>
  Effect.gen(function* () {
    const { provider, model } = llm.info
    const request = yield* fromEither(
      Either.mapLeft(normalizeEmbedding(input), (error) => Errors.update(error, { provider, model }))
    )

    let refusals = 0
    /** Whether a refusal concerns one of the texts, and not what all requests have in common. */
    const isDivided = (error: LLMError): boolean => isOfText(error) && ++refusals <= maxRefusals

    /** A request that is refused for one of its texts is sent again in halves. */
    const embedBatch = (texts: ReadonlyArray<Embeddable>): Effect.Effect<Part> =>
      Effect.matchEffect(llm.embed({ ...request, input: texts }), {
        onSuccess: (response) => {
          refusals = -Infinity
          return Effect.succeed<Part>({
            embeddings: response.embeddings.map((vector) => Either.right(vector)),
            responses: [response],
            attempts: response.attempts
          })
        },
        onFailure: (error) =>
          texts.length > 1 && isDivided(error)
            ? Effect.map(Effect.forEach(batchesOf(texts, Math.ceil(texts.length / 2)), embedBatch), (halves) =>
                join(halves, error.attempts)
              )
            : Effect.succeed<Part>({
                embeddings: texts.map(() => Either.left(error)),
                responses: [],
                attempts: error.attempts
              })
      })

    const size = Math.max(1, Math.floor(batchSize))
    const { attempts, embeddings, responses } = join(
      yield* Effect.forEach(batchesOf(request.input, size), embedBatch, { concurrency })
    )
    const costs = responses.map(({ cost }) => cost)
    return {
      embeddings,
      usage: Usage.combineAll(responses.map(({ usage }) => usage)),
      ...(costs.length > 0 && costs.every(Predicate.isNotUndefined) ? { cost: costs.reduce(combineCosts) } : {}),
      attempts
    }
  })
