import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import { cohere } from "../../src/wire/embeddings/cohere.js"
import { dashscope } from "../../src/wire/embeddings/dashscope.js"
import { gemini } from "../../src/wire/embeddings/gemini.js"
import { ollama } from "../../src/wire/embeddings/ollama.js"
import * as OpenAI from "../../src/wire/embeddings/openai.js"
import * as Vector from "../../src/wire/embeddings/vector.js"
import type { ServedEmbeddingsWire } from "../../src/wire/Wire.js"
import type { EmbeddingRequest } from "../../src/Embedding.js"
import * as Usage from "../../src/Usage.js"

const wires: Readonly<Record<string, ServedEmbeddingsWire>> = {
  openai: OpenAI.make({ base64: true }),
  ollama,
  "gemini (batchEmbedContents)": gemini(),
  "gemini (predict)": gemini("predict"),
  dashscope,
  cohere
}

const peer = { provider: "test", model: "asked" }
const source = { ...peer, estimatedInputTokens: 7 }

const requests: FastCheck.Arbitrary<EmbeddingRequest> = FastCheck.record(
  {
    input: FastCheck.array(FastCheck.string(), { minLength: 1, maxLength: 5 }),
    dimensions: FastCheck.integer({ min: 1, max: 64 })
  },
  { requiredKeys: ["input"] }
)

const answers = (count: number) =>
  FastCheck.record({
    embeddings: FastCheck.array(
      FastCheck.array(FastCheck.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 3, maxLength: 3 }),
      { minLength: count, maxLength: count }
    ),
    inputTokens: FastCheck.nat(1000)
  })

describe("tokens", () => {
  const input = [[9906, 1917], [15339]]

  it("are written and read in OpenAI's words, those of one text too", () => {
    const wire = OpenAI.make()
    const written = Either.getOrThrow(wire.encodeRequest({ input }, peer))
    expect(written.body.input).toEqual(input)
    const read = (input: unknown) => Either.map(wire.decodeRequest({ input }), (request) => request.input)
    expect(read(input)).toEqual(Either.right(input))
    expect(read([9906, 1917])).toEqual(Either.right([[9906, 1917]]))
    expect(read(["a", "b"])).toEqual(Either.right(["a", "b"]))
    for (const wrong of [[], [[]], [["a"]], ["a", [1]], [1, [2]], [1.5], [-1], 7, {}, null]) {
      expect(read(wrong)).toMatchObject({ _tag: "Left", left: { _tag: "Malformed", path: "input" } })
    }
  })

  it("are told to be unsupported by all others", () => {
    for (const [name, wire] of Object.entries(wires)) {
      if (name === "openai") continue
      expect([name, wire.encodeRequest({ input }, peer)]).toEqual([
        name,
        Either.left({ _tag: "Unsupported", feature: "embeddings of token arrays, only of texts" })
      ])
    }
  })
})

