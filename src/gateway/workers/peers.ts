/** The other processes of a gateway that serves with several workers: what a worker asks them, and what it answers to them. */
import type { Duration, Effect, Option } from "effect"
import { Context } from "effect"
import type { Bodies } from "../dashboard/bodyLog.js"
import type { Report } from "../dashboard/report.js"
import type { LoggedRequest } from "../dashboard/requestLog.js"
import type { Series } from "./series.js"

export type AdminPath = `/admin/${string}`

export interface Service {
  /** The metrics of all workers, this one included. */
  readonly metrics: Effect.Effect<ReadonlyArray<Series>>
  /** The reports of the other workers that answer in time, for the dashboard. `since`: as of `Dashboard`. */
  readonly reports: (since: number) => Effect.Effect<ReadonlyArray<Report>>
  /** The last requests of the other workers that answer in time, after a number. */
  readonly requests: (after: number) => Effect.Effect<ReadonlyArray<LoggedRequest>>
  /** Sets how this worker tells the others its last requests. */
  readonly onRequests: (requests: (after: number) => ReadonlyArray<LoggedRequest>) => Effect.Effect<void>
  /** The bodies of a request that another worker has answered. */
  readonly bodies: (requestId: string) => Effect.Effect<Option.Option<Bodies>>
  /** Sets how this worker tells the others the bodies of its requests. */
  readonly onBodies: (bodies: (requestId: string) => Bodies | undefined) => Effect.Effect<void>
  /** Sets how this worker reports to the others. */
  readonly onReport: (report: (since: number) => Effect.Effect<Report>) => Effect.Effect<void>
  /** Repeats an action of the administration in the other workers: the path of the request, and its body as decoded JSON. */
  readonly perform: (path: AdminPath, body: unknown) => Effect.Effect<void>
  /** Sets how this worker repeats the actions of the others. */
  readonly onPerform: (perform: (path: AdminPath, body: unknown) => Effect.Effect<void>) => Effect.Effect<void>
  /** Whether the workers divide the limits, rather than share them through a store. */
  readonly divided: boolean
  /** Succeeds when this worker alone is about to end, so that its server accepts no more connections. */
  readonly leaving: Effect.Effect<void>
  /** Called when no connection is open any more. */
  readonly left: Effect.Effect<void>
  /** What remains of the grace period: a worker that has left alone has used a part of it. */
  readonly graceLeft: (grace: Duration.Duration) => Effect.Effect<Duration.Duration>
}

/** The other workers; undefined in a gateway of one process. */
export class Peers extends Context.Reference<Peers>()("effect-llm/gateway/Peers", {
  defaultValue: (): Service | undefined => undefined
}) {}
