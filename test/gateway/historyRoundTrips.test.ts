/**
 * The answer of every provider in every protocol of the gateway's clients, sent back as history to every provider: its maker gets it equal,
 * and every other provider gets what it accepts. The clients are those of this library, which keep what they get.
 */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as RawRequests from "../../src/call/rawRequest.js"
import * as Signatures from "../../src/call/signatures.js"
import * as Choices from "../../src/gateway/chat/choices.js"
import * as Protocols from "../../src/gateway/chat/protocols.js"
import * as UnsupportedFields from "../../src/gateway/chat/unsupportedFields.js"
import { presets } from "../../src/provider/presets/chatCompletions.js"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import type { AssistantPart, ChatRequest, ChatResponse, Message } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvents from "../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"
import type { ClientWire, Wire } from "../../src/wire/Wire.js"
import * as DashScope from "../support/dashscope.js"
import { collectStream, getOrThrow, jsonRoundTrip, writeFrames } from "../wire/roundTrips.js"

type Parts = ReadonlyArray<AssistantPart>

interface Provider {
  readonly wire: Wire
  readonly model: string
  /** Whether its reasoning has signatures, and its calls have them instead. */
  readonly signs?: "reasoning" | "calls"
  /** A part that only this protocol has. */
  readonly own?: Readonly<Record<string, unknown>>
}

const providers: Readonly<Record<string, Provider>> = {
  anthropic: {
    wire: Anthropic.make(),
    model: "claude-sonnet-4-5",
    signs: "reasoning",
    own: { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } }
  },
  openai: {
    wire: Responses.make(),
    model: "gpt-5",
    signs: "reasoning",
    own: { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "q" } }
  },
  gemini: {
    wire: Gemini.make(),
    model: "gemini-3-pro-preview",
    signs: "calls",
    own: { executableCode: { language: "PYTHON", code: "1" } }
  },
  openrouter: { wire: ChatCompletions.make(presets.openrouter.dialect), model: "anthropic/claude", signs: "reasoning" },
  deepseek: { wire: ChatCompletions.make(presets.deepseek.dialect), model: "deepseek-chat" },
  ollama: { wire: Ollama.make(), model: "qwen3" },
  dashscope: { wire: DashScope.make(), model: "qwen-max" }
}

const clients = {
  "Chat Completions": { protocol: Protocols.chatCompletions, wire: ChatCompletions.make(presets.openrouter.dialect) },
  Responses: { protocol: Protocols.responses, wire: Responses.make() },
  Anthropic: { protocol: Protocols.anthropic, wire: Anthropic.make() }
}

type Client = (typeof clients)[keyof typeof clients]

// -------------------------------------------------------------------------------------
// answers
// -------------------------------------------------------------------------------------

const kinds = FastCheck.array(FastCheck.constantFrom("text", "reasoning", "call", "own"), {
  minLength: 1,
  maxLength: 6
})

/** The parts of an answer: each has its place in its text or its arguments. Nothing but calls follows a call, as in answers of providers. */
const contentOf = (name: string, { own, signs, wire }: Provider, generated: ReadonlyArray<string>): Parts => {
  const ordered = [...generated.filter((kind) => kind !== "call"), ...generated.filter((kind) => kind === "call")]
  // No answer ends with reasoning alone.
  const all = ordered.at(-1) === "call" ? ordered : [...ordered, "text"]
  let calls = 0
  return all.flatMap((kind, index): Parts => {
    const signature = btoa(`signature ${name} ${index}`)
    switch (kind) {
      case "text":
        return [Chat.text(`text ${index}.`)]
      case "reasoning":
        return [
          {
            type: "reasoning",
            text: `thought ${index}.`,
            provider: name,
            ...(signs === "reasoning" ? { signature, ...(wire.name === "responses" ? { id: `rs_${index}` } : {}) } : {})
          }
        ]
      case "call":
        return [
          {
            ...Chat.toolCall(`call_${index}`, "find", `{"q":${index}}`),
            // Of parallel calls the first has the signature.
            ...(signs === "calls" && calls++ === 0 ? { signature, provider: name } : {})
          }
        ]
      default:
        return own === undefined ? [] : [{ type: "provider", provider: name, native: { [wire.name]: own } }]
    }
  })
}

