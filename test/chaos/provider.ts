/** The providers of a chaos run, in this process or in a separate one, and the requests that they received. */
import type { Scope } from "effect"
import { Effect, Schema } from "effect"
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Deployment, Plan } from "./scenario.js"
import { answer, callOf, deployments, faultOf, keysOf } from "./scenario.js"

/** A request that a provider received. */
export const ReceivedRequest = Schema.Struct({
  deployment: Schema.Literal(...deployments),
  call: Schema.Number,
  keyId: Schema.String,
  stream: Schema.Boolean,
  status: Schema.Number,
  outcome: Schema.Literal("complete", "faulted", "aborted"),
  /** The number of events that were sent before the stream broke. */
  events: Schema.Number
})

export type ReceivedRequest = typeof ReceivedRequest.Type

export const Count = Schema.Struct({ inFlight: Schema.Number, busy: Schema.Number, open: Schema.Number })

export type Count = typeof Count.Type

export interface Providers {
  readonly baseUrl: (deployment: Deployment) => string
  readonly requests: Effect.Effect<ReadonlyArray<ReceivedRequest>>
  /** Requests in flight, and sockets. */
  readonly count: Effect.Effect<Count>
}

const sum = (effects: ReadonlyArray<Effect.Effect<number>>): Effect.Effect<number> =>
  Effect.map(Effect.all(effects), (numbers) => numbers.reduce((all, one) => all + one, 0))

const startProvider = (plan: Plan, deployment: Deployment) => {
  const visits = new Map<number, number>()
  return SimulatedProvider.make({
    keys: keysOf(deployment),
    answer,
    latency: { min: "1 millis", max: "8 millis" },
    faults: (_, request) => {
      const call = callOf(JSON.stringify(request.messages[0] ?? ""))
      const visit = visits.get(call) ?? 0
      visits.set(call, visit + 1)
      return faultOf(plan, deployment, { call, visit, isContinuation: request.messages.length > 1 })
    }
  })
}

/** Starts all providers in this process. */
export const make = (plan: Plan): Effect.Effect<Providers, never, Scope.Scope> =>
  Effect.map(
    Effect.forEach(deployments, (deployment) =>
      Effect.map(startProvider(plan, deployment), (provider) => ({ deployment, provider }))
    ),
    (all) => ({
      baseUrl: (deployment) => all.find((one) => one.deployment === deployment)?.provider.baseUrl ?? "",
      requests: Effect.map(
        Effect.forEach(all, ({ deployment, provider }) =>
          Effect.map(provider.log, (log) =>
            log.map(({ body, events, keyId, outcome, status, stream }): ReceivedRequest => ({
              deployment,
              call: callOf(JSON.stringify(body)),
              keyId,
              stream,
              status,
              outcome,
              events
            }))
          )
        ),
        (logs) => logs.flat()
      ),
      count: Effect.all({
        inFlight: sum(all.map(({ provider }) => provider.inFlight)),
        busy: sum(all.map(({ provider }) => provider.busyConnections)),
        open: sum(all.map(({ provider }) => provider.openConnections))
      })
    })
  )

// -------------------------------------------------------------------------------------
// in a separate process
// -------------------------------------------------------------------------------------

const Query = Schema.Literal("baseUrls", "seen", "count")

const replies = { baseUrls: Schema.Array(Schema.String), seen: Schema.Array(ReceivedRequest), count: Count }

/** Replies to the queries of `forked`, in the other process. */
export const listen = (providers: Providers): Effect.Effect<never> => {
  const reply = (query: typeof Query.Type): Effect.Effect<unknown> => {
    switch (query) {
      case "baseUrls":
        return Effect.succeed(deployments.map(providers.baseUrl))
      case "seen":
        return providers.requests
      case "count":
        return providers.count
    }
  }
  return Effect.forever(
    Effect.flatMap(
      Effect.async<unknown>((resume) => {
        process.once("message", (message) => resume(Effect.succeed(message)))
      }),
      (message) =>
        Effect.flatMap(Effect.orDie(Schema.decodeUnknown(Query)(message)), (query) =>
          Effect.flatMap(reply(query), (answer) =>
            Effect.async<void>((resume) => {
              process.send?.(answer, () => resume(Effect.void))
            })
          )
        )
    )
  )
}

const sendQuery = <A, I>(child: ChildProcess, query: typeof Query.Type, reply: Schema.Schema<A, I>): Effect.Effect<A> =>
  Effect.flatMap(
    Effect.async<unknown>((resume) => {
      child.once("message", (message) => resume(Effect.succeed(message)))
      child.send(query)
    }),
    (message) => Effect.orDie(Schema.decodeUnknown(reply)(message))
  )

/** Starts all providers in a separate process, which runs the given program with the plan as its argument. */
export const forked = (program: string, plan: Plan): Effect.Effect<Providers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(program, [JSON.stringify(plan)], { execArgv: [] })),
      (child) => Effect.sync(() => child.kill())
    )
    const baseUrls = yield* sendQuery(child, "baseUrls", replies.baseUrls)
    return {
      baseUrl: (deployment) => baseUrls[deployments.indexOf(deployment)] ?? "",
      requests: sendQuery(child, "seen", replies.seen),
      count: sendQuery(child, "count", replies.count)
    }
  })
