/**
 * The way of one call to an answer: permission from the limiter, a key from the pool, the request, and another key at once
 * where the provider refused this one. What was taken is given back exactly once, whatever happens.
 */
import { Cause, Chunk, Duration, Effect, Either, Exit, Option, Scope } from "effect"
import * as Attempt from "../vocabulary/Attempt.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import * as KeyPool from "../keyPool/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { Call, Embeddings, Service as Client } from "../wire/providerClient.js"
import type * as RateLimiter from "../rateLimiter/model.js"
import * as Usage from "../vocabulary/Usage.js"
import type { AttemptWatch } from "./attemptWatch.js"
import * as Watches from "./attemptWatch.js"
import { longestSleep } from "./limits.js"
import type { Feedback } from "../rateLimiter/feedback.js"
import type { ListedModel } from "../wire/Wire.js"
import type { AttemptProbe, Instruments, Outcome, Subject } from "./observer.js"
import type { Open, OpenStream, Pull } from "./openStream.js"
import { fromStream, isolated, withEarlierAttempts } from "./openStream.js"
import { estimateInput } from "./request.js"
import { deltaText } from "./deltaText.js"

export interface Dependencies {
  readonly client: Client
  readonly pool: KeyPool.Service
  readonly limiter: RateLimiter.Service
  /** The most tokens that a request and its answer may have together, as far as that is known. */
  readonly contextWindow: number
  readonly instruments: Instruments
  /** Whether the limiter counts tokens: only then are they estimated beforehand. */
  readonly countsTokens: boolean
  /** Tells the limiter what the provider says; absent where it does not want to know. */
  readonly feedback: Feedback | undefined
}

/** A request on its way: what for, to which model, and what it is taken to cost before that is known. */
interface Errand extends Subject {
  /** In tokens. Only asked for where tokens are limited. */
  readonly estimate: () => number
}

/** What an attempt holds while it speaks. `end` gives it back; only the first end counts. */
interface Hold {
  readonly call: Call
  readonly probe: AttemptProbe
  readonly startedAt: number
  readonly watch: AttemptWatch | undefined
  readonly end: (
    verdict: KeyPool.Verdict,
    outcome: Outcome,
    usage?: Usage.Usage,
    answeredBy?: string
  ) => Effect.Effect<void>
}

/** What an answer is taken to cost before it is known, in tokens, where the request does not bound it lower. */
const usualOutput = 500

const chatting = (request: ChatRequest, model: string): Errand => ({
  operation: "chat",
  model,
  request,
  inputTokens: () => estimateInput(request),
  estimate: () => estimateInput(request) + Math.min(request.maxTokens ?? usualOutput, usualOutput)
})

const embedding = (request: EmbeddingRequest, model: string): Errand => {
  const inputTokens = () => Usage.estimateAll(request.input)
  return { operation: "embeddings", model, inputTokens, estimate: inputTokens }
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Takes a permit, then a key: a key that waited for a permit would be idle meanwhile. It must not be interrupted, or what has
 * just been taken would be lost; limiter and pool let their waits, and nothing else, be interrupted even so.
 */
const take = (deps: Dependencies, errand: Errand, tried: ReadonlySet<string>): Effect.Effect<Hold, LLMError> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const tokens = deps.countsTokens ? errand.estimate() : 0
    const longest = yield* longestSleep
    const askedAt = clock.unsafeCurrentTimeMillis()
    const reservation = yield* deps.limiter.reserve(tokens, { model: errand.model, ...bounded(longest) })
    const permittedAt = clock.unsafeCurrentTimeMillis()
    const lease = yield* Effect.onError(
      deps.pool.acquire({
        exclude: tried,
        cooling: tried.size === 0 ? "wait" : "fail",
        ...bounded(longest - (permittedAt - askedAt))
      }),
      () => reservation.settle(0)
    )
    const startedAt = clock.unsafeCurrentTimeMillis()
    const watch = yield* Watches.CurrentWatch
    Watches.began(watch, { provider: deps.client.provider, model: errand.model, keyId: lease.key.id, startedAt })
    const probe = yield* Effect.onError(
      Effect.zipRight(
        told(deps, permittedAt - askedAt, startedAt - permittedAt),
        deps.instruments.attempt(lease.key, errand)
      ),
      // Who is told may be a tracer of the user's own, which may die: the call does, too, but keeps nothing.
      () => {
        Watches.ended(watch)
        return Effect.ensuring(lease.settle(KeyPool.Verdict.Neutral()), reservation.settle(0))
      }
    )
    const { feedback } = deps
    let over = false
    return {
      call: {
        model: errand.model,
        key: lease.key,
        onRateLimits: (limits) => {
          const resting =
            limits.remainingRequests === 0 && limits.resetRequests !== undefined
              ? deps.pool.rest(lease.key.id, limits.resetRequests)
              : Effect.void
          return feedback === undefined ? resting : Effect.zipRight(resting, feedback.headers(errand.model, limits))
        }
      },
      probe,
      startedAt,
      watch,
      end: (verdict, outcome, usage, answeredBy) =>
        Effect.suspend(() => {
          if (over) return Effect.void
          over = true
          Watches.ended(watch)
          // Whatever one of them dies of, the next is done.
          const settled = Effect.ensuring(lease.settle(verdict), reservation.settle(usage?.totalTokens ?? tokens))
          return Effect.ensuring(
            feedback === undefined
              ? settled
              : Effect.ensuring(
                  feedback.ended(errand.model, verdict, clock.unsafeCurrentTimeMillis() - startedAt),
                  settled
                ),
            probe.end(verdict, outcome, usage, answeredBy)
          )
        })
    }
  })

