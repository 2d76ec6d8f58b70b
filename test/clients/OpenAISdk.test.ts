/** The official `openai` package against the gateway over sockets, in front of each kind of provider. */
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect, Schema } from "effect"
import OpenAI from "openai"
import { zodResponseFormat } from "openai/helpers/zod"
import { z } from "zod"
import type { ChatResponse, ToolCall } from "../../src/vocabulary/Chat.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Running, Upstream } from "../gateway/support/gateway.js"
import { waitUntilIdle, start } from "../gateway/support/gateway.js"
import { post } from "../gateway/support/http.js"

const clientOf = ({ url }: Running) => new OpenAI({ apiKey: "anything", baseURL: `${url}/v1`, maxRetries: 0 })

const upstreams: ReadonlyArray<Upstream> = ["openai", "anthropic", "gemini", "responses"]

const hello = [{ role: "user", content: "Hello" }] as const

const calls: ReadonlyArray<ToolCall> = [
  { type: "tool-call", id: "call-a", name: "clock", arguments: '{"zone":"UTC"}' },
  { type: "tool-call", id: "call-b", name: "weather", arguments: '{"city":"Oslo"}' }
]

const tools = ["clock", "weather"].map((name) => ({
  type: "function" as const,
  function: { name, parameters: { type: "object", properties: {} } }
}))

/** Runs one case with a client of a gateway whose provider gives this answer. */
const withClient = <A>(
  use: (client: OpenAI, gateway: Running) => Promise<A>,
  answer?: Partial<ChatResponse>,
  entry: Readonly<Record<string, unknown>> = {}
): Effect.Effect<A, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const gateway = yield* start({ entry, ...(answer === undefined ? {} : { provider: { answer: () => answer } }) })
    return yield* Effect.promise(() => use(clientOf(gateway), gateway))
  })

