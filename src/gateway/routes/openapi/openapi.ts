/** The OpenAPI 3.1 document of the gateway. */
import { OpenApi } from "@effect/platform"
import { api } from "./api.js"

type Specification = OpenApi.OpenAPISpec

type Operation = OpenApi.OpenAPISpecOperation

/** The errors of routes for clients, in the format of their protocol. */
const chatErrors: Readonly<Record<string, string>> = {
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

/** The errors of routes for the administration. */
const adminErrors: Readonly<Record<string, string>> = {
  401: "No token.",
  403: "The token is not that of the administration.",
  404: "No such model or key.",
  422: "The body is not as it should be."
}

const errorsByGroup: Readonly<
  Record<string, { readonly schema: string; readonly statuses: Readonly<Record<string, string>> }>
> = {
  openai: { schema: "OpenAIError", statuses: chatErrors },
  anthropic: { schema: "AnthropicError", statuses: chatErrors },
  simple: { schema: "SimpleError", statuses: chatErrors },
  details: { schema: "SimpleError", statuses: adminErrors },
  admin: { schema: "OpenAIError", statuses: adminErrors }
}

/** The group of an operation, which is the first part of its id. */
const groupOf = ({ operationId }: Operation): string => operationId.split(".")[0] ?? ""

/** The operations that can respond with server-sent events. */
const streaming: ReadonlySet<string> = new Set([
  "openai.chatCompletions",
  "openai.responses",
  "anthropic.messages",
  "simple.simpleChatStream"
])

const withEvents = (operation: Operation): Operation => {
  const response = operation.responses[200]
  if (response === undefined || !streaming.has(operation.operationId)) return operation
  const content = { ...response.content, "text/event-stream": { schema: { type: "string" as const } } }
  return { ...operation, responses: { ...operation.responses, 200: { ...response, content } } }
}

const withErrors = (operation: Operation): Operation => {
  const group = errorsByGroup[groupOf(operation)]
  // The generated errors are those of a server made from the API description, which the gateway is not.
  const { 400: _, 404: __, 422: ___, ...responses } = operation.responses
  const errors = Object.entries(group?.statuses ?? {}).map(([status, description]) => [
    status,
    {
      description,
      content: { "application/json": { schema: { $ref: `#/components/schemas/${group?.schema ?? ""}` } } }
    }
  ])
  return { ...operation, responses: { ...responses, ...Object.fromEntries(errors) } }
}

const generatedErrors = /^(?:HttpApiDecodeError|Issue|PropertyKey)$/

const completed = (specification: Specification): Specification => ({
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
      Object.entries(specification.components.schemas).filter(([name]) => !generatedErrors.test(name))
    )
  }
})

export const document = (): Specification => completed(OpenApi.fromApi(api))