/** Tells how long the call waited, in milliseconds, for a permit and for a key. */
const told = ({ instruments }: Dependencies, forPermit: number, forKey: number): Effect.Effect<void> =>
  Effect.zipRight(
    forPermit > 0 ? instruments.waited("limiter", forPermit) : Effect.void,
    forKey > 0 ? instruments.waited("pool", forKey) : Effect.void
  )

const bounded = (longest: number): { readonly maxWait?: Duration.Duration } =>
  Number.isFinite(longest) ? { maxWait: Duration.millis(Math.max(0, longest)) } : {}

/** Of two reasons not to answer, the one that time will mend, and of two such the one that it will mend sooner. */
const preferred = (first: LLMError, next: LLMError): LLMError => {
  if (first._tag === "RateLimitError" && next._tag === "RateLimitError") {
    return first.retryAfter !== undefined && next.retryAfter !== undefined
      ? Errors.amend(first, { retryAfter: Duration.min(first.retryAfter, next.retryAfter) })
      : first
  }
  if (next._tag === "RateLimitError") return next
  return first._tag === "RateLimitError" || next._tag === "KeyPoolExhaustedError" ? first : next
}

/** One attempt after the other, each with a key of its own, for as long as the failures speak of keys. */
const rotate = <A, R>(
  deps: Dependencies,
  errand: Errand,
  use: (hold: Hold, restore: Restore) => Effect.Effect<A, LLMError, R>,
  withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
): Effect.Effect<A, LLMError, R> => {
  const located = (error: LLMError): LLMError =>
    error.provider === "" || error.model === ""
      ? Errors.amend(error, { provider: deps.client.provider, model: errand.model })
      : error

  const from = (
    tried: ReadonlySet<string>,
    earlier: ReadonlyArray<Attempt.Attempt>,
    reason: LLMError | undefined
  ): Effect.Effect<A, LLMError, R> =>
    Effect.flatten(
      Effect.uninterruptibleMask((restore) =>
        Effect.matchEffect(take(deps, errand, tried), {
          onFailure: (error) => {
            const refused = located(error)
            const failure = reason === undefined ? refused : preferred(reason, refused)
            return Effect.fail(earlier.length === 0 ? failure : Errors.amend(failure, { attempts: earlier }))
          },
          onSuccess: (hold) =>
            Effect.map(Effect.either(use(hold, restore)), (result): Effect.Effect<A, LLMError, R> => {
              if (result._tag === "Right") {
                return Effect.succeed(earlier.length === 0 ? result.right : withEarlier(result.right, earlier))
              }
              const error = result.left
              const attempts = Attempt.concat(earlier, error.attempts)
              const failure = reason === undefined ? error : preferred(reason, error)
              return Errors.keyScoped(error)
                ? from(new Set(tried).add(hold.call.key.id), attempts, failure)
                : Effect.fail(earlier.length === 0 ? error : Errors.amend(error, { attempts }))
            })
        })
      )
    )
  return from(new Set(), [], undefined)
}

/** The receipt of an attempt that failed stands on its error from here on. */
const receipt = (deps: Dependencies, hold: Hold, now: number, error: LLMError): LLMError => {
  const attempt: Attempt.Attempt = {
    provider: deps.client.provider,
    model: hold.call.model,
    keyId: hold.call.key.id,
    error: error._tag,
    ...(error.status === undefined ? {} : { status: error.status }),
    duration: now - hold.startedAt
  }
  Watches.failed(hold.watch, attempt)
  return Errors.amend(error, { attempts: [attempt] })
}

