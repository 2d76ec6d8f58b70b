import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as FastCheck from "fast-check"
import * as EmbeddingsClient from "../../../src/provider/EmbeddingsClient.js"
import * as DashScopeServer from "../../../src/testing/wires/dashscope/embeddings.js"
import * as CohereClient from "../../../src/wire/embeddings/client/cohere.js"
import * as DashScopeClient from "../../../src/wire/embeddings/client/dashscope.js"
import * as GeminiClient from "../../../src/wire/embeddings/client/gemini.js"
import * as OllamaClient from "../../../src/wire/embeddings/client/ollama.js"
import * as OpenAIClient from "../../../src/wire/embeddings/client/openai.js"
import type { Dialect } from "../../../src/wire/embeddings/dialect.js"
import * as CohereServer from "../../../src/wire/embeddings/server/cohere.js"
import * as GeminiServer from "../../../src/wire/embeddings/server/gemini.js"
import * as OllamaServer from "../../../src/wire/embeddings/server/ollama.js"
import * as OpenAIServer from "../../../src/wire/embeddings/server/openai.js"
import * as Vector from "../../../src/wire/embeddings/vector.js"
import type { EmbeddingsWire, ServedEmbeddingsWire } from "../../../src/wire/Wire.js"
import type { EmbeddingRequest } from "../../../src/vocabulary/Embedding.js"
import * as Usage from "../../../src/vocabulary/Usage.js"

const OpenAI = {
  make: (dialect?: Partial<Dialect>) => ({ ...OpenAIClient.make(dialect), ...OpenAIServer.openai })
}
const gemini = (method?: "batchEmbedContents" | "predict") => ({
  ...GeminiClient.gemini(method),
  ...GeminiServer.gemini
})
const ollama = { ...OllamaClient.ollama, ...OllamaServer.ollama }
const cohere = { ...CohereClient.cohere, ...CohereServer.cohere }
const dashscope = { ...DashScopeClient.dashscope, ...DashScopeServer.dashscope }

const wires: Readonly<Record<string, EmbeddingsWire & ServedEmbeddingsWire>> = {
  openai: OpenAI.make({ base64: true }),
  ollama,
  "gemini (batchEmbedContents)": gemini(),
  "gemini (predict)": gemini("predict"),
  dashscope,
  cohere
}

const target = { provider: "test", model: "asked" }
const source = { ...target, estimatedInputTokens: 7 }

const requests: FastCheck.Arbitrary<EmbeddingRequest> = FastCheck.record(
  {
    input: FastCheck.array(FastCheck.string(), { minLength: 1, maxLength: 5 }),
    dimensions: FastCheck.integer({ min: 1, max: 64 })
  },
  { requiredKeys: ["input"] }
)

const responses = (count: number) =>
  FastCheck.record({
    embeddings: FastCheck.array(
      FastCheck.array(FastCheck.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 3, maxLength: 3 }),
      { minLength: count, maxLength: count }
    ),
    inputTokens: FastCheck.nat(1000)
  })

describe("token arrays in embedding requests", () => {
  const input = [[9906, 1917], [15339]]

  it("writes and reads token arrays for OpenAI and rejects invalid ones as Malformed", () => {
    const wire = OpenAI.make()
    const encoded = Either.getOrThrow(wire.encodeRequest({ input }, target))
    expect(encoded.body.input).toEqual(input)
    const readInput = (input: unknown) => Either.map(wire.decodeRequest({ input }), (request) => request.input)
    expect(readInput(input)).toEqual(Either.right(input))
    expect(readInput([9906, 1917])).toEqual(Either.right([[9906, 1917]]))
    expect(readInput(["a", "b"])).toEqual(Either.right(["a", "b"]))
    for (const wrong of [[], [[]], [["a"]], ["a", [1]], [1, [2]], [1.5], [-1], 7, {}, null]) {
      expect(readInput(wrong)).toMatchObject({ _tag: "Left", left: { _tag: "Malformed", path: "input" } })
    }
  })

  it("rejects token arrays as Unsupported for every other provider", () => {
    for (const [name, wire] of Object.entries(wires)) {
      if (name === "openai") continue
      expect([name, wire.encodeRequest({ input }, target)]).toEqual([
        name,
        Either.left({ _tag: "Unsupported", feature: "embeddings of token arrays, only of texts" })
      ])
    }
  })
})

