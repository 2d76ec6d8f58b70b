import { HttpClient, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Ref, Schema, Stream, TestClock } from "effect"
import { compactVerify, decodeJwt, decodeProtectedHeader } from "jose"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"
import * as NamedClient from "../../src/provider/named.js"
import type { Service } from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { ZhipuClient } from "../../src/provider/zhipu/index.js"

const answer = JSON.stringify({
  id: "a-1",
  model: "glm-4.6",
  choices: [{ index: 0, message: { role: "assistant", content: "Hi." }, finish_reason: "stop" }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
})

/** Records each authorization header and responds with `respond(header)`. */
const recordingClient = (respond: (authorization: string) => Response = () => new Response(answer)) =>
  Effect.map(Ref.make<ReadonlyArray<string>>([]), (sent) => ({
    sent: Ref.get(sent),
    client: HttpClient.make((request) => {
      const authorization = request.headers["authorization"] ?? ""
      return Effect.as(
        Ref.update(sent, (before) => [...before, authorization]),
        HttpClientResponse.fromWeb(request, respond(authorization))
      )
    })
  }))

const key = "0123456789abcdef.s3cret-of-zhipu"

const ask = (client: Service, secret = key) =>
  client.chat({ messages: [Chat.user("Hello?")] }, { model: "glm-4.6", key: ApiKey.make(secret, { id: "key-1" }) })

const tokenOf = (authorization: string | undefined): string => {
  expect(authorization).toMatch(/^Bearer /)
  return (authorization ?? "").slice("Bearer ".length)
}

const setup = (options?: ZhipuClient.Options, respond?: (authorization: string) => Response) =>
  Effect.gen(function* () {
    const { client: http, sent } = yield* recordingClient(respond)
    const client = yield* Effect.provideService(ZhipuClient.make(options), HttpClient.HttpClient, http)
    return { client, sent }
  })

const start = 1_700_000_000_123

describe("ZhipuClient key with id and secret", () => {
  it.effect("sends a signed JWT with times in milliseconds instead of the key", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const { client, sent } = yield* setup()
      yield* ask(client)
      const token = tokenOf((yield* sent)[0])
      expect(decodeProtectedHeader(token)).toEqual({ alg: "HS256", sign_type: "SIGN" })
      expect(decodeJwt(token)).toEqual({ api_key: "0123456789abcdef", timestamp: start, exp: start + 30 * 60_000 })
      const secret = new TextEncoder().encode("s3cret-of-zhipu")
      yield* Effect.promise(() => compactVerify(token, secret))
    })
  )

  it.effect("keeps a JWT until one minute before it expires and then signs a new one", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const { client, sent } = yield* setup()
      yield* ask(client)
      yield* TestClock.adjust(29 * 60_000 - 1)
      yield* ask(client)
      yield* TestClock.adjust(1)
      yield* ask(client)
      const [first, second, third] = (yield* sent).map(tokenOf)
      expect(second).toBe(first)
      expect(third).not.toBe(first)
      expect(decodeJwt(third ?? "")).toMatchObject({ timestamp: start + 29 * 60_000 })
    })
  )

  it.effect("signs one JWT for concurrent calls", () =>
    Effect.gen(function* () {
      // Every reading of the clock is later than the one before, so that no two tokens are equal.
      const time = yield* Ref.make(start)
      const real = Clock.make()
      const clock: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        currentTimeMillis: Ref.updateAndGet(time, (time) => time + 1),
        currentTimeNanos: real.currentTimeNanos,
        unsafeCurrentTimeMillis: () => start,
        unsafeCurrentTimeNanos: () => BigInt(start) * 1_000_000n,
        sleep: (duration) => real.sleep(duration)
      }
      const { client, sent } = yield* setup()
      yield* Effect.withClock(
        Effect.all(
          Array.from({ length: 20 }, () => ask(client)),
          { concurrency: "unbounded" }
        ),
        clock
      )
      const tokens = yield* sent
      expect(tokens.length).toBe(20)
      expect(new Set(tokens).size).toBe(1)
    })
  )

  it.effect("signs the JWT of the next call when a call is interrupted while signing", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* setup()
      const interrupted = yield* Effect.fork(ask(client))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(interrupted)
      yield* ask(client)
      expect((yield* sent).length).toBe(1)
    })
  )

  it.effect("signs a separate JWT for each key", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* setup()
      for (const secret of [key, "fedcba.other", key]) yield* ask(client, secret)
      const [first, second, third] = (yield* sent).map(tokenOf)
      expect(third).toBe(first)
      expect(decodeJwt(second ?? "")).toMatchObject({ api_key: "fedcba" })
    })
  )

  it.effect("sends the JWT with embeddings, model lists and streams", () =>
    Effect.gen(function* () {
      const body = JSON.stringify({ data: [{ id: "glm-4.6", index: 0, embedding: [1, 0] }] })
      const { client, sent } = yield* setup({}, () => new Response(body))
      const call = { model: "embedding-3", key: ApiKey.make(key) }
      if (client.embeddings === undefined || client.listModels === undefined) return expect.unreachable()
      yield* client.embeddings.embed({ input: ["a"] }, call)
      yield* client.listModels(call)
      yield* Effect.ignore(Stream.runDrain(client.chatStream({ messages: [Chat.user("Hello?")] }, call)))
      const tokens = (yield* sent).map(tokenOf)
      expect(tokens.length).toBe(3)
      for (const token of tokens) expect(decodeJwt(token)).toMatchObject({ api_key: "0123456789abcdef" })
    })
  )

  it.effect("fails with AuthenticationError without the secret in it and sends nothing when the key is malformed", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* setup(ZhipuClient.presets.zai)
      for (const secret of [".hidden-secret", "hidden-id.", "hidden.hidden.hidden", "hidden id.hidden secret", "."]) {
        const error = yield* Effect.flip(ask(client, secret))
        expect(error).toBeInstanceOf(LLMError.AuthenticationError)
        expect(error).toMatchObject({ provider: "zai", model: "glm-4.6", keyId: "key-1" })
        expect(JSON.stringify(error)).not.toMatch(/hidden/)
        expect(LLMError.isKeyScoped(error)).toBe(true)
      }
      expect(yield* sent).toEqual([])
    })
  )

  it.effect("masks the JWT in errors, also where an excerpt cuts it", () =>
    Effect.gen(function* () {
      const bodies = [
        (token: string) => new Response(`<p>${token}</p>`),
        (token: string) => new Response(`<p>${"x".repeat(120)} ${token}</p>`),
        (token: string) => new Response(JSON.stringify({ error: { code: "1000", message: token } }), { status: 401 }),
        (token: string) => new Response(JSON.stringify({ error: { code: token, message: "No." } }), { status: 500 })
      ]
      for (const body of bodies) {
        const { client, sent } = yield* setup({}, (authorization) => body(tokenOf(authorization)))
        const error = yield* Effect.flip(ask(client))
        const token = tokenOf((yield* sent)[0])
        expect(JSON.stringify(error)).not.toContain(token.slice(0, 12))
      }
    })
  )
})

