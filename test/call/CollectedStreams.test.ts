/** Over sockets, the collected stream of an answer is the whole answer. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import * as fc from "fast-check"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { AssistantPart, ChatResponse } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Framing from "../../src/wire/framing.js"
import * as Responses from "../../src/wire/Responses.js"
import type { Wire } from "../../src/wire/Wire.js"
import { serve } from "../node/servers.js"
import { plainAnswer } from "../support/scriptedServer.js"
import { transports } from "../support/transports.js"
import { chatResponse } from "../wire/generators.js"
import { inFields, interleaveToolCalls, writeFrames } from "../wire/roundTrips.js"

type Parts = ReadonlyArray<AssistantPart>

/** A protocol, and the parts that its whole answers and its streams hold alike. */
interface Held {
  readonly wire: Wire
  readonly parts: (parts: Parts) => Parts
}

const held: ReadonlyArray<Held> = [
  {
    wire: ChatCompletions.make({ history: "reasoning_details", assistantFields: ["refusal"] }),
    // A message has one field for each kind of part, a stream has the parts in their order: a call that is streamed before a text
    // comes after it in a whole answer. So the parts have the order of the fields.
    parts: inFields
  },
  { wire: Responses.make(), parts: (parts) => parts },
  {
    wire: Anthropic.make(),
    // The arguments of a call are an object.
    parts: (parts) =>
      parts.map((part) =>
        part.type === "tool-call" ? Chat.toolCall(part.id, part.name, JSON.stringify({ text: part.arguments })) : part
      )
  }
]

interface Case {
  readonly response: ChatResponse
  /** The largest number of characters in a delta. */
  readonly characters: number
  /** The bytes of each piece of the body. */
  readonly bytes: number
}

const cases = ({ parts }: Held): fc.Arbitrary<Case> =>
  fc.record({
    response: chatResponse("acme").map((response) => Chat.withContent(response, parts(response.content))),
    characters: fc.integer({ min: 1, max: 12 }),
    bytes: fc.integer({ min: 16, max: 4096 })
  })

/** An `LLM` of a server with one answer, whole or as a stream. */
const makeLLM = (wire: Wire) =>
  Effect.gen(function* () {
    let current: Case | undefined
    const server = yield* serve((request, response) => {
      const pieces: Array<Buffer> = []
      request.on("data", (piece: Buffer) => pieces.push(piece))
      request.on("end", () => {
        const sent: Record<string, unknown> = JSON.parse(Buffer.concat(pieces).toString())
        if (current === undefined) return response.writeHead(500).end()
        const isStream = sent["stream"] === true
        // The kind of a call is that of its tool in the request.
        const tools = current.response.toolCalls.flatMap(({ custom, name }) =>
          custom === true ? [{ type: "custom", custom: { name } }] : []
        )
        const events = interleaveToolCalls(ChatEvent.fromResponse(current.response), current.characters)
        const body = Buffer.from(
          isStream
            ? writeFrames(wire, events, { ...sent, tools })
                .map((frame) => Framing.render(wire.framing, frame))
                .join("")
            : JSON.stringify(wire.encodeResponse(current.response, { request: sent }))
        )
        response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" })
        for (let at = 0; at < body.length; at += current.bytes) response.write(body.subarray(at, at + current.bytes))
        return response.end()
      })
    })
    const llm = yield* LLM.make({ model: "asked" }).pipe(
      Effect.provideServiceEffect(
        ProviderClient.ProviderClient,
        ProviderClient.make(wire, { provider: "acme", baseUrl: server.url })
      ),
      Effect.provide(KeyPool.layer({ provider: "acme", keys: ["secret"] })),
      Effect.provide(RateLimiter.layerUnlimited)
    )
    return {
      llm,
      serves: (next: Case): void => {
        current = next
      }
    }
  })

describe.each(held.map((each) => [each.wire.name, each] as const))("a collected stream of %s", (_, each) => {
  it.scopedLive.each(transports)(
    "is the whole answer to the same request but for its times, over %s",
    ([, transport]) =>
      Effect.gen(function* () {
        const { llm, serves } = yield* makeLLM(each.wire)
        const run = Runtime.runPromise(yield* Effect.runtime())
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(cases(each), async (next) => {
              serves(next)
              const whole = await run(llm.chat("Hello"))
              expect(plainAnswer(await run(ChatEvent.collect(llm.chatStream("Hello"))))).toEqual(plainAnswer(whole))
            }),
            { numRuns: 100 }
          )
        )
      }).pipe(Effect.provide(transport))
  )
})
