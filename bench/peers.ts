/** Sends the same question through each library, whole and as a stream. */
import { LanguageModel } from "@effect/ai"
import { OpenAiClient, OpenAiLanguageModel } from "@effect/ai-openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { generateText, streamText } from "ai"
import { Effect, Layer, ManagedRuntime, Redacted, Stream } from "effect"
import { createParser } from "eventsource-parser"
import OpenAI from "openai"
import { Agent, request } from "undici"
import * as ChatCompletionsClient from "../src/provider/ChatCompletionsClient.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import { NodeTransport } from "../src/node/index.js"
import type { Contestant } from "./measure.js"
import { compare } from "./measure.js"
import type { Aim, Group } from "./report.js"
import { compared } from "./report.js"

const question = "What is the capital of France?"
const messages = [{ role: "user" as const, content: question }]

export interface Peer {
  readonly name: string
  readonly chat: () => Promise<string>
  /** Resolves with the number of text deltas. */
  readonly stream: () => Promise<number>
  readonly close: () => Promise<void>
}

const undiciAlone = (baseUrl: string): Peer => {
  const dispatcher = new Agent()
  const post = (body: object) =>
    request(`${baseUrl}/chat/completions`, {
      method: "POST",
      dispatcher,
      headers: { "content-type": "application/json", authorization: "Bearer key" },
      body: JSON.stringify(body)
    })
  return {
    name: "undici",
    chat: async () => {
      const response = await post({ model: "bench", messages })
      const answer = JSON.parse(await response.body.text())
      return answer.choices[0].message.content
    },
    stream: async () => {
      const response = await post({ model: "bench", messages, stream: true, stream_options: { include_usage: true } })
      const decoder = new TextDecoder()
      let pieces = 0
      const parser = createParser({
        onEvent: ({ data }) => {
          if (data !== "[DONE]" && JSON.parse(data).choices[0]?.delta.content) pieces++
        }
      })
      for await (const bytes of response.body) parser.feed(decoder.decode(bytes, { stream: true }))
      return pieces
    },
    close: () => dispatcher.close()
  }
}

const platformAlone = (baseUrl: string): Peer => {
  const runtime = ManagedRuntime.make(NodeHttpClient.layerUndici)
  const post = (body: object) =>
    HttpClient.execute(
      HttpClientRequest.post(`${baseUrl}/chat/completions`, { headers: { authorization: "Bearer key" } }).pipe(
        HttpClientRequest.bodyUnsafeJson(body)
      )
    )
  return {
    name: "@effect/platform",
    chat: () =>
      runtime.runPromise(
        Effect.map(
          Effect.flatMap(post({ model: "bench", messages }), (response) => response.text),
          (text) => JSON.parse(text).choices[0].message.content
        )
      ),
    stream: () =>
      runtime.runPromise(
        Effect.flatMap(
          post({ model: "bench", messages, stream: true, stream_options: { include_usage: true } }),
          (response) => {
            const decoder = new TextDecoder()
            let pieces = 0
            const parser = createParser({
              onEvent: ({ data }) => {
                if (data !== "[DONE]" && JSON.parse(data).choices[0]?.delta.content) pieces++
              }
            })
            return Effect.as(
              Stream.runForEachChunk(response.stream, (chunk) =>
                Effect.sync(() => {
                  for (const bytes of chunk) parser.feed(decoder.decode(bytes, { stream: true }))
                })
              ),
              () => pieces
            )
          }
        ).pipe(Effect.map((pieces) => pieces()))
      ),
    close: () => runtime.dispose()
  }
}

interface Transport {
  readonly name: string
  readonly layer: Layer.Layer<HttpClient.HttpClient>
}

/** The transports that calls of effect-llm are measured over. */
const transports: ReadonlyArray<Transport> = [
  { name: "NodeTransport", layer: NodeTransport.layerUndici },
  { name: "NodeHttpClient", layer: NodeHttpClient.layerUndici }
]

const nameOver = (transport: string): string => `effect-llm, ${transport}`

const ours = (baseUrl: string, transport: Transport): Peer => {
  const runtime = ManagedRuntime.make(
    LLM.layer({ model: "bench" }).pipe(
      Layer.provide(ChatCompletionsClient.layer({ provider: "bench", baseUrl })),
      Layer.provide(KeyPool.layer({ provider: "bench", keys: ["key-one", "key-two", "key-three"] })),
      Layer.provide(RateLimiter.layer({ capacity: 1_000_000, refillRate: 1_000_000 })),
      Layer.provide(transport.layer)
    )
  )
  return {
    name: nameOver(transport.name),
    chat: () => runtime.runPromise(Effect.map(LLM.chat(question), (answer) => answer.text)),
    stream: () =>
      runtime.runPromise(
        Stream.runFold(LLM.chatStream(question), 0, (pieces, event) =>
          event._tag === "TextDelta" ? pieces + 1 : pieces
        )
      ),
    close: () => runtime.dispose()
  }
}

