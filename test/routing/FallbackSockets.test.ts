/** Streams that are continued on another provider, over real sockets and in every protocol. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Stream } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import type { Protocol } from "../conformance/protocols.js"
import { protocols } from "../conformance/protocols.js"
import { eventually } from "../support/eventually.js"
import { transports } from "../support/transports.js"

const text = "It is twelve o'clock, more or less, and all is well."

/** Answers with the whole text, or with the rest of it if the request has a partial answer. */
const restOf = (request: Chat.ChatRequest) => {
  const partial = request.messages.flatMap((message) =>
    message.role === "assistant" ? [Chat.textOf(message.content)] : []
  )
  return text.slice(partial.join("").length)
}

const all = Object.entries(protocols)

const pairs = all.flatMap(([name, protocol], index) => {
  const next = all[(index + 1) % all.length]
  return next === undefined ? [] : [[name, next[0], protocol, next[1]] as const]
})

const at = (provider: SimulatedProvider.Service, name: string, { client }: Protocol) =>
  LLM.make({ model: "simulated", retry: false }).pipe(
    Effect.provide(client({ provider: name, baseUrl: provider.baseUrl })),
    Effect.provide(KeyPool.layer({ provider: name, keys: ["good"] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )

describe.each(transports)("Fallback streams over %s", (_, transport) => {
  it.scopedLive.each(pairs)(
    "continues a broken stream of the protocol %s in the protocol %s",
    ([broken, next, brokenProtocol, nextProtocol]) =>
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make({ answer: restOf })
        const [first, second] = [yield* at(provider, broken, brokenProtocol), yield* at(provider, next, nextProtocol)]
        const llm = yield* Fallback.make([second], { continueStreams: true })(first)
        for (const fault of [
          SimulatedProvider.reset(6),
          SimulatedProvider.truncate(6),
          SimulatedProvider.brokenEvent(6)
        ]) {
          yield* provider.next(fault)
          const events = yield* Stream.runCollect(llm.chatStream("?"))
          const whole = yield* ChatEvent.collect(Stream.fromIterable(events))
          expect(whole.text).toBe(text)
          expect(whole.provider).toBe(next)
          expect(whole.attempts.map((attempt) => [attempt.provider, attempt.error === undefined])).toEqual([
            [broken, false],
            [next, true]
          ])
          const before = [...events].flatMap((event) => (event._tag === "Continued" ? [event.usage] : []))
          expect(before).toHaveLength(1)
          expect(whole.usage.inputTokens).toBeGreaterThan(Usage.combineAll(before).inputTokens)
        }
        for (const { status } of [first, second]) {
          expect((yield* status).keys.keys.map((key) => key.inFlight)).toEqual([0])
        }
        yield* eventually(Effect.map(provider.busyConnections, (count) => count === 0))
      }).pipe(Effect.provide(transport))
  )
})

describe("reasoning signatures", () => {
  const sealed = "c2VhbGVkLWJ5LXRoZS1vdGhlcg=="
  const history: Chat.ChatRequest = {
    messages: [
      Chat.user("What time is it?"),
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "Let me see.", signature: sealed, id: `rs_${sealed}`, provider: "other" },
          Chat.text("I look."),
          { type: "tool-call", id: "call-1", name: "clock", arguments: "{}", signature: sealed, provider: "other" }
        ]
      },
      Chat.toolResult("call-1", "noon"),
      Chat.user("Thanks.")
    ],
    tools: [{ name: "clock", parameters: { type: "object", properties: {} } }]
  }

  it.each(all)("never sends another provider's reasoning signatures: %s", (name, { wire }) => {
    const encoded = wire.encodeRequest(history, { provider: name, model: "model", stream: true })
    const body = JSON.stringify(Either.getOrThrow(encoded))
    expect(body).toContain("I look.")
    expect(body).not.toContain(sealed)
  })
})

describe("server halves of the wires", () => {
  it.each(all)("encodes a continued stream as one stream: %s", (name, { wire }) => {
    const whole = ChatEvent.fromResponse(
      Chat.withContent(
        {
          id: "1",
          provider: name,
          model: "model",
          finishReason: "stop" as const,
          rawFinishReason: "",
          usage: Usage.make({ inputTokens: 1, outputTokens: 2 }),
          latency: 0,
          keyId: "key",
          attempts: [],
          providerMetadata: {}
        },
        [Chat.text("one")]
      )
    )
    const continued: ChatEvent.Continued = {
      _tag: "Continued",
      id: "2",
      provider: "other",
      model: "other",
      keyId: "key",
      attempts: [],
      usage: Usage.empty
    }
    const encode = (events: ReadonlyArray<ChatEvent.ChatEvent>) => {
      const encoder = wire.encodeStream({ messages: [Chat.user("?")] })
      return events.flatMap((event) => encoder.push(event))
    }
    expect(encode([...whole.slice(0, 2), continued, ...whole.slice(2)])).toEqual(encode(whole))
  })
})

describe.each(transports)("UsageLedger around a Fallback over %s", (_, transport) => {
  it.scopedLive("records both parts of a continued stream in the UsageLedger under the label of the call", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: restOf })
      const [first, second] = all
      if (first === undefined || second === undefined) return expect.fail("there are two protocols")
      const members = [yield* at(provider, "first", first[1]), yield* at(provider, "second", second[1])] as const
      const llm = yield* Effect.flatMap(
        Fallback.make([members[1]], { continueStreams: true })(members[0]),
        UsageLedger.middleware()
      )
      yield* provider.next(SimulatedProvider.truncate(6))
      const whole = yield* ChatEvent.collect(UsageLedger.labelStream(llm.chatStream("?"), "team"))
      expect(whole.text).toBe(text)
      const { groups } = yield* UsageLedger.snapshot
      expect(groups.map(({ label, provider, totals }) => [provider, label, totals.attempts, totals.succeeded])).toEqual(
        [
          ["first", "team", 1, 0],
          ["second", "team", 1, 1]
        ]
      )
    }).pipe(Effect.provide(UsageLedger.layer()), Effect.provide(transport))
  )
})
