/** Validates answers and events by the specification of Open Responses. */
import { readFileSync } from "node:fs"
import { Ajv2020 } from "ajv/dist/2020.js"

const specification = JSON.parse(readFileSync(new URL("specification.json", import.meta.url), "utf8"))
// The published document has lost the type of this field: it allows null alone, where its request and its examples have the schema.
specification.$defs.JsonSchemaResponseFormat.properties.schema = { type: ["object", "null"] }

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema(specification, "open-responses")

const faultsOf = (name: string, value: unknown): ReadonlyArray<string> => {
  const validate = ajv.getSchema(`open-responses#/$defs/${name}`)
  if (validate === undefined) return [`There is no schema ${name}.`]
  if (validate(value) === true) return []
  return (validate.errors ?? []).map(({ instancePath, message }) => `${name}${instancePath} ${message ?? ""}`)
}

/** What is wrong with a whole answer. */
export const answerFaults = (value: unknown): ReadonlyArray<string> => faultsOf("ResponseResource", value)

const nameOf = (type: string): string => {
  // These two names do not follow from the type.
  if (type === "response.reasoning_summary_text.delta") return "ResponseReasoningSummaryDeltaStreamingEvent"
  if (type === "response.reasoning_summary_text.done") return "ResponseReasoningSummaryDoneStreamingEvent"
  const words = type.split(/[._]/).map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`)
  return `${words.join("")}StreamingEvent`
}

/** What is wrong with the event of a stream. */
export const eventFaults = (event: Readonly<Record<string, unknown>>): ReadonlyArray<string> =>
  faultsOf(nameOf(String(event["type"])), event)
