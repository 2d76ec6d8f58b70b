/**
 * The attempts of one call: a permit from the limiter, a key from the pool, the request, and the next key at once when the
 * failure concerns the key. Permit and key are settled exactly once, however the attempt ends.
 */
import type { Clock } from "effect"
import { Cause, Chunk, Context, Duration, Effect, Either, Exit, FiberRef, Option } from "effect"
import * as Finalizer from "../internal/finalizer.js"
import * as Attempt from "../vocabulary/attempt.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import * as KeyPool from "../keyPool/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { Call, Embeddings, Service as Client } from "../wire/providerClient.js"
import * as RateLimiter from "../rateLimiter/model.js"
import type { TokenEstimates } from "../rateLimiter/tokenEstimates.js"
import * as TextTokens from "../vocabulary/textTokens.js"
import * as Usage from "../vocabulary/Usage.js"
import type { AttemptWatch } from "./attemptWatch.js"
import * as Watches from "./attemptWatch.js"
import * as Acquire from "./acquire.js"
import * as Affinity from "./affinity.js"
import type { makeWaitLog } from "./callLog.js"
import { logNext } from "./callLog.js"
import * as KeyOwner from "./keyOwner.js"
import { CallLimits, narrow } from "./limits.js"
import { isFieldOmitted, maxOmissions } from "./message.js"
import type { Feedback } from "../rateLimiter/feedback.js"
import type { ListedModel } from "../wire/Wire.js"
import type { ModelInfo } from "./model.js"
import type { AttemptProbe, FiberLabels, Instruments, Outcome, Subject } from "./observer.js"
import type { Open, OpenStream, Pull } from "./openStream.js"
import { isolated } from "./ownedStream.js"
import { fromStream, withEarlierAttempts } from "./openStream.js"
import { takeFailed } from "./origin.js"
import { estimateInput, inputTokensOf } from "./request.js"
import { limitFor } from "./requestLimit.js"
import type { KeyRetries } from "./retry/state.js"
import { deltaText } from "./deltaText.js"

export interface Dependencies {
  readonly info: ModelInfo
  readonly client: Client
  readonly pool: KeyPool.Service
  readonly limiter: RateLimiter.Service
  readonly instruments: Instruments
  /** Absent when the limiter counts no tokens: then a call estimates none. */
  readonly tokenEstimates: TokenEstimates | undefined
  /** Passes rate limit headers and outcomes to the limiter; absent when the limiter does not observe them. */
  readonly feedback: Feedback | undefined
  /** Absent when calls are not retried. */
  readonly retries: KeyRetries | undefined
  /** Tells of long waits for permits and keys. */
  readonly logWaits: ReturnType<typeof makeWaitLog>
}

/** The request that all attempts of a call send. */
export interface AttemptRequest extends Subject {
  /** Estimates input and output tokens. */
  readonly estimate: (estimates: TokenEstimates) => number
}

/** An attempt in flight with its permit and key. `end` settles both; only its first call has an effect. */
interface ActiveAttempt {
  readonly call: Call
  readonly probe: AttemptProbe
  readonly startedAt: number
  readonly watch: AttemptWatch | undefined
  /** Reports that the provider has accepted the call, whose answer has begun after this time in milliseconds. */
  readonly accept: (latency: number) => Effect.Effect<void>
  readonly end: (
    verdict: KeyPool.Verdict,
    outcome: Outcome,
    usage?: Usage.Usage,
    answeredBy?: string
  ) => Effect.Effect<void>
}

export const chatAttempt = (
  request: ChatRequest,
  model: string,
  streamed: boolean,
  inputTokens = inputTokensOf(request)
): AttemptRequest => ({
  operation: "chat",
  model,
  request,
  streamed,
  inputTokens,
  estimate: (estimates) => estimates.of(model, inputTokens(), request.maxTokens)
})

