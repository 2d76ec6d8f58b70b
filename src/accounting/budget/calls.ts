/** The calls of an `LLM` with their tabs: opened before the call, settled when it is over, however it ends. */
import { Cause, Effect, Either, Exit, Option } from "effect"
import type { Chunk } from "effect"
import type { Attempt } from "../../vocabulary/Attempt.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import type { Middleware, ModelInfo, Service } from "../../call/model.js"
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

interface Answer {
  readonly provider: string
  readonly model: string
  readonly attempts: ReadonlyArray<Attempt>
  readonly usage: Usage.Usage
}

type OpenTab = Effect.Effect<BudgetReservation, LLMError>

/** What had been consumed when a call failed, as far as the error tells it. */
const partialOf = (error: LLMError): Usage.Usage | undefined =>
  "partial" in error && error.partial !== undefined ? error.partial.usage : undefined

const settleFailure = (tab: BudgetReservation, info: ModelInfo, cause: Cause.Cause<LLMError>): Effect.Effect<void> =>
  tab.settle(Option.match(Cause.failureOption(cause), { onNone: () => undefined, onSome: partialOf }), info)

const whole = <A extends Answer>(
  info: ModelInfo,
  call: Effect.Effect<A, LLMError>,
  open: OpenTab
): Effect.Effect<A, LLMError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(open, (tab) =>
      Effect.onExit(
        restore(withUsageListener(call, tab.listener)),
        Exit.match({
          onSuccess: (answer) => tab.settle(answer.usage, Pricing.withOwnPrice(info, Pricing.answererOf(answer))),
          onFailure: (cause) => settleFailure(tab, info, cause)
        })
      )
    )
  )

/** What is known of a stream's end before everything below it has ended too. */
interface Ending {
  by: Pricing.Answerer
  partial: Usage.Usage | undefined
}

/** The same stream, which settles with its last event. After a failure the attempts below it may still have to tell of it. */
const watched = (
  info: ModelInfo,
  opened: OpenStream,
  tab: BudgetReservation,
  ending: Ending
): Effect.Effect<OpenStream> => {
  const seen = (events: Chunk.Chunk<ChatEvent>): Effect.Effect<Chunk.Chunk<ChatEvent>> => {
    for (const event of events) {
      if (event._tag === "Start") ending.by = Pricing.withOwnPrice(info, Pricing.answererOf(event))
      else if (event._tag === "Finish") return Effect.as(tab.settle(event.usage, ending.by), events)
    }
    return Effect.succeed(events)
  }
  const pull: Pull = Effect.matchEffect(opened.pull, {
    onSuccess: seen,
    onFailure: (end) => {
      ending.partial = Option.getOrUndefined(Option.flatMapNullable(end, partialOf))
      return Effect.fail(end)
    }
  })
  return Effect.map(seen(opened.first), (first) => ({ first, pull }))
}

const streamed = (info: ModelInfo, call: Open, open: OpenTab): Open =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(open, (tab) => {
      const ending: Ending = { by: info, partial: undefined }
      // Before the stream's own finalizers, so that it runs after them: they tell what was consumed.
      return Effect.zipRight(
        Effect.addFinalizer(() => tab.settle(ending.partial, ending.by)),
        Effect.flatMap(
          Effect.tapError(restore(withUsageListener(call, tab.listener)), (error) =>
            Effect.sync(() => {
              ending.partial = partialOf(error)
            })
          ),
          (opened) => watched(info, opened, tab, ending)
        )
      )
    })
  )

/** The middleware over rules that are known to make sense. */
export const around =
  (deps: Dependencies, estimate: (request: ChatRequest, info: ModelInfo) => Usage.Usage): Middleware =>
  (next) => {
    const { info } = next

    const openTab = (model: string | undefined, estimate: Usage.Usage): OpenTab =>
      Effect.flatMap(Label, (label) => Reservations.open(deps, { info, model: model ?? info.model, label, estimate }))

    /** A call that this budget pays for already pays once. One that makes no sense is sent on to whoever will say so. */
    const paid = <A, R, Request extends { readonly model?: string }>(
      request: Either.Either<Request, LLMError>,
      call: Effect.Effect<A, LLMError, R>,
      estimate: (request: Request) => Usage.Usage,
      pay: (open: OpenTab) => Effect.Effect<A, LLMError, R>
    ): Effect.Effect<A, LLMError, R> =>
      Either.match(request, {
        onLeft: () => call,
        onRight: (request) =>
          Effect.flatMap(isListening(deps.owner), (already) =>
            already ? call : pay(Effect.suspend(() => openTab(request.model, estimate(request))))
          )
      })

    const ofChat = (request: ChatRequest) => estimate(request, info)
    const ofTexts = ({ input }: Pick<EmbeddingRequest, "input">) =>
      Usage.make({ inputTokens: Usage.estimateAll(input), estimated: true })

    return Effect.succeed<Service>({
      ...next,
      chat: (input) =>
        Effect.suspend(() => {
          const call = next.chat(input)
          return paid(normalize(input), call, ofChat, (open) => whole(info, call, open))
        }),
      embed: (input) =>
        Effect.suspend(() => {
          const call = next.embed(input)
          return paid(normalizeEmbedding(input), call, ofTexts, (open) => whole(info, call, open))
        }),
      chatStream: (input) =>
        toStream(
          Effect.suspend(() => {
            const call = fromStream(next.chatStream(input))
            return paid(normalize(input), call, ofChat, (open) => streamed(info, call, open))
          })
        )
    })
  }
