/**
 * The API of the gateway as data, from which the OpenAPI document is made. The protocols of OpenAI and Anthropic are described
 * only where the gateway reads them; their own references describe the rest.
 */
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "@effect/platform"
import { Schema } from "effect"
import * as VirtualKeys from "../../VirtualKey.js"
import {
  Health,
  KeyLoad,
  ModelLoad,
  Objects,
  optional,
  SimpleAnswer,
  SimpleError,
  SystemCapacity,
  SystemLoad,
  KeyShare
} from "./simpleApi.js"

/** An object with these fields and any others. */
const openStruct = <Fields extends Schema.Struct.Fields>(fields: Fields, identifier: string, description: string) =>
  Schema.Struct(fields, Schema.Record({ key: Schema.String, value: Schema.Unknown })).annotations({
    identifier,
    description
  })

// -------------------------------------------------------------------------------------
// access and errors
// -------------------------------------------------------------------------------------

/** A virtual key, as the clients of OpenAI, Anthropic, Azure and Google send one. */
class Caller extends HttpApiMiddleware.Tag<Caller>()("effect-llm/gateway/CallerKey", {
  security: {
    key: HttpApiSecurity.bearer,
    anthropicKey: HttpApiSecurity.apiKey({ key: "x-api-key", in: "header" }),
    azureKey: HttpApiSecurity.apiKey({ key: "api-key", in: "header" }),
    googleKey: HttpApiSecurity.apiKey({ key: "x-goog-api-key", in: "header" })
  }
}) {}

/** The admin token. */
class Administration extends HttpApiMiddleware.Tag<Administration>()("effect-llm/gateway/AdministrationToken", {
  security: { administration: HttpApiSecurity.bearer }
}) {}

const OpenAIError = Schema.Struct({
  error: openStruct(
    {
      message: Schema.String,
      type: Schema.String,
      code: Schema.NullOr(Schema.String),
      param: Schema.NullOr(Schema.String)
    },
    "OpenAIErrorDetail",
    "The cause of an error."
  )
}).annotations({ identifier: "OpenAIError", description: "An error in OpenAI's format." })

const AnthropicError = Schema.Struct({
  type: Schema.Literal("error"),
  error: openStruct({ type: Schema.String, message: Schema.String }, "AnthropicErrorDetail", "The cause of an error.")
}).annotations({ identifier: "AnthropicError", description: "An error in Anthropic's format." })

// -------------------------------------------------------------------------------------
// the simple API
// -------------------------------------------------------------------------------------

const SimpleQuestion = openStruct(
  { messages: Objects, tools: optional(Objects), model: optional(Schema.String) },
  "SimpleQuestion",
  "Messages and any other field of Chat Completions. Without a model, the gateway chooses one."
)

const model = Schema.Struct({ model: Schema.String })

const simple = HttpApiGroup.make("simple")
  .add(HttpApiEndpoint.post("simpleChat", "/llm/chat").setPayload(SimpleQuestion).addSuccess(SimpleAnswer))
  .add(
    HttpApiEndpoint.post("simpleChatStream", "/llm/chat/stream")
      .setPayload(SimpleQuestion)
      .addSuccess(HttpApiSchema.Text())
      .annotate(
        OpenApi.Description,
        'The text as it is generated. With `Accept: text/event-stream`: events of `{"result"}`, then `[DONE]`.'
      )
  )
  .add(HttpApiEndpoint.get("systemLoad", "/llm/system-load").addSuccess(SystemLoad))
  .add(HttpApiEndpoint.get("systemCapacity", "/llm/system-capacity").addSuccess(SystemCapacity))
  .add(
    HttpApiEndpoint.get("keyLoad", "/llm/key-load/:model/:keyId")
      .setPath(Schema.Struct({ model: Schema.String, keyId: Schema.String }))
      .addSuccess(KeyLoad)
  )
  .middleware(Caller)
  .annotate(OpenApi.Title, "Simple API")
  .annotate(OpenApi.Description, "The interface of LLM-API-BalancedCall.")

const details = HttpApiGroup.make("details")
  .add(HttpApiEndpoint.get("modelLoad", "/llm/model-load/:model").setPath(model).addSuccess(ModelLoad))
  .add(
    HttpApiEndpoint.get("simpleModels", "/llm/models").addSuccess(
      Schema.Struct({ models: Schema.Array(Schema.String) }).annotations({ identifier: "ModelNames" })
    )
  )
  .add(
    HttpApiEndpoint.get("keys", "/llm/keys/:model")
      .setPath(model)
      .addSuccess(
        Schema.Struct({ keys: Schema.Array(Schema.Struct(KeyShare)) }).annotations({ identifier: "KeyShares" })
      )
  )
  .middleware(Administration)
  .annotate(OpenApi.Title, "Simple API: models and keys")
  .annotate(OpenApi.Description, "Present only if enabled in the gateway's options.")