const embeddingAttempt = (request: EmbeddingRequest, model: string): AttemptRequest => {
  const inputTokens = () => Usage.estimateAll(request.input)
  return { operation: "embeddings", model, streamed: false, inputTokens, estimate: inputTokens }
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const noKeys: ReadonlySet<string> = new Set()

/** What the requests of one conversation have in common; undefined where the pool does not use it. */
export const affinityOf = (
  { pool }: Pick<Dependencies, "pool">,
  { request }: Pick<AttemptRequest, "request">,
  context: Context.Context<never>
): string | undefined =>
  pool.usesAffinity === true && request !== undefined
    ? Affinity.keyOf(request, Context.get(context, RateLimiter.CurrentClient))
    : undefined

type Keys = Pick<Acquire.Need, "exclude" | "avoid" | "waitsForCooldown">

const unrestrictedKeys: Keys = { exclude: noKeys, avoid: [], waitsForCooldown: true }

/** The keys that an attempt can take. The owner of its request counts more than the keys that it had better avoid. */
export const keysFor = (
  { isStrict, others, waits }: KeyOwner.Restriction,
  tried: ReadonlySet<string> = noKeys,
  avoid: ReadonlySet<string> = noKeys
): Keys => {
  if (others.size + tried.size + avoid.size === 0) return unrestrictedKeys
  const avoided = avoid.size === 0 ? [] : [avoid]
  return {
    exclude: isStrict ? Acquire.union(tried, others) : tried,
    avoid:
      isStrict || others.size === 0
        ? avoided
        : [...avoided.map((ids) => Acquire.union(ids, others)), others, ...avoided],
    waitsForCooldown: waits && tried.size === 0
  }
}

/** The tokens to reserve; 0 where they are not limited. */
export const reservedTokens = ({ tokenEstimates }: Dependencies, request: AttemptRequest): number =>
  tokenEstimates === undefined ? 0 : request.estimate(tokenEstimates)

/**
 * The tokens that an attempt has used. Of an attempt without usage it is the reserved estimate, or its input where the provider had no
 * answer. The usage of an answer is learned.
 */
export const usedTokens = (
  { instruments, tokenEstimates }: Dependencies,
  request: AttemptRequest,
  reserved: number,
  outcome: Outcome,
  usage: Usage.Usage | undefined,
  labels: FiberLabels
): number => {
  if (tokenEstimates === undefined) return 0
  if (usage === undefined) {
    return outcome === "ProviderUnavailableError" ? Math.min(reserved, request.inputTokens()) : reserved
  }
  if (outcome === "ok") {
    if (request.operation === "chat") tokenEstimates.record(request.model, usage.outputTokens)
    instruments.recorder?.estimated(usage.totalTokens - reserved, labels)
  }
  return usage.totalTokens
}

/** Acquires permit and key and begins an attempt. Must run uninterruptibly, or what was acquired could be lost. */
const acquire = (
  deps: Dependencies,
  request: AttemptRequest,
  { avoid, failsOver, isRepeated, owner, policy, tried }: Before
): Effect.Effect<ActiveAttempt, LLMError> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const tokens = reservedTokens(deps, request)
    const affinity = affinityOf(deps, request, yield* Effect.context<never>())
    const keys = owner === undefined ? [] : yield* deps.pool.keys
    const restriction = KeyOwner.restrictionOf(deps.client.provider, owner, policy, keys)
    const need = {
      ...keysFor(restriction, tried, avoid),
      model: request.model,
      tokens,
      failover: failsOver,
      isRepeated,
      affinity
    }
    const acquired = Acquire.unsafeTryAcquire(clock, deps, need) ?? (yield* Acquire.acquire(deps, need))
    const { lease, reservation, waitedForKey, waitedForPermit } = acquired
    const startedAt = clock.unsafeCurrentTimeMillis()
    const watch = yield* Watches.CurrentWatch
    if (waitedForPermit + waitedForKey > 0) Watches.recordWaits(watch, waitedForPermit, waitedForKey)
    Watches.recordStart(watch, { provider: deps.client.provider, model: request.model, keyId: lease.key.id, startedAt })
    const probe = yield* Effect.onError(
      Effect.zipRight(
        recordWaits(deps, clock, waitedForPermit, waitedForKey),
        deps.instruments.attempt(lease.key, request)
      ),
      // A tracer can die: then the call dies, too, but releases key and permit.
      () => {
        Watches.recordEnd(watch)
        return Acquire.giveBack(clock, acquired)
      }
    )
    const { feedback } = deps
    let isEnded = false
    let firstChunk: number | undefined
    return {
      call: {
        model: request.model,
        key: lease.key,
        ...(affinity === undefined ? {} : { affinity }),
        ...(owner === undefined ? {} : { kin: KeyOwner.kinOf(lease.key, keys) }),
        resends: true,
        onRateLimits: (limits) => {
          const cooldown =
            limits.remainingRequests === 0 && limits.resetRequests !== undefined
              ? deps.pool.rest(lease.key.id, limits.resetRequests)
              : Effect.void
          return feedback === undefined ? cooldown : Effect.zipRight(cooldown, feedback.headers(request.model, limits))
        }
      },
      probe,
      startedAt,
      watch,
      accept: (latency) => {
        firstChunk = latency
        return lease.accept ?? Effect.void
      },
      end: (verdict, outcome, usage, answeredBy) =>
        Effect.withFiberRuntime((fiber) => {
          if (isEnded) return Effect.void
          isEnded = true
          Watches.recordEnd(watch)
          const labels = fiber.getFiberRef(FiberRef.currentMetricLabels)
          const used = usedTokens(deps, request, tokens, outcome, usage, labels)
          // When one of these effects dies, the others run all the same.
          const both = Effect.ensuring(lease.settle(verdict), reservation.settle(used))
          const settle = outcome === "ok" || outcome === "interrupted" ? both : Finalizer.logged(both)
          return Effect.ensuring(
            feedback === undefined
              ? settle
              : Effect.ensuring(
                  feedback.ended(request.model, verdict, clock.unsafeCurrentTimeMillis() - startedAt),
                  settle
                ),
            probe.end(verdict, outcome, usage, answeredBy, firstChunk)
          )
        })
    }
  })

