/**
 * A web page with the live traffic of the gateway and the state of its models, keys, limits, budgets and caches. A gateway with
 * the dashboard in its context serves it at `/`.
 *
 * The admin token gives access to the page and to its actions on keys, deployments and caches. If no key is configured at all,
 * the page is read-only and served only to this machine. It contains no secrets, and prompts and answers
 * only with `Options.bodies`.
 *
 * The page shows the budgets and caches in the context of the layer and the budgets of the gateway's keys; costs come from the
 * prices in that context. The last hour is kept in memory, and snapshots are computed only while a page is open; alerts are computed every
 * 15 seconds. A `DashboardHistory` in that context keeps the figures for a month.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Access, Dashboard, Gateway, GatewayServer } from "effect-llm/gateway"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Live = Gateway.layer().pipe(
 *   Layer.provide(Dashboard.layer()),
 *   Layer.provide(GatewayServer.layer({ port: 8080 })),
 *   Layer.provide(Access.layerConfig()),
 *   Layer.provide(Models.layerFile("provider.json")),
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
 * )
 *
 * NodeRuntime.runMain(Layer.launch(Live))
 * ```
 *
 * @since 0.1.0
 */
import type { Scope } from "effect"
import { Clock, Context, Effect, Layer, Option, Random, Schedule, Stream } from "effect"
import * as Budgets from "../../accounting/budget/model.js"
import * as EmbeddingCache from "../../caching/EmbeddingCache.js"
import type { Listener } from "../../call/usageListeners.js"
import type { StartObserving } from "../../telemetry/observe.js"
import { errorOf, instrument } from "../../telemetry/observe.js"
import * as CallRecord from "../../telemetry/callRecord.js"
import { outcomeOf } from "../../call/observer.js"
import { withUsageListener } from "../../call/wrap.js"
import type { Middleware, ModelInfo, Service as LLMService } from "../../call/model.js"
import { Models } from "../../models/model.js"
import * as Priced from "../../accounting/pricing/cost.js"
import * as Pricing from "../../accounting/pricing/model.js"
import * as ResponseCache from "../../caching/ResponseCache.js"
import { CurrentClient } from "../../rateLimiter/model.js"
import { Access } from "../auth/model.js"
import type { Router } from "../http/context.js"
import { Peers } from "../workers/peers.js"
import * as Alerts from "./alerts.js"
import * as Assets from "./assets.js"
import { DashboardHistory, History } from "./history/model.js"
import * as HistoryRecorders from "./history/recorder.js"
import * as HistoryRows from "./history/row.js"
import type { Report } from "./report.js"
import { merge as mergeReports } from "./report.js"
import type { Capture } from "./bodyLog.js"
import { Bodies } from "./bodyLog.js"
import * as BodyLogs from "./bodyLog.js"
import { LoggedRequest } from "./requestLog.js"
import * as RequestLogs from "./requestLog.js"
import * as Routes from "./routes.js"
import * as Series from "./series.js"
import { Snapshot } from "./snapshot.js"
import * as LiveStatus from "./liveStatus.js"

/**
 * The state of the gateway and its figures, as JSON.
 *
 * @since 0.1.0
 * @category model
 */
export { Snapshot }
export { History }
export { LoggedRequest }
export { Bodies }

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /**
   * Records the calls of the model that is listed under this name; an empty name records requests that are refused before their model
   * is known. A gateway adds it to each model.
   */
  readonly watch: (name: string) => Middleware
  /** The current state, with all figures of the last hour. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** A full snapshot at once, then every second one with the figures that may have changed. Computed only while it is read. */
  readonly snapshots: Stream.Stream<Snapshot>
  /**
   * The last requests after a `number`, the newest first; of all workers.
   *
   * @since 0.2.0
   */
  readonly requests: (after?: number) => Effect.Effect<ReadonlyArray<LoggedRequest>>
  /**
   * The bodies of a request and of its answer, by its id; none if they are not kept (`Options.bodies`).
   *
   * @since 0.2.0
   */
  readonly bodies: (requestId: string) => Effect.Effect<Option.Option<Bodies>>
  /** Records the bodies of a request; absent if they are not kept. A gateway calls it. @since 0.2.0 */
  readonly capture?: (requestId: string) => Capture
  /**
   * The figures from one time to another, in milliseconds since the epoch, in about a hundred steps at most; none without a
   * `DashboardHistory` in the context of the dashboard.
   *
   * @since 0.2.0
   */
  readonly history: (from: number, to: number) => Effect.Effect<Option.Option<History>>
  /** The routes of the page, its files and its events. A gateway serves them. */
  readonly router: Router
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Dashboard extends Context.Tag("effect-llm/gateway/Dashboard")<Dashboard, Service>() {}