/** How an attempt ended that nobody heard the end of: its time was up, or its caller left. */
const cutOrLeft = (hold: Hold): Outcome => (Watches.isCut(hold.watch) ? "TimeoutError" : "interrupted")

/** Whether nothing was sent, or the provider refused before it did any work. Otherwise the estimate stands. */
const consumedNothing = (error: LLMError): boolean =>
  Errors.keyScoped(error) ||
  error._tag === "InvalidRequestError" ||
  error._tag === "ModelNotFoundError" ||
  error._tag === "UnsupportedError"

const failed = (hold: Hold, error: LLMError): Effect.Effect<void> =>
  hold.end(KeyPool.verdictOf(error), error._tag, consumedNothing(error) ? Usage.empty : undefined)

/** Gives the key back with what the exit says of it. */
const settledByExit = <A, R>(
  deps: Dependencies,
  hold: Hold,
  effect: Effect.Effect<A, LLMError, R>,
  onSuccess: (result: A) => Effect.Effect<void>
): Effect.Effect<A, LLMError, R> =>
  Effect.clockWith((clock) =>
    Effect.onExit(
      Effect.mapError(hold.probe.around(effect), (error) =>
        receipt(deps, hold, clock.unsafeCurrentTimeMillis(), error)
      ),
      Exit.match({
        onSuccess,
        onFailure: (cause) =>
          Option.match(Cause.failureOption(cause), {
            onNone: () => hold.end(KeyPool.Verdict.Neutral(), cutOrLeft(hold)),
            onSome: (error) => failed(hold, error)
          })
      })
    )
  )

interface Answer {
  readonly model: string
  readonly latency: number
  readonly usage: Usage.Usage
  readonly attempts: ReadonlyArray<Attempt.Attempt>
}

/** How many times its context window a model is believed to read in one call: tools of the provider's make it read more than once. */
const mostReadings = 16

/** The longest answers that models give, in tokens: a provider may count thoughts beside `maxTokens`, or `extra` replace it. */
const longestAnswer = 131_072

/** The most tokens that a chat can have consumed. Tokenizers differ, so that twice what was asked for is still believed. */
const mostOf = ({ contextWindow }: Dependencies, { maxTokens = Infinity }: ChatRequest) => {
  const inputTokens = mostReadings * contextWindow
  return { inputTokens, outputTokens: Math.min(inputTokens, 2 * maxTokens + longestAnswer) }
}

/** What a client says was consumed by a chat, as far as it can be believed. `said` is all that the model wrote. */
const believed = (deps: Dependencies, request: ChatRequest, usage: Usage.Usage, said: () => string): Usage.Usage =>
  Usage.checked(
    usage,
    () => ({ inputTokens: estimateInput(request), outputTokens: Usage.estimateTokens(said()) }),
    mostOf(deps, request)
  )

/** The same answer with this usage: the same object where it is the one that it has. */
const withUsage = <A extends Answer>(answer: A, usage: Usage.Usage): A =>
  usage === answer.usage ? answer : { ...answer, usage }

/** Asks for a whole answer of any kind. */
const answered = <A extends Answer>(
  deps: Dependencies,
  errand: Errand,
  ask: (call: Call) => Effect.Effect<A, LLMError>,
  usageOf: (response: A) => Usage.Usage
): Effect.Effect<A, LLMError> =>
  rotate(
    deps,
    errand,
    (hold, restore) => {
      const asked = Effect.map(ask(hold.call), (response) => withUsage(response, usageOf(response)))
      return settledByExit(deps, hold, restore(asked), (response) =>
        hold.end(KeyPool.Verdict.Served({ latency: response.latency }), "ok", response.usage, response.model)
      )
    },
    Attempt.withEarlier
  )

/** Asks for a whole answer. */
export const chat = (deps: Dependencies, request: ChatRequest, model: string): Effect.Effect<ChatResponse, LLMError> =>
  answered(
    deps,
    chatting(request, model),
    (call) => deps.client.chat(request, call),
    (response) => believed(deps, request, response.usage, () => Events.fromResponse(response).map(deltaText).join(""))
  )