// -------------------------------------------------------------------------------------
// the protocols
// -------------------------------------------------------------------------------------

const requestBody = (identifier: string, where: string) =>
  openStruct(
    { model: optional(Schema.String), stream: optional(Schema.Boolean) },
    identifier,
    `As in ${where}. With \`stream\` the answer is \`text/event-stream\`. Without a model: the default of the gateway.`
  )

const responseBody = (identifier: string, where: string) => openStruct({}, identifier, `As in ${where}.`)

const tokens = Schema.Array(Schema.Int)

/** A text or several, or the tokens of one text or of several. */
const embeddable = Schema.Union(Schema.String, Schema.Array(Schema.String), tokens, Schema.Array(tokens))

const ResponsePath = Schema.Struct({ id: Schema.String })

const openai = HttpApiGroup.make("openai")
  .add(
    HttpApiEndpoint.post("chatCompletions", "/v1/chat/completions")
      .setPayload(requestBody("ChatCompletionsQuestion", "OpenAI's API reference, chat/create"))
      .addSuccess(responseBody("ChatCompletionsAnswer", "OpenAI's API reference, chat/object"))
  )
  .add(
    HttpApiEndpoint.post("responses", "/v1/responses")
      .setPayload(requestBody("ResponsesQuestion", "OpenAI's API reference, responses/create"))
      .addSuccess(responseBody("ResponsesAnswer", "OpenAI's API reference, responses/object"))
  )
  .add(
    HttpApiEndpoint.get("getResponse", "/v1/responses/:id")
      .setPath(ResponsePath)
      .addSuccess(responseBody("StoredResponse", "OpenAI's API reference, responses/get"))
  )
  .add(
    HttpApiEndpoint.del("deleteResponse", "/v1/responses/:id")
      .setPath(ResponsePath)
      .addSuccess(responseBody("DeletedResponse", "OpenAI's API reference, responses/delete"))
  )
  .add(
    HttpApiEndpoint.post("cancelResponse", "/v1/responses/:id/cancel")
      .setPath(ResponsePath)
      .addSuccess(responseBody("CancelledResponse", "OpenAI's API reference, responses/cancel"))
  )
  .add(
    HttpApiEndpoint.get("listInputItems", "/v1/responses/:id/input_items")
      .setPath(ResponsePath)
      .addSuccess(responseBody("InputItemList", "OpenAI's API reference, responses/input-items"))
  )
  .add(
    HttpApiEndpoint.post("embeddings", "/v1/embeddings")
      .setPayload(
        openStruct(
          { model: optional(Schema.String), input: embeddable },
          "EmbeddingsQuestion",
          "As in OpenAI's API reference, embeddings/create."
        )
      )
      .addSuccess(responseBody("EmbeddingsAnswer", "OpenAI's API reference, embeddings/object"))
  )
  .add(
    HttpApiEndpoint.get("listModels", "/v1/models").addSuccess(
      responseBody("ModelList", "the API reference of OpenAI, or of Anthropic for its clients")
    )
  )
  .add(
    HttpApiEndpoint.get("getModel", "/v1/models/:id")
      .setPath(Schema.Struct({ id: Schema.String }))
      .addSuccess(responseBody("ModelDescription", "the API reference of OpenAI, or of Anthropic for its clients"))
  )
  .middleware(Caller)
  .annotate(OpenApi.Title, "OpenAI's API")

const anthropic = HttpApiGroup.make("anthropic")
  .add(
    HttpApiEndpoint.post("messages", "/v1/messages")
      .setPayload(requestBody("MessagesQuestion", "Anthropic's API reference, messages"))
      .addSuccess(responseBody("MessagesAnswer", "Anthropic's API reference, messages"))
  )
  .add(
    HttpApiEndpoint.post("countTokens", "/v1/messages/count_tokens")
      .setPayload(requestBody("CountTokensQuestion", "Anthropic's API reference, messages-count-tokens"))
      .addSuccess(Schema.Struct({ input_tokens: Schema.Int }).annotations({ identifier: "TokenCount" }))
  )
  .middleware(Caller)
  .annotate(OpenApi.Title, "Anthropic's API")

// -------------------------------------------------------------------------------------
// administration and operations
// -------------------------------------------------------------------------------------

const Administered = responseBody("Administered", "the gateway's documentation")

const Key = { model: Schema.NonEmptyString, key: Schema.NonEmptyString }

