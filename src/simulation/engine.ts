/** Runs a workload on an `LLM` in virtual time. */
import { HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Layer,
  Logger,
  LogLevel,
  Random,
  RuntimeFlags,
  RuntimeFlagsPatch
} from "effect"
import { CurrentWatch, make as makeWatch } from "../call/attemptWatch.js"
import type { Service, Status } from "../call/model.js"
import { LLM } from "../call/model.js"
import type { Listener } from "../call/usageListeners.js"
import { UsageListeners } from "../call/usageListeners.js"
import type { WaitObserver } from "../call/waits.js"
import { CurrentWaitObserver } from "../call/waits.js"
import { Label } from "../internal/label.js"
import { CurrentClient } from "../rateLimiter/model.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import { limitOfLimiter, limitOfPool } from "./causes.js"
import type { Arrival, Options, Report } from "./model.js"
import type { InvalidSimulationError } from "./model.js"
import type { Settings } from "./options.js"
import * as SimulationOptions from "./options.js"
import * as Provider from "./provider.js"
import type { LimitId, Recorder, SimulatedCall } from "./recorder.js"
import * as Recording from "./recorder.js"
import type { VirtualTime } from "./virtualTime.js"
import * as Time from "./virtualTime.js"
import { arrivals } from "./workload.js"
import { fromEither } from "../internal/asEffect.js"

/** The wall-clock time at which simulations start: the first moment of a year, a month and a day, in UTC. */
const epoch = Date.UTC(2025, 0, 1)

export interface ModelStatus {
  /** `provider/model`. */
  readonly model: string
  readonly status: Status
}

/** A simulated `LLM`, and what is known of its configuration. */
export interface Subject {
  /** The `LLM` of a call, and the model that its request names. */
  readonly route: (arrival: Arrival) => { readonly llm: Service; readonly model?: string }
  /** The status of each model whose use of limits is reported. */
  readonly models: Effect.Effect<ReadonlyArray<ModelStatus>>
  /** The account of a key, by the provider and the id of the key. */
  readonly accountOf: (provider: string, keyId: string) => string
}

const word = " a"

/** A request whose input is estimated as this many tokens. */
const requestOf = (
  { inputTokens }: Arrival,
  model: string | undefined,
  maxTokens: number | undefined
): ChatRequest.Input => ({
  // The estimate counts a few tokens for the message itself.
  messages: [{ role: "user", content: word.repeat(Math.max(1, inputTokens - messageTokens)) }],
  ...(model === undefined ? {} : { model }),
  ...(maxTokens === undefined ? {} : { maxTokens })
})

const messageTokens = 7

/** Attributes each wait to a limit. */
const observerOf =
  (call: SimulatedCall, recorder: Recorder, time: VirtualTime): WaitObserver =>
  ({ limiter, model, pool, source, tokens }, wait) =>
    Effect.suspend(() => {
      const startedAt = time.now()
      let id: LimitId = { limit: source === "limiter" ? "requests" : "providerLimits", of: pool.provider }
      const cause =
        source === "limiter"
          ? Effect.map(limiter.status, (status) =>
              limitOfLimiter(status.models?.[model] ?? status, tokens, recorder.attemptMillis())
            )
          : Effect.map(pool.status, limitOfPool)
      return Effect.flatMap(cause, (limit) => {
        id = { limit, of: pool.provider }
        return Effect.onExit(wait, (exit) =>
          Effect.sync(() => {
            const millis = time.now() - startedAt
            if (source === "limiter") call.waitedForPermit += millis
            else call.waitedForKey += millis
            recorder.waited(id, millis)
            if (Exit.isFailure(exit)) call.refusedBy = id
          })
        )
      })
    })

/** Sends one call of the workload. */
const sendCall = (
  { route }: Subject,
  maxTokens: number | undefined,
  recorder: Recorder,
  time: VirtualTime,
  arrival: Arrival
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { llm, model } = route(arrival)
    const call = recorder.start(arrival, time.now())
    const listener: Listener = {
      owner: recorder,
      onUsage: (ended) => Effect.sync(() => recorder.attempt(call, ended))
    }
    const context = Context.mergeAll(
      Context.make(Recording.CurrentCall, call),
      Context.make(CurrentWaitObserver, observerOf(call, recorder, time)),
      // Tells the provider which key and model a request has.
      Context.make(CurrentWatch, makeWatch(undefined)),
      Context.make(UsageListeners, [listener]),
      Context.make(Label, arrival.client ?? ""),
      Context.make(CurrentClient, { id: arrival.client ?? "" })
    )
    return Effect.onExit(
      Effect.mapInputContext(llm.chat(requestOf(arrival, model, maxTokens)), (_: Context.Context<never>) => context),
      (exit) => Effect.sync(() => recorder.end(call, exit, time.now()))
    )
    // The waits of simulated calls are what the report is about.
  }).pipe(Effect.exit, Effect.asVoid, Logger.withMinimumLogLevel(LogLevel.None))

