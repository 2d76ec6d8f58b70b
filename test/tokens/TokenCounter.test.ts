import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as FastCheck from "fast-check"
import { countTokens } from "gpt-tokenizer/encoding/o200k_base"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { chatRequest } from "../wire/generators.js"
import { character } from "../support/character.js"

const requests = chatRequest("test")

const tokens = (input: TokenCounter.Input): Effect.Effect<number> =>
  Effect.map(TokenCounter.count(input, "any"), (count) => count.tokens)

/** A text of each kind, and the bounds of estimate / exact count. */
const texts: ReadonlyArray<readonly [kind: string, text: string, least: number, most: number]> = [
  [
    "English",
    "Nobody had expected the talks to take so long, and yet everyone was relieved that they were over.",
    0.9,
    1.1
  ],
  [
    "German",
    "Niemand hatte erwartet, dass die Aussprache so lange dauern würde, und doch waren alle erleichtert.",
    0.8,
    1.2
  ],
  ["Russian", "Никто не ожидал, что обсуждение займёт столько времени, и всё же все были довольны.", 0.9, 1.5],
  ["Greek", "Κανείς δεν περίμενε ότι η συζήτηση θα διαρκούσε τόσο πολύ.", 0.8, 1.5],
  ["Arabic", "لم يتوقع أحد أن يستغرق النقاش كل هذا الوقت الطويل.", 0.8, 1.5],
  ["Hindi", "किसी ने नहीं सोचा था कि चर्चा इतनी लंबी चलेगी।", 0.8, 1.5],
  ["Chinese", "没有人料到讨论会持续这么久，然而大家似乎都松了一口气。", 0.8, 1.4],
  ["Japanese", "議論がこれほど長引くとは誰も予想していなかったが、皆ほっとしているようだった。", 0.8, 1.4],
  ["Katakana", "コンピューターのソフトウェアをアップデートしてください。", 0.8, 1.4],
  ["Korean", "아무도 논의가 그렇게 오래 걸릴 줄 예상하지 못했지만 모두 안도했다.", 0.8, 1.4],
  ["emoji", "Great! 🎉🎉 See you 😀👍🏽 from 👨‍👩‍👧‍👦 and 🇫🇷🚀✨", 0.7, 1.3],
  ["TypeScript", "export const twice = (value: number): number => {\n  return value * 2\n}\n", 0.8, 1.25],
  [
    "Python",
    "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
    0.8,
    1.25
  ],
  ["JSON", JSON.stringify({ id: 12345, name: "Ada", tags: ["one", "two"], price: 37.5, ok: true }), 0.8, 1.25],
  ["camelCase", "getUserByIdFromDatabase setMaxRetryAttempts parseHttpResponseHeaders", 0.8, 1.3],
  ["numbers", "2024-11-21 07:38:08 1234567890 3.14159 192.168.0.1", 0.7, 1.2],
  ["capitals", "DO NOT OPEN THIS DOOR WHILE THE MACHINE IS RUNNING.", 0.8, 1.3],
  ["indentation", Array.from({ length: 9 }, (_, depth) => `${" ".repeat(depth * 4)}go`).join("\n"), 0.7, 1.3]
]

describe("Usage.estimateTokens", () => {
  it.each(texts)("estimateTokens comes near to a tokenizer on %s", (_, text, least, most) => {
    const ratio = Usage.estimateTokens(text) / countTokens(text)
    expect(ratio).toBeGreaterThanOrEqual(least)
    expect(ratio).toBeLessThanOrEqual(most)
  })
  it("estimateTokens is zero for an empty text and one for a single character", () => {
    expect(Usage.estimateTokens("")).toBe(0)
    expect(Usage.estimateTokens("a")).toBe(1)
    expect(Usage.estimateTokens("本")).toBe(1)
    expect(Usage.estimateTokens("\n")).toBe(1)
  })
  it("estimateTokens counts a single space as part of the word that follows", () => {
    expect(Usage.estimateTokens("one two three")).toBe(3)
  })
  it("estimateTokens stays low for long runs of one sign, spaces or line feeds", () => {
    expect(Usage.estimateTokens("=".repeat(800))).toBeLessThan(50)
    expect(Usage.estimateTokens(" ".repeat(800))).toBeLessThan(20)
    expect(Usage.estimateTokens("\n".repeat(100))).toBeLessThan(10)
  })
  it.prop(
    "estimateTokens is a whole number of at most three per character",
    [FastCheck.string({ unit: character })],
    ([text]) => {
      const estimate = Usage.estimateTokens(text)
      expect(Number.isInteger(estimate)).toBe(true)
      expect(estimate).toBeLessThanOrEqual(text.length * 3)
    }
  )
  it.prop(
    "estimateTokens of two joined texts differs by at most three from the sum",
    [FastCheck.string({ unit: character }), FastCheck.string({ unit: character })],
    ([one, other]) => {
      const apart = Usage.estimateTokens(one) + Usage.estimateTokens(other)
      expect(Math.abs(Usage.estimateTokens(one + other) - apart)).toBeLessThanOrEqual(3)
    }
  )
})

