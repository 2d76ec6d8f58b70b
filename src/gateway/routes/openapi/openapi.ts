/** The OpenAPI 3.1 document of the gateway. */
import { OpenApi } from "@effect/platform"
import { api } from "./api.js"

export type Specification = OpenApi.OpenAPISpec

export type Operation = OpenApi.OpenAPISpecOperation

/** The errors of routes for clients, in the format of their protocol. */
const chatErrors: Readonly<Record<string, string>> = {
  400: "The request is invalid, or the model does not support it.",
  401: "The key is missing or invalid.",
  402: "The budget is spent, or it is in dollars and the price of the model is not known.",
  404: "The model does not exist, or the key has no access to it.",
  413: "The body is too large.",
  429: "Too many requests. Retry after the time in Retry-After.",
  502: "The provider failed, or rejected the gateway.",
  503: "No provider is available, or the gateway is shutting down.",
  504: "The provider did not respond in time."
}

/** The errors of the administrative routes. */
const adminErrors: Readonly<Record<string, string>> = {
  401: "The token is missing.",
  403: "The token is not the admin token.",
  404: "The model or key does not exist.",
  422: "The body is invalid."
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