/** Reports how long the call waited for a permit and for a key, in milliseconds. */
const recordWaits = (
  { instruments, logWaits }: Dependencies,
  clock: Clock.Clock,
  forPermit: number,
  forKey: number
): Effect.Effect<void> =>
  forPermit + forKey === 0
    ? Effect.void
    : Effect.all(
        [
          forPermit > 0 ? instruments.waited("limiter", forPermit) : Effect.void,
          forKey > 0 ? instruments.waited("pool", forKey) : Effect.void,
          logWaits(clock, forPermit, forKey)
        ],
        { discard: true }
      )

/** Of two errors the one that a retry can resolve, with the shorter `retryAfter`. */
const preferred = (first: LLMError, next: LLMError): LLMError => {
  // There was no other key for a failure that might have concerned its key.
  if (!Errors.isKeyScoped(first)) return first
  if (first._tag === "RateLimitError" && next._tag === "RateLimitError") {
    return first.retryAfter !== undefined && next.retryAfter !== undefined
      ? Errors.update(first, { retryAfter: Duration.min(first.retryAfter, next.retryAfter) })
      : first
  }
  if (next._tag === "RateLimitError") return next
  return first._tag === "RateLimitError" || next._tag === "KeyPoolExhaustedError" ? first : next
}

/** How a call begins: its first failure, if it was sent before, and the keys that earlier calls for the same answer have tried. */
const begin = (deps: Dependencies, request: AttemptRequest) =>
  Effect.contextWith((context: Context.Context<never>) => {
    const limit = limitFor(Context.get(context, CallLimits).requests, deps.info)
    const earlier = (limit?.earlier ?? []).filter(
      (attempt) => attempt.provider === deps.client.provider && attempt.model === request.model && attempt.keyId !== ""
    )
    return {
      failed: takeFailed(context, deps.info),
      owner: KeyOwner.ownerOf(deps.client.provider, request.request, context),
      tried: new Set(earlier.map(({ keyId }) => keyId)),
      requestsLeft: limit?.left ?? Infinity
    }
  })

/** The attempts of a call so far. */
interface Before {
  readonly tried: ReadonlySet<string>
  readonly attempts: ReadonlyArray<Attempt.Attempt>
  /** The failure of the last one, with all of them. */
  readonly failed: LLMError | undefined
  readonly reason: LLMError | undefined
  /** Keys that are taken only when no other is ready. */
  readonly avoid: ReadonlySet<string>
  /** Whether a failure of the provider is followed by a try with another key. */
  readonly mayFailOver: boolean
  /** Whether this is that try. */
  readonly failsOver: boolean
  /** Whether the call was sent before, by a policy around its `LLM` or with a field that the server rejects. */
  readonly isRepeated: boolean
  /** How often the server rejected an optional field of the request. */
  readonly omissions: number
  /** The account to whose keys the call belongs. */
  readonly owner: KeyOwner.KeyOwner | undefined
  /** What happens while none of its keys is ready. */
  readonly policy: ModelInfo["onOwnerUnavailable"]
}

