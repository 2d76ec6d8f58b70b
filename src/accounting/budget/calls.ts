/** The middleware of budgets: makes a reservation before each call and settles it when the call ends, however it ends. */
import { Cause, Effect, Either, Exit, Option } from "effect"
import type { Chunk } from "effect"
import type { Attempt } from "../../vocabulary/attempt.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import type { Middleware, ModelInfo } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Pricing from "../pricing/cost.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Dependencies, BudgetReservation } from "./reservation.js"
import * as Reservations from "./reservation.js"
import { Label } from "../../internal/label.js"
import { isListening, withUsageListener } from "../../telemetry/usageListeners.js"
import type { Open, OpenStream, Pull } from "../../call/openStream.js"
import { fromStream, toStream } from "../../call/openStream.js"
import { normalize, normalizeEmbedding } from "../../call/request.js"
import { wrap } from "../../call/wrap.js"

interface Answer {
  readonly provider: string
  readonly model: string
  readonly attempts: ReadonlyArray<Attempt>
  readonly usage: Usage.Usage
}

type Reserve = Effect.Effect<BudgetReservation, LLMError>

/** Usage of the partial answer that an error contains. */
const partialUsage = (error: LLMError): Usage.Usage | undefined =>
  "partial" in error && error.partial !== undefined ? error.partial.usage : undefined

const settleFailure = (
  reservation: BudgetReservation,
  info: ModelInfo,
  cause: Cause.Cause<LLMError>
): Effect.Effect<void> =>
  reservation.settle(Option.match(Cause.failureOption(cause), { onNone: () => undefined, onSome: partialUsage }), info)

const chargeWhole = <A extends Answer>(
  info: ModelInfo,
  call: Effect.Effect<A, LLMError>,
  reserve: Reserve
): Effect.Effect<A, LLMError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(reserve, (reservation) =>
      Effect.onExit(
        restore(withUsageListener(call, reservation.listener)),
        Exit.match({
          onSuccess: (answer) =>
            reservation.settle(answer.usage, Pricing.withOwnPrice(info, Pricing.answererOf(answer))),
          onFailure: (cause) => settleFailure(reservation, info, cause)
        })
      )
    )
  )

/** The settlement of a stream that ends without a `Finish`. */
interface StreamEnd {
  by: Pricing.Answerer
  partial: Usage.Usage | undefined
}

/** Settles at the stream's `Finish`. After a failure it only stores the usage: inner attempts can still report theirs. */
const settleAtFinish = (
  info: ModelInfo,
  opened: OpenStream,
  reservation: BudgetReservation,
  streamEnd: StreamEnd
): Effect.Effect<OpenStream> => {
  const settleOnFinish = (events: Chunk.Chunk<ChatEvent>): Effect.Effect<Chunk.Chunk<ChatEvent>> => {
    for (const event of events) {
      if (event._tag === "Start") streamEnd.by = Pricing.withOwnPrice(info, Pricing.answererOf(event))
      else if (event._tag === "Finish") return Effect.as(reservation.settle(event.usage, streamEnd.by), events)
    }
    return Effect.succeed(events)
  }
  const pull: Pull = Effect.matchEffect(opened.pull, {
    onSuccess: settleOnFinish,
    onFailure: (end) => {
      streamEnd.partial = Option.getOrUndefined(Option.flatMapNullable(end, partialUsage))
      return Effect.fail(end)
    }
  })
  return Effect.map(settleOnFinish(opened.first), (first) => ({ first, pull }))
}

const chargeStream = (info: ModelInfo, call: Open, reserve: Reserve): Open =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(reserve, (reservation) => {
      const streamEnd: StreamEnd = { by: info, partial: undefined }
      // Added before the stream's finalizers so that it runs after them: they report what was consumed.
      return Effect.zipRight(
        Effect.addFinalizer(() => reservation.settle(streamEnd.partial, streamEnd.by)),
        Effect.flatMap(
          Effect.tapError(restore(withUsageListener(call, reservation.listener)), (error) =>
            Effect.sync(() => {
              streamEnd.partial = partialUsage(error)
            })
          ),
          (opened) => settleAtFinish(info, opened, reservation, streamEnd)
        )
      )
    })
  )

/** The middleware over rules that have been checked. */
export const makeMiddleware =
  (deps: Dependencies, estimate: (request: ChatRequest, info: ModelInfo) => Usage.Usage): Middleware =>
  (next) => {
    const { info } = next

    const reserve = (model: string | undefined, estimate: Usage.Usage): Reserve =>
      Effect.flatMap(Label, (label) =>
        Reservations.reserve(deps, { info, model: model ?? info.model, label, estimate })
      )

    /** Charges a call once under nested middlewares of one budget. An invalid request is passed on for its error. */
    const chargeOnce = <A, R, Request extends { readonly model?: string }>(
      request: Either.Either<Request, LLMError>,
      call: Effect.Effect<A, LLMError, R>,
      estimate: (request: Request) => Usage.Usage,
      charge: (reserve: Reserve) => Effect.Effect<A, LLMError, R>
    ): Effect.Effect<A, LLMError, R> =>
      Either.match(request, {
        onLeft: () => call,
        onRight: (request) =>
          Effect.flatMap(isListening(deps.owner), (isCharged) =>
            isCharged ? call : charge(Effect.suspend(() => reserve(request.model, estimate(request))))
          )
      })

    const chatEstimate = (request: ChatRequest) => estimate(request, info)
    const embeddingEstimate = ({ input }: Pick<EmbeddingRequest, "input">) =>
      Usage.make({ inputTokens: Usage.estimateAll(input), estimated: true })

    return Effect.succeed(
      wrap(next, {
        chat: (input) =>
          Effect.suspend(() => {
            const call = next.chat(input)
            return chargeOnce(normalize(input), call, chatEstimate, (reserve) => chargeWhole(info, call, reserve))
          }),
        embed: (input) =>
          Effect.suspend(() => {
            const call = next.embed(input)
            return chargeOnce(normalizeEmbedding(input), call, embeddingEstimate, (reserve) =>
              chargeWhole(info, call, reserve)
            )
          }),
        chatStream: (input) =>
          toStream(
            Effect.suspend(() => {
              const call = fromStream(next.chatStream(input))
              return chargeOnce(normalize(input), call, chatEstimate, (reserve) => chargeStream(info, call, reserve))
            })
          )
      })
    )
  }
