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
  TestLLM.answer({ toolCalls: [Chat.toolCall("1", name, typeof value === "string" ? value : json(value))] })

const unsupported = (feature: string) =>
  TestLLM.failure(new UnsupportedError({ provider: "test", model: "test", attempts: [], feature, message: feature }))

const requests = Effect.map(TestLLM.calls, (calls) => calls.map((call) => call.request))

describe("modes of LLM.generateObject", () => {
  it.effect("sends the JSON Schema as responseFormat to a provider that supports it", () =>
    Effect.gen(function* () {
      const { response, usage, value } = yield* LLM.generateObject(
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

  it.effect("mode `tool` sends the schema as a tool that the model must call", () =>
    Effect.gen(function* () {
      const { value } = yield* LLM.generateObject("One pen.", {
        schema: Order,
        mode: "tool",
        description: "The order."
      })
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

  it.effect("mode `prompt` appends the instructions to the system message", () =>
    Effect.gen(function* () {
      yield* LLM.generateObject("One pen.", { schema: Order, mode: "prompt" })
      yield* LLM.generateObject(
        { messages: [Chat.system("Be quick."), Chat.user("One pen.")], responseFormat: "json" },
        { schema: Order, mode: "prompt" }
      )
      const [bare, appended] = yield* requests
      const instructions = `Answer with JSON alone: no other text, no Markdown.\nThe JSON must fit this JSON Schema:\n${json(orderSchema)}`
      expect(bare).toEqual({ messages: [Chat.system(instructions), Chat.user("One pen.")] })
      expect(appended).toEqual({ messages: [Chat.system(`Be quick.\n\n${instructions}`), Chat.user("One pen.")] })
    }).pipe(Effect.provide(TestLLM.layer([json(order)], { loop: true })))
  )

  it.effect("mode `auto` tries native, tool and prompt until one is supported", () =>
    Effect.gen(function* () {
      expect((yield* LLM.generateObject("One pen.", { schema: Order })).value).toEqual(order)
      const [first, second, third] = yield* requests
      expect(first?.responseFormat).toBeDefined()
      expect(second?.toolChoice).toEqual({ name: "Order" })
      expect(third?.messages[0]?.role).toBe("system")
    }).pipe(Effect.provide(TestLLM.layer([unsupported("JSON Schema output"), unsupported("tools"), json(order)])))
  )

  it.effect("mode `native` fails with the UnsupportedError and tries no other mode", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.generateObject("One pen.", { schema: Order, mode: "native" }))
      expect(error._tag === "UnsupportedError" && error.feature).toBe("JSON Schema output")
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer([unsupported("JSON Schema output")])))
  )

  it.effect("keeps the tools of the request and forbids calls of them", () =>
    Effect.gen(function* () {
      const request: ChatRequest.Input = { messages: [Chat.user("Go")], tools: [{ name: "t" }], toolChoice: "required" }
      yield* LLM.generateObject(request, { schema: Order, mode: "native" })
      yield* LLM.generateObject(request, { schema: Order, mode: "prompt" })
      yield* LLM.generateObject(request, { schema: Order, mode: "tool" })
      const made = yield* requests
      expect(made.map(({ toolChoice }) => toolChoice)).toEqual(["none", "none", { name: "Order" }])
      expect(made.map(({ tools }) => tools?.map(({ name }) => name))).toEqual([["t"], ["t"], ["t", "Order"]])
    }).pipe(Effect.provide(TestLLM.layer([json(order)], { loop: true })))
  )

  it.effect("replaces characters of the schema name that providers reject and cuts it to 64", () =>
    Effect.gen(function* () {
      yield* LLM.generateObject("Go", { schema: Schema.Struct({}) })
      yield* LLM.generateObject("Go", { schema: Schema.Struct({}), name: `my order, ${"no. ".repeat(30)}` })
      const names = (yield* requests).map(({ responseFormat }) =>
        typeof responseFormat === "object" ? responseFormat.name : ""
      )
      expect(names[0]).toBe("answer")
      expect(names[1]).toMatch(/^my_order__no__[\w-]{50}$/)
    }).pipe(Effect.provide(TestLLM.layer(["{}"], { loop: true })))
  )
})

describe("outermost value of LLM.generateObject", () => {
  /** The schema in a request, in any of the three modes. */
  const sentSchema = ({ messages, responseFormat, tools }: ChatRequest): unknown =>
    typeof responseFormat === "object"
      ? responseFormat.schema
      : (tools?.[0]?.parameters ??
        JSON.parse(
          Chat.textOf(messages[0]?.content ?? "")
            .split("\n")
            .at(-1) ?? ""
        ))

  const outermost = <A, I>(what: string, schema: Schema.Schema<A, I>, encoded: I, expected: A, wrapped = true) =>
    it.effect(`LLM.generateObject decodes ${what} as the outermost value in every mode`, () =>
      Effect.gen(function* () {
        for (const mode of ["native", "tool", "prompt"] as const) {
          expect((yield* LLM.generateObject("Go", { schema, mode })).value).toEqual(expected)
        }
        for (const request of yield* requests) {
          // Every provider requires an object at the root.
          expect(sentSchema(request)).toMatchObject({ type: "object" })
          expect(sentSchema(request)).not.toHaveProperty("anyOf")
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
  outermost("null", Schema.Null, null, null)
  outermost("an object", Order, order, order, false)
  outermost("an object with a value", Schema.Struct({ value: Schema.Number }), { value: 1 }, { value: 1 }, false)

  it.effect("decodes an outermost array that the model did not wrap in `value`", () =>
    Effect.gen(function* () {
      expect((yield* LLM.generateObject("Go", { schema: Schema.Array(Schema.Number) })).value).toEqual([1, 2])
    }).pipe(Effect.provide(TestLLM.layer(["[1, 2]"])))
  )

  it.effect("keeps the limits of a whole number as the outermost value", () =>
    Effect.gen(function* () {
      const schema = Schema.Int.pipe(Schema.between(1, 6))
      expect((yield* LLM.generateObject("Go", { schema })).value).toBe(4)
      const [asked] = yield* requests
      expect(asked?.responseFormat).toMatchObject({
        schema: { properties: { value: { type: "integer", minimum: 1, maximum: 6 } } }
      })
    }).pipe(Effect.provide(TestLLM.layer(['{"value":4}'])))
  )

  it.effect("keeps the $defs of a recursive schema at the root of the wrapped schema", () =>
    Effect.gen(function* () {
      interface Tree {
        readonly below: ReadonlyArray<Tree>
      }
      const Tree: Schema.Schema<Tree> = Schema.Struct({
        below: Schema.Array(Schema.suspend(() => Tree))
      }).annotations({ identifier: "Tree" })
      const { value } = yield* LLM.generateObject("Go", { schema: Schema.Array(Tree) })
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

describe("finding the JSON in an answer", () => {
  const fenced = (text: string) => `\`\`\`${text}\`\`\``
  const places: ReadonlyArray<readonly [string, string]> = [
    ["that is the whole answer", json(order)],
    ["in a fence", fenced(`json\n${json(order)}\n`)],
    ["in a fence without a language", fenced(`\n${json(order)}\n`)],
    ["in a fence on one line", fenced(json(order))],
    ["behind a fence of something else", `${fenced("sh\nls\n")} and ${fenced(`json\n${json(order)}\n`)} Bye.`],
    ["in a fence, with fences in it", fenced(`json\n${json({ note: fenced("js"), ...order })}\n`)],
    ["in a fence that is not closed", `\`\`\`json\n${json(order)}`],
    ["in the middle of words", `Here you are [as asked]: ${json(order)}. Anything else?`]
  ]
  it.effect.each(places)("finds the JSON %s", ([, text]) =>
    Effect.gen(function* () {
      expect((yield* LLM.generateObject("Go", { schema: Order, mode: "prompt" })).value).toEqual(order)
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer([text])))
  )

  it.effect("fails in linear time on an answer that opens 300,000 brackets or fences and closes none", () =>
    Effect.gen(function* () {
      for (const opened of ["{", "[", "```", "a"]) {
        const text = `\`\`\`${opened.repeat(300_000)}`
        const layer = TestLLM.layer([text])
        const error = yield* Effect.flip(
          Effect.provide(LLM.generateObject("Go", { schema: Order, mode: "prompt", repair: false }), layer)
        )
        expect(error._tag).toBe("MalformedResponseError")
      }
    })
  )

  it.effect("finds the value in the text when the model does not call the tool", () =>
    Effect.gen(function* () {
      expect((yield* LLM.generateObject("Go", { schema: Order, mode: "tool" })).value).toEqual(order)
    }).pipe(Effect.provide(TestLLM.layer([json(order)])))
  )

  it.effect("decodes null as absent for an optional property", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ note: Schema.optional(Schema.String) })
      expect((yield* LLM.generateObject("Go", { schema })).value).toEqual({})
    }).pipe(Effect.provide(TestLLM.layer(['{"note":null}'])))
  )
})

describe("answer that does not fit the schema", () => {
  const faulty = { customer: "Ada", items: [order.items[0], order.items[0], { name: "ink", price: "two" }] }
  const counted = (text: string, inputTokens: number) =>
    TestLLM.answer({ text, usage: Usage.make({ inputTokens, outputTokens: 1 }) })

  it.effect("sends the faults of an answer to the model once, and adds the usage of both rounds", () =>
    Effect.gen(function* () {
      const { response, usage, value } = yield* LLM.generateObject("Three things.", { schema: Order })
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

  it.effect("reports every fault when one field name is the beginning of another", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ item: Schema.Number, items: Schema.Number })
      const error = yield* Effect.flip(LLM.generateObject("Go", { schema, repair: false }))
      expect(error).toMatchObject({
        path: "item",
        message: expect.stringContaining('item: Expected number, actual "a"; items: Expected number, actual "b"')
      })
    }).pipe(Effect.provide(TestLLM.layer(['{"item":"a","items":"b"}'])))
  )

  it.effect("sends the faults as the result of the tool call in mode `tool`", () =>
    Effect.gen(function* () {
      expect((yield* LLM.generateObject("Go", { schema: Order, mode: "tool" })).value).toEqual(order)
      const [, second] = yield* requests
      expect(second?.messages.slice(1)).toMatchObject([
        { role: "assistant", content: [{ type: "tool-call", id: "1", arguments: '{"customer":' }] },
        { role: "tool", toolCallId: "1", isError: true, content: expect.stringContaining("It holds no JSON.") }
      ])
    }).pipe(Effect.provide(TestLLM.layer([called("Order", '{"customer":'), called("Order", order)])))
  )

  it.effect("does not send an empty answer back, since providers reject empty messages", () =>
    Effect.gen(function* () {
      expect((yield* LLM.generateObject("Go", { schema: Order })).value).toEqual(order)
      const [, second] = yield* requests
      expect(second?.messages.map(({ role }) => role)).toEqual(["user", "user"])
    }).pipe(Effect.provide(TestLLM.layer(["", json(order)])))
  )

  it.effect("fails after the second unfit answer with the first fault and the usage of both", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.generateObject("Go", { schema: Order }))
      if (error._tag !== "MalformedResponseError") return expect.fail(error._tag)
      expect(error.path).toBe("items[2].price")
      expect(error.excerpt).toBe("two")
      expect(error.message).toContain("The answer is not a valid Order.")
      expect(error.partial?.text).toBe(json(faulty))
      expect(error.partial?.usage).toEqual(Usage.make({ inputTokens: 20, outputTokens: 2 }))
      expect([error.provider, error.model, error.keyId, error.attempts.length]).toEqual(["test", "test", "test", 1])
      expect(yield* requests).toHaveLength(2)
    }).pipe(Effect.provide(TestLLM.layer([counted(json(faulty), 10)], { loop: true })))
  )

  it.effect("fails at the first unfit answer with `repair: false`", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.generateObject("Go", { schema: Order, repair: false }))
      expect(error).toMatchObject({ _tag: "MalformedResponseError", path: "", excerpt: "I would rather not." })
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer(["I would rather not."])))
  )

  it.effect("fails without a repair and names maxTokens when the token limit cut the answer off", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.generateObject("Go", { schema: Order }))
      expect(error).toMatchObject({ _tag: "MalformedResponseError", message: expect.stringContaining("maxTokens") })
      expect(yield* requests).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ text: '{"customer":"A', finishReason: "length" })])))
  )

  it.effect("fails with the error of the LLM when the repair call fails", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(LLM.generateObject("Go", { schema: Order }))).toBe(unavailable)
    }).pipe(Effect.provide(TestLLM.layer(["{}", TestLLM.failure(unavailable)])))
  )
})

