import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Either, Fiber, Predicate, Schema, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as LLM from "../../src/LLM.js"
import type * as StructuredOutput from "../../src/programs/StructuredOutput.js"
import { makeReader } from "../../src/programs/structuredOutput/partials.js"
import { TestLLM } from "../../src/testing/index.js"
import { toolCall } from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import * as Events from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { UnsupportedError } from "../../src/vocabulary/LLMError.js"
import * as Programs from "../support/programs.js"
import { unavailable } from "../support/scripted.js"

const Order = Schema.Struct({ customer: Schema.String, items: Schema.Array(Schema.String) }).annotations({
  identifier: "Order"
})

const order = { customer: "Ada Byron", items: ["a pen", "two books"] }
const json = JSON.stringify

const called = (value: unknown) =>
  TestLLM.answer({
    toolCalls: [
      { type: "tool-call", id: "1", name: "Order", arguments: typeof value === "string" ? value : json(value) }
    ]
  })

const unsupported = TestLLM.failure(
  new UnsupportedError({ provider: "test", model: "test", attempts: [], feature: "JSON Schema", message: "no schemas" })
)

const events = <A, E, R>(stream: Stream.Stream<StructuredOutput.Event<A>, E, R>) =>
  Effect.map(Stream.runCollect(stream), (all) => Chunk.toReadonlyArray(all))

const partials = <A>(all: ReadonlyArray<StructuredOutput.Event<A>>) =>
  all.flatMap((event) => (event._tag === "Partial" ? [event.value] : []))