describe.each(Object.entries(wires))("%s", (name, wire) => {
  it.prop("writes requests that a server reads as they were", { request: requests }, ({ request }) => {
    const written = Either.getOrThrow(wire.encodeRequest(request, peer))
    const read = Either.getOrThrow(
      wire.decodeRequest(JSON.parse(JSON.stringify(written.body)), { path: written.path, headers: {} })
    )
    expect(read).toMatchObject({ ...request, model: "asked" })
  })

  it.prop(
    "reads what a server writes, vector by vector",
    { answer: FastCheck.integer({ min: 1, max: 4 }).chain(answers) },
    ({ answer }) => {
      const count = answer.embeddings.length
      const usage = Usage.make({ inputTokens: answer.inputTokens })
      const request = Either.getOrThrow(
        wire.encodeRequest({ input: Array.from({ length: count }, () => "text") }, peer)
      )
      const body = wire.encodeResponse({ model: "answered", embeddings: answer.embeddings, usage }, request.body)
      const read = Either.getOrThrow(
        wire.decodeResponse(JSON.parse(JSON.stringify(body)), { ...source, count, dimensions: 3 })
      )
      expect(read.embeddings.map((vector) => vector.map((value) => value + 0))).toEqual(
        answer.embeddings.map((vector) => vector.map((value) => value + 0))
      )
      expect(read.usage).toEqual(usage)
      expect(["answered", "asked"]).toContain(read.model)
    }
  )

  it("says where an answer is not of the protocol", () => {
    for (const body of [null, [], "text", {}, { data: 1 }]) {
      expect(Either.isLeft(wire.decodeResponse(body, { ...source, count: 1 })), JSON.stringify(body)).toBe(true)
    }
  })

  it("does not give out fewer vectors than there were texts", () => {
    const request = Either.getOrThrow(wire.encodeRequest({ input: ["a", "b"] }, peer))
    const body = wire.encodeResponse({ model: name, embeddings: [[1]], usage: Usage.empty }, request.body)
    expect(wire.decodeResponse(body, { ...source, count: 2 })).toMatchObject({
      _tag: "Left",
      left: { _tag: "Malformed", excerpt: "1 vectors for 2 texts" }
    })
  })
})

describe("OpenAI's embeddings", () => {
  const wire = OpenAI.make()

  it("go by index, wherever they stand", () => {
    const read = wire.decodeResponse(
      {
        data: [
          { index: 1, embedding: [2] },
          { index: 0, embedding: [1] }
        ]
      },
      { ...source, count: 2 }
    )
    expect(Either.getOrThrow(read).embeddings).toEqual([[1], [2]])
  })

  it("have their tokens estimated where nobody counted", () => {
    const read = Either.getOrThrow(wire.decodeResponse({ data: [{ embedding: [1] }] }, { ...source, count: 1 }))
    expect(read.usage).toMatchObject({ inputTokens: 7, estimated: true })
  })

  it("are refused in band by some", () => {
    const body = { error: { message: "no such model" } }
    expect(wire.decodeResponse(body, { ...source, count: 1 })).toMatchObject({ left: { _tag: "Reported", body } })
  })

  it("say what they are for, and how long they shall be, in a provider's own words", () => {
    const voyage = OpenAI.make({ dimensionsField: "output_dimension", inputType: true, base64: true })
    const request = { input: ["a"], dimensions: 4, purpose: "query", extra: { truncation: false } } as const
    expect(Either.getOrThrow(voyage.encodeRequest(request, peer)).body).toEqual({
      model: "asked",
      input: ["a"],
      output_dimension: 4,
      encoding_format: "base64",
      input_type: "query",
      truncation: false
    })
  })
})

describe("a vector in base64", () => {
  const bytes = (size: 1 | 4 | 8, values: ReadonlyArray<number>): string => {
    const buffer = Buffer.alloc(values.length * size)
    values.forEach((value, index) =>
      size === 1
        ? buffer.writeInt8(value, index)
        : size === 4
          ? buffer.writeFloatLE(value, index * 4)
          : buffer.writeDoubleLE(value, index * 8)
    )
    return buffer.toString("base64")
  }

  it("is read as floats, as doubles or as bytes", () => {
    const values = [0.5, -0.25, 3, 0.125]
    expect(Vector.decode(bytes(4, values))).toEqual(values)
    expect(Vector.decode(bytes(8, values))).toEqual(values)
    expect(Vector.decode(bytes(1, [1, -2, 3, 4]), 4)).toEqual([1, -2, 3, 4])
  })

  it("is told apart by the number of dimensions where that is known", () => {
    const values = [0.1, 0.2, 0.3]
    expect(Vector.decode(bytes(8, values), 3)).toEqual(values)
    expect(Vector.decode(bytes(4, values), 3)).toEqual(values.map(Math.fround))
  })

  it("is nothing where it is no vector", () => {
    for (const value of ["not base64!", "YWI", null, 3, { 0: 1 }, [1, "2"]]) {
      expect(Vector.decode(value)).toBe(undefined)
    }
  })
})