describe("answer that its provider interrupts", () => {
  const search: Chat.ProviderPart = {
    type: "provider",
    native: { "anthropic-messages": { type: "server_tool_use", id: "1" } }
  }
  const paused = TestLLM.answer({
    content: [search, Chat.text("Looking.")],
    finishReason: "pause",
    usage: Usage.make({ inputTokens: 10, outputTokens: 1 })
  })
  const final = (text: string) => TestLLM.answer({ text, usage: Usage.make({ inputTokens: 20, outputTokens: 1 }) })

  it.effect("is continued with all of its parts, and the usage of all rounds is added", () =>
    Effect.gen(function* () {
      const { usage, value } = yield* LLM.generateObject("One pen.", { schema: Order })
      expect(value).toEqual(order)
      expect(usage).toEqual(Usage.make({ inputTokens: 40, outputTokens: 3 }))
      const [first, second, third] = yield* requests
      const assistant = Chat.assistant([search, Chat.text("Looking.")])
      expect(second).toEqual({ ...first, messages: [Chat.user("One pen."), assistant] })
      expect(third).toEqual({ ...first, messages: [Chat.user("One pen."), assistant, assistant] })
    }).pipe(Effect.provide(TestLLM.layer([paused, paused, final(json(order))])))
  )

  it.effect("is repaired once when the whole answer does not fit", () =>
    Effect.gen(function* () {
      const { usage, value } = yield* LLM.generateObject("One pen.", { schema: Order })
      expect(value).toEqual(order)
      expect(usage.inputTokens).toBe(60)
      expect((yield* requests).map(({ messages }) => messages.length)).toEqual([1, 2, 4, 5])
    }).pipe(Effect.provide(TestLLM.layer([paused, final("{}"), paused, final(json(order))])))
  )

  it.effect("fails after eight requests without an end", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.generateObject("One pen.", { schema: Order }))
      expect(error._tag).toBe("MalformedResponseError")
      expect(error.message).toContain("Its provider has interrupted it 8 times.")
      expect(yield* requests).toHaveLength(8)
    }).pipe(Effect.provide(TestLLM.layer([paused], { loop: true })))
  )
})

