import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { UnsupportedError } from "../../src/vocabulary/LLMError.js"
import type * as StructuredOutput from "../../src/programs/StructuredOutput.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { unavailable } from "../support/scripted.js"

const Order = Schema.Struct({
  customer: Schema.String,
  items: Schema.Array(Schema.Struct({ name: Schema.String, price: Schema.Number }))
}).annotations({ identifier: "Order" })

const order = { customer: "Ada", items: [{ name: "pen", price: 1.5 }] }

const orderSchema = {
  type: "object",
  required: ["customer", "items"],
  properties: {
    customer: { type: "string" },
    items: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "price"],
        properties: { name: { type: "string" }, price: { type: "number" } },
        additionalProperties: false
      }
    }
  },
  additionalProperties: false
}

const json = JSON.stringify

const called = (name: string, value: unknown) =>
  TestLLM.answer({ toolCalls: [{ id: "1", name, arguments: typeof value === "string" ? value : json(value) }] })

const unsupported = (feature: string) =>
  TestLLM.failure(new UnsupportedError({ provider: "test", model: "test", attempts: [], feature, message: feature }))

const requests = Effect.map(TestLLM.calls, (calls) => calls.map((call) => call.request))

describe("the model is held to the schema", () => {
  it.effect("by the provider", () =>
    Effect.gen(function* () {
      const { response, usage, value } = yield* LLM.object(
        { messages: [Chat.user("One pen.")], temperature: 0 },
        { schema: Order, description: "What was ordered.", strict: true }
      )
      expect(value).toEqual(order)
      expect(response.text).toBe(json(order))
      expect(usage).toEqual(response.usage)
      expect(yield* requests).toEqual([
        {
          messages: [Chat.user("One pen.")],
          temperature: 0,
          responseFormat: { name: "Order", schema: orderSchema, description: "What was ordered.", strict: true }
        }
      ])
    }).pipe(Effect.provide(TestLLM.layer([json(order)])))
  )

  it.effect("by a tool that must be called", () =>
    Effect.gen(function* () {
      const { value } = yield* LLM.object("One pen.", { schema: Order, mode: "tool", description: "The order." })
      expect(value).toEqual(order)
      expect(yield* requests).toEqual([
        {
          messages: [Chat.user("One pen.")],
          tools: [{ name: "Order", description: "The order.", parameters: orderSchema }],
          toolChoice: { name: "Order" }
        }
      ])
    }).pipe(Effect.provide(TestLLM.layer([called("Order", order)])))
  )

  it.effect("by words, behind those that the system message says already", () =>
    Effect.gen(function* () {
      yield* LLM.object("One pen.", { schema: Order, mode: "prompt" })
      yield* LLM.object(
        { messages: [Chat.system("Be quick."), Chat.user("One pen.")], responseFormat: "json" },
        { schema: Order, mode: "prompt" }
      )
      const [bare, told] = yield* requests
      const instructions = `Answer with JSON alone: no other text, no Markdown.\nThe JSON must fit this JSON Schema:\n${json(orderSchema)}`
      expect(bare).toEqual({ messages: [Chat.system(instructions), Chat.user("One pen.")] })
      expect(told).toEqual({ messages: [Chat.system(`Be quick.\n\n${instructions}`), Chat.user("One pen.")] })
    }).pipe(Effect.provide(TestLLM.layer([json(order)], { loop: true })))
  )

  it.effect("in the first of these ways that the provider has", () =>
    Effect.gen(function* () {
      expect((yield* LLM.object("One pen.", { schema: Order })).value).toEqual(order)
      const [first, second, third] = yield* requests
      expect(first?.responseFormat).toBeDefined()
      expect(second?.toolChoice).toEqual({ name: "Order" })
      expect(third?.messages[0]?.role).toBe("system")
    }).pipe(Effect.provide(TestLLM.layer([unsupported("JSON Schema output"), unsupported("tools"), json(order)])))
  )

  it.effect("in no other way than the one that is asked for", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.object("One pen.", { schema: Order, mode: "native" }))
      expect(error._tag === "UnsupportedError" && error.feature).toBe("JSON Schema output")
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer([unsupported("JSON Schema output")])))
  )

  it.effect("and calls no other tools, which it still knows of", () =>
    Effect.gen(function* () {
      const request: ChatRequest.Input = { messages: [Chat.user("Go")], tools: [{ name: "t" }], toolChoice: "required" }
      yield* LLM.object(request, { schema: Order, mode: "native" })
      yield* LLM.object(request, { schema: Order, mode: "prompt" })
      yield* LLM.object(request, { schema: Order, mode: "tool" })
      const made = yield* requests
      expect(made.map(({ toolChoice }) => toolChoice)).toEqual(["none", "none", { name: "Order" }])
      expect(made.map(({ tools }) => tools?.map(({ name }) => name))).toEqual([["t"], ["t"], ["t", "Order"]])
    }).pipe(Effect.provide(TestLLM.layer([json(order)], { loop: true })))
  )

  it.effect("under a name that every provider takes", () =>
    Effect.gen(function* () {
      yield* LLM.object("Go", { schema: Schema.Struct({}) })
      yield* LLM.object("Go", { schema: Schema.Struct({}), name: `my order, ${"no. ".repeat(30)}` })
      const names = (yield* requests).map(({ responseFormat }) =>
        typeof responseFormat === "object" ? responseFormat.name : ""
      )
      expect(names[0]).toBe("answer")
      expect(names[1]).toMatch(/^my_order__no__[\w-]{50}$/)
    }).pipe(Effect.provide(TestLLM.layer(["{}"], { loop: true })))
  )
})

