import { AiError, Tool as AiTool, Toolkit } from "@effect/ai"
import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { LLMToolkit } from "../../src/ai/index.js"
import * as LLMs from "../../src/LLM.js"
import * as Tool from "../../src/programs/Tool.js"
import { toolCall } from "../../src/vocabulary/Chat.js"
import { TestLLM } from "../../src/testing/index.js"

class Station extends Context.Tag("Station")<Station, { readonly celsius: number }>() {}

class Unknown extends Schema.TaggedError<Unknown>()("Unknown", { city: Schema.String }) {}

const Weather = AiTool.make("weather", {
  description: "The weather.",
  parameters: { city: Schema.String, on: Schema.optional(Schema.DateFromString) },
  success: Schema.Struct({ celsius: Schema.Number, at: Schema.DateFromString }),
  failure: Unknown
}).addDependency(Station)

const Time = AiTool.make("time", {
  parameters: { city: Schema.String },
  success: Schema.String,
  failure: Unknown,
  failureMode: "return"
})

const Broken = AiTool.make("broken", { success: Schema.Int })

const toolkit = Toolkit.make(Weather, Time, Broken)

const at = new Date(0)

const Handlers = toolkit.toLayer({
  weather: ({ city }) =>
    city === "Atlantis" ? Effect.fail(new Unknown({ city })) : Effect.map(Station, ({ celsius }) => ({ celsius, at })),
  time: ({ city }) => Effect.fail(new Unknown({ city })),
  broken: () => Effect.succeed(0.5)
})

const program = <A, E, R>(calls: ReadonlyArray<readonly [string, string]>, effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.provide(Handlers),
    Effect.provideService(Station, { celsius: 4 }),
    Effect.provide(
      TestLLM.layer([
        TestLLM.answer({ toolCalls: calls.map(([name, args], index) => toolCall(String(index), name, args)) }),
        "Done."
      ])
    )
  )

const run = Effect.gen(function* () {
  const search = Tool.make("search", { handler: () => Effect.succeed("Found.") })
  const tools = [...LLMToolkit.tools(yield* toolkit), search]
  return yield* LLMs.runTools("Hi", { tools })
})

const results = (calls: ReadonlyArray<readonly [string, string]>) =>
  program(
    calls,
    Effect.map(run, ({ rounds }) =>
      rounds.flatMap(({ executions }) => executions.map(({ result }) => [result.content, result.isError ?? false]))
    )
  )

describe("LLMToolkit", () => {
  it.effect("runs the tools of a toolkit beside those of this library, with the context of their handlers", () =>
    Effect.gen(function* () {
      expect(
        yield* results([
          ["weather", `{"city":"Rome","on":null}`],
          ["search", "{}"]
        ])
      ).toEqual([
        [`{"celsius":4,"at":"1970-01-01T00:00:00.000Z"}`, false],
        ["Found.", false]
      ])
    })
  )

  it.effect("sends names, descriptions and the schemas of parameters", () =>
    program(
      [],
      Effect.gen(function* () {
        yield* run
        const [call] = yield* TestLLM.calls
        expect(call?.request.tools?.map(({ name }) => name)).toEqual(["weather", "time", "broken", "search"])
        expect(call?.request.tools?.[0]).toMatchObject({
          description: "The weather.",
          parameters: { properties: { city: { type: "string" } }, required: ["city"] }
        })
      })
    )
  )

  it.effect("answers arguments that do not fit with their faults, and failures of the mode `return` as results", () =>
    Effect.gen(function* () {
      const [invalid, returned] = yield* results([
        ["weather", `{"town":"Rome"}`],
        ["time", `{"city":"Rome"}`]
      ])
      expect(invalid).toEqual([expect.stringContaining("city"), true])
      const [text, isError] = returned ?? []
      expect(JSON.parse(String(text))).toEqual({ city: "Rome", _tag: "Unknown" })
      expect(isError).toBe(false)
    })
  )

  it.effect("fails with the failure of a handler, and with an AiError where a result does not fit", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(program([["weather", `{"city":"Atlantis"}`]], run))
      expect(failure).toEqual(new Unknown({ city: "Atlantis" }))
      const invalid = yield* Effect.flip(program([["broken", "{}"]], run))
      expect(AiError.isAiError(invalid)).toBe(true)
    })
  )

  it("keeps the types of errors and requirements", () => {
    expectTypeOf(run).toExtend<
      Effect.Effect<unknown, unknown, Station | LLMs.LLM | AiTool.HandlersFor<Toolkit.Tools<typeof toolkit>>>
    >()
    type Failure = Effect.Effect.Error<typeof run>
    expectTypeOf<Unknown>().toExtend<Failure>()
    expectTypeOf<AiError.AiError>().toExtend<Failure>()
    expectTypeOf<Effect.Effect.Context<typeof run>>().toEqualTypeOf<
      Station | LLMs.LLM | AiTool.HandlersFor<Toolkit.Tools<typeof toolkit>>
    >()
  })
})