describe.each(Object.entries(wires))("embeddings of %s", (name, wire) => {
  it.prop(
    "every embedding request survives writing by the client and reading by the server",
    { request: requests },
    ({ request }) => {
      const encoded = Either.getOrThrow(wire.encodeRequest(request, target))
      const decoded = Either.getOrThrow(
        wire.decodeRequest(JSON.parse(JSON.stringify(encoded.body)), { path: encoded.path, headers: {} })
      )
      expect(decoded).toMatchObject({ ...request, model: "asked" })
    }
  )

  it.prop(
    "every embedding response survives writing by the server and reading by the client",
    { answer: FastCheck.integer({ min: 1, max: 4 }).chain(responses) },
    ({ answer: response }) => {
      const count = response.embeddings.length
      const usage = Usage.make({ inputTokens: response.inputTokens })
      const request = Either.getOrThrow(
        wire.encodeRequest({ input: Array.from({ length: count }, () => "text") }, target)
      )
      const body = wire.encodeResponse({ model: "answered", embeddings: response.embeddings, usage }, request.body)
      const decoded = Either.getOrThrow(
        wire.decodeResponse(JSON.parse(JSON.stringify(body)), { ...source, count, dimensions: 3 })
      )
      expect(decoded.embeddings.map((vector) => vector.map((value) => value + 0))).toEqual(
        response.embeddings.map((vector) => vector.map((value) => value + 0))
      )
      expect(decoded.usage).toEqual(usage)
      expect(["answered", "asked"]).toContain(decoded.model)
    }
  )

  it("rejects a body of another form", () => {
    for (const body of [null, [], "text", {}, { data: 1 }]) {
      expect(Either.isLeft(wire.decodeResponse(body, { ...source, count: 1 })), JSON.stringify(body)).toBe(true)
    }
  })

  it("rejects a response with fewer vectors than texts as Malformed", () => {
    const request = Either.getOrThrow(wire.encodeRequest({ input: ["a", "b"] }, target))
    const body = wire.encodeResponse({ model: name, embeddings: [[1]], usage: Usage.empty }, request.body)
    expect(wire.decodeResponse(body, { ...source, count: 2 })).toMatchObject({
      _tag: "Left",
      left: { _tag: "Malformed", excerpt: "1 vectors for 2 texts" }
    })
  })
})

describe("OpenAI embeddings", () => {
  const wire = OpenAI.make()

  it("sorts embeddings by their index", () => {
    const decoded = wire.decodeResponse(
      {
        data: [
          { index: 1, embedding: [2] },
          { index: 0, embedding: [1] }
        ]
      },
      { ...source, count: 2 }
    )
    expect(Either.getOrThrow(decoded).embeddings).toEqual([[1], [2]])
  })

  it("estimates the tokens when the response has no usage", () => {
    const decoded = Either.getOrThrow(wire.decodeResponse({ data: [{ embedding: [1] }] }, { ...source, count: 1 }))
    expect(decoded.usage).toMatchObject({ inputTokens: 7, estimated: true })
  })

  it("reports an error body of embeddings as Reported", () => {
    const body = { error: { message: "no such model" } }
    expect(wire.decodeResponse(body, { ...source, count: 1 })).toMatchObject({ left: { _tag: "Reported", body } })
  })

  it("writes dimensions and purpose under the field names of a provider", () => {
    const voyage = OpenAI.make({ dimensionsField: "output_dimension", inputType: true, base64: true })
    const request = { input: ["a"], dimensions: 4, purpose: "query", extra: { truncation: false } } as const
    expect(Either.getOrThrow(voyage.encodeRequest(request, target)).body).toEqual({
      model: "asked",
      input: ["a"],
      output_dimension: 4,
      encoding_format: "base64",
      input_type: "query",
      truncation: false
    })
  })
})