/** Embeds as many texts as one request may have. */
export const embed = (
  deps: Dependencies,
  embeddings: Embeddings,
  request: EmbeddingRequest,
  model: string
): Effect.Effect<EmbeddingResponse, LLMError> =>
  answered(
    deps,
    embedding(request, model),
    (call) => embeddings.embed(request, call),
    ({ usage }) => Usage.checked(usage, () => ({ inputTokens: Usage.estimateAll(request.input), outputTokens: 0 }))
  )

/** Lists the models that the first key which works may ask. It is no work for a model: the limiter is not asked. */
export const listModels = (
  deps: Dependencies,
  list: (call: Call) => Effect.Effect<ReadonlyArray<ListedModel>, LLMError>
): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> => {
  const from = (tried: ReadonlySet<string>): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> =>
    Effect.acquireUseRelease(
      deps.pool.acquire({ exclude: tried, cooling: tried.size === 0 ? "wait" : "fail" }),
      ({ key }) => Effect.map(Effect.either(list({ model: "", key })), (result) => ({ result, key })),
      (lease, exit) =>
        lease.settle(
          Exit.isSuccess(exit) && Either.isLeft(exit.value.result)
            ? KeyPool.verdictOf(exit.value.result.left)
            : KeyPool.Verdict.Neutral()
        )
    ).pipe(
      Effect.flatMap(({ key, result }) => {
        if (Either.isRight(result)) return Effect.succeed(result.right)
        const error = result.left
        return Errors.keyScoped(error)
          ? Effect.catchAll(from(new Set(tried).add(key.id)), (next) => Effect.fail(preferred(error, next)))
          : Effect.fail(error)
      })
    )
  return from(new Set())
}

/** Hands the stream on unchanged, gives the key back with its last event, and knows what was consumed if it is given up. */
const tracked = (deps: Dependencies, hold: Hold, request: ChatRequest, opened: OpenStream, latency: number) => {
  let said = ""
  let answeredBy: string | undefined
  const soFar = (): Usage.Usage =>
    Usage.make({ inputTokens: estimateInput(request), outputTokens: Usage.estimateTokens(said), estimated: true })

  const pass = (events: Chunk.Chunk<ChatEvent>): Effect.Effect<Chunk.Chunk<ChatEvent>> => {
    for (const event of events) {
      if (event._tag === "Start") answeredBy = event.model
      else if (event._tag === "Finish") {
        const usage = believed(deps, request, event.usage, () => said)
        const told =
          usage === event.usage ? events : Chunk.map(events, (other) => (other === event ? { ...event, usage } : other))
        return Effect.as(hold.end(KeyPool.Verdict.Served({ latency }), "ok", usage, answeredBy), told)
      }
      said += deltaText(event)
    }
    return Effect.succeed(events)
  }
  const pull: Pull = Effect.matchEffect(opened.pull, {
    onSuccess: pass,
    onFailure: (end) =>
      Effect.zipRight(
        Option.match(end, {
          onNone: () => Effect.void,
          onSome: (error) => hold.end(KeyPool.verdictOf(error), error._tag, soFar(), answeredBy)
        }),
        Effect.fail(end)
      )
  })
  return {
    opened: Effect.map(pass(opened.first), (first): OpenStream => ({ first, pull })),
    abandoned: Effect.suspend(() => hold.end(KeyPool.Verdict.Neutral(), cutOrLeft(hold), soFar(), answeredBy))
  }
}

/** Asks for a stream. The key is held until the stream has said its last word or is given up. */
export const chatStream = (deps: Dependencies, request: ChatRequest, model: string): Open =>
  rotate(
    deps,
    chatting(request, model),
    (hold, restore) =>
      Effect.flatMap(Effect.scope, (scope) => {
        let abandoned: Effect.Effect<void> = Effect.suspend(() => hold.end(KeyPool.Verdict.Neutral(), cutOrLeft(hold)))
        // Before the connection's own finalizer, so that it runs after it: a key is given back when its socket is closed.
        return Effect.zipRight(
          Scope.addFinalizer(
            scope,
            Effect.suspend(() => abandoned)
          ),
          Effect.flatMap(
            settledByExit(
              deps,
              hold,
              restore(isolated(fromStream(deps.client.chatStream(request, hold.call)))),
              () => Effect.void
            ),
            (opened) =>
              Effect.clockWith((clock) => {
                const stream = tracked(deps, hold, request, opened, clock.unsafeCurrentTimeMillis() - hold.startedAt)
                abandoned = stream.abandoned
                return stream.opened
              })
          )
        )
      }),
    withEarlierAttempts
  )