/**
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** The folder of the page's files, as a URL that ends with a slash. @default that of this package */
  readonly page?: URL
  /**
   * How many of the last requests are kept in memory for the request log, a kilobyte each; 0 keeps none. @default 1000
   *
   * @since 0.2.0
   */
  readonly requests?: number
  /**
   * Whether the request log has the bodies of requests and answers: the first 16 KiB of each and at most 16 MiB in all, in memory. The
   * admin token gives access to them. Values of fields with the names of secrets are masked. @default false
   *
   * @since 0.2.0
   */
  readonly bodies?: boolean
}

/** The time windows of the page, in minutes. */
const windows = [5, 15, 60]

/** How often the alerts are computed while no page is open. */
const alertInterval = "15 seconds"

/** How often the history gets what was counted since. A worker that is killed loses no more. */
const historyInterval = "5 seconds"

/** How late a worker can tell a request, in the microseconds of its number. */
const lateness = 3_000_000

/** How long the buckets of several workers are sent again, in milliseconds. */
const repeatedTime = 30_000

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Models | Access | Scope.Scope> =>
  Effect.gen(function* () {
    const models = yield* Models
    const access = yield* Access
    const pricing = yield* Pricing.Pricing
    const budget = yield* Effect.serviceOption(Budgets.Budget)
    const responses = yield* Effect.serviceOption(ResponseCache.ResponseCache)
    const embeddings = yield* Effect.serviceOption(EmbeddingCache.EmbeddingCache)
    const peers = yield* Peers
    const clock = yield* Effect.clock
    const startedAt = yield* Clock.currentTimeMillis
    const series = Series.unsafeMake()
    const history = yield* Effect.serviceOption(DashboardHistory)
    const ownAlerts = Alerts.unsafeMake()
    const wholeAlerts = Alerts.unsafeMake()
    const recorder = HistoryRecorders.unsafeMake()
    const hasHistory = Option.isSome(history)
    const bodyLog = BodyLogs.unsafeMake()
    const requestCapacity = Math.max(0, Math.floor(options.requests ?? 1000))
    const requestLog = RequestLogs.unsafeMake(requestCapacity, clock, yield* Random.nextIntBetween(0, 1000))

    const usageListenerOf = (model: string): Listener => ({
      owner: series,
      onUsage: (attempt, context) => {
        const { endedAt, usage } = attempt
        if (usage.totalTokens === 0) return Effect.void
        const callPricing = Context.get(context, Pricing.Pricing)
        const cost = Priced.costWithin(callPricing, pricing, usage, Priced.answererOfAttempt(attempt), endedAt)
        const consumption: Series.Consumption = {
          model,
          inputTokens: usage.inputTokens,
          outputTokens: usage.outputTokens,
          cost: Option.getOrUndefined(Option.map(cost, ({ total }) => total))
        }
        series.unsafeRecordUsage(consumption, endedAt)
        if (hasHistory) recorder.unsafeRecordUsage(consumption, endedAt)
        return Effect.void
      }
    })

    const logRequest = (info: ModelInfo, { entry, ...request }: RequestLogs.EndedRequest): void => {
      const { answeredBy, model, provider, usage } = entry
      const by = Priced.withOwnPrice(info, { provider, model: answeredBy, asked: model })
      const cost =
        entry.cost ??
        (usage === undefined || entry.outcome !== "ok"
          ? undefined
          : Option.getOrUndefined(Priced.costWithin(pricing, pricing, usage, by, entry.startedAt)))
      requestLog.unsafeAdd({ ...request, entry: cost === undefined ? entry : { ...entry, cost } })
    }

    const observe =
      (model: string, info: ModelInfo): StartObserving =>
      (call, fiber) => {
        const { around, entryOf, opened } = CallRecord.makeRecorder(info, call, fiber, true)
        const clientKey = Context.get(fiber.currentContext, CurrentClient).id
        const callStartedAt = clock.unsafeCurrentTimeMillis()
        let timeToFirstEvent: number | undefined
        series.unsafeRecordStart(model)
        return {
          ...(around === undefined ? {} : { around }),
          opened: () => {
            opened()
            timeToFirstEvent = clock.unsafeCurrentTimeMillis() - callStartedAt
          },
          end: (exit, answer) => {
            logRequest(info, {
              entry: entryOf(exit, answer),
              clientKey,
              message: errorOf(exit)?.message,
              isRefused: model === ""
            })
            const now = clock.unsafeCurrentTimeMillis()
            const ended: Series.Call = {
              model,
              // Requests that are refused before their model is known are a series of their own.
              outcome: model === "" ? "refused" : outcomeOf(exit),
              latency: now - callStartedAt,
              timeToFirstEvent
            }
            series.unsafeRecordEnd(ended, now)
            if (hasHistory) recorder.unsafeRecordEnd(ended, now)
            return Effect.void
          }
        }
      }

    const observedService = (name: string, next: LLMService): LLMService => {
      const listening = withUsageListener(next, usageListenerOf(name))
      return instrument(listening, observe(name, next.info))
    }

    const snapshotSince = (start: number): Effect.Effect<Snapshot> =>
      Effect.gen(function* () {
        const at = clock.unsafeCurrentTimeMillis()
        const levels = {
          models: yield* LiveStatus.models(models, (id) => series.unsafeTotals(id, at)),
          budgets: yield* LiveStatus.budgets(budget, access)
        }
        return {
          at,
          startedAt,
          width: Series.width,
          mayAct: !access.isOpen,
          hasHistory,
          hasBodies: options.bodies === true,
          inFlight: series.unsafeInFlight(),
          buckets: series.unsafeBuckets(start, at),
          windows: windows.map((minutes) => ({ minutes, ...series.unsafeTimes(minutes, at) })),
          alerts: ownAlerts.unsafeObserve(levels, at),
          ...levels,
          caches: yield* LiveStatus.caches(responses, embeddings)
        }
      })

    const reportSince = (start: number): Effect.Effect<Report> =>
      Effect.map(snapshotSince(start), (snapshot) => ({
        snapshot,
        distributions: series.unsafeDistributions(start, windows, snapshot.at)
      }))

    /** The snapshot of all workers. */
    const wholeSince = (start: number): Effect.Effect<Snapshot> => {
      if (peers === undefined) return snapshotSince(start)
      // Buckets are sent again for a while, because a busy worker can miss a report.
      const since = Math.max(0, start - repeatedTime)
      return Effect.zipWith(
        reportSince(since),
        peers.reports(since),
        (own, others) => {
          const merged = mergeReports(own, others, peers.divided)
          return { ...merged, alerts: wholeAlerts.unsafeObserve(merged, merged.at, merged.alerts) }
        },
        { concurrent: true }
      )
    }

    const snapshots = Stream.unfoldEffect<number | undefined, Snapshot, never, never>(undefined, (last) =>
      Effect.map(last === undefined ? wholeSince(0) : Effect.delay(wholeSince(last), "1 second"), (snapshot) =>
        Option.some([snapshot, snapshot.at])
      )
    )

    if (peers !== undefined) {
      yield* peers.onReport(reportSince)
      yield* peers.onRequests(requestLog.unsafeAfter)
      yield* peers.onBodies(bodyLog.unsafeFind)
    }

    const bodies = (requestId: string): Effect.Effect<Option.Option<Bodies>> =>
      Effect.suspend(() => {
        const found = bodyLog.unsafeFind(requestId)
        return found === undefined && peers !== undefined
          ? peers.bodies(requestId)
          : Effect.succeed(Option.fromNullable(found))
      })

    const requests = (after = 0): Effect.Effect<ReadonlyArray<LoggedRequest>> =>
      peers === undefined
        ? Effect.sync(() => requestLog.unsafeAfter(after))
        : // What a busy worker tells late is asked for again.
          Effect.map(peers.requests(after - lateness), (others) =>
            [...requestLog.unsafeAfter(after - lateness), ...others]
              .sort((a, b) => b.number - a.number)
              .slice(0, requestCapacity)
          )

    const computeAlerts = Effect.gen(function* () {
      const at = clock.unsafeCurrentTimeMillis()
      ownAlerts.unsafeObserve(
        {
          models: yield* LiveStatus.models(models, (id) => series.unsafeCounts(id, at)),
          budgets: yield* LiveStatus.budgets(budget, access)
        },
        at
      )
    }).pipe(
      Effect.catchAllCause((cause) => Effect.logWarning("The alerts of the dashboard cannot be computed.", cause))
    )
    yield* Effect.forkScoped(Effect.schedule(computeAlerts, Schedule.spaced(alertInterval)))

    const handOver = Option.match(history, {
      onNone: () => Effect.void,
      // What has been taken must arrive.
      onSome: ({ add }) =>
        Effect.uninterruptible(Effect.suspend(() => add(recorder.unsafeTake().map(HistoryRows.encode))))
    })
    const historyBetween: Service["history"] = (from, to) =>
      Effect.zipRight(
        handOver,
        Option.match(history, {
          onNone: () => Effect.succeedNone,
          onSome: ({ query }) => Effect.asSome(query(from, to))
        })
      )
    if (hasHistory) {
      yield* Effect.addFinalizer(() => handOver)
      yield* Effect.forkScoped(Effect.schedule(handOver, Schedule.spaced(historyInterval)))
    }

    return {
      watch: (name) => (next) => Effect.succeed(observedService(name, next)),
      snapshot: Effect.suspend(() => wholeSince(0)),
      snapshots,
      requests,
      bodies,
      ...(options.bodies === true ? { capture: bodyLog.unsafeStart } : {}),
      history: historyBetween,
      router: yield* Routes.make(
        access,
        { snapshots, requests, bodies, history: historyBetween },
        options.page ?? Assets.builtFiles
      )
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Dashboard, never, Models | Access> =>
  Layer.scoped(Dashboard, make(options))
