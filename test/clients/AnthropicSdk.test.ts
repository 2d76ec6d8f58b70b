/** The official `@anthropic-ai/sdk` package against the gateway over sockets, in front of each kind of provider. */
import Anthropic from "@anthropic-ai/sdk"
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { AssistantPart, ChatResponse } from "../../src/vocabulary/Chat.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Running, Upstream } from "../gateway/support/gateway.js"
import { start } from "../gateway/support/gateway.js"

const clientOf = ({ url }: Running) => new Anthropic({ apiKey: "anything", baseURL: url, maxRetries: 0 })

const upstreams: ReadonlyArray<Upstream> = ["openai", "anthropic", "gemini", "responses"]

const hello = [{ role: "user" as const, content: "Hello" }]

const tools = ["clock", "weather"].map((name) => ({ name, input_schema: { type: "object" as const, properties: {} } }))

const withClient = <A>(
  use: (client: Anthropic, gateway: Running) => Promise<A>,
  answer?: Partial<ChatResponse>
): Effect.Effect<A, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const gateway = yield* start(answer === undefined ? {} : { provider: { answer: () => answer } })
    return yield* Effect.promise(() => use(clientOf(gateway), gateway))
  })

describe.each(upstreams)("anthropic in front of %s", (upstream) => {
  const params = { model: `${upstream}/large`, max_tokens: 100, messages: hello }

  it.scopedLive("gives the Anthropic client the same message whole and streamed", () =>
    Effect.gen(function* () {
      const { streamed, whole } = yield* withClient(async (client) => ({
        whole: await client.messages.create(params),
        streamed: await client.messages.stream(params).finalMessage()
      }))
      for (const message of [whole, streamed]) {
        expect(message).toMatchObject({
          type: "message",
          role: "assistant",
          content: [{ type: "text", text: "You said: Hello" }],
          stop_reason: "end_turn"
        })
        expect(message.usage.output_tokens).toBeGreaterThan(0)
      }
    })
  )

  it.scopedLive("gives the Anthropic client tool calls, whole and streamed, and accepts their results", () =>
    Effect.gen(function* () {
      const answer: Partial<ChatResponse> = {
        toolCalls: [
          { type: "tool-call", id: "toolu_a", name: "clock", arguments: '{"zone":"UTC"}' },
          { type: "tool-call", id: "toolu_b", name: "weather", arguments: '{"city":"Oslo"}' }
        ]
      }
      const messages = yield* withClient(
        async (client) => [
          await client.messages.create({ ...params, tools }),
          await client.messages.stream({ ...params, tools }).finalMessage()
        ],
        answer
      )
      for (const { content, stop_reason } of messages) {
        expect(content.map((block) => (block.type === "tool_use" ? [block.name, block.input] : []))).toEqual([
          ["clock", { zone: "UTC" }],
          ["weather", { city: "Oslo" }]
        ])
        expect(stop_reason).toBe("tool_use")
      }
      const content = messages[0]?.content ?? []
      const next = yield* withClient((client) =>
        client.messages.create({
          ...params,
          tools,
          messages: [
            ...hello,
            { role: "assistant", content },
            {
              role: "user",
              content: content.flatMap((block) =>
                block.type === "tool_use"
                  ? [{ type: "tool_result" as const, tool_use_id: block.id, content: "42" }]
                  : []
              )
            }
          ]
        })
      )
      expect(next.content[0]).toMatchObject({ type: "text" })
    })
  )

  it.scopedLive("gives the Anthropic client the parts of an answer in their order, and sends them back in it", () =>
    Effect.gen(function* () {
      const content: ReadonlyArray<AssistantPart> = [
        { type: "text", text: "I look at the clock." },
        { type: "tool-call", id: "toolu_a", name: "clock", arguments: "{}" },
        { type: "text", text: "And at the weather." },
        { type: "tool-call", id: "toolu_b", name: "weather", arguments: "{}" }
      ]
      const { next, streamed, whole } = yield* withClient(
        async (client, { provider }) => {
          const whole = await client.messages.create({ ...params, tools })
          const streamed = await client.messages.stream({ ...params, tools }).finalMessage()
          await client.messages.create({
            ...params,
            tools,
            messages: [
              ...hello,
              { role: "assistant", content: streamed.content },
              {
                role: "user",
                content: streamed.content.flatMap((block) =>
                  block.type === "tool_use"
                    ? [{ type: "tool_result" as const, tool_use_id: block.id, content: "42" }]
                    : []
                )
              }
            ]
          })
          const log = await Effect.runPromise(provider.log)
          return { whole, streamed, next: JSON.stringify(log.at(-1)?.body) }
        },
        { content }
      )
      const order = ["text", "tool_use", "text", "tool_use"]
      // A whole message of Chat Completions has one text, which comes first; the deltas of a stream have an order.
      expect(whole.content.map(({ type }) => type)).toEqual(
        upstream === "openai" ? ["text", "tool_use", "tool_use"] : order
      )
      expect(streamed.content.map(({ type }) => type)).toEqual(order)
      const positions = ["I look at the clock.", '"clock"', "And at the weather.", '"weather"'].map((text) =>
        next.indexOf(text)
      )
      expect(positions.every((position) => position >= 0)).toBe(true)
      if (upstream !== "openai") expect(positions).toEqual(positions.toSorted((one, other) => one - other))
    })
  )

  it.scopedLive("counts tokens for the Anthropic client without a request to the provider", () =>
    Effect.gen(function* () {
      const { counted, requests } = yield* withClient(async (client, { provider }) => ({
        counted: await client.messages.countTokens({ model: params.model, messages: hello }),
        requests: await Effect.runPromise(provider.log)
      }))
      expect(counted.input_tokens).toBeGreaterThan(0)
      expect(requests).toEqual([])
    })
  )
})