describe("LLM.streamObject", () => {
  it.effect.each(["native", "prompt", "tool"] as const)("streams growing partial values in the mode %s", (mode) =>
    Effect.gen(function* () {
      const all = yield* events(LLM.streamObject("Go", { schema: Order, mode }))
      expect(partials(all)).toEqual([
        { customer: "Ada" },
        { customer: "Ada Byron", items: ["a"] },
        { customer: "Ada Byron", items: ["a pen", "two"] },
        order
      ])
      const last = all.at(-1)
      expect(last?._tag === "Finish" && last.result.value).toEqual(order)
    }).pipe(Effect.provide(TestLLM.layer([mode === "tool" ? called(order) : json(order)])))
  )

  it.effect("streams the partial values of a text that is wrapped in an object", () =>
    Effect.gen(function* () {
      const all = yield* events(LLM.streamObject("Go", { schema: Schema.Array(Schema.String) }))
      expect(partials(all)).toEqual([["one"], ["one two", "three"], ["one two", "three four"]])
    }).pipe(Effect.provide(TestLLM.layer([json({ value: ["one two", "three four"] })])))
  )

  it.effect("finds the partial values of an answer that begins with other text", () =>
    Effect.gen(function* () {
      const all = yield* events(LLM.streamObject("Go", { schema: Order, mode: "prompt" }))
      expect(partials(all).at(-1)).toEqual(order)
    }).pipe(Effect.provide(TestLLM.layer([`Here it is:\n\`\`\`json\n${json(order)}\n\`\`\`\nIs it right?`])))
  )

  it.effect("starts the partial values again in round 2 when the answer is repaired", () =>
    Effect.gen(function* () {
      const all = yield* events(LLM.streamObject("Go", { schema: Order, mode: "native" }))
      expect(all.flatMap((event) => (event._tag === "Partial" ? [[event.round, event.value]] : []))).toEqual([
        [1, { customer: 7 }],
        [2, { customer: "Ada" }],
        [2, { customer: "Ada Byron", items: ["a"] }],
        [2, { customer: "Ada Byron", items: ["a pen", "two"] }],
        [2, order]
      ])
      expect(all.at(-1)?._tag).toBe("Finish")
    }).pipe(Effect.provide(TestLLM.layer([json({ customer: 7 }), json(order)])))
  )

  it.effect("uses the next mode when the provider does not support one, without partial values of it", () =>
    Effect.gen(function* () {
      const all = yield* events(LLM.streamObject("Go", { schema: Order }))
      expect(partials(all).at(-1)).toEqual(order)
      expect(yield* TestLLM.calls).toHaveLength(2)
    }).pipe(Effect.provide(TestLLM.layer([unsupported, called(order)])))
  )

  it.effect("fails with the error of the request", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(events(LLM.streamObject("Go", { schema: Order, mode: "native" })))
      expect(error).toBe(unavailable)
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.failure(unavailable)])))
  )

  it.effect("interrupts the request when the consumer stops", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const llm = {
        chatStream: () =>
          Stream.fromEffect(
            Effect.onInterrupt(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never), () =>
              Deferred.succeed(interrupted, undefined)
            )
          )
      }
      const fiber = yield* Effect.fork(Stream.runDrain(Programs.streamObject(llm, "Go", { schema: Order })))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(interrupted)
    })
  )

  const answers = FastCheck.oneof(
    FastCheck.constantFrom(json(order), json({ customer: 1 }), "none", `\`\`\`json\n${json(order)}\n\`\`\``, "{"),
    FastCheck.json(),
    FastCheck.record({ customer: FastCheck.string(), items: FastCheck.array(FastCheck.string()) }).map((value) =>
      json(value)
    )
  )
  it.effect.prop(
    "ends with the result or the error of LLM.generateObject for the same answers",
    {
      script: FastCheck.tuple(answers, answers),
      mode: FastCheck.constantFrom<StructuredOutput.Mode>("auto", "native", "prompt", "tool"),
      repair: FastCheck.boolean()
    },
    ({ mode, repair, script }) =>
      Effect.gen(function* () {
        const options = { schema: Order, mode, repair }
        const steps = mode === "tool" ? script.map(called) : script
        const whole = yield* Effect.either(LLM.generateObject("Go", options)).pipe(Effect.provide(TestLLM.layer(steps)))
        const streamed = yield* Effect.either(events(LLM.streamObject("Go", options))).pipe(
          Effect.provide(TestLLM.layer(steps))
        )
        const all = Either.getOrElse(streamed, () => [])
        const results = all.flatMap((event) => (event._tag === "Finish" ? [event.result] : []))
        expect(Either.map(streamed, () => results[0])).toEqual(whole)
        expect(results.length).toBe(Either.isRight(whole) ? 1 : 0)
        expect(all.findIndex(({ _tag }) => _tag === "Finish")).toBe(all.length - 1)
      }),
    { fastCheck: { numRuns: 40 } }
  )

  /** Whether a value can be the beginning of another one: texts and lists with more at their end, objects with more in each field. */
  const growsInto = (before: unknown, after: unknown): boolean => {
    if (typeof before === "string") return typeof after === "string" && after.startsWith(before)
    if (Array.isArray(before)) {
      return Array.isArray(after) && before.every((item, index) => index in after && growsInto(item, after[index]))
    }
    if (Predicate.isRecord(before)) {
      return Predicate.isRecord(after) && Object.keys(before).every((name) => growsInto(before[name], after[name]))
    }
    return before === after
  }

  /** The text in pieces of these lengths, which are used again and again. */
  const pieces = (text: string, lengths: ReadonlyArray<number>): ReadonlyArray<string> => {
    const all: Array<string> = []
    for (let at = 0, turn = 0; at < text.length; turn++) {
      const length = lengths[turn % lengths.length] ?? 1
      all.push(text.slice(at, at + length))
      at += length
    }
    return all
  }

  const Anything = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
    identifier: "Anything",
    jsonSchema: { type: "object" }
  })

  it.effect.prop(
    "streams partial values that only grow, and the last one is the whole value",
    {
      // A record of Schema has no field of this name.
      value: FastCheck.dictionary(
        FastCheck.string().filter((name) => name !== "__proto__"),
        FastCheck.jsonValue({ maxDepth: 3 }),
        { maxKeys: 4 }
      ),
      lengths: FastCheck.array(FastCheck.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
      indent: FastCheck.constantFrom(0, 2),
      mode: FastCheck.constantFrom<StructuredOutput.Mode>("native", "prompt", "tool")
    },
    ({ indent, lengths, mode, value }) => {
      const text = JSON.stringify(value, null, indent)
      const whole =
        mode === "tool"
          ? TestLLM.response({ toolCalls: [toolCall("1", "Anything", text)] })
          : TestLLM.response({ text })
      const streamed = Events.fromResponse(whole).flatMap((event): ReadonlyArray<ChatEvent> => {
        if (event._tag === "TextDelta") return pieces(event.text, lengths).map((text) => ({ ...event, text }))
        if (event._tag !== "ToolCallDelta") return [event]
        return pieces(event.argumentsDelta, lengths).map((argumentsDelta) => ({ ...event, argumentsDelta }))
      })
      return Effect.gen(function* () {
        const all = yield* events(LLM.streamObject("Go", { schema: Anything, mode }))
        const values = partials(all)
        const shrunk = values.findIndex((partial, index) => index > 0 && !growsInto(values[index - 1], partial))
        expect(values.slice(Math.max(shrunk - 1, 0), shrunk + 1)).toEqual([])
        expect(values.at(-1)).toEqual(JSON.parse(text))
        const last = all.at(-1)
        expect(last?._tag === "Finish" && last.result.value).toEqual(JSON.parse(text))
      }).pipe(Effect.provide(TestLLM.layer([TestLLM.stream(streamed)])))
    }
  )

  it("has the type and the requirements of its schema", () => {
    expectTypeOf(LLM.streamObject("Go", { schema: Order })).toEqualTypeOf<
      Stream.Stream<StructuredOutput.Event<typeof Order.Type>, LLMError, LLM.LLM>
    >()
  })
})

describe("the reader of partial values", () => {
  const format = { name: "answer", schema: {}, wrapped: false }

  it("parses a long answer that arrives by characters a limited number of times, so that its cost stays linear", () => {
    const counts = [2_000, 4_000, 8_000].map((length) => {
      const read = makeReader(format)
      const text = json({ text: "a".repeat(length) })
      return Array.from(text).flatMap((character) => read({ _tag: "TextDelta", index: 0, text: character })).length
    })
    const [short = 0, middle = 0, long = 0] = counts
    // Each doubling of the text adds the same number of partial values.
    expect(middle - short).toBeLessThan(50)
    expect(long - middle).toBeLessThan(50)
  })

  it("returns no value twice and ignores other tools and other events", () => {
    const read = makeReader(format)
    const tool = (name: string, index: number, argumentsDelta: string) =>
      read({ _tag: "ToolCallDelta", index, id: `${index}`, name, argumentsDelta })
    expect(tool("search", 0, '{"query":"x"}')).toEqual([])
    expect(tool("answer", 1, '{"a":')).toEqual([{}])
    expect(tool("answer", 1, " ")).toEqual([])
    expect(tool("answer", 2, "9")).toEqual([])
    expect(tool("answer", 1, "1}")).toEqual([{ a: 1 }])
    expect(read({ _tag: "RefusalDelta", index: 3, text: "{}" })).toEqual([])
  })
})
