/** What an answer from the cache costs, over an `LLM` that answers at once from memory. */
import { Effect } from "effect"
import * as CacheStore from "../src/CacheStore.js"
import * as Chat from "../src/Chat.js"
import * as ResponseCache from "../src/ResponseCache.js"
import { make, response } from "../src/testing/TestLLM.js"
import type { Contestant } from "./measure.js"

const text = Array.from({ length: 400 }, (_, index) => `word${index} `).join("")

const question: Chat.ChatRequest.Input = { messages: [Chat.system(text), Chat.user("What is the capital of France?")] }

const { cached, plain } = await Effect.runPromise(
  Effect.gen(function* () {
    const { llm: next } = yield* make([], { loop: true })
    const plain = { ...next, chat: () => Effect.succeed(response({ text })) }
    const cache = yield* ResponseCache.make()
    return { plain, cached: yield* cache.middleware(plain) }
  }).pipe(Effect.provide(CacheStore.layerMemory()))
)

const repeated = (name: string, call: Effect.Effect<unknown, unknown>): Contestant => ({
  name,
  run: async (times) => {
    await Effect.runPromise(Effect.repeatN(call, times - 1))
    return times
  }
})

export const cacheHits: ReadonlyArray<Contestant> = [
  {
    name: "SHA-256 of the request",
    run: async (times) => {
      const bytes = new TextEncoder().encode(JSON.stringify(question))
      for (let time = 0; time < times; time++) await crypto.subtle.digest("SHA-256", bytes)
      return times
    }
  },
  repeated("hit", cached.chat(question)),
  repeated("bypass", ResponseCache.bypass(cached.chat(question))),
  repeated("no cache", plain.chat())
]