describe("the outermost value may be", () => {
  /** The schema that the model is told, in whatever way. */
  const toldSchema = ({ messages, responseFormat, tools }: ChatRequest): unknown =>
    typeof responseFormat === "object"
      ? responseFormat.schema
      : (tools?.[0]?.parameters ??
        JSON.parse(
          Chat.textOf(messages[0]?.content ?? "")
            .split("\n")
            .at(-1) ?? ""
        ))

  const outermost = <A, I>(what: string, schema: Schema.Schema<A, I>, encoded: I, expected: A, wrapped = true) =>
    it.effect(what, () =>
      Effect.gen(function* () {
        for (const mode of ["native", "tool", "prompt"] as const) {
          expect((yield* LLM.object("Go", { schema, mode })).value).toEqual(expected)
        }
        for (const request of yield* requests) {
          // What every provider demands.
          expect(toldSchema(request)).toMatchObject({ type: "object" })
          expect(toldSchema(request)).not.toHaveProperty("anyOf")
        }
      }).pipe(
        Effect.provide(
          TestLLM.layerHandler(({ request }) => {
            const answer = wrapped ? { value: encoded } : encoded
            const [tool] = request.tools ?? []
            return tool === undefined ? json(answer) : called(tool.name, answer)
          })
        )
      )
    )

  outermost("an array", Schema.Array(Order), [order], [order])
  outermost("a text", Schema.String, "hello", "hello")
  outermost("a choice", Schema.Literal("yes", "no"), "yes", "yes")
  outermost(
    "a union of objects",
    Schema.Union(Order, Schema.Struct({ none: Schema.Boolean })),
    { none: true },
    { none: true }
  )
  outermost("a date", Schema.Date, "1970-01-01T00:00:00.000Z", new Date(0))
  outermost("nothing", Schema.Null, null, null)
  outermost("an object", Order, order, order, false)
  outermost("an object with a value", Schema.Struct({ value: Schema.Number }), { value: 1 }, { value: 1 }, false)

  it.effect("what the model forgot to wrap", () =>
    Effect.gen(function* () {
      expect((yield* LLM.object("Go", { schema: Schema.Array(Schema.Number) })).value).toEqual([1, 2])
    }).pipe(Effect.provide(TestLLM.layer(["[1, 2]"])))
  )

  it.effect("a tree, whose definition stays where references find it", () =>
    Effect.gen(function* () {
      interface Tree {
        readonly below: ReadonlyArray<Tree>
      }
      const Tree: Schema.Schema<Tree> = Schema.Struct({
        below: Schema.Array(Schema.suspend(() => Tree))
      }).annotations({ identifier: "Tree" })
      const { value } = yield* LLM.object("Go", { schema: Schema.Array(Tree) })
      expect(value).toEqual([{ below: [] }])
      const [asked] = yield* requests
      expect(asked?.responseFormat).toMatchObject({
        schema: {
          properties: { value: { type: "array", items: { $ref: "#/$defs/Tree" } } },
          $defs: { Tree: { properties: { below: { items: { $ref: "#/$defs/Tree" } } } } }
        }
      })
    }).pipe(Effect.provide(TestLLM.layer(['{"value":[{"below":[]}]}'])))
  )
})

