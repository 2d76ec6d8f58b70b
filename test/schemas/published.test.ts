/**
 * Validates what the library writes to Anthropic and Gemini by schemas that others have generated from their API descriptions. The
 * schemas are older than the APIs: fields that they do not have are listed here, each with its source. The recorded requests are in
 * the folder `LLM_FIXTURES`.
 */
import * as AnthropicSchemas from "@effect/ai-anthropic/Generated"
import * as GoogleSchemas from "@effect/ai-google/Generated"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as Gemini from "../../src/wire/Gemini.js"
import { isRecord } from "../../src/wire/json.js"
import type { ClientWire } from "../../src/wire/Wire.js"
import type { Finding } from "./published.js"
import { inspector } from "./published.js"
import type { Written } from "./requests.js"
import { requestsTo } from "../wire/expressible.js"
import { bodiesOf, recorded } from "./requests.js"

const fixtures = process.env["LLM_FIXTURES"]

interface Target {
  /** The folder of its recordings. */
  readonly protocol: string
  readonly wire: ClientWire
  /** Models of the kinds that the wire distinguishes. */
  readonly models: ReadonlyArray<string>
  readonly inspect: (body: unknown) => Finding
  /** Fields of the API that the schema does not have. */
  readonly newer: ReadonlyArray<string>
}

const inspectAnthropic = inspector(AnthropicSchemas.BetaCreateMessageParams)

/**
 * What newer models take in forms that the schema has. Adaptive thinking: platform.claude.com/docs/en/build-with-claude/adaptive-thinking;
 * instructions between turns: platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages.
 */
const asForOlderModels = (body: unknown): unknown => {
  if (!isRecord(body) || !Array.isArray(body["messages"])) return body
  const { thinking, ...others } = body
  return {
    ...others,
    ...(isRecord(thinking) && thinking["type"] !== "adaptive" ? { thinking } : {}),
    messages: body["messages"].map((message: unknown) =>
      isRecord(message) && message["role"] === "system" ? { ...message, role: "user" } : message
    )
  }
}

const inspectGemini = inspector(GoogleSchemas.GenerateContentRequest)

const targets: ReadonlyArray<Target> = [
  {
    protocol: "anthropic",
    wire: Anthropic.client(),
    models: ["claude-3-5-haiku-latest", "claude-sonnet-4-5", "claude-opus-4-6", "claude-sonnet-5"],
    inspect: (body) => inspectAnthropic(asForOlderModels(body)),
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
    models: ["gemini-2.5-flash", "gemini-3-pro-preview"],
    // The schema has the model, which is in the path of a request.
    inspect: (body) => inspectGemini(typeof body === "object" ? { model: "models/asked", ...body } : body),
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
      FastCheck.property(requestsTo(target.models), (generated) => {
        const written = { name: "generated", request: generated, provider: "acme" }
        count += bodiesOf(target.wire, target.protocol, written).length
        expect(findingsOf(target, written)).toEqual([])
      }),
      { numRuns: 500 }
    )
    expect(count).toBe(1000)
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
