/** The providers' side of a chaos run, in this process or in one of its own, and what it has seen. */
import type { Scope } from "effect"
import { Effect, Schema } from "effect"
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Deployment, Plan } from "./scenario.js"
import { answer, callOf, deployments, faultOf, keysOf } from "./scenario.js"

/** A request that came to a provider. */
export const Seen = Schema.Struct({
  deployment: Schema.Literal(...deployments),
  call: Schema.Number,
  keyId: Schema.String,
  stream: Schema.Boolean,
  status: Schema.Number,
  outcome: Schema.Literal("complete", "faulted", "aborted"),
  /** Pieces of a stream that were sent before it was broken off. */
  events: Schema.Number
})

export type Seen = typeof Seen.Type

export const Count = Schema.Struct({ inFlight: Schema.Number, busy: Schema.Number, open: Schema.Number })

export type Count = typeof Count.Type

export interface Providers {
  readonly baseUrl: (deployment: Deployment) => string
  readonly seen: Effect.Effect<ReadonlyArray<Seen>>
  /** Requests that are not over, and sockets. */
  readonly count: Effect.Effect<Count>
}

const sum = (effects: ReadonlyArray<Effect.Effect<number>>): Effect.Effect<number> =>
  Effect.map(Effect.all(effects), (numbers) => numbers.reduce((all, one) => all + one, 0))

const started = (plan: Plan, deployment: Deployment) => {
  const visits = new Map<number, number>()
  return SimulatedProvider.make({
    keys: keysOf(deployment),
    answer,
    latency: { min: "1 millis", max: "8 millis" },
    faults: (_, request) => {
      const call = callOf(JSON.stringify(request.messages[0] ?? ""))
      const visit = visits.get(call) ?? 0
      visits.set(call, visit + 1)
      return faultOf(plan, deployment, { call, visit, isRest: request.messages.length > 1 })
    }
  })
}

/** All of them in this process. */
export const make = (plan: Plan): Effect.Effect<Providers, never, Scope.Scope> =>
  Effect.map(
    Effect.forEach(deployments, (deployment) =>
      Effect.map(started(plan, deployment), (provider) => ({ deployment, provider }))
    ),
    (all) => ({
      baseUrl: (deployment) => all.find((one) => one.deployment === deployment)?.provider.baseUrl ?? "",
      seen: Effect.map(
        Effect.forEach(all, ({ deployment, provider }) =>
          Effect.map(provider.log, (log) =>
            log.map(({ body, events, keyId, outcome, status, stream }): Seen => ({
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
// in a process of its own
// -------------------------------------------------------------------------------------

const Question = Schema.Literal("baseUrls", "seen", "count")

const replies = { baseUrls: Schema.Array(Schema.String), seen: Schema.Array(Seen), count: Count }

/** Answers what `forked` asks, in the other process. */
export const listen = (providers: Providers): Effect.Effect<never> => {
  const reply = (question: typeof Question.Type): Effect.Effect<unknown> => {
    switch (question) {
      case "baseUrls":
        return Effect.succeed(deployments.map(providers.baseUrl))
      case "seen":
        return providers.seen
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
        Effect.flatMap(Effect.orDie(Schema.decodeUnknown(Question)(message)), (question) =>
          Effect.flatMap(reply(question), (answer) =>
            Effect.async<void>((resume) => {
              process.send?.(answer, () => resume(Effect.void))
            })
          )
        )
    )
  )
}

const ask = <A, I>(child: ChildProcess, question: typeof Question.Type, reply: Schema.Schema<A, I>): Effect.Effect<A> =>
  Effect.flatMap(
    Effect.async<unknown>((resume) => {
      child.once("message", (message) => resume(Effect.succeed(message)))
      child.send(question)
    }),
    (message) => Effect.orDie(Schema.decodeUnknown(reply)(message))
  )

/** All of them in a process of their own, which runs the given program with the plan as its argument. */
export const forked = (program: string, plan: Plan): Effect.Effect<Providers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(program, [JSON.stringify(plan)], { execArgv: [] })),
      (child) => Effect.sync(() => child.kill())
    )
    const baseUrls = yield* ask(child, "baseUrls", replies.baseUrls)
    return {
      baseUrl: (deployment) => baseUrls[deployments.indexOf(deployment)] ?? "",
      seen: ask(child, "seen", replies.seen),
      count: ask(child, "count", replies.count)
    }
  })