const responseOf = (provider: string, model: string, content: Parts): ChatResponse =>
  Chat.withContent(
    {
      id: "answer",
      provider,
      model,
      finishReason: content.some(({ type }) => type === "tool-call") ? "tool-calls" : "stop",
      rawFinishReason: "",
      usage: Usage.make({ inputTokens: 1, outputTokens: 1 }),
      latency: 0,
      keyId: `key of ${provider}`,
      attempts: [],
      providerMetadata: {}
    },
    content
  )

const decoded = (wire: ClientWire, provider: string, model: string, body: unknown): ChatResponse => {
  const answer = getOrThrow(wire.decodeResponse(jsonRoundTrip(body), { provider, model, estimatedInputTokens: 1 }))
  return { ...responseOf(provider, model, answer.content), ...answer }
}

/** What a client reads of an answer. */
const receivedBy = ({ protocol, wire }: Client, answer: ChatResponse, isStream: boolean): Parts => {
  if (!isStream) {
    return decoded(wire, "gateway", "any", Choices.encode(protocol.wire, [answer], { request: {}, createdAt: 0 }))
      .content
  }
  const seal = Signatures.sealEvents()
  const events = seal(ChatEvents.fromResponse(answer))
  return collectStream(
    { ...wire, ...protocol.wire },
    writeFrames({ ...wire, ...protocol.wire }, events),
    answer
  ).content.map((part) => ("provider" in part ? { ...part, provider: "gateway" } : part))
}

// -------------------------------------------------------------------------------------
// the next turn
// -------------------------------------------------------------------------------------

const nextTurn = (content: Parts): ReadonlyArray<Message> => [
  Chat.user("Find it."),
  { role: "assistant", content },
  ...Chat.toolCallsOf(content).map((call) => Chat.toolResult(call, `result of ${call.arguments}`)),
  Chat.user("Go on.")
]

const tools = [{ name: "find", parameters: { type: "object", properties: { q: { type: "number" } } } }]

const sentTo = (name: string, { model, wire }: Provider, request: ChatRequest): unknown =>
  jsonRoundTrip(getOrThrow(wire.encodeRequest(request, { provider: name, model, stream: false })).body)

/** The body that a provider gets of the next turn of a client, and whether reasoning was left out. */
const forwarded = (client: Client, content: Parts, name: string, target: Provider) => {
  const body = getOrThrow(
    client.wire.encodeRequest(
      { messages: nextTurn(content), tools, maxTokens: 100 },
      { provider: "gateway", model: "any", stream: false }
    )
  ).body
  const { model: _, ...request } = getOrThrow(
    client.protocol.wire.decodeRequest(jsonRoundTrip(body), { path: client.protocol.path, headers: {} })
  ).request
  const info = { provider: name, model: target.model, wire: target.wire.name, contextWindow: 1 }
  const supported = UnsupportedFields.drop(request, client.protocol, info, "drop")
  if (supported._tag === "Left") throw new Error(supported.left.message)
  let isDropped = false
  const attached = RawRequests.attach(
    { protocol: "none", text: "", body: {}, headers: {}, onDropped: (dropped) => (isDropped = dropped) },
    { ...supported.right.request }
  )
  const key = ApiKey.make("sk-secret", { id: `key of ${name}` })
  const opened = Signatures.openFor(attached, { key }, { provider: name, wire: target.wire.name })
  return { sent: sentTo(name, target, opened.request), isDropped }
}

/** A text is one however it is divided, and so is reasoning without signatures. */
const joined = (parts: Parts): Parts =>
  parts.reduce<Parts>((before, part) => {
    const last = before.at(-1)
    if (last === undefined || last.type !== part.type || !("text" in last) || !("text" in part))
      return [...before, part]
    if ("signature" in last || "signature" in part) return [...before, part]
    return [...before.slice(0, -1), { ...last, text: last.text + part.text }]
  }, [])

