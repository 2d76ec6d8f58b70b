/** The official `@anthropic-ai/sdk` package against the gateway over sockets, in front of each kind of provider. */
import Anthropic from "@anthropic-ai/sdk"
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { AssistantPart, ChatResponse } from "../../src/vocabulary/Chat.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Running, Upstream } from "./support/gateway.js"
import { start } from "./support/gateway.js"

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
    [500, Anthropic.InternalServerError, "api_error"]
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
        expect(error).toMatchObject({ error: { type: "error", error: { type } } })
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
})