describe("the Anthropic client", () => {
  it.scopedLive("lists the models of the gateway with the Anthropic client", () =>
    Effect.gen(function* () {
      const ids = yield* withClient(async (client) => {
        const ids = []
        for await (const model of client.models.list()) ids.push([model.type, model.id])
        return ids
      })
      expect(ids).toContainEqual(["model", "gemini/large"])
    })
  )

  const cases = [
    [429, Anthropic.RateLimitError, "rate_limit_error"],
    [401, Anthropic.InternalServerError, "api_error"],
    [400, Anthropic.BadRequestError, "invalid_request_error"],
    [500, Anthropic.InternalServerError, "api_error"],
    [529, Anthropic.OverloadedError, "overloaded_error"]
  ] as const

  for (const [status, Class, type] of cases) {
    it.scopedLive(`makes the Anthropic client throw its own error class for a provider's ${status}`, () =>
      Effect.gen(function* () {
        const gateway = yield* start()
        yield* gateway.provider.next(SimulatedProvider.status(status))
        const error = yield* Effect.promise(() =>
          clientOf(gateway)
            .messages.create({ model: "openai/large", max_tokens: 10, messages: hello })
            .catch((error: unknown) => error)
        )
        expect(error).toBeInstanceOf(Class)
        expect(error).toMatchObject({ error: { type: "error", error: { type } }, type })
        // The id of the request is in a header, and in the body.
        expect(error).toMatchObject({ requestID: expect.stringMatching(/^req_/) as string })
        if (error instanceof Anthropic.APIError) expect(error.error).toHaveProperty("request_id", error.requestID)
      })
    )
  }

  it.scopedLive("makes the Anthropic client throw an APIError when a stream fails midway", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ provider: { answer: () => "one two three four five six" } })
      yield* gateway.provider.next(SimulatedProvider.truncate(6))
      const { error, text } = yield* Effect.promise(async () => {
        let text = ""
        const stream = clientOf(gateway).messages.stream({ model: "anthropic/large", max_tokens: 10, messages: hello })
        stream.on("text", (piece) => {
          text += piece
        })
        const error: unknown = await stream.finalMessage().catch((error: unknown) => error)
        return { text, error }
      })
      expect(text).toMatch(/^one/)
      expect(error).toBeInstanceOf(Anthropic.APIError)
      expect(error).toMatchObject({ error: { error: { type: "api_error" } } })
    })
  )

  it.scopedLive("gives the Anthropic client the request id of an answer", () =>
    Effect.gen(function* () {
      const id = yield* withClient(async (client) => {
        const { request_id } = await client.messages
          .create({ model: "openai/large", max_tokens: 10, messages: hello }, { headers: { "x-request-id": "mine-7" } })
          .withResponse()
        return request_id
      })
      expect(id).toBe("mine-7")
    })
  )

  it.scopedLive(
    "makes the Anthropic client throw an overload and its reason when the provider is overloaded midway",
    () =>
      Effect.gen(function* () {
        const gateway = yield* start({ provider: { answer: () => "one two three four five six" } })
        for (const model of ["anthropic/large", "openai/large"]) {
          yield* gateway.provider.next(
            SimulatedProvider.errorEvent(4, { code: "overloaded_error", message: "We are overloaded" })
          )
          const error = yield* Effect.promise(() =>
            clientOf(gateway)
              .messages.stream({ model, max_tokens: 10, messages: hello })
              .finalMessage()
              .catch((error: unknown) => error)
          )
          expect(error).toBeInstanceOf(Anthropic.APIError)
          expect(error).toMatchObject({ type: "overloaded_error" })
          expect(String(error)).toContain("We are overloaded")
        }
      })
  )

  it.scopedLive("makes the Anthropic client throw its classes for the limits and the budget of its key", () =>
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
          new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 }).messages
            .create({ model: "openai/large", max_tokens: 10, messages: hello })
            .catch((error: unknown) => error)
        )
      const poor = yield* ask("sk-poor")
      expect(poor).toBeInstanceOf(Anthropic.PaymentRequiredError)
      expect(poor).toMatchObject({ type: "billing_error" })
      yield* ask("sk-slow")
      const slow = yield* ask("sk-slow")
      expect(slow).toBeInstanceOf(Anthropic.RateLimitError)
      expect(slow).toMatchObject({ type: "rate_limit_error" })
      expect(String(slow)).toContain("The limit of your key is reached: 1 request per minute.")
    })
  )

  it.scopedLive("pages through the models for the Anthropic client in both directions", () =>
    Effect.gen(function* () {
      const pages = yield* withClient(async (client) => {
        const all = []
        for await (const { id } of client.models.list({ limit: 2 })) all.push(id)
        const first = await client.models.list({ limit: 2 })
        const second = await first.getNextPage()
        const before = await client.models.list({ limit: 1, before_id: second.data[0]?.id ?? "" })
        const wrong = await Promise.all(
          [{ limit: 0 }, { limit: 1001 }, { after_id: "nowhere" }].map((query) =>
            client.models.list(query).catch((error: unknown) => error)
          )
        )
        return { all, first, second, before, wrong }
      })
      expect(pages.all).toHaveLength(6)
      expect(new Set(pages.all).size).toBe(6)
      expect(pages.first).toMatchObject({ has_more: true, first_id: pages.all[0], last_id: pages.all[1] })
      expect(pages.second.data.map(({ id }) => id)).toEqual(pages.all.slice(2, 4))
      expect(pages.before.data.map(({ id }) => id)).toEqual(pages.all.slice(1, 2))
      expect(pages.before.has_more).toBe(true)
      for (const error of pages.wrong) expect(error).toBeInstanceOf(Anthropic.BadRequestError)
    })
  )
})