describe("the value is found", () => {
  const fenced = (text: string) => `\`\`\`${text}\`\`\``
  const places: ReadonlyArray<readonly [string, string]> = [
    ["alone", json(order)],
    ["in a fence", fenced(`json\n${json(order)}\n`)],
    ["in a fence without a language", fenced(`\n${json(order)}\n`)],
    ["in a fence on one line", fenced(json(order))],
    ["behind a fence of something else", `${fenced("sh\nls\n")} and ${fenced(`json\n${json(order)}\n`)} Bye.`],
    ["in a fence, with fences in it", fenced(`json\n${json({ note: fenced("js"), ...order })}\n`)],
    ["in a fence that is not closed", `\`\`\`json\n${json(order)}`],
    ["in the middle of words", `Here you are [as asked]: ${json(order)}. Anything else?`]
  ]
  it.effect.each(places)("%s", ([, text]) =>
    Effect.gen(function* () {
      expect((yield* LLM.object("Go", { schema: Order, mode: "prompt" })).value).toEqual(order)
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer([text])))
  )

  it.effect("in time, however much is opened and never closed", () =>
    Effect.gen(function* () {
      for (const opened of ["{", "[", "```", "a"]) {
        const text = `\`\`\`${opened.repeat(300_000)}`
        const layer = TestLLM.layer([text])
        const error = yield* Effect.flip(
          Effect.provide(LLM.object("Go", { schema: Order, mode: "prompt", repair: false }), layer)
        )
        expect(error._tag).toBe("MalformedResponseError")
      }
    })
  )

  it.effect("in the text where the tool was not called", () =>
    Effect.gen(function* () {
      expect((yield* LLM.object("Go", { schema: Order, mode: "tool" })).value).toEqual(order)
    }).pipe(Effect.provide(TestLLM.layer([json(order)])))
  )

  it.effect("although the provider can only leave out with null", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ note: Schema.optional(Schema.String) })
      expect((yield* LLM.object("Go", { schema })).value).toEqual({})
    }).pipe(Effect.provide(TestLLM.layer(['{"note":null}'])))
  )
})

