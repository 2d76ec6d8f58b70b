import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
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

describe("vectors that are no floats", () => {
  const voyage = EmbeddingsClient.presets.voyage.embeddings
  const base64 = (...bytes: ReadonlyArray<number>) => Buffer.from(bytes).toString("base64")
  const eightBytes = [1, 255, 128, 127, 0, 3, 4, 5]
  const eight = base64(...eightBytes)
  const signed = [1, -1, -128, 127, 0, 3, 4, 5]
  const unsigned = eightBytes

  /** What is read of an answer to a request with these fields. */
  const read = (embedding: unknown, extra: EmbeddingRequest["extra"], dimensions?: number, wire = voyage) => {
    const asked = {
      input: ["a"],
      ...(extra === undefined ? {} : { extra }),
      ...(dimensions === undefined ? {} : { dimensions })
    }
    const { body } = Either.getOrThrow(wire.encodeRequest(asked, peer))
    const answer = wire.decodeResponse({ data: [{ embedding }] }, { ...source, count: 1, dimensions, request: body })
    return Either.map(answer, ({ embeddings }) => embeddings[0])
  }

  it.each([
    ["int8", signed, 8],
    ["uint8", unsigned, 8],
    ["binary", signed, 64],
    ["ubinary", unsigned, 64]
  ] as const)("are read as the %s that output_dtype asks for", (output_dtype, vector, dimensions) => {
    expect(read(eight, { output_dtype })).toEqual(Either.right(vector))
    expect(read(eight, { output_dtype }, dimensions)).toEqual(Either.right(vector))
    expect(read(eight, { output_dtype, output_dimension: dimensions })).toEqual(Either.right(vector))
    expect(read(vector, { output_dtype })).toEqual(Either.right(vector))
    expect(read(eight, { output_dtype }, 2)).toMatchObject({ left: { _tag: "Malformed", path: "data[0]" } })
  })

  it("are read as what the encoding asks for", () => {
    const wire = EmbeddingsClient.openai()
    expect(read(eight, { encoding_format: "base64_int8" }, undefined, wire)).toEqual(Either.right(signed))
    expect(read(eight, { encoding_format: "base64_binary" }, undefined, wire)).toEqual(Either.right(unsigned))
    expect(read([1, -1], { embedding_type: "binary" }, undefined, wire)).toEqual(Either.right([1, -1]))
  })

  it("are read by their length where only the dimensions are known", () => {
    const wire = EmbeddingsClient.openai()
    expect(read(eight, undefined, 8, wire)).toEqual(Either.right(signed))
    expect(read(eight, undefined, 64, wire)).toEqual(Either.right(unsigned))
    expect(read(eight, { dimensions: 8 }, undefined, wire)).toEqual(Either.right(signed))
    expect(read(eight, undefined, 2)).toMatchObject({ right: { length: 2 } })
  })

  it("are an error where nothing tells what they are", () => {
    for (const wire of [voyage, EmbeddingsClient.openai()]) {
      expect(read(base64(...eightBytes, ...eightBytes), undefined, undefined, wire)).toMatchObject({ _tag: "Left" })
    }
    const failure = read(eight, undefined, undefined, EmbeddingsClient.openai())
    expect(failure).toMatchObject({ left: { _tag: "Malformed", path: "data[0]" } })
    expect(JSON.stringify(failure)).toContain("of no type that the request names")
    expect(read(base64(1, 2, 3, 4, 5), undefined)).toMatchObject({ left: { _tag: "Malformed" } })
  })

  it("do not keep floats from being read where the request names no type and no dimensions", () => {
    const floats = Buffer.from(Float32Array.from([0.5, -0.25, 100]).buffer).toString("base64")
    for (const wire of [voyage, EmbeddingsClient.openai()]) {
      expect(read(floats, undefined, undefined, wire)).toEqual(Either.right([0.5, -0.25, 100]))
    }
  })

  it("are taken by the name that Cohere gives them", () => {
    const { embeddings } = EmbeddingsClient.presets.cohere
    for (const type of ["int8", "uint8", "binary", "ubinary"]) {
      const answer = embeddings.decodeResponse({ embeddings: { [type]: [signed] } }, { ...source, count: 1 })
      expect(Either.map(answer, (found) => found.embeddings)).toEqual(Either.right([signed]))
    }
    const floats = Buffer.from(Float32Array.from([0.5, -2]).buffer).toString("base64")
    const request = { embedding_types: ["base64"] }
    expect(
      embeddings.decodeResponse({ embeddings: { base64: [floats] } }, { ...source, count: 1, request })
    ).toMatchObject({ right: { embeddings: [[0.5, -2]] } })
  })

  it("are written by a server as they were asked for, and as numbers where the type cannot hold them", () => {
    const wire = OpenAI.make()
    const write = (vector: ReadonlyArray<number>, request: Record<string, unknown>) => {
      const body = wire.encodeResponse({ model: "m", embeddings: [vector], usage: Usage.empty }, request)
      return JSON.parse(JSON.stringify(body)).data[0].embedding
    }
    const asked = (type: string) => ({ encoding_format: "base64", output_dtype: type })
    expect(write(signed, asked("int8"))).toBe(eight)
    expect(write(signed, asked("binary"))).toBe(eight)
    expect(write(unsigned, asked("uint8"))).toBe(eight)
    expect(write(unsigned, asked("ubinary"))).toBe(eight)
    expect(write(signed, { encoding_format: "base64_int8" })).toBe(eight)
    expect(write(signed, { output_dtype: "int8" })).toEqual(signed)
    expect(write([0.5, 1], asked("int8"))).toEqual([0.5, 1])
    expect(write(unsigned, asked("int8"))).toEqual(unsigned)
    expect(write(signed, asked("uint8"))).toEqual(signed)
  })

  it("are asked for in the client's own words by a server that passes them on", () => {
    const wire = OpenAI.make()
    const decoded = (encoding_format: unknown) =>
      Either.getOrThrow(wire.decodeRequest({ input: "a", encoding_format, output_dtype: "int8" }))
    expect(decoded("base64_int8").extra).toEqual({ encoding_format: "base64_int8", output_dtype: "int8" })
    for (const format of ["float", "base64", null, undefined]) {
      expect(decoded(format).extra).toEqual({ output_dtype: "int8" })
    }
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