/** What a provider reads of the assistant's part of a request: the ids of items and calls are those of the server of an earlier turn. */
const readBy = ({ model, wire }: Provider, sent: unknown): Parts => {
  const { messages } = getOrThrow(
    wire.decodeRequest(sent, { path: `/models/${model}:generateContent`, headers: {} })
  ).request
  const parts = messages.flatMap(({ content, role }): Parts =>
    role !== "assistant" ? [] : typeof content === "string" ? [Chat.text(content)] : content
  )
  return joined(parts).flatMap((part): Parts => {
    switch (part.type) {
      case "text":
        return part.text === "" ? [] : [Chat.text(part.text)]
      case "reasoning":
        return [
          { type: "reasoning", text: part.text, ...(part.signature === undefined ? {} : { signature: part.signature }) }
        ]
      case "tool-call":
        return [
          {
            ...Chat.toolCall("", part.name, JSON.stringify(JSON.parse(part.arguments))),
            ...(part.signature === undefined ? {} : { signature: part.signature })
          }
        ]
      default:
        return [part]
    }
  })
}

/** What the answer is in a client's protocol: Chat Completions has a text and a list of calls, and only one protocol has its own parts. */
const heldBy = ({ protocol }: Client, { wire }: Provider, parts: Parts): Parts => {
  // Without a signature, the clients of this library send reasoning back in Chat Completions alone, and Gemini reads none.
  const keepsReasoning = protocol === Protocols.chatCompletions && wire.name !== "gemini"
  const kept = parts.filter(
    (part) =>
      (part.type !== "provider" || wire.name === protocol.wire.name) &&
      (part.type !== "reasoning" || part.signature !== undefined || keepsReasoning)
  )
  if (protocol !== Protocols.chatCompletions) return kept
  const text = Chat.textOf(kept)
  return [
    ...kept.filter(({ type }) => type === "reasoning"),
    ...(text === "" ? [] : [Chat.text(text)]),
    ...Chat.toolCallsOf(kept)
  ]
}

const signaturesIn = (parts: Parts): ReadonlyArray<string> =>
  parts.flatMap((part) => ("signature" in part && part.signature !== undefined ? [part.signature] : []))

for (const [clientName, client] of Object.entries(clients)) {
  for (const [makerName, maker] of Object.entries(providers)) {
    describe(`an answer of ${makerName} that a client of ${clientName} sends back`, () => {
      const histories = FastCheck.tuple(kinds, FastCheck.boolean()).map(([generated, isStream]) => {
        const raw = maker.wire.encodeResponse(
          responseOf(makerName, maker.model, contentOf(makerName, maker, generated))
        )
        const answer = decoded(maker.wire, makerName, maker.model, raw)
        return { answer, content: receivedBy(client, answer, isStream) }
      })

      for (const [targetName, target] of Object.entries(providers)) {
        if (target === maker) {
          it.prop("is equal for its maker", [histories], ([{ answer, content }]) => {
            const { isDropped, sent } = forwarded(client, content, makerName, maker)
            const direct = { messages: nextTurn(heldBy(client, maker, answer.content)), tools, maxTokens: 100 }
            expect(readBy(maker, sent)).toEqual(readBy(maker, sentTo(makerName, maker, direct)))
            expect(isDropped).toBe(false)
          })
        } else {
          it.prop(`is what ${targetName} accepts`, [histories], ([{ answer, content }]) => {
            const { isDropped, sent } = forwarded(client, content, targetName, target)
            const text = JSON.stringify(sent)
            const signatures = signaturesIn(answer.content)
            for (const secret of ["ellm1.", ...signatures]) expect(text).not.toContain(secret)
            expect(isDropped).toBe(signatures.length > 0)
            const { messages } = getOrThrow(
              target.wire.decodeRequest(sent, { path: `/models/${target.model}:generateContent`, headers: {} })
            ).request
            const texts = messages.map((message) => Chat.textOf(message.content)).join("")
            for (const part of answer.content) if (part.type === "text") expect(texts).toContain(part.text)
            const calls = messages.flatMap((message) =>
              message.role === "assistant" ? Chat.toolCallsOf(message.content) : []
            )
            expect(calls.map((call) => JSON.parse(call.arguments))).toEqual(
              answer.toolCalls.map((call) => JSON.parse(call.arguments))
            )
            const results = messages.filter(({ role }) => role === "tool")
            expect(results).toHaveLength(calls.length)
            if (target.signs === "calls" && calls.length > 0) expect(text).toContain("skip_thought_signature_validator")
          })
        }
      }
    })
  }
}
