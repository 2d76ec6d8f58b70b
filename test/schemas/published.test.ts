/**
 * Validates what the library writes to Anthropic and Gemini by schemas that others have generated from their API descriptions. The
 * schemas are older than the APIs: fields that they do not have are listed here, each with its source. The recorded requests are in
 * the folder `LLM_FIXTURES`.
 */
import * as AnthropicSchemas from "@effect/ai-anthropic/Generated"
import * as GoogleSchemas from "@effect/ai-google/Generated"
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as Gemini from "../../src/wire/Gemini.js"
import type { ClientWire } from "../../src/wire/Wire.js"
import type { Finding } from "./published.js"
import { inspector } from "./published.js"
import type { Written } from "./requests.js"
import { bodiesOf, recorded, requests, withoutNames } from "./requests.js"

const fixtures = process.env["LLM_FIXTURES"]

interface Target {
  /** The folder of its recordings. */
  readonly protocol: string
  readonly wire: ClientWire
  readonly inspect: (body: unknown) => Finding
  /** A generated request without what the protocol cannot express. */
  readonly expressible: (request: ChatRequest) => ChatRequest
  /** Fields of the API that the schema does not have. */
  readonly newer: ReadonlyArray<string>
}

const inspectGemini = inspector(GoogleSchemas.GenerateContentRequest)

const targets: ReadonlyArray<Target> = [
  {
    protocol: "anthropic",
    wire: Anthropic.client(),
    inspect: inspector(AnthropicSchemas.BetaCreateMessageParams),
    expressible: ({
      frequencyPenalty: _,
      logitBias: __,
      logprobs: ___,
      metadata: ____,
      presencePenalty: _____,
      seed: ______,
      ...request
    }) => withoutNames(request),
    newer: [
      // platform.claude.com/docs/en/build-with-claude/structured-outputs
      "output_config",
      "tools[].strict",
      // platform.claude.com/docs/en/agents-and-tools/tool-use/programmatic-tool-calling
      "messages[].content[].caller"
    ]
  },
  {
    protocol: "gemini",
    wire: Gemini.client(),
    // The schema has the model, which is in the path of a request.
    inspect: (body) => inspectGemini(typeof body === "object" ? { model: "models/asked", ...body } : body),
    expressible: ({ logitBias: _, metadata: __, parallelToolCalls: ___, ...request }) => withoutNames(request),
    newer: [
      // ai.google.dev/api/caching, `FunctionDeclaration`
      "tools[].functionDeclarations[].parametersJsonSchema",
      // ai.google.dev/api/generate-content, `GenerationConfig`
      "generationConfig.responseJsonSchema",
      // ai.google.dev/api/caching, `Part`, `ExecutableCode` and `CodeExecutionResult`
      "contents[].parts[].toolCall",
      "contents[].parts[].toolResponse",
      "contents[].parts[].executableCode.id",
      "contents[].parts[].codeExecutionResult.id"
    ]
  }
]

/** JSON Schemas of callers have any fields. */
const isInSchema = (place: string): boolean => place.startsWith("tools[].input_schema.")

const topOf = (place: string): string => place.split(/[.[]/, 1)[0] ?? ""

/** What is wrong with what is written for a request: the faults, and unknown fields that the caller has not sent in `extra`. */
const findingsOf = ({ inspect, newer, protocol, wire }: Target, written: Written): ReadonlyArray<string> =>
  bodiesOf(wire, protocol, written).flatMap((body) => {
    const { faults, unknown } = inspect(body)
    const own = unknown.filter((place) => !isInSchema(place) && !(topOf(place) in (written.request.extra ?? {})))
    return [...faults, ...own.filter((place) => !newer.includes(place)).map((place) => `${place} is unknown`)]
  })

/** Whether a request has parts that only its protocol has, which the schema can be too old for. */
const hasProviderParts = ({ request }: Written): boolean =>
  request.messages.some(
    ({ content }) => typeof content !== "string" && content.some((part) => part.type === "provider")
  )

describe.each(targets.map((target) => [target.protocol, target] as const))("requests to %s", (_, target) => {
  it("are found faulty with a wrong type, and unknown with a misspelt field at any depth", () => {
    const request: ChatRequest = { messages: [{ role: "user", content: "?" }], tools: [{ name: "f" }] }
    const [body = {}] = bodiesOf(target.wire, target.protocol, { name: "a request", provider: "acme", request })
    const known = target.inspect(body)
    expect(known.faults).toEqual([])
    const [field, misspelt] = Array.isArray(body["messages"]) ? ["messages", "rolle"] : ["contents", "rolle"]
    const entry = { role: "user", ...(field === "messages" ? { content: "?" } : { parts: [{ text: "?" }] }) }
    expect(target.inspect({ ...body, temprature: 1, [field]: [{ ...entry, [misspelt]: "user" }] }).unknown).toEqual(
      expect.arrayContaining(["temprature", `${field}[].${misspelt}`])
    )
    expect(target.inspect({ ...body, [field]: [{ ...entry, role: 1 }] }).faults).not.toEqual([])
  })

  it("have no fault in 500 generated requests", () => {
    let count = 0
    FastCheck.assert(
      FastCheck.property(requests, (generated) => {
        const written = { name: "generated", request: target.expressible(generated), provider: "acme" }
        count += bodiesOf(target.wire, target.protocol, written).length
        expect(findingsOf(target, written)).toEqual([])
      }),
      { numRuns: 500 }
    )
    expect(count).toBeGreaterThan(500)
  })

  it.runIf(fixtures !== undefined)("have no fault in all recorded requests and the turns after them", () => {
    const all = recorded(fixtures ?? "").filter(
      (written) =>
        written.protocol !== target.protocol ||
        (!hasProviderParts(written) && target.inspect(written.body).faults.length === 0)
    )
    const found = all.flatMap((written) => {
      const findings = findingsOf(target, written)
      return findings.length === 0 ? [] : [[written.name, findings]]
    })
    expect(found).toEqual([])
    expect(all.flatMap((written) => bodiesOf(target.wire, target.protocol, written)).length).toBeGreaterThan(400)
  })
})