const openai = (baseUrl: string): Peer => {
  const client = new OpenAI({ apiKey: "key", baseURL: baseUrl })
  return {
    name: "openai",
    chat: async () => {
      const answer = await client.chat.completions.create({ model: "bench", messages })
      return answer.choices[0]?.message.content ?? ""
    },
    stream: async () => {
      let pieces = 0
      const stream = await client.chat.completions.create({
        model: "bench",
        messages,
        stream: true,
        stream_options: { include_usage: true }
      })
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) pieces++
      return pieces
    },
    close: async () => {}
  }
}

const aiSdk = (baseUrl: string): Peer => {
  const model = createOpenAICompatible({ name: "bench", apiKey: "key", baseURL: baseUrl, includeUsage: true })("bench")
  return {
    name: "ai",
    chat: async () => (await generateText({ model, prompt: question })).text,
    stream: async () => {
      let pieces = 0
      for await (const text of streamText({ model, prompt: question }).textStream) if (text !== "") pieces++
      return pieces
    },
    close: async () => {}
  }
}

const effectAi = (baseUrl: string): Peer => {
  const runtime = ManagedRuntime.make(
    OpenAiLanguageModel.layer({ model: "bench" }).pipe(
      Layer.provide(OpenAiClient.layer({ apiKey: Redacted.make("key"), apiUrl: baseUrl })),
      Layer.provide(NodeHttpClient.layerUndici)
    )
  )
  return {
    name: "@effect/ai-openai",
    chat: () =>
      runtime.runPromise(Effect.map(LanguageModel.generateText({ prompt: question }), (answer) => answer.text)),
    stream: () =>
      runtime.runPromise(
        Stream.runFold(LanguageModel.streamText({ prompt: question }), 0, (pieces, part) =>
          part.type === "text-delta" ? pieces + 1 : pieces
        )
      ),
    close: () => runtime.dispose()
  }
}

const all = (baseUrl: string): ReadonlyArray<Peer> => [
  undiciAlone(baseUrl),
  platformAlone(baseUrl),
  ...transports.map((transport) => ours(baseUrl, transport)),
  openai(baseUrl),
  aiSdk(baseUrl),
  effectAi(baseUrl)
]

const chats =
  (atOnce: number) =>
  (peer: Peer): Contestant => ({
    name: peer.name,
    run: async (times) => {
      let left = times
      const caller = async (): Promise<void> => {
        while (left > 0) {
          left--
          const text = await peer.chat()
          if (!text.includes("Paris")) throw new Error(`${peer.name} answered ${text}`)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, caller))
      return times
    }
  })

const streams = (peer: Peer): Contestant => ({
  name: peer.name,
  run: async (times) => {
    let pieces = 0
    for (let index = 0; index < times; index++) pieces += await peer.stream()
    if (pieces === 0) throw new Error(`${peer.name} streamed nothing`)
    return pieces
  }
})

const limits: ReadonlyArray<readonly [transport: string, limit: number]> = [
  ["NodeTransport", 0.25],
  ["NodeHttpClient", 0.55]
]

/** Chats and streams of every library, with a provider in another process. */
export const overSockets = async (baseUrl: string): Promise<ReadonlyArray<Group>> => {
  const peers = all(baseUrl)
  const baselines = ["undici", "openai"]
  const groups: ReadonlyArray<Group> = [
    {
      // Each call pays for the wake-ups of its process alone, which is most of the time of the leanest clients.
      title: "A chat over a socket, one at a time",
      ...compared(await compare(peers.map(chats(1)), { rounds: 6, times: 1000 })),
      baselines
    },
    {
      title: "A chat over a socket, 16 at a time",
      ...compared(await compare(peers.map(chats(16)), { rounds: 6, times: 2000 })),
      baselines,
      aims: limits.map(([transport, limit]) => ({
        row: nameOver(transport),
        unit: "CPU µs",
        limit,
        beside: { dividedBy: "openai" }
      }))
    },
    {
      title: "A streamed chunk over a socket",
      ...compared(await compare(peers.map(streams), { rounds: 6, times: 8 })),
      baselines,
      aims: limits.flatMap(([transport]): ReadonlyArray<Aim> => [
        { row: nameOver(transport), unit: "CPU µs", limit: 0.8, beside: { dividedBy: "openai" } },
        { row: nameOver(transport), unit: "CPU µs", limit: 1, beside: { dividedBy: "undici" } }
      ])
    }
  ]
  for (const peer of peers) await peer.close()
  return groups
}
