import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import { layer } from "../../examples/custom-provider.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Transports from "../support/transports.js"

const usage = { prompt_tokens: 3, completion_tokens: 2 }

interface ReceivedRequest {
  readonly url: string
  readonly body: { readonly system: string; readonly messages: ReadonlyArray<unknown>; readonly stream: boolean }
}

/** Responds with "two words", or with a rate limit error to "refuse me", as a body or as a stream. */
const serveProvider = Effect.gen(function* () {
  const received: Array<ReceivedRequest> = []
  const server = createServer((request, response) => {
    let text = ""
    request.on("data", (chunk) => (text += chunk))
    request.on("end", () => {
      const body: ReceivedRequest["body"] = JSON.parse(text)
      received.push({ url: request.url ?? "", body })
      const rateLimit = { error_code: 336501, error_msg: "Rate limit reached for RPM" }
      if (text.includes("refuse me")) return void response.end(JSON.stringify(rateLimit))
      const full = { id: "as-1", result: "two words", finish_reason: "normal", is_end: true, usage }
      if (!body.stream || text.includes("whole please")) return void response.end(JSON.stringify(full))
      response.writeHead(200, { "content-type": "text/event-stream" })
      const first = { id: "as-1", result: "two ", is_end: false }
      for (const chunk of [first, { ...full, result: "words" }]) response.write(`data: ${JSON.stringify(chunk)}\n\n`)
      response.end()
    })
  })
  yield* Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
  yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const llm = yield* LLM.make({ model: "ernie-4", retry: false }).pipe(
    Effect.provide(layer(`http://127.0.0.1:${port}`)),
    Effect.provide(KeyPool.layer({ provider: "ernie", keys: ["key"] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )
  return { llm, received }
})

describe("custom provider example", () => {
  it.scopedLive("sends a chat and a stream to a custom provider and reads the same response from both", () =>
    Effect.gen(function* () {
      const { received, llm } = yield* serveProvider
      const request = {
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hi" }
        ]
      } as const
      const response = yield* llm.chat(request)
      const streamed = yield* ChatEvent.collect(llm.chatStream(request))
      expect(response).toMatchObject({ id: "as-1", text: "two words", finishReason: "stop", rawFinishReason: "normal" })
      expect(response.usage).toMatchObject({ inputTokens: 3, outputTokens: 2, estimated: false })
      const { attempts: _, latency: __, ...comparable } = response
      expect(streamed).toMatchObject(comparable)
      expect(received.map(({ body, url }) => [url, body.system, body.messages, body.stream])).toEqual([
        ["/wenxinworkshop/chat/ernie-4", "Be brief.", [{ role: "user", content: "Hi" }], false],
        ["/wenxinworkshop/chat/ernie-4", "Be brief.", [{ role: "user", content: "Hi" }], true]
      ])
    }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive(
    "maps errors of a custom provider to RateLimitError and rejects tools as Unsupported before sending",
    () =>
      Effect.gen(function* () {
        // Each call has its own pool, because the error starts a cooldown of the key.
        const calls = [
          (llm: LLM.Service) => llm.chat("refuse me"),
          (llm: LLM.Service) => ChatEvent.collect(llm.chatStream("refuse me"))
        ]
        for (const call of calls) {
          const { received, llm } = yield* serveProvider
          expect(yield* Effect.flip(call(llm))).toMatchObject({ _tag: "RateLimitError", keyId: expect.any(String) })
          const unsupported = llm.chat({ messages: [{ role: "user", content: "Hi" }], tools: [{ name: "tool" }] })
          expect(yield* Effect.flip(unsupported)).toMatchObject({ _tag: "UnsupportedError", feature: "tools" })
          expect(received).toHaveLength(1)
        }
      }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive("reads a JSON body without a content type as the stream of a custom provider", () =>
    Effect.gen(function* () {
      const { llm } = yield* serveProvider
      expect(yield* ChatEvent.collect(llm.chatStream("whole please"))).toMatchObject({ id: "as-1", text: "two words" })
    }).pipe(Effect.provide(Transports.direct))
  )
})