describe("an answer that does not fit", () => {
  const faulty = { customer: "Ada", items: [order.items[0], order.items[0], { name: "ink", price: "two" }] }
  const counted = (text: string, inputTokens: number) =>
    TestLLM.answer({ text, usage: Usage.make({ inputTokens, outputTokens: 1 }) })

  it.effect("is shown to the model with its faults, once, and both rounds are counted", () =>
    Effect.gen(function* () {
      const { response, usage, value } = yield* LLM.object("Three things.", { schema: Order })
      expect(value).toEqual(order)
      expect(response.usage.inputTokens).toBe(20)
      expect(usage).toEqual(Usage.make({ inputTokens: 30, outputTokens: 2 }))
      const [first, second] = yield* requests
      expect(second).toEqual({
        ...first,
        messages: [
          Chat.user("Three things."),
          Chat.assistant(json(faulty)),
          Chat.user(
            'Your answer cannot be used. It does not fit the schema. items[2].price: Expected number, actual "two"\n' +
              "Give the whole answer again, corrected."
          )
        ]
      })
    }).pipe(Effect.provide(TestLLM.layer([counted(json(faulty), 10), counted(json(order), 20)])))
  )

  it.effect("has as many faults as are told, also where names begin alike", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ item: Schema.Number, items: Schema.Number })
      const error = yield* Effect.flip(LLM.object("Go", { schema, repair: false }))
      expect(error).toMatchObject({
        path: "item",
        message: expect.stringContaining('item: Expected number, actual "a"; items: Expected number, actual "b"')
      })
    }).pipe(Effect.provide(TestLLM.layer(['{"item":"a","items":"b"}'])))
  )

  it.effect("is shown as the result of its tool call", () =>
    Effect.gen(function* () {
      expect((yield* LLM.object("Go", { schema: Order, mode: "tool" })).value).toEqual(order)
      const [, second] = yield* requests
      expect(second?.messages.slice(1)).toMatchObject([
        { role: "assistant", toolCalls: [{ id: "1", arguments: '{"customer":' }] },
        { role: "tool", toolCallId: "1", isError: true, content: expect.stringContaining("It holds no JSON.") }
      ])
    }).pipe(Effect.provide(TestLLM.layer([called("Order", '{"customer":'), called("Order", order)])))
  )

  it.effect("is not shown where it is empty, since providers refuse empty messages", () =>
    Effect.gen(function* () {
      expect((yield* LLM.object("Go", { schema: Order })).value).toEqual(order)
      const [, second] = yield* requests
      expect(second?.messages.map(({ role }) => role)).toEqual(["user", "user"])
    }).pipe(Effect.provide(TestLLM.layer(["", json(order)])))
  )

  it.effect("twice is an error with the path and the value of the first fault, and what was paid", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.object("Go", { schema: Order }))
      if (error._tag !== "MalformedResponseError") return expect.fail(error._tag)
      expect(error.path).toBe("items[2].price")
      expect(error.excerpt).toBe("two")
      expect(error.message).toContain("The answer is no Order.")
      expect(error.partial?.text).toBe(json(faulty))
      expect(error.partial?.usage).toEqual(Usage.make({ inputTokens: 20, outputTokens: 2 }))
      expect([error.provider, error.model, error.keyId, error.attempts.length]).toEqual(["test", "test", "test", 1])
      expect(yield* requests).toHaveLength(2)
    }).pipe(Effect.provide(TestLLM.layer([counted(json(faulty), 10)], { loop: true })))
  )

  it.effect("is an error at once where that is wanted", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.object("Go", { schema: Order, repair: false }))
      expect(error).toMatchObject({ _tag: "MalformedResponseError", path: "", excerpt: "I would rather not." })
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer(["I would rather not."])))
  )

  it.effect("that the token limit cut off says so, and is not asked for again", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.object("Go", { schema: Order }))
      expect(error).toMatchObject({ _tag: "MalformedResponseError", message: expect.stringContaining("maxTokens") })
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ text: '{"customer":"A', finishReason: "length" })])))
  )

  it.effect("fails the repair as its `LLM` fails", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(LLM.object("Go", { schema: Order }))).toBe(unavailable)
    }).pipe(Effect.provide(TestLLM.layer(["{}", TestLLM.failure(unavailable)])))
  )
})

describe("an answer that is declined", () => {
  it.effect("by the model is an error with its words", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.object("Go", { schema: Order }))
      expect(error).toMatchObject({ _tag: "ContentFilterError", message: expect.stringContaining("I cannot do that.") })
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ refusal: "I cannot do that." })])))
  )
  it.effect("by the provider is one too", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(LLM.object("Go", { schema: Order })))._tag).toBe("ContentFilterError")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ text: "{", finishReason: "content-filter" })])))
  )
})

describe("types", () => {
  it("are those of the schema, and its requirements", () => {
    class Clock extends Context.Tag("Clock")<Clock, Date>() {}
    const Local = Schema.transformOrFail(Schema.String, Schema.DateFromSelf, {
      decode: () => Clock,
      encode: () => Effect.succeed("")
    })
    expectTypeOf(LLM.object("Go", { schema: Local })).toEqualTypeOf<
      Effect.Effect<StructuredOutput.Result<Date>, LLMError, LLM.LLM | Clock>
    >()
    expectTypeOf(LLM.object("Go", { schema: Order })).toEqualTypeOf<
      Effect.Effect<StructuredOutput.Result<typeof Order.Type>, LLMError, LLM.LLM>
    >()
  })
})