describe("ZhipuClient key without a JWT", () => {
  it.effect("sends a key without an id unchanged", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* setup()
      yield* ask(client, "plain-key")
      expect(yield* sent).toEqual(["Bearer plain-key"])
    })
  )
  it.effect("sends every key unchanged when jwt is false", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* setup({ jwt: false })
      yield* ask(client)
      yield* ask(client, "a.b.c")
      expect(yield* sent).toEqual([`Bearer ${key}`, "Bearer a.b.c"])
    })
  )
  it.effect("sends the key unchanged for a client that is created by provider name", () =>
    Effect.gen(function* () {
      const { client: http, sent } = yield* recordingClient()
      for (const provider of ["zhipu", "zai", "zhipu-coding", "z.ai"]) {
        const client = yield* Effect.provideService(NamedClient.make({ provider }), HttpClient.HttpClient, http)
        expect(client.wire).toBe("chat-completions")
        yield* ask(client)
      }
      expect(yield* sent).toEqual(Array.from({ length: 4 }, () => `Bearer ${key}`))
    })
  )
})

describe("ZhipuClient", () => {
  it.effect("writes the Zhipu dialect for every preset and base URL", () =>
    Effect.gen(function* () {
      const bodies = yield* Ref.make<ReadonlyArray<string>>([])
      const http = HttpClient.make((request) =>
        Effect.as(
          Ref.update(bodies, (before) => [
            ...before,
            `${request.url} ${request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""}`
          ]),
          HttpClientResponse.fromWeb(request, new Response(answer))
        )
      )
      for (const options of [{}, ZhipuClient.presets.zaiCoding, { baseUrl: "https://proxy.example/v4/" }]) {
        const client = yield* Effect.provideService(ZhipuClient.make(options), HttpClient.HttpClient, http)
        expect(client.provider).toBe("provider" in options ? options.provider : "zhipu")
        yield* client.chat(
          { messages: [Chat.user("Hello?")], reasoning: { effort: "none" } },
          { model: "glm-4.6", key: ApiKey.make("plain") }
        )
      }
      const sent = yield* Ref.get(bodies)
      expect(sent.map((line) => line.split(" ")[0])).toEqual([
        "https://open.bigmodel.cn/api/paas/v4/chat/completions",
        "https://api.z.ai/api/coding/paas/v4/chat/completions",
        "https://proxy.example/v4/chat/completions"
      ])
      for (const line of sent) expect(line).toContain('"thinking":{"type":"disabled"}')
    })
  )

  it.effect("generates an object without JSON Schema and without a required tool call", () =>
    Effect.gen(function* () {
      const answers = HttpClient.make((request) => {
        const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
        expect(body).not.toMatch(/json_schema|tool_choice/)
        const message = { role: "assistant", content: '{"city":"Paris"}' }
        return Effect.succeed(
          HttpClientResponse.fromWeb(
            request,
            new Response(JSON.stringify({ choices: [{ message, finish_reason: "stop" }] }))
          )
        )
      })
      const { value } = yield* LLM.generateObject("The capital of France?", {
        schema: Schema.Struct({ city: Schema.String })
      }).pipe(
        Effect.provide(LLM.layer({ model: "glm-4.6" })),
        Effect.provide(ZhipuClient.layer()),
        Effect.provide(KeyPool.layer({ provider: "zhipu", keys: [key] })),
        Effect.provide(RateLimiter.layerUnlimited),
        Effect.provideService(HttpClient.HttpClient, answers)
      )
      expect(value).toEqual({ city: "Paris" })
    })
  )
})