/** A deployment of a group, by the ids of `/admin/status`. */
const Deployment = { model: Schema.NonEmptyString, deployment: Schema.NonEmptyString }

const admin = HttpApiGroup.make("admin")
  .add(HttpApiEndpoint.get("status", "/admin/status").addSuccess(Administered))
  .add(HttpApiEndpoint.get("listKeys", "/admin/keys").addSuccess(Administered))
  .add(
    HttpApiEndpoint.post("createKey", "/admin/keys")
      .setPayload(VirtualKeys.Settings.annotations({ identifier: "KeySettings" }))
      .addSuccess(Administered, { status: 201 })
  )
  .add(
    HttpApiEndpoint.put("updateKey", "/admin/keys/:id")
      .setPath(Schema.Struct({ id: Schema.String }))
      .setPayload(VirtualKeys.Settings.annotations({ identifier: "KeySettings" }))
      .addSuccess(Administered)
  )
  .add(
    HttpApiEndpoint.post("rotateKey", "/admin/keys/:id/rotate")
      .setPath(Schema.Struct({ id: Schema.String }))
      .addSuccess(Administered)
  )
  .add(HttpApiEndpoint.del("revokeKey", "/admin/keys/:id").setPath(Schema.Struct({ id: Schema.String })))
  .add(HttpApiEndpoint.get("pools", "/admin/pools").addSuccess(Administered))
  .add(
    HttpApiEndpoint.post("disableKey", "/admin/pools/disable").setPayload(Schema.Struct(Key)).addSuccess(Administered)
  )
  .add(HttpApiEndpoint.post("enableKey", "/admin/pools/enable").setPayload(Schema.Struct(Key)).addSuccess(Administered))
  .add(
    HttpApiEndpoint.post("coolKey", "/admin/pools/cool")
      .setPayload(Schema.Struct({ ...Key, seconds: Schema.Positive }))
      .addSuccess(Administered)
  )
  .add(
    HttpApiEndpoint.post("reweightKey", "/admin/pools/reweight")
      .setPayload(Schema.Struct({ ...Key, weight: Schema.Positive }))
      .addSuccess(Administered)
  )
  .add(
    HttpApiEndpoint.post("disableDeployment", "/admin/deployments/disable")
      .setPayload(Schema.Struct(Deployment))
      .addSuccess(Administered)
  )
  .add(
    HttpApiEndpoint.post("enableDeployment", "/admin/deployments/enable")
      .setPayload(Schema.Struct(Deployment))
      .addSuccess(Administered)
  )
  .add(
    HttpApiEndpoint.post("reweightDeployment", "/admin/deployments/reweight")
      .setPayload(Schema.Struct({ ...Deployment, weight: Schema.Positive }))
      .addSuccess(Administered)
  )
  .add(HttpApiEndpoint.post("clearCaches", "/admin/caches/clear").addSuccess(Administered))
  .middleware(Administration)
  .annotate(OpenApi.Title, "Administration")

const operations = HttpApiGroup.make("operations")
  .add(HttpApiEndpoint.get("health", "/health").addSuccess(Health))
  .add(HttpApiEndpoint.get("simpleHealth", "/llm/health").addSuccess(Health))
  .add(
    HttpApiEndpoint.get("ready", "/ready")
      .addSuccess(Health)
      .addError(
        Health.annotations(
          HttpApiSchema.annotations({ status: 503, description: "The gateway accepts no new requests." })
        )
      )
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(HttpApiSchema.Text())
      .annotate(
        OpenApi.Description,
        "Metrics in the text format of Prometheus, for this machine and for the admin or metrics token."
      )
  )
  .add(
    HttpApiEndpoint.get("openapi", "/openapi.json").addSuccess(
      responseBody("Document", "the OpenAPI specification, 3.1")
    )
  )
  .add(HttpApiEndpoint.get("docs", "/docs").addSuccess(HttpApiSchema.Text({ contentType: "text/html" })))
  .annotate(OpenApi.Title, "Operations")

export const api = HttpApi.make("effect-llm")
  .add(openai)
  .add(anthropic)
  .add(simple)
  .add(details)
  .add(admin)
  .add(operations)
  .annotate(HttpApi.AdditionalSchemas, [OpenAIError, AnthropicError, SimpleError])
  .annotate(OpenApi.Title, "effect-llm gateway")
  .annotate(OpenApi.Version, "0.1.0")
  .annotate(
    OpenApi.Description,
    "The models of effect-llm over HTTP: the APIs of OpenAI and Anthropic, and a simple one. Every response has an " +
      "`x-request-id`: that of the client, or a new one."
  )
