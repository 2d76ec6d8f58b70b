/** The middleware of budgets: makes a reservation before each call and settles it when the call ends, however it ends. */
import { Cause, Context, Effect, Either, Option } from "effect"
import type { Attempt } from "../../vocabulary/attempt.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Middleware, ModelInfo } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Pricing from "../pricing/cost.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Dependencies, BudgetReservation } from "./reservation.js"
import * as Reservations from "./reservation.js"
import { after } from "../../call/plan.js"
import { clockOf } from "../../internal/clock.js"
import { whileChanged } from "../../internal/context.js"
import { Label } from "../../internal/label.js"
import { isListening, withListeners } from "../../call/usageListeners.js"
import type { Finalizers } from "../../call/finalizers.js"
import type { Opening, OpenStream } from "../../call/openStream.js"
import { openChat, toChatStream, watched } from "../../call/openStream.js"
import { rememberingEstimate, inputTokensOf, normalize, normalizeEmbedding, passedOn } from "../../call/request.js"
import type { Added } from "../../call/added.js"
import { nothing, withListener } from "../../call/added.js"
import { runChat, toChatOf } from "../../call/sending.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
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
  <A extends Answer>(sent: Effect.Effect<A, LLMError>, reservation: BudgetReservation): Effect.Effect<A, LLMError> =>
    Effect.matchCauseEffect(sent, {
      onSuccess: (answer) =>
        after(
          reservation.settle(answer.usage, Pricing.withOwnPrice(info, Pricing.answererOf(answer))),
          Effect.succeed(answer)
        ),
      onFailure: (cause) => after(settleFailure(reservation, info, cause), Effect.failCause(cause))
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
  return watched(opened, {
    onEvents: (events) => {
      for (const event of events) {
        if (event._tag === "Start") streamEnd.by = Pricing.withOwnPrice(info, Pricing.answererOf(event))
        else if (event._tag === "Finish") {
          return Effect.uninterruptible(Effect.suspend(() => reservation.settle(event.usage, streamEnd.by)))
        }
      }
      return undefined
    },
    onEnd: (end) => {
      streamEnd.partial = Option.getOrUndefined(Option.flatMapNullable(end, partialUsage))
      return undefined
    }
  })
}

const chargeStream =
  (info: ModelInfo) =>
  (finalizers: Finalizers) =>
  (sent: Opening, reservation: BudgetReservation): Opening => {
    const streamEnd: StreamEnd = { by: info, partial: undefined }
    // Added before the stream's finalizers so that it runs after them: they report what was consumed.
    return finalizers.add(
      () => reservation.settle(streamEnd.partial, streamEnd.by),
      () =>
        Effect.matchEffect(sent, {
          onSuccess: (opened) => settleAtFinish(info, opened, reservation, streamEnd),
          onFailure: (error) => {
            streamEnd.partial = partialUsage(error)
            return Effect.fail(error)
          }
        })
    )
  }

/** A valid call. */
interface ValidCall {
  readonly model: string | undefined
  readonly estimate: Usage.Usage
  readonly added: Added
}

/** The estimated usage of a chat. It asks for the input tokens if it needs them. */
export type Estimate = (request: ChatRequest, info: ModelInfo, inputTokens: () => number) => Usage.Usage

/** The middleware over rules that have been checked. */
export const makeMiddleware =
  (deps: Dependencies, estimate: Estimate): Middleware =>
  (next) => {
    const { info } = next
    const estimateText = rememberingEstimate()

    /** Charges a call once under nested middlewares of one budget. An invalid request is passed on for its error. */
    const charging =
      <Input, A, R>(
        validate: (input: Input, added: Added) => ValidCall | undefined,
        /** Sends the call, which alone is restored. */
        send: (input: Input, added: Added, restore: Restore) => Effect.Effect<A, LLMError, R>,
        charge: (sent: Effect.Effect<A, LLMError, R>, reservation: BudgetReservation) => Effect.Effect<A, LLMError, R>
      ) =>
      (input: Input, added: Added): Effect.Effect<A, LLMError, R> =>
        Effect.uninterruptibleMask((restore) =>
          Effect.withFiberRuntime((fiber) => {
            const context = fiber.currentContext
            const call = isListening(context, added.listeners, deps.owner) ? undefined : validate(input, added)
            if (call === undefined) return send(input, added, restore)
            const request = {
              info,
              model: call.model ?? info.model,
              label: Context.get(context, Label),
              estimate: call.estimate
            }
            return Reservations.reserve(deps, request, context, clockOf(fiber), (reservation) =>
              charge(send(input, withListener(call.added, reservation.listener), restore), reservation)
            )
          })
        )

    const validateChat = (input: ChatRequest.Input, added: Added): ValidCall | undefined => {
      const request = added.request ?? Either.getOrUndefined(normalize(input))
      if (request === undefined) return undefined
      const inputTokens = added.inputTokens ?? inputTokensOf(request, estimateText)
      return {
        model: request.model,
        estimate: estimate(request, info, inputTokens),
        added: { listeners: added.listeners, request, inputTokens }
      }
    }

    const notifying = <A, R>(sent: Effect.Effect<A, LLMError, R>, { listeners }: Added) =>
      listeners.length === 0 ? sent : whileChanged(sent, withListeners(listeners))

    const chargeChat = charging(
      validateChat,
      (input: ChatRequest.Input, added, restore) => restore(Effect.suspend(() => runChat(next, input, added))),
      chargeWhole(info)
    )

    const chargeEmbedding = charging(
      (input: EmbeddingRequest.Input) => {
        const request = Either.getOrUndefined(normalizeEmbedding(input))
        return request === undefined
          ? undefined
          : {
              model: request.model,
              estimate: Usage.make({ inputTokens: Usage.estimateAll(request.input), estimated: true }),
              added: nothing
            }
      },
      (input, added, restore) => notifying(restore(Effect.suspend(() => next.embed(input))), added),
      chargeWhole(info)
    )

    const chargeOpening = (finalizers: Finalizers) =>
      charging(
        validateChat,
        (input: ChatRequest.Input, added, restore) =>
          notifying(
            restore(
              Effect.suspend(() =>
                openChat(next, added.request === undefined ? input : passedOn(input, added.request))(finalizers)
              )
            ),
            added
          ),
        chargeStream(info)(finalizers)
      )

    return Effect.succeed(
      wrap(next, {
        chat: toChatOf(chargeChat),
        embed: (input) => chargeEmbedding(input, nothing),
        chatStream: toChatStream((input) => (finalizers) => chargeOpening(finalizers)(input, nothing))
      })
    )
  }
