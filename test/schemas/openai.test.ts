/**
 * Validates what the library writes to OpenAI by OpenAI's API description, in the folder `LLM_SPECS`. The recorded requests are in the
 * folder `LLM_FIXTURES`.
 */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Responses from "../../src/wire/Responses.js"
import type { ClientWire } from "../../src/wire/Wire.js"
import type { Validate } from "./openai.js"
import { validators } from "./openai.js"
import type { Body, Written } from "./requests.js"
import { requestsTo } from "../wire/expressible.js"
import { bodiesOf, recorded } from "./requests.js"

const specs = process.env["LLM_SPECS"]
const fixtures = process.env["LLM_FIXTURES"]

interface Target {
  /** The folder of its recordings. */
  readonly protocol: string
  readonly wire: ClientWire
  readonly schema: string
  /** A body without what only the schema rejects. */
  readonly tolerated: (body: Body) => Body
}

const isRefusal = (part: unknown): boolean =>
  typeof part === "object" && part !== null && "type" in part && part.type === "refusal"

/**
 * An item with the id and the status that the schema asks for and the API does not: a refusal of another provider, which has none, and
 * reasoning whose caller has left it out, as Codex does.
 */
const withId = (item: unknown): unknown => {
  if (typeof item !== "object" || item === null) return item
  const hasRefusal = "content" in item && Array.isArray(item.content) && item.content.some(isRefusal)
  const isReasoning = "type" in item && item.type === "reasoning"
  return hasRefusal || isReasoning ? { id: "item_1", status: "completed", ...item } : item
}

const targets: ReadonlyArray<Target> = [
  {
    protocol: "chat-completions",
    wire: ChatCompletions.client(ChatCompletionsClient.presets.openai.dialect),
    schema: "CreateChatCompletionRequest",
    tolerated: (body) => body
  },
  {
    protocol: "responses",
    wire: Responses.client(ResponsesClient.presets.openai.dialect),
    schema: "CreateResponse",
    tolerated: (body) => ({ ...body, ...(Array.isArray(body["input"]) ? { input: body["input"].map(withId) } : {}) })
  }
]

/** The faults of what is written for a request, without the fields that the caller has sent in `extra`. */
const faultsOf = ({ protocol, tolerated, wire }: Target, validate: Validate, written: Written): ReadonlyArray<string> =>
  bodiesOf(wire, protocol, written).flatMap((body) => {
    const own = Object.entries(tolerated(body)).filter(([field]) => !(field in (written.request.extra ?? {})))
    return validate(Object.fromEntries(own))
  })

describe.runIf(specs !== undefined).each(targets.map((target) => [target.protocol, target] as const))(
  "requests to OpenAI: %s",
  (_, target) => {
    const validate = specs === undefined ? () => [] : validators(specs)(target.schema)

    it("are found faulty with a misspelt field, a wrong type and a missing field", () => {
      const request: Written = {
        name: "a request",
        provider: "openai",
        request: { messages: [{ role: "user", content: "?" }] }
      }
      const [body = {}] = bodiesOf(target.wire, target.protocol, request)
      expect(validate(body)).toEqual([])
      expect(validate({ ...body, temprature: 1 })).toEqual([expect.stringContaining("temprature")])
      expect(validate({ ...body, temperature: "hot" })).not.toEqual([])
      expect(validate({ ...body, messages: [{ role: "user" }], input: [{ role: "user" }] })).not.toEqual([])
    })

    it("have no fault in 500 generated requests", () => {
      let count = 0
      FastCheck.assert(
        FastCheck.property(requestsTo(["gpt-5.2", "gpt-4o"]), (generated) => {
          const written = { name: "generated", request: generated, provider: "acme" }
          count += bodiesOf(target.wire, target.protocol, written).length
          expect(faultsOf(target, validate, written)).toEqual([])
        }),
        { numRuns: 500 }
      )
      expect(count).toBe(1000)
    })

    it.runIf(fixtures !== undefined)("have no fault in all recorded requests and the turns after them", () => {
      const all = recorded(fixtures ?? "")
      const faults = all.flatMap((written) => {
        // What a client of this protocol wrote wrong reaches the provider as it was.
        if (written.protocol === target.protocol && validate(written.body).length > 0) return []
        const found = faultsOf(target, validate, written)
        return found.length === 0 ? [] : [[written.name, found]]
      })
      expect(faults).toEqual([])
      expect(all.flatMap((written) => bodiesOf(target.wire, target.protocol, written)).length).toBeGreaterThan(400)
    })
  }
)