describe.each(upstreams)("openai in front of %s", (upstream) => {
  const model = `${upstream}/large`

  it.scopedLive("answers chat.completions.create of the OpenAI client", () =>
    Effect.gen(function* () {
      const answer = yield* withClient((client) => client.chat.completions.create({ model, messages: [...hello] }))
      expect(answer.object).toBe("chat.completion")
      expect(answer.choices).toMatchObject([
        { index: 0, finish_reason: "stop", message: { role: "assistant", content: "You said: Hello" } }
      ])
      expect(answer.usage?.total_tokens).toBe(
        (answer.usage?.prompt_tokens ?? 0) + (answer.usage?.completion_tokens ?? 0)
      )
      expect(Math.abs(answer.created - Date.now() / 1000)).toBeLessThan(60)
    })
  )

  it.scopedLive("streams to the OpenAI client, with one usage chunk when include_usage is set", () =>
    Effect.gen(function* () {
      const { ends, text, usages } = yield* withClient(async (client) => {
        const stream = await client.chat.completions.create({
          model,
          messages: [...hello],
          stream: true,
          stream_options: { include_usage: true }
        })
        let text = ""
        const ends: Array<string> = []
        const usages: Array<number> = []
        for await (const chunk of stream) {
          text += chunk.choices[0]?.delta.content ?? ""
          if (chunk.choices[0]?.finish_reason) ends.push(chunk.choices[0].finish_reason)
          if (chunk.usage) usages.push(chunk.usage.total_tokens)
        }
        return { text, ends, usages }
      })
      expect(text).toBe("You said: Hello")
      expect(ends).toEqual(["stop"])
      expect(usages).toHaveLength(1)
      expect(usages[0]).toBeGreaterThan(0)
    })
  )

  it.scopedLive("gives the OpenAI client tool calls, whole and streamed, and accepts their results", () =>
    Effect.gen(function* () {
      const answer = { text: "", toolCalls: calls }
      const [whole, streamed] = yield* withClient(
        async (client) => [
          await client.chat.completions.create({ model, messages: [...hello], tools }),
          await client.chat.completions.stream({ model, messages: [...hello], tools }).finalChatCompletion()
        ],
        answer
      )
      for (const completion of [whole, streamed]) {
        const called = completion?.choices[0]?.message.tool_calls ?? []
        expect(called.map((call) => call.type === "function" && call.function.name)).toEqual(["clock", "weather"])
        expect(
          called.map((call) =>
            call.type === "function" ? (JSON.parse(call.function.arguments) as unknown) : undefined
          )
        ).toEqual([{ zone: "UTC" }, { city: "Oslo" }])
        expect(completion?.choices[0]?.finish_reason).toBe("tool_calls")
      }
      const message = whole?.choices[0]?.message
      if (message === undefined) return expect.fail("no message")
      const next = yield* withClient((client) =>
        client.chat.completions.create({
          model,
          tools,
          messages: [
            ...hello,
            message,
            ...(message.tool_calls ?? []).map((call) => ({
              role: "tool" as const,
              tool_call_id: call.id,
              content: "result"
            }))
          ]
        })
      )
      expect(next.choices[0]?.message.content).toContain("You said:")
    })
  )

  it.scopedLive("answers chat.completions.parse of the OpenAI client with structured output", () =>
    Effect.gen(function* () {
      const City = z.object({ name: z.string(), inhabitants: z.number() })
      const parsed = yield* withClient(
        (client) =>
          client.chat.completions.parse({
            model,
            messages: [...hello],
            response_format: zodResponseFormat(City, "city")
          }),
        { text: '{"name":"Oslo","inhabitants":709037}' }
      )
      expect(parsed.choices[0]?.message.parsed).toEqual({ name: "Oslo", inhabitants: 709_037 })
    })
  )

  it.scopedLive("answers n choices with n provider calls, whole and streamed", () =>
    Effect.gen(function* () {
      const { requests, chunks, whole } = yield* withClient(
        async (client, { provider }) => {
          const whole = await client.chat.completions.create({ model, messages: [...hello], n: 3 })
          const stream = await client.chat.completions.create({
            model,
            messages: [...hello],
            n: 2,
            stream: true,
            stream_options: { include_usage: true }
          })
          const chunks = []
          for await (const chunk of stream) chunks.push(chunk)
          return { whole, chunks, requests: await Effect.runPromise(provider.log) }
          // A server that need not have `n`.
        },
        undefined,
        { preset: "openrouter" }
      )
      expect(requests).toHaveLength(5)
      expect(requests.every(({ body }) => !JSON.stringify(body).includes('"n":'))).toBe(true)
      expect(whole.choices.map(({ index, message }) => [index, message.content])).toEqual(
        [0, 1, 2].map((index) => [index, "You said: Hello"])
      )
      expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
      const textOf = (index: number) =>
        chunks
          .flatMap(({ choices }) => choices)
          .filter((choice) => choice.index === index)
          .map(({ delta }) => delta.content ?? "")
          .join("")
      expect([textOf(0), textOf(1)]).toEqual(["You said: Hello", "You said: Hello"])
      const usages = chunks.flatMap(({ usage }) => (usage ? [usage.total_tokens] : []))
      expect(usages).toEqual([((whole.usage?.total_tokens ?? 0) / 3) * 2])
      expect(chunks.at(-1)?.usage).toBeTruthy()
    })
  )

  it.scopedLive("answers responses.create of the OpenAI client, whole and streamed", () =>
    Effect.gen(function* () {
      const { events, whole } = yield* withClient(async (client) => {
        const whole = await client.responses.create({ model, input: "Hello" })
        const events = []
        for await (const event of await client.responses.create({ model, input: "Hello", stream: true })) {
          events.push(event)
        }
        return { whole, events }
      })
      expect(whole.output_text).toBe("You said: Hello")
      expect(whole.status).toBe("completed")
      expect(Math.abs(whole.created_at - Date.now() / 1000)).toBeLessThan(60)
      expect(events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("")).toBe(
        "You said: Hello"
      )
      expect(events[0]?.type).toBe("response.created")
      expect(events.at(-1)?.type).toBe("response.completed")
      expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
    })
  )

  it.scopedLive("aborts the provider call when the OpenAI client stops reading a stream", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ provider: { answer: () => "word ".repeat(20) } })
      yield* gateway.provider.next(SimulatedProvider.hang(10))
      yield* Effect.promise(async () => {
        const stream = await clientOf(gateway).chat.completions.create({ model, messages: [...hello], stream: true })
        for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
      })
      yield* waitUntilIdle(gateway)
      expect((yield* gateway.provider.log).map(({ outcome }) => outcome)).toEqual(["aborted"])
    })
  )
})

