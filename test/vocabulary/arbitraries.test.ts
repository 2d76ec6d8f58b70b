import { Arbitrary, Schema } from "effect"
import * as FastCheck from "fast-check"
import { describe, expect, it } from "vitest"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as Attempt from "../../src/vocabulary/attempt.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Cost from "../../src/vocabulary/cost.js"
import * as QuantileSketch from "../../src/vocabulary/quantileSketch.js"
import * as Embedding from "../../src/vocabulary/Embedding.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"
import * as Usage from "../../src/vocabulary/Usage.js"

const modules = { ApiKey, Attempt, Chat, ChatEvent, Cost, QuantileSketch, Embedding, LLMError, Usage }

const schemas = Object.entries(modules).flatMap(([module, exports]) =>
  Object.entries<unknown>(exports).flatMap(([name, value]) =>
    Schema.isSchema(value)
      ? [{ name: `${module}.${name}`, schema: Schema.make<unknown, unknown, never>(value.ast) }]
      : []
  )
)

const sample = <A>(schema: Schema.Schema<A>): ReadonlyArray<A> => FastCheck.sample(Arbitrary.make(schema), 200)

describe("arbitraries of the vocabulary", () => {
  it.each(schemas)(
    "every value that the arbitrary of $name generates is valid and survives encoding and decoding",
    ({ schema }) => {
      const isValid = Schema.is(schema)
      const encode = Schema.encodeSync(schema)
      const decode = Schema.decodeUnknownSync(schema)
      FastCheck.assert(
        FastCheck.property(Arbitrary.make(schema), (value) => {
          expect(isValid(value)).toBe(true)
          expect(decode(encode(value))).toStrictEqual(value)
        })
      )
    }
  )

  it("the arbitraries of every module of the vocabulary are tested", () => {
    const covered = new Set(schemas.map(({ name }) => name.split(".")[0]))
    expect([...covered]).toEqual(Object.keys(modules))
  })

  it("the arbitrary of a media URL generates http(s) URLs and data URLs with bytes", () => {
    const urls = sample(Chat.ImagePart).map(({ url }) => url)
    expect(urls.some((url) => /^https?:\/\//.test(url))).toBe(true)
    expect(urls.some((url) => /^data:[a-z]+\/[a-z]+;base64,/.test(url))).toBe(true)
  })

  it("the arbitrary of a file part generates URLs and ids of uploaded files, never both", () => {
    const files = sample(Chat.FilePart)
    expect(files.some(({ url }) => url !== undefined)).toBe(true)
    expect(files.some(({ fileId }) => fileId !== undefined)).toBe(true)
    expect(files.every(({ fileId, url }) => (fileId === undefined) !== (url === undefined))).toBe(true)
  })

  it("every generated response and partial response has the views of its content", () => {
    const agrees = (value: Chat.Content): void => {
      expect(Chat.withContent(value, value.content)).toStrictEqual(value)
    }
    FastCheck.assert(FastCheck.property(Arbitrary.make(Chat.ChatResponse), agrees))
    FastCheck.assert(FastCheck.property(Arbitrary.make(Chat.PartialResponse), agrees))
  })

  it("uninterpreted fields are generated as JSON", () => {
    for (const { parameters } of sample(Chat.ToolDefinition)) {
      if (parameters !== undefined)
        expect(JSON.stringify(JSON.parse(JSON.stringify(parameters)))).toBe(JSON.stringify(parameters))
    }
    for (const { providerMetadata } of sample(ChatEvent.Finish)) {
      for (const value of Object.values(providerMetadata)) expect(JSON.stringify(value)).toBeTypeOf("string")
    }
  })
})