/** Sends all calls at their times and waits for their ends. */
const runWorkload = (
  subject: Subject,
  { maxTokens, seed, workload }: Settings,
  recorder: Recorder,
  time: VirtualTime
) =>
  Effect.gen(function* () {
    const ended = yield* Deferred.make<void>()
    let inFlight = 1
    const end = Effect.suspend(() => (--inFlight === 0 ? Deferred.succeed(ended, undefined) : Effect.void))
    for (const arrival of arrivals(workload, seed)) {
      if (arrival.at > time.now()) yield* Effect.sleep(arrival.at - time.now())
      inFlight++
      yield* Effect.fork(Effect.zipRight(sendCall(subject, maxTokens, recorder, time, arrival), end))
    }
    yield* end
    yield* Deferred.await(ended)
  })

const share = (used: number, allowed: number): number => (allowed > 0 ? Math.min(1, used / allowed) : 0)

/** The use of each limit of a limiter over the whole time. */
const usesOf = (recorder: Recorder, { model, status }: ModelStatus) => {
  const { capacity, concurrency, day, minute, refillRate, tokens } = status.limiter
  const duration = recorder.duration()
  const sent = recorder.sent(model)
  const perSecond = (rate: number) => (rate * duration) / 1000
  const uses: Array<LimitId & { readonly used: number }> = []
  const add = (limit: LimitId["limit"], used: number, allowed: number) => {
    if (Number.isFinite(allowed)) uses.push({ limit, of: status.keys.provider, used: share(used, allowed) })
  }
  if (refillRate > 0) add("requests", sent.requests, capacity + perSecond(refillRate))
  if (minute !== undefined) add("requestsPerMinute", sent.requests, Math.max(1, duration / 60_000) * minute.limit)
  if (day !== undefined) add("requestsPerDay", sent.requests, Math.max(1, duration / 86_400_000) * day.limit)
  if (tokens !== undefined) add("tokensPerMinute", sent.tokens, tokens.capacity + perSecond(tokens.refillRate))
  if (concurrency !== undefined) add("concurrency", sent.busy, concurrency.limit * duration)
  return uses
}

const lengthOf = ({ workload }: Settings): number =>
  workload._tag === "Load" ? workload.duration : (workload.trace[workload.trace.length - 1]?.at ?? 0)

/** Builds an `LLM` over simulated providers and runs the workload on it. */
export const simulate = <E, R>(
  build: Effect.Effect<Subject, E, R | HttpClient.HttpClient | Scope.Scope>,
  options: Options
): Effect.Effect<Report, E | InvalidSimulationError, Exclude<Exclude<R, HttpClient.HttpClient>, Scope.Scope>> =>
  Effect.flatMap(fromEither(SimulationOptions.read(options)), (settings) => {
    const time = Time.make(epoch)
    const recorder = Recording.make(lengthOf(settings))
    let accountOf: Subject["accountOf"] = (_, keyId) => keyId
    const http = Provider.make(settings.provider, settings.seed, time, (provider, keyId) => accountOf(provider, keyId))
    return Effect.gen(function* () {
      const subject = yield* Effect.provideService(build, HttpClient.HttpClient, http)
      accountOf = subject.accountOf
      yield* time.start
      yield* runWorkload(subject, settings, recorder, time)
      const models = yield* subject.models
      const uses = models.flatMap((model) => usesOf(recorder, model))
      return recorder.report(settings.seed, uses)
    }).pipe(
      Effect.scoped,
      Effect.withRandom(Random.make(settings.seed)),
      Effect.withTracerEnabled(false),
      // Metrics of the program keep those of simulated calls apart, and those of fibers would cost more than the calls.
      Effect.tagMetrics("simulation", "true"),
      Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.disable(RuntimeFlags.RuntimeMetrics)),
      time.run
    )
  })

/** The `LLM` of a layer. */
export const subjectOfLayer = <E, R>(layer: Layer.Layer<LLM, E, R>): Effect.Effect<Subject, E, R | Scope.Scope> =>
  Effect.map(Layer.build(layer), (context) => {
    const llm = Context.get(context, LLM)
    return {
      route: ({ model }: Arrival) => ({ llm, ...(model === undefined ? {} : { model }) }),
      models: Effect.map(llm.status, (status) => [{ model: `${llm.info.provider}/${llm.info.model}`, status }]),
      accountOf: (_: string, keyId: string) => keyId
    }
  })