describe("declined answer", () => {
  it.effect("fails with a ContentFilterError that contains the refusal when the model declines", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.generateObject("Go", { schema: Order }))
      expect(error).toMatchObject({ _tag: "ContentFilterError", message: expect.stringContaining("I cannot do that.") })
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ refusal: "I cannot do that." })])))
  )
  it.effect("fails with a ContentFilterError when the finish reason is `content-filter`", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(LLM.generateObject("Go", { schema: Order })))._tag).toBe("ContentFilterError")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ text: "{", finishReason: "content-filter" })])))
  )
})

describe("types of LLM.generateObject", () => {
  it("LLM.generateObject has the type and the requirements of its schema", () => {
    class Clock extends Context.Tag("Clock")<Clock, Date>() {}
    const Local = Schema.transformOrFail(Schema.String, Schema.DateFromSelf, {
      decode: () => Clock,
      encode: () => Effect.succeed("")
    })
    expectTypeOf(LLM.generateObject("Go", { schema: Local })).toEqualTypeOf<
      Effect.Effect<StructuredOutput.Result<Date>, LLMError, LLM.LLM | Clock>
    >()
    expectTypeOf(LLM.generateObject("Go", { schema: Order })).toEqualTypeOf<
      Effect.Effect<StructuredOutput.Result<typeof Order.Type>, LLMError, LLM.LLM>
    >()
  })
})