/** Tells of the attempt that failed when the next one begins. */
const logged = <A, E, R>(
  failed: LLMError | undefined,
  { call }: ActiveAttempt,
  next: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => (failed === undefined ? next : Effect.zipRight(logNext(failed, call.key.id), next))

/** Whether the keys of the owner are out for longer than a call can wait: none is left that is busy or rate-limited. */
const isOwnerOut = ({ owner, policy, reason }: Before, { _tag }: LLMError): boolean =>
  policy === "wait" &&
  owner?.isPinned === false &&
  _tag === "KeyPoolExhaustedError" &&
  reason?._tag !== "RateLimitError"

/**
 * Makes attempts, each with another key, until one succeeds or fails with an error that does not concern the key. A request whose optional
 * field the server rejects is sent again without it, by an attempt with a permit of its own. A failure of the
 * provider may concern the key, too: a call that is made for the first time then tries one other key that is ready and not failing.
 */
const withKeyFailover = <A, R>(
  deps: Dependencies,
  request: AttemptRequest,
  use: (active: ActiveAttempt, restore: Restore) => Effect.Effect<A, LLMError, R>,
  withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
): Effect.Effect<A, LLMError, R> => {
  const { retries } = deps
  const withProviderAndModel = (error: LLMError): LLMError =>
    error.provider === "" || error.model === ""
      ? Errors.update(error, { provider: deps.client.provider, model: request.model })
      : error

  const attemptAfter = (before: Before): Effect.Effect<A, LLMError, R> => {
    const { attempts: earlier, reason } = before
    const acquired = acquire(deps, request, before)
    return Effect.flatten(
      Effect.uninterruptibleMask((restore) =>
        Effect.matchEffect(before.failsOver ? narrow(acquired, { maxWait: 0 }) : acquired, {
          onFailure: (error) => {
            if (isOwnerOut(before, error)) return Effect.succeed(attemptAfter({ ...before, policy: "drop" }))
            const located = withProviderAndModel(error)
            const failure = reason === undefined ? located : preferred(reason, located)
            return Effect.fail(earlier.length === 0 ? failure : Errors.update(failure, { attempts: earlier }))
          },
          onSuccess: (active) =>
            Effect.map(
              Effect.either(logged(before.failed, active, use(active, restore))),
              (result): Effect.Effect<A, LLMError, R> =>
                result._tag === "Right"
                  ? Effect.succeed(earlier.length === 0 ? result.right : withEarlier(result.right, earlier))
                  : afterFailure(before, active.call.key.id, result.left)
            )
        })
      )
    )
  }

  /** The next attempt after one that failed with a key, or its error. */
  const afterFailure = (before: Before, keyId: string, error: LLMError): Effect.Effect<A, LLMError, R> => {
    const attempts = Attempt.concat(before.attempts, error.attempts)
    const failed = Errors.update(error, { attempts })
    if (isFieldOmitted(error) && before.omissions < maxOmissions) {
      const omissions = before.omissions + 1
      return attemptAfter({ ...before, attempts, failed, isRepeated: true, omissions })
    }
    const tried = new Set(before.tried).add(keyId)
    if (Errors.isKeyScoped(error)) {
      const reason = before.reason === undefined ? error : preferred(before.reason, error)
      return attemptAfter({ ...before, attempts, failed, reason, tried, failsOver: false })
    }
    return before.mayFailOver && retries !== undefined && mayConcernKey(retries, error)
      ? attemptAfter({
          ...before,
          tried,
          attempts,
          failed,
          reason: error,
          avoid: noKeys,
          mayFailOver: false,
          failsOver: true
        })
      : Effect.fail(before.attempts.length === 0 ? error : Errors.update(error, { attempts }))
  }

  return Effect.flatMap(begin(deps, request), ({ failed, owner, requestsLeft, tried }) => {
    const isFirst = tried.size === 0
    const before: Before = {
      tried: noKeys,
      attempts: [],
      failed: undefined,
      reason: undefined,
      avoid: tried,
      isRepeated: !isFirst,
      // A pool without synchronous members does not know its failing keys.
      mayFailOver: isFirst && owner === undefined && requestsLeft > 1 && deps.pool.unsafeTryReserve !== undefined,
      failsOver: false,
      omissions: 0,
      owner,
      policy: deps.info.onOwnerUnavailable
    }
    if (failed !== undefined) return afterFailure(before, failed.keyId, failed.error)
    return attemptAfter(before)
  })
}

/** Whether another key may do better at once after an error of the provider. */
const mayConcernKey = ({ failsOver, when }: KeyRetries, error: LLMError): boolean =>
  failsOver && error._tag === "ProviderUnavailableError" && error.retryAfter === undefined && when(error)

/** Records a failed attempt in the watch and in its error. */
export const withFailedAttempt = (
  deps: Dependencies,
  { call, startedAt, watch }: Pick<ActiveAttempt, "call" | "startedAt" | "watch">,
  now: number,
  error: LLMError
): LLMError => {
  const attempt: Attempt.Attempt = {
    provider: deps.client.provider,
    model: call.model,
    keyId: call.key.id,
    error: error._tag,
    ...(error.status === undefined ? {} : { status: error.status }),
    duration: now - startedAt
  }
  Watches.recordFailure(watch, attempt)
  return Errors.update(error, { attempts: [attempt] })
}

/** Settles an attempt that was interrupted, by an expired time limit or by the caller. */
const endInterrupted = (active: ActiveAttempt, usage?: Usage.Usage, answeredBy?: string): Effect.Effect<void> => {
  const [verdict, outcome] = Watches.verdictOfInterruption(active.watch)
  return active.end(verdict, outcome, usage, answeredBy)
}

/** Whether nothing was sent, or the provider rejected the request unprocessed. Otherwise the limiter keeps the estimated tokens. */
export const consumedNothing = (error: LLMError): boolean =>
  Errors.isKeyScoped(error) ||
  error._tag === "InvalidRequestError" ||
  error._tag === "ModelNotFoundError" ||
  error._tag === "UnsupportedError"

const endFailed = (active: ActiveAttempt, error: LLMError): Effect.Effect<void> =>
  active.end(KeyPool.verdictOf(error), error._tag, consumedNothing(error) ? Usage.empty : undefined)

/** Runs an attempt and settles its key and permit by the exit. */
const settleOnExit = <A, R>(
  deps: Dependencies,
  active: ActiveAttempt,
  effect: Effect.Effect<A, LLMError, R>,
  onSuccess: (result: A) => Effect.Effect<void>
): Effect.Effect<A, LLMError, R> =>
  Effect.clockWith((clock) =>
    Effect.onExit(
      Effect.mapError(active.probe.around(effect), (error) =>
        withFailedAttempt(deps, active, clock.unsafeCurrentTimeMillis(), error)
      ),
      Exit.match({
        onSuccess,
        onFailure: (cause) =>
          Option.match(Cause.failureOption(cause), {
            onNone: () => endInterrupted(active),
            onSome: (error) => endFailed(active, error)
          })
      })
    )
  )

interface WholeAnswer {
  readonly model: string
  readonly latency: number
  readonly usage: Usage.Usage
  readonly attempts: ReadonlyArray<Attempt.Attempt>
}

/** The maximum input of one call, in context windows: a provider's own tools make the model read its input several times. */
const maxReadsPerCall = 16

/** The longest answers of models, in tokens: a provider can count reasoning besides `maxTokens`, and `extra` can replace it. */
const longestOutput = 131_072

/** The maximum plausible usage of a chat. Tokenizers differ, so twice the requested output is accepted. */
const maxUsage = ({ info: { contextWindow } }: Dependencies, { maxTokens = Infinity }: ChatRequest) => {
  const inputTokens = maxReadsPerCall * contextWindow
  return { inputTokens, outputTokens: Math.min(inputTokens, 2 * maxTokens + longestOutput) }
}

/** The reported usage of a chat, or an estimate where it is not plausible. `outputTokens` estimates all output of the model. */
export const plausibleUsage = (
  deps: Dependencies,
  request: ChatRequest,
  usage: Usage.Usage,
  outputTokens: () => number
): Usage.Usage =>
  Usage.checked(
    usage,
    () => ({ inputTokens: estimateInput(request), outputTokens: outputTokens() }),
    maxUsage(deps, request)
  )

/** The answer with this usage; the same object when the usage is unchanged. */
export const withUsage = <A extends WholeAnswer>(answer: A, usage: Usage.Usage): A =>
  usage === answer.usage ? answer : { ...answer, usage }

/** Makes the attempts of a call that is not streamed. */
const callWhole = <A extends WholeAnswer>(
  deps: Dependencies,
  request: AttemptRequest,
  ask: (call: Call) => Effect.Effect<A, LLMError>,
  usageOf: (response: A) => Usage.Usage
): Effect.Effect<A, LLMError> =>
  withKeyFailover(
    deps,
    request,
    (active, restore) => {
      const answer = Effect.map(ask(active.call), (response) => withUsage(response, usageOf(response)))
      return settleOnExit(deps, active, restore(answer), (response) =>
        active.end(KeyPool.Verdict.Served({ latency: response.latency }), "ok", response.usage, response.model)
      )
    },
    Attempt.withEarlier
  )

/** Sends a chat and waits for the whole answer. */
export const chat = (deps: Dependencies, request: ChatRequest, model: string): Effect.Effect<ChatResponse, LLMError> =>
  callWhole(
    deps,
    chatAttempt(request, model, false),
    (call) => deps.client.chat(request, call),
    (response) =>
      plausibleUsage(deps, request, response.usage, () => Usage.estimateTokens(Events.generatedText(response)))
  )

/** Embeds the texts of one request. */
export const embed = (
  deps: Dependencies,
  embeddings: Embeddings,
  request: EmbeddingRequest,
  model: string
): Effect.Effect<EmbeddingResponse, LLMError> =>
  callWhole(
    deps,
    embeddingAttempt(request, model),
    (call) => embeddings.embed(request, call),
    ({ usage }) => Usage.checked(usage, () => ({ inputTokens: Usage.estimateAll(request.input), outputTokens: 0 }))
  )

/** Lists the models that the first working key can use. It takes no permit of the limiter, since no model does any work. */
export const listModels = (
  deps: Dependencies,
  list: (call: Call) => Effect.Effect<ReadonlyArray<ListedModel>, LLMError>
): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> => {
  const listAfter = (tried: ReadonlySet<string>): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> =>
    Effect.acquireUseRelease(
      deps.pool.reserve({ exclude: tried, onCooldown: tried.size === 0 ? "wait" : "fail" }),
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
        return Errors.isKeyScoped(error)
          ? Effect.catchAll(listAfter(new Set(tried).add(key.id)), (next) => Effect.fail(preferred(error, next)))
          : Effect.fail(error)
      })
    )
  return listAfter(new Set())
}