const Vectors = Schema.Struct({
  data: Schema.Tuple(Schema.Struct({ embedding: Schema.Union(Schema.String, Schema.Array(Schema.Number)) }))
})

describe("openai embeddings", () => {
  for (const upstream of ["openai", "gemini"] as const) {
    it.scopedLive(`embeds several inputs with dimensions by ${upstream}`, () =>
      Effect.gen(function* () {
        const { data, usage } = yield* withClient((client) =>
          client.embeddings.create({ model: `${upstream}/large`, input: ["a cat", "a dog"], dimensions: 16 })
        )
        expect(data.map(({ embedding, index }) => [index, embedding.length])).toEqual([
          [0, 16],
          [1, 16]
        ])
        expect(data[0]?.embedding).not.toEqual(data[1]?.embedding)
        expect(usage.total_tokens).toBeGreaterThan(0)
      })
    )
  }

  it.scopedLive("embeds token arrays of one input and of several inputs", () =>
    Effect.gen(function* () {
      const gateway = yield* start()
      const client = clientOf(gateway)
      const embed = (input: Array<number> | Array<Array<number>>) =>
        Effect.promise(() => client.embeddings.create({ model: "openai/large", input }))
      const one = yield* embed([9906, 1917])
      const several = yield* embed([[9906, 1917], [15339]])
      expect(several.data.map(({ embedding }) => embedding.length)).toEqual([8, 8])
      expect(several.data[0]?.embedding).toEqual(one.data[0]?.embedding)
      expect(several.usage.prompt_tokens).toBe(3)
      expect((yield* gateway.provider.log).map(({ body }) => body)).toMatchObject([
        { input: [9906, 1917] },
        { input: [[9906, 1917], [15339]] }
      ])
    })
  )

  it.scopedLive("answers 400 to token arrays for Gemini, which embeds only texts", () =>
    Effect.gen(function* () {
      const error = yield* withClient((client) =>
        client.embeddings.create({ model: "gemini/large", input: [9906] }).catch((error: unknown) => error)
      )
      expect(error).toBeInstanceOf(OpenAI.BadRequestError)
      expect(error).toMatchObject({ code: "unsupported" })
      expect(String(error)).toContain("gemini (gemini) has no embeddings of token arrays, only of texts.")
    })
  )

  it.scopedLive("returns the same embedding as floats and as base64", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const ask = (fields: Readonly<Record<string, string>>) =>
        Effect.map(
          post(`${url}/v1/embeddings`, { model: "openai/large", input: "a cat", ...fields }),
          ({ json }) => Schema.decodeUnknownSync(Vectors)(json).data[0].embedding
        )
      const bytes = Buffer.from(String(yield* ask({ encoding_format: "base64" })), "base64")
      const numbers = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
      expect(yield* ask({})).toEqual(numbers)
      expect(yield* ask({ encoding_format: "float" })).toEqual(numbers)
      expect(numbers).toHaveLength(8)
    })
  )

  it.scopedLive("answers 400 to embeddings of Anthropic models", () =>
    Effect.gen(function* () {
      const error = yield* withClient((client) =>
        client.embeddings.create({ model: "anthropic/large", input: "a cat" }).catch((error: unknown) => error)
      )
      expect(error).toBeInstanceOf(OpenAI.BadRequestError)
    })
  )
})

