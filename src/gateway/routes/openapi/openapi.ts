/** The document that describes the gateway: OpenAPI 3.1. */
import { OpenApi } from "@effect/platform"
import { api } from "./api.js"

type Specification = OpenApi.OpenAPISpec

type Operation = OpenApi.OpenAPISpecOperation

/** What a question may be answered with, beside what it asks for, in the error of its protocol. */
const failures: Readonly<Record<string, string>> = {
  400: "The request cannot be read, or the model cannot do what it asks.",
  401: "No key, or none that is good.",
  402: "The budget is spent, or is in dollars and the price of the model is not known.",
  404: "No such model, or not for this key.",
  413: "The body is too large.",
  429: "Too many requests. Retry-After says when to come again.",
  502: "The provider failed, or refused the gateway.",
  503: "Nobody can answer now, or the gateway is shutting down.",
  504: "The provider took too long."
}

/** What the administration may be told. */
const refusals: Readonly<Record<string, string>> = {
  401: "No token.",
  403: "The token is not that of the administration.",
  404: "No such model or key.",
  422: "The body is not as it should be."
}

const told: Readonly<Record<string, { readonly schema: string; readonly statuses: Readonly<Record<string, string>> }>> =
  {
    openai: { schema: "OpenAIError", statuses: failures },
    anthropic: { schema: "AnthropicError", statuses: failures },
    simple: { schema: "SimpleError", statuses: failures },
    details: { schema: "SimpleError", statuses: refusals },
    admin: { schema: "OpenAIError", statuses: refusals }
  }

/** The name of the group, which begins the id of each of its operations. */
const groupOf = ({ operationId }: Operation): string => operationId.split(".")[0] ?? ""

/** These answer with events where that is asked for. */
const streaming: ReadonlySet<string> = new Set([
  "openai.chatCompletions",
  "openai.responses",
  "anthropic.messages",
  "simple.simpleChatStream"
])

const withEvents = (operation: Operation): Operation => {
  const answer = operation.responses[200]
  if (answer === undefined || !streaming.has(operation.operationId)) return operation
  const content = { ...answer.content, "text/event-stream": { schema: { type: "string" as const } } }
  return { ...operation, responses: { ...operation.responses, 200: { ...answer, content } } }
}

const withErrors = (operation: Operation): Operation => {
  const group = told[groupOf(operation)]
  // Those that are there are of a server that is made from this document, as ours is not.
  const { 400: _, 404: __, 422: ___, ...answers } = operation.responses
  const errors = Object.entries(group?.statuses ?? {}).map(([status, description]) => [
    status,
    {
      description,
      content: { "application/json": { schema: { $ref: `#/components/schemas/${group?.schema ?? ""}` } } }
    }
  ])
  return { ...operation, responses: { ...answers, ...Object.fromEntries(errors) } }
}

const foreign = /^(?:HttpApiDecodeError|Issue|PropertyKey)$/

const described = (specification: Specification): Specification => ({
  ...specification,
  paths: Object.fromEntries(
    Object.entries(specification.paths).map(([path, methods]) => [
      path,
      Object.fromEntries(
        Object.entries(methods).map(([method, operation]) => [method, withEvents(withErrors(operation))])
      )
    ])
  ),
  components: {
    ...specification.components,
    schemas: Object.fromEntries(
      Object.entries(specification.components.schemas).filter(([name]) => !foreign.test(name))
    )
  }
})

/** Made when it is first asked for. */
export const document = (): Specification => described(OpenApi.fromApi(api))