describe("vectors of other types than float", () => {
  const voyage = EmbeddingsClient.presets.voyage.embeddings
  const base64 = (...bytes: ReadonlyArray<number>) => Buffer.from(bytes).toString("base64")
  const eightBytes = [1, 255, 128, 127, 0, 3, 4, 5]
  const eight = base64(...eightBytes)
  const signed = [1, -1, -128, 127, 0, 3, 4, 5]
  const unsigned = eightBytes

  /** The vector that is read from the response to a request with these fields. */
  const readVector = (embedding: unknown, extra: EmbeddingRequest["extra"], dimensions?: number, wire = voyage) => {
    const request = {
      input: ["a"],
      ...(extra === undefined ? {} : { extra }),
      ...(dimensions === undefined ? {} : { dimensions })
    }
    const { body } = Either.getOrThrow(wire.encodeRequest(request, target))
    const response = wire.decodeResponse({ data: [{ embedding }] }, { ...source, count: 1, dimensions, request: body })
    return Either.map(response, ({ embeddings }) => embeddings[0])
  }

  it.each([
    ["int8", signed, 8],
    ["uint8", unsigned, 8],
    ["binary", signed, 64],
    ["ubinary", unsigned, 64]
  ] as const)("reads a base64 vector as the %s that output_dtype requests", (output_dtype, vector, dimensions) => {
    expect(readVector(eight, { output_dtype })).toEqual(Either.right(vector))
    expect(readVector(eight, { output_dtype }, dimensions)).toEqual(Either.right(vector))
    expect(readVector(eight, { output_dtype, output_dimension: dimensions })).toEqual(Either.right(vector))
    expect(readVector(vector, { output_dtype })).toEqual(Either.right(vector))
    expect(readVector(eight, { output_dtype }, 2)).toMatchObject({ left: { _tag: "Malformed", path: "data[0]" } })
  })

  it("reads a base64 vector as the type that encoding_format or embedding_type requests", () => {
    const wire = EmbeddingsClient.openai()
    expect(readVector(eight, { encoding_format: "base64_int8" }, undefined, wire)).toEqual(Either.right(signed))
    expect(readVector(eight, { encoding_format: "base64_binary" }, undefined, wire)).toEqual(Either.right(unsigned))
    expect(readVector([1, -1], { embedding_type: "binary" }, undefined, wire)).toEqual(Either.right([1, -1]))
  })

  it("chooses the type of a base64 vector by its length and the requested dimensions", () => {
    const wire = EmbeddingsClient.openai()
    expect(readVector(eight, undefined, 8, wire)).toEqual(Either.right(signed))
    expect(readVector(eight, undefined, 64, wire)).toEqual(Either.right(unsigned))
    expect(readVector(eight, { dimensions: 8 }, undefined, wire)).toEqual(Either.right(signed))
    expect(readVector(eight, undefined, 2)).toMatchObject({ right: { length: 2 } })
  })

  it("rejects a base64 vector of unknown type as Malformed", () => {
    for (const wire of [voyage, EmbeddingsClient.openai()]) {
      expect(readVector(base64(...eightBytes, ...eightBytes), undefined, undefined, wire)).toMatchObject({
        _tag: "Left"
      })
    }
    const failure = readVector(eight, undefined, undefined, EmbeddingsClient.openai())
    expect(failure).toMatchObject({ left: { _tag: "Malformed", path: "data[0]" } })
    expect(JSON.stringify(failure)).toContain("of no type that the request names")
    expect(readVector(base64(1, 2, 3, 4, 5), undefined)).toMatchObject({ left: { _tag: "Malformed" } })
  })

  it("reads base64 floats when the request has neither type nor dimensions", () => {
    const floats = Buffer.from(Float32Array.from([0.5, -0.25, 100]).buffer).toString("base64")
    for (const wire of [voyage, EmbeddingsClient.openai()]) {
      expect(readVector(floats, undefined, undefined, wire)).toEqual(Either.right([0.5, -0.25, 100]))
    }
  })

  it("reads Cohere's vectors by the name of their type", () => {
    const { embeddings } = EmbeddingsClient.presets.cohere
    for (const type of ["int8", "uint8", "binary", "ubinary"]) {
      const response = embeddings.decodeResponse({ embeddings: { [type]: [signed] } }, { ...source, count: 1 })
      expect(Either.map(response, (decoded) => decoded.embeddings)).toEqual(Either.right([signed]))
    }
    const floats = Buffer.from(Float32Array.from([0.5, -2]).buffer).toString("base64")
    const request = { embedding_types: ["base64"] }
    expect(
      embeddings.decodeResponse({ embeddings: { base64: [floats] } }, { ...source, count: 1, request })
    ).toMatchObject({ right: { embeddings: [[0.5, -2]] } })
  })

  it("writes vectors in the requested type, and as numbers when the type cannot hold them", () => {
    const wire = OpenAI.make()
    const write = (vector: ReadonlyArray<number>, request: Record<string, unknown>) => {
      const body = wire.encodeResponse({ model: "m", embeddings: [vector], usage: Usage.empty }, request)
      return JSON.parse(JSON.stringify(body)).data[0].embedding
    }
    const requestFor = (type: string) => ({ encoding_format: "base64", output_dtype: type })
    expect(write(signed, requestFor("int8"))).toBe(eight)
    expect(write(signed, requestFor("binary"))).toBe(eight)
    expect(write(unsigned, requestFor("uint8"))).toBe(eight)
    expect(write(unsigned, requestFor("ubinary"))).toBe(eight)
    expect(write(signed, { encoding_format: "base64_int8" })).toBe(eight)
    expect(write(signed, { output_dtype: "int8" })).toEqual(signed)
    expect(write([0.5, 1], requestFor("int8"))).toEqual([0.5, 1])
    expect(write(unsigned, requestFor("int8"))).toEqual(unsigned)
    expect(write(signed, requestFor("uint8"))).toEqual(signed)
  })

  it("keeps the encoding_format of the client in extra unless it is float or base64", () => {
    const wire = OpenAI.make()
    const decoded = (encoding_format: unknown) =>
      Either.getOrThrow(wire.decodeRequest({ input: "a", encoding_format, output_dtype: "int8" }))
    expect(decoded("base64_int8").extra).toEqual({ encoding_format: "base64_int8", output_dtype: "int8" })
    for (const format of ["float", "base64", null, undefined]) {
      expect(decoded(format).extra).toEqual({ output_dtype: "int8" })
    }
  })
})

describe("Vector.decode", () => {
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

  it("reads base64 floats, doubles and bytes", () => {
    const values = [0.5, -0.25, 3, 0.125]
    expect(Vector.decode(bytes(4, values))).toEqual(values)
    expect(Vector.decode(bytes(8, values))).toEqual(values)
    expect(Vector.decode(bytes(1, [1, -2, 3, 4]), 4)).toEqual([1, -2, 3, 4])
  })

  it("chooses between floats and doubles by the number of dimensions", () => {
    const values = [0.1, 0.2, 0.3]
    expect(Vector.decode(bytes(8, values), 3)).toEqual(values)
    expect(Vector.decode(bytes(4, values), 3)).toEqual(values.map(Math.fround))
  })

  it("returns undefined for a value that is no vector", () => {
    for (const value of ["not base64!", "YWI", null, 3, { 0: 1 }, [1, "2"]]) {
      expect(Vector.decode(value)).toBe(undefined)
    }
  })
})