/** Passes a stream on, settles its attempt at the last event or error, and estimates the usage when the consumer stops early. */
const trackStream = (
  deps: Dependencies,
  active: ActiveAttempt,
  request: ChatRequest,
  opened: OpenStream,
  latency: number
) => {
  const output = TextTokens.growing()
  let answeredBy: string | undefined
  const usageSoFar = (): Usage.Usage =>
    Usage.make({
      inputTokens: estimateInput(request),
      outputTokens: output.tokens(),
      estimated: true
    })

  const record = (events: Chunk.Chunk<ChatEvent>): Effect.Effect<Chunk.Chunk<ChatEvent>> => {
    for (const event of events) {
      if (event._tag === "Start") answeredBy = event.model
      else if (event._tag === "Finish") {
        const usage = plausibleUsage(deps, request, event.usage, output.tokens)
        const corrected =
          usage === event.usage ? events : Chunk.map(events, (other) => (other === event ? { ...event, usage } : other))
        return Effect.as(active.end(KeyPool.Verdict.Served({ latency }), "ok", usage, answeredBy), corrected)
      }
      output.add(deltaText(event))
    }
    return Effect.succeed(events)
  }
  const pull: Pull = Effect.matchEffect(opened.pull, {
    onSuccess: record,
    onFailure: (end) =>
      Effect.zipRight(
        Option.match(end, {
          onNone: () => Effect.void,
          onSome: (error) => active.end(KeyPool.verdictOf(error), error._tag, usageSoFar(), answeredBy)
        }),
        Effect.fail(end)
      )
  })
  return {
    opened: Effect.map(record(opened.first), (first): OpenStream => ({ first, pull })),
    abandoned: Effect.suspend(() => endInterrupted(active, usageSoFar(), answeredBy))
  }
}

/** Sends a chat and opens its stream. The key is in use until the stream ends or its consumer stops. */
export const chatStream =
  (deps: Dependencies, request: ChatRequest, model: string): Open =>
  (finalizers) =>
    withKeyFailover(
      deps,
      chatAttempt(request, model, true),
      (active, restore) => {
        let abandoned = Effect.suspend(() => endInterrupted(active))
        const opening = isolated((inner) => fromStream(deps.client.chatStream(request, active.call))(inner))
        // Added before the connection's finalizer and so run after it: a key is released when its socket is closed.
        return finalizers.add(
          () => abandoned,
          () =>
            Effect.flatMap(
              settleOnExit(deps, active, restore(opening(finalizers)), () => Effect.void),
              (opened) =>
                Effect.clockWith((clock) => {
                  const latency = clock.unsafeCurrentTimeMillis() - active.startedAt
                  const stream = trackStream(deps, active, request, opened, latency)
                  abandoned = stream.abandoned
                  return Effect.zipRight(active.accept(latency), stream.opened)
                })
            )
        )
      },
      withEarlierAttempts
    )
