/** What a balance adds to a call, over deployments that answer at once. */
import { Effect, Stream } from "effect"
import * as Balance from "../src/Balance.js"
import type { ChatResponse } from "../src/Chat.js"
import type { Service } from "../src/LLM.js"
import * as Usage from "../src/Usage.js"
import type { Contestant } from "./measure.js"

const calls = (name: string, call: Effect.Effect<ChatResponse, unknown>): Contestant => ({
  name,
  run: async (times) => {
    await Effect.runPromise(Effect.repeatN(call, times - 1))
    return times
  }
})

const answer: ChatResponse = {
  id: "",
  provider: "bench",
  model: "bench",
  text: "ok",
  reasoning: "",
  reasoningParts: [],
  refusal: "",
  toolCalls: [],
  finishReason: "stop",
  rawFinishReason: "stop",
  usage: Usage.empty,
  latency: 1,
  keyId: "",
  attempts: [],
  providerMetadata: {}
}

const plain: Service = {
  chat: () => Effect.succeed(answer),
  chatStream: () => Stream.empty,
  embed: () => Effect.never,
  listModels: Effect.succeed([]),
  info: { provider: "bench", model: "bench", wire: "bench", contextWindow: 200_000 },
  status: Effect.never,
  resetRateLimit: Effect.void
}

const over = (count: number, options: Balance.Options = {}): Service =>
  Effect.runSync(
    Balance.make(
      Array.from({ length: count }, (_, index) => ({ llm: plain, id: `${index}` })),
      options
    )
  )

export const balances: ReadonlyArray<Contestant> = [
  calls("plain", plain.chat("?")),
  calls("3 deployments", over(3).chat("?")),
  calls("100 deployments", over(100).chat("?")),
  calls("100 deployments, sticky", over(100, { strategy: Balance.sticky(() => "a conversation") }).chat("?"))
]