describe("/v1/models", () => {
  it.scopedLive("lists models by names and aliases, and retrieves one by either", () =>
    Effect.gen(function* () {
      const { ids, one, alias } = yield* withClient(async (client) => {
        const ids = []
        for await (const model of client.models.list()) ids.push(model.id)
        return { ids, one: await client.models.retrieve("gemini/large"), alias: await client.models.retrieve("fast") }
      })
      expect(ids.sort()).toEqual([
        "anthropic/large",
        "fast",
        "gemini/large",
        "ollama/large",
        "openai/large",
        "responses/large"
      ])
      expect(one).toMatchObject({ id: "gemini/large", object: "model", owned_by: "gemini" })
      expect(alias).toMatchObject({ id: "fast", owned_by: "openai" })
    })
  )

  it.scopedLive("answers 404 with model_not_found for an unknown model", () =>
    Effect.gen(function* () {
      const errors = yield* withClient((client) =>
        Promise.all([
          client.models.retrieve("no/such/model").catch((error: unknown) => error),
          client.chat.completions.create({ model: "nothing", messages: [...hello] }).catch((error: unknown) => error)
        ])
      )
      for (const error of errors) {
        expect(error).toBeInstanceOf(OpenAI.NotFoundError)
        expect(error).toMatchObject({ code: "model_not_found" })
      }
    })
  )
})

describe("error classes of the OpenAI client", () => {
  const cases = [
    [429, OpenAI.RateLimitError, 429],
    [401, OpenAI.InternalServerError, 502],
    [403, OpenAI.InternalServerError, 502],
    [400, OpenAI.BadRequestError, 400],
    [500, OpenAI.InternalServerError, 503],
    [529, OpenAI.InternalServerError, 503]
  ] as const

  for (const [status, Class, expected] of cases) {
    for (const stream of [false, true]) {
      it.scopedLive(`answers ${expected} to a provider's ${status}${stream ? " on a stream" : ""}`, () =>
        Effect.gen(function* () {
          const gateway = yield* start()
          yield* gateway.provider.next(SimulatedProvider.status(status, { retryAfter: "7 seconds" }))
          const error = yield* Effect.promise(() =>
            clientOf(gateway)
              .chat.completions.create({ model: "openai/large", messages: [...hello], stream })
              .catch((error: unknown) => error)
          )
          expect(error).toBeInstanceOf(Class)
          expect(error).toMatchObject({ status: expected })
        })
      )
    }
  }

  it.scopedLive("throws a RateLimitError with its type for the limit of the key, and names a spent budget", () =>
    Effect.gen(function* () {
      const gateway = yield* start({
        access: {
          keys: [
            { key: "sk-poor", budget: { tokens: 1 } },
            { key: "sk-slow", rateLimit: { requestsPerMinute: 1 } }
          ]
        }
      })
      const ask = (apiKey: string) =>
        Effect.promise(() =>
          new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 }).chat.completions
            .create({ model: "openai/large", messages: [...hello] })
            .catch((error: unknown) => error)
        )
      yield* ask("sk-slow")
      const slow = yield* ask("sk-slow")
      expect(slow).toBeInstanceOf(OpenAI.RateLimitError)
      expect(slow).toMatchObject({ type: "rate_limit_error", code: "rate_limit_exceeded" })
      expect(yield* ask("sk-poor")).toMatchObject({ status: 402, type: "insufficient_quota", code: "budget_exceeded" })
    })
  )

  it.scopedLive("lists all models whatever limit is sent, because OpenAI's list has none", () =>
    Effect.gen(function* () {
      const { data } = yield* withClient((client) => client.models.list({ query: { limit: 1 } }))
      expect(data).toHaveLength(6)
    })
  )

  it.scopedLive("throws the class and the reason of an error that the provider reports within a stream", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ provider: { answer: () => "one two three four five six" } })
      // A provider of the client's protocol names the error itself.
      const codes = { "openai/large": "overloaded_error", "anthropic/large": "overloaded" }
      for (const [model, code] of Object.entries(codes)) {
        yield* gateway.provider.next(
          SimulatedProvider.errorEvent(4, { code: "overloaded_error", message: "We are overloaded" })
        )
        const error = yield* Effect.promise(async () => {
          try {
            const stream = await clientOf(gateway).chat.completions.create({
              model,
              messages: [...hello],
              stream: true
            })
            for await (const _ of stream);
            return undefined
          } catch (error) {
            return error
          }
        })
        expect(error).toBeInstanceOf(OpenAI.APIError)
        expect(error).toMatchObject({ code })
        expect(String(error)).toContain("We are overloaded")
      }
    })
  )
})
