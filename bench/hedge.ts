/** What hedging adds to a call that comes in time, and to one that is asked for twice; the network left out. */
import { Effect, Stream } from "effect"
import * as Hedge from "../src/Hedge.js"
import type { Service } from "../src/LLM.js"
import { TestLLM } from "../src/testing/index.js"
import type { Contestant } from "./measure.js"

const answering = TestLLM.makeHandler(() => "Paris.")
const silent = TestLLM.makeHandler(() => TestLLM.never)

const repeated = (name: string, llm: Service, call: (llm: Service) => Effect.Effect<unknown, unknown>): Contestant => ({
  name,
  run: async (times) => {
    await Effect.runPromise(Effect.repeatN(call(llm), times - 1))
    return times
  }
})

/** The plain call, the same hedged, and both again as streams. */
export const hedgedCalls: ReadonlyArray<Contestant> = Effect.runSync(
  Effect.gen(function* () {
    const plain = (yield* answering).llm
    const hedged = yield* Hedge.make([plain])(plain)
    const twice = yield* Hedge.make([plain], { after: 0, maxShare: 1 })((yield* silent).llm)
    const chat = (llm: Service) => llm.chat("The capital of France?")
    const stream = (llm: Service) => Stream.runDrain(llm.chatStream("The capital of France?"))
    return [
      repeated("chat", plain, chat),
      repeated("chat, hedged", hedged, chat),
      repeated("chat, asked twice", twice, chat),
      repeated("stream", plain, stream),
      repeated("stream, hedged", hedged, stream)
    ]
  })
)
