/** The middleware of budgets: makes a reservation before each call and settles it when the call ends, however it ends. */
import { Cause, Context, Effect, Either, Option } from "effect"
import type { Chunk } from "effect"
import type { Attempt } from "../../vocabulary/attempt.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { Middleware, ModelInfo } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Pricing from "../pricing/cost.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Dependencies, BudgetReservation } from "./reservation.js"
import * as Reservations from "./reservation.js"
import { clockOf } from "../../internal/clock.js"
import { whileChanged } from "../../internal/context.js"
import { Label } from "../../internal/label.js"
import { isListening, withListener } from "../../telemetry/usageListeners.js"
import type { Open, OpenStream, Pull } from "../../call/openStream.js"
import { fromStream, toStream } from "../../call/openStream.js"
import { normalize, normalizeEmbedding, passedOn } from "../../call/request.js"
import { wrap } from "../../call/wrap.js"

interface Answer {
  readonly provider: string
  readonly model: string
  readonly attempts: ReadonlyArray<Attempt>
  readonly usage: Usage.Usage
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Usage of the partial answer that an error contains. */
const partialUsage = (error: LLMError): Usage.Usage | undefined =>
  "partial" in error && error.partial !== undefined ? error.partial.usage : undefined

const settleFailure = (
  reservation: BudgetReservation,
  info: ModelInfo,
  cause: Cause.Cause<LLMError>
): Effect.Effect<void> =>
  reservation.settle(Option.match(Cause.failureOption(cause), { onNone: () => undefined, onSome: partialUsage }), info)

const chargeWhole =
  (info: ModelInfo) =>
  <A extends Answer>(
    call: Effect.Effect<A, LLMError>,
    reservation: BudgetReservation,
    restore: Restore
  ): Effect.Effect<A, LLMError> =>
    Effect.matchCauseEffect(whileChanged(restore(call), withListener(reservation.listener)), {
      onSuccess: (answer) =>
        Effect.as(reservation.settle(answer.usage, Pricing.withOwnPrice(info, Pricing.answererOf(answer))), answer),
      onFailure: (cause) => Effect.zipRight(settleFailure(reservation, info, cause), Effect.failCause(cause))
    })

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
      else if (event._tag === "Finish") {
        return Effect.as(Effect.uninterruptible(reservation.settle(event.usage, streamEnd.by)), events)
      }
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

const chargeStream =
  (info: ModelInfo) =>
  (call: Open, reservation: BudgetReservation, restore: Restore): Open => {
    const streamEnd: StreamEnd = { by: info, partial: undefined }
    // Added before the stream's finalizers so that it runs after them: they report what was consumed.
    return Effect.zipRight(
      Effect.addFinalizer(() => reservation.settle(streamEnd.partial, streamEnd.by)),
      Effect.matchEffect(whileChanged(restore(call), withListener(reservation.listener)), {
        onSuccess: (opened) => settleAtFinish(info, opened, reservation, streamEnd),
        onFailure: (error) => {
          streamEnd.partial = partialUsage(error)
          return Effect.fail(error)
        }
      })
    )
  }

/** The middleware over rules that have been checked. */
export const makeMiddleware =
  (deps: Dependencies, estimate: (request: ChatRequest, info: ModelInfo) => Usage.Usage): Middleware =>
  (next) => {
    const { info } = next

    /** Charges a call once under nested middlewares of one budget. An invalid request is passed on for its error. */
    const charging = <Input, Request extends { readonly model?: string }, A, R>(
      normalize: (input: Input) => Either.Either<Request, LLMError>,
      estimate: (request: Request) => Usage.Usage,
      send: (input: Input, request?: Request) => Effect.Effect<A, LLMError, R>,
      charge: (
        call: Effect.Effect<A, LLMError, R>,
        reservation: BudgetReservation,
        restore: Restore
      ) => Effect.Effect<A, LLMError, R>
    ) => {
      return (input: Input): Effect.Effect<A, LLMError, R> =>
        Effect.uninterruptibleMask((restore) =>
          Effect.withFiberRuntime((fiber) => {
            const context = fiber.currentContext
            const normalized = isListening(context, deps.owner) ? undefined : Either.getOrUndefined(normalize(input))
            if (normalized === undefined) return restore(send(input))
            const request = {
              info,
              model: normalized.model ?? info.model,
              label: Context.get(context, Label),
              estimate: estimate(normalized)
            }
            const call = send(input, normalized)
            const now = clockOf(fiber).unsafeCurrentTimeMillis()
            return Effect.flatMap(Reservations.reserve(deps, request, context, now), (reservation) =>
              charge(call, reservation, restore)
            )
          })
        )
    }

    const chatEstimate = (request: ChatRequest) => estimate(request, info)

    const forward = (input: ChatRequest.Input, request: ChatRequest | undefined): ChatRequest.Input =>
      request === undefined ? input : passedOn(input, request)

    const openStream = charging(
      (input: ChatRequest.Input) => normalize(input),
      chatEstimate,
      (input, request) => fromStream(next.chatStream(forward(input, request))),
      chargeStream(info)
    )

    return Effect.succeed(
      wrap(next, {
        chat: charging(
          (input: ChatRequest.Input) => normalize(input),
          chatEstimate,
          (input, request) => next.chat(forward(input, request)),
          chargeWhole(info)
        ),
        embed: charging(
          normalizeEmbedding,
          ({ input }) => Usage.make({ inputTokens: Usage.estimateAll(input), estimated: true }),
          (input) => next.embed(input),
          chargeWhole(info)
        ),
        chatStream: (input) => toStream(openStream(input))
      })
    )
  }