describe("TokenCounter.count", () => {
  it.effect("count is an estimate without a tokenizer", () =>
    Effect.gen(function* () {
      expect(yield* TokenCounter.count("Hello, world!", "gpt-4o")).toEqual({ tokens: 4, estimated: true })
    })
  )
  it.effect.prop("count of messages is the sum of the counts of each", [requests], ([{ messages }]) =>
    Effect.gen(function* () {
      const each = yield* Effect.forEach(messages, (message) => tokens([message]))
      expect(yield* tokens(messages)).toBe(each.reduce((sum, count) => sum + count, 0))
    })
  )
  it.effect.prop(
    "count of a request adds the tokens that begin the answer, and those of tools and response format",
    [requests],
    ([request]) =>
      Effect.gen(function* () {
        const messages = yield* tokens(request.messages)
        const whole = yield* tokens(request)
        if (request.tools === undefined && typeof request.responseFormat !== "object") expect(whole).toBe(messages + 3)
        else expect(whole).toBeGreaterThan(messages + 3)
      })
  )
  it.effect("count adds four tokens per message, and the message's name", () =>
    Effect.gen(function* () {
      expect(yield* tokens([Chat.user("")])).toBe(4)
      expect(yield* tokens([Chat.user("one two")])).toBe(6)
      expect(yield* tokens([{ ...Chat.user("one two"), name: "ada" }])).toBe(8)
    })
  )
  it.effect("count includes tool calls and their results", () =>
    Effect.gen(function* () {
      const call = Chat.toolCall("call_1", "weather", '{"city":"Paris"}')
      const withCall = yield* tokens([Chat.assistant("", [call])])
      expect(withCall).toBe(4 + 3 + 1 + Usage.estimateTokens(call.arguments))
      expect(yield* tokens([Chat.toolResult(call, "sunny")])).toBe(5)
    })
  )
  it.effect(
    "count includes every part of an assistant message, and of a provider part the texts but no ids or bytes",
    () =>
      Effect.gen(function* () {
        const counts = (...content: ReadonlyArray<Chat.AssistantPart>) =>
          Effect.map(tokens([Chat.assistant(content)]), (count) => count - 4)
        const search: Chat.ProviderPart = {
          type: "provider",
          provider: "test",
          native: {
            test: { id: "srvtoolu_1", query: "two words", results: [{ title: "one more", data: "ABCD".repeat(99) }] }
          }
        }
        expect(yield* counts(Chat.text("one two"), { type: "refusal", text: "three" }, Chat.text("four"))).toBe(4)
        expect(yield* counts(search)).toBe(4)
        expect(yield* counts(search, Chat.toolCall("1", "weather", "now"), Chat.text("one"))).toBe(4 + 3 + 2 + 1)
      })
  )
  it.effect("count includes reasoning text and not its signature", () =>
    Effect.gen(function* () {
      const reasoning = (text: string): Chat.Message => ({
        role: "assistant",
        content: [{ type: "reasoning", text, signature: "sealed".repeat(100) }]
      })
      expect(yield* tokens([reasoning("three more words")])).toBe(4 + 3)
      expect(yield* tokens([reasoning("")])).toBe(4)
    })
  )
  it.effect("count includes nested JSON schemas of tools and the values of enums", () =>
    Effect.gen(function* () {
      const tool = (parameters: { readonly [key: string]: unknown }) => ({ name: "find", parameters })
      const count = (parameters: { readonly [key: string]: unknown }) =>
        tokens({ messages: [], tools: [tool(parameters)] })
      const person = { type: "object", properties: { name: { type: "string", description: "A full name." } } }
      const none = yield* count({ type: "object", properties: {} })
      const flat = yield* count(person)
      expect(flat).toBeGreaterThan(none)
      for (const nested of [
        { type: "object", properties: { who: person } },
        { type: "array", items: person },
        { anyOf: [person, { type: "null" }] },
        { $defs: { person } }
      ]) {
        expect(yield* count(nested)).toBeGreaterThanOrEqual(flat)
      }
      const enumerated = { type: "string", enum: ["red", "green", "blue"] }
      expect(yield* count({ properties: { colour: enumerated } })).toBeGreaterThan(
        yield* count({ properties: { colour: { type: "string" } } })
      )
    })
  )
})

/** The first bytes of a PNG of this size. */
const png = (width: number, height: number): Uint8Array => {
  const bytes = new Uint8Array(33)
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52])
  const view = new DataView(bytes.buffer)
  view.setUint32(16, width)
  view.setUint32(20, height)
  return bytes
}

const gif = (width: number, height: number): Uint8Array => {
  const bytes = new Uint8Array(13)
  bytes.set([0x47, 0x49, 0x46, 0x38, 0x39, 0x61])
  const view = new DataView(bytes.buffer)
  view.setUint16(6, width, true)
  view.setUint16(8, height, true)
  return bytes
}

/** Silence of the given length, at this many bytes a second. */
const wav = (seconds: number, bytesPerSecond: number): Uint8Array => {
  const bytes = new Uint8Array(44 + seconds * bytesPerSecond)
  bytes.set([0x52, 0x49, 0x46, 0x46])
  new DataView(bytes.buffer).setUint32(28, bytesPerSecond, true)
  return bytes
}

