/** Measures calls without a network: the call itself, a streamed chunk, and what each feature adds to a call. */
import { Effect, Stream } from "effect"
import type * as LLM from "../src/LLM.js"
import type { Provider } from "../test/support/inMemoryCalls.js"
import {
  bareRequest,
  configured,
  direct,
  features,
  plain,
  portable,
  readyStream,
  request,
  tracer
} from "../test/support/inMemoryCalls.js"
import { settledStepsOf } from "../test/support/steps.js"
import type { Contestant } from "./measure.js"
import { compare } from "./measure.js"
import type { Aim, Group } from "./report.js"
import { compared } from "./report.js"

const providers: ReadonlyArray<Provider> = [direct, portable]

interface Subject {
  readonly name: string
  /** Makes the call, which is part of what is measured: some of them validate their request here. */
  readonly call: () => Effect.Effect<unknown, unknown>
  /** @default 1 */
  readonly unitsPerCall?: number
  /** The same call without a unit, whose steps are not those of the units. */
  readonly withoutUnits?: () => Effect.Effect<unknown, unknown>
}

const contestantOf = ({ call, name, unitsPerCall = 1 }: Subject): Contestant => ({
  name,
  run: async (times) => {
    await Effect.runPromise(Effect.repeatN(Effect.suspend(call), times - 1))
    return times * unitsPerCall
  }
})

/** Measures the time and the steps of calls. */
const measured = async (
  subjects: ReadonlyArray<Subject>,
  options: { readonly rounds: number; readonly times: number }
) => {
  const comparison = await compare(subjects.map(contestantOf), options)
  const steps: Record<string, { readonly steps: number }> = {}
  for (const [index, { call, name, unitsPerCall = 1, withoutUnits }] of subjects.entries()) {
    const result = comparison.results[index]
    if (result === undefined || "error" in result) continue
    const all = await Effect.runPromise(settledStepsOf(call()))
    const fixed = withoutUnits === undefined ? 0 : await Effect.runPromise(settledStepsOf(withoutUnits()))
    steps[name] = { steps: (all - fixed) / unitsPerCall }
  }
  return compared(comparison, steps)
}

const chatOver = (provider: Provider): Subject => {
  const llm = Effect.runSync(configured(provider))
  return { name: `effect-llm, ${provider.name}`, call: () => llm.chat("What is the capital of France?") }
}

const traced = ({ call, name, ...subject }: Subject): Subject => ({
  ...subject,
  name: `${name}, with a tracer`,
  call: () => Effect.withTracer(call(), tracer)
})

/** A chat with pool, limiter, metrics and time limits, over a provider in memory. */
export const chatsInMemory = async (): Promise<Group> => {
  const bare = "HttpClient in memory alone"
  return {
    title: "A chat in memory",
    ...(await measured(
      [
        { name: bare, call: () => bareRequest(portable) },
        ...providers.map(chatOver).flatMap((chat) => [chat, traced(chat)])
      ],
      { rounds: 6, times: 2000 }
    )),
    plain: bare,
    aims: [
      { row: `effect-llm, ${direct.name}`, unit: "steps", limit: 20 },
      { row: `effect-llm, ${direct.name}`, unit: "CPU µs", limit: 20 },
      { row: `effect-llm, ${portable.name}`, unit: "steps", limit: 20, beside: { less: bare } }
    ]
  }
}

const chunks = 1000

const consume = <A, E>(stream: Stream.Stream<A, E>) => Stream.runForEachChunk(stream, () => Effect.void)

/** A chunk of a stream with one event a read. */
export const chunksInMemory = async (): Promise<Group> => {
  const ready = "Stream.repeatEffectChunkOption of ready chunks"
  return {
    title: "A streamed chunk in memory",
    ...(await measured(
      [
        {
          name: ready,
          call: () => consume(readyStream(chunks)),
          unitsPerCall: chunks,
          withoutUnits: () => consume(readyStream(0))
        },
        ...providers.map((provider) => {
          const llm = Effect.runSync(configured(provider, { deltas: chunks }))
          const empty = Effect.runSync(configured(provider, { deltas: 0 }))
          return {
            name: `effect-llm, ${provider.name}`,
            call: () => consume(llm.chatStream("?")),
            unitsPerCall: chunks,
            withoutUnits: () => consume(empty.chatStream("?"))
          }
        })
      ],
      { rounds: 6, times: 4 }
    )),
    plain: ready,
    aims: [{ row: `effect-llm, ${direct.name}`, unit: "steps", limit: 3, beside: { less: ready } }]
  }
}

const plainName = "without features"

const added = (row: string, limit: number): Aim => ({ row, unit: "CPU µs", limit, beside: { less: plainName } })

const subjects = (call: (llm: LLM.Service) => Effect.Effect<unknown, unknown>): ReadonlyArray<Subject> =>
  [[plainName, plain] as const, ...Object.entries(features)].map(([name, made]) => {
    const llm = Effect.runSync(made)
    return { name, call: () => call(llm) }
  })

export const addedToChats = async (): Promise<Group> => ({
  title: "What each feature adds to a chat in memory",
  ...(await measured(
    subjects((llm) => llm.chat(request)),
    { rounds: 5, times: 2000 }
  )),
  plain: plainName,
  aims: [
    added("balance over 100", 10),
    added("hedge", 8),
    added("ledger", 5),
    added("budget", 10),
    { row: "cache hit", unit: "CPU µs", limit: 20 }
  ]
})

export const addedToStreams = async (): Promise<Group> => ({
  title: "What each feature adds to a stream in memory",
  ...(await measured(
    subjects((llm) => consume(llm.chatStream(request))),
    { rounds: 3, times: 500 }
  )),
  plain: plainName
})