describe("token counts of images, audio and files", () => {
  const part = (part: Chat.UserPart): Effect.Effect<number> => Effect.map(tokens([Chat.user([part])]), (all) => all - 4)

  it.effect("count of an image of known size follows OpenAI's tiles", () =>
    Effect.gen(function* () {
      expect(yield* part(Chat.image(png(512, 512)))).toBe(85 + 170)
      expect(yield* part(Chat.image(png(1024, 1024)))).toBe(85 + 4 * 170)
      expect(yield* part(Chat.image(png(2048, 4096)))).toBe(85 + 6 * 170)
      expect(yield* part(Chat.image(gif(600, 300), { mediaType: "image/gif" }))).toBe(85 + 2 * 170)
    })
  )
  it.effect("count assumes four tiles for an image of unknown size, and no tile for low detail", () =>
    Effect.gen(function* () {
      expect(yield* part(Chat.image("https://example.com/cat.jpg"))).toBe(85 + 4 * 170)
      expect(yield* part(Chat.image("data:image/png;base64,AAAA"))).toBe(85 + 4 * 170)
      expect(yield* part(Chat.image(png(0, 10)))).toBe(85 + 4 * 170)
      expect(yield* part(Chat.image(png(4096, 4096), { detail: "low" }))).toBe(85)
    })
  )
  it.effect("count of audio is ten tokens per second", () =>
    Effect.gen(function* () {
      expect(yield* part(Chat.audio(wav(3, 8000)))).toBe(31)
      expect(yield* part(Chat.audio(new Uint8Array(32_000), { mediaType: "audio/mpeg" }))).toBe(20)
      expect(yield* part(Chat.audio("https://example.com/talk.mp3"))).toBe(600)
    })
  )
  it.effect("count of a document is that of one page, and of a text file a token per four bytes", () =>
    Effect.gen(function* () {
      expect(yield* part(Chat.file(new Uint8Array(9000)))).toBe(1500)
      expect(yield* part({ type: "file", fileId: "file-1" })).toBe(1500)
      expect(yield* part(Chat.file(new Uint8Array(9000), { mediaType: "text/markdown" }))).toBe(2250)
    })
  )
  it.effect("count includes text and images in tool results", () =>
    Effect.gen(function* () {
      const message: Chat.Message = {
        role: "tool",
        toolCallId: "call_1",
        content: [Chat.text("one"), Chat.image("https://example.com/plot.png", { detail: "low" })]
      }
      expect(yield* tokens([message])).toBe(4 + 1 + 85)
    })
  )
})

describe("TokenCounter.layer with a custom tokenizer", () => {
  const characters = TokenCounter.layer((model) =>
    model === "letters"
      ? { text: (text) => ({ tokens: text.length, estimated: false }), knownChatFormat: true }
      : undefined
  )

  it.effect("a custom tokenizer counts its own models exactly, and others are estimated", () =>
    Effect.gen(function* () {
      expect(yield* TokenCounter.count("abc", "letters")).toEqual({ tokens: 3, estimated: false })
      expect(yield* TokenCounter.count([Chat.user("abc")], "letters")).toEqual({ tokens: 7, estimated: false })
      expect(yield* TokenCounter.count({ messages: [Chat.user("abc")] }, "letters")).toEqual({
        tokens: 10,
        estimated: false
      })
      expect(yield* TokenCounter.count("a b c d e f g", "words")).toEqual({ tokens: 7, estimated: true })
    }).pipe(Effect.provide(characters))
  )
  it.effect("a count is an estimate when a request has tool calls, tools, images or a schema", () =>
    Effect.gen(function* () {
      const estimated = (input: TokenCounter.Input) =>
        Effect.map(TokenCounter.count(input, "letters"), (count) => count.estimated)
      const call = Chat.toolCall("call_1", "a", "{}")
      expect(yield* estimated([Chat.assistant("a")])).toBe(false)
      expect(yield* estimated([Chat.assistant("a", [])])).toBe(false)
      expect(yield* estimated([Chat.assistant("a", [call])])).toBe(true)
      expect(yield* estimated([Chat.toolResult(call, "a")])).toBe(true)
      expect(yield* estimated([Chat.user([Chat.text("a")])])).toBe(false)
      expect(yield* estimated([Chat.user([Chat.image("https://example.com/cat.jpg")])])).toBe(true)
      expect(yield* estimated({ messages: [Chat.user("a")], tools: [{ name: "a" }] })).toBe(true)
      expect(yield* estimated({ messages: [Chat.user("a")], tools: [], responseFormat: "json" })).toBe(false)
      expect(yield* estimated({ messages: [], responseFormat: { name: "a", schema: {} } })).toBe(true)
    }).pipe(Effect.provide(characters))
  )
  it.effect("layerEstimate replaces a tokenizer by the estimate", () =>
    Effect.gen(function* () {
      expect(yield* TokenCounter.count("abc", "letters")).toEqual({ tokens: 1, estimated: true })
    }).pipe(Effect.provide(Layer.provideMerge(TokenCounter.layerEstimate, characters)))
  )
})
