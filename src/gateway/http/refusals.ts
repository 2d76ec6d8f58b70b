/** Shows a call that the gateway refuses before it begins to the observers of calls, as a call that failed. */
import { Effect, Stream } from "effect"
import type { Service as LLMService } from "../../call/model.js"
import { Label } from "../../internal/label.js"
import { ResponseStatus } from "../../telemetry/callRecord.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { GatewayContext } from "./context.js"
import type { HttpError, Operation } from "./model.js"
import { keyStoreUnavailable } from "./error.js"
import { refusedModel } from "./model.js"

/** The longest name of a model that is logged: a client sends it. */
const longestName = 200

/** The error with which a call would fail that is refused so. */
const errorOf = ({ code, message, param, requested, status }: HttpError): LLMError => {
  const common = {
    provider: "",
    model: requested?.model?.slice(0, longestName) ?? "",
    status,
    attempts: [],
    message,
    ...(code === undefined ? {} : { code })
  }
  switch (status) {
    case 401:
      return new Errors.AuthenticationError(common)
    case 403:
      return new Errors.PermissionError(common)
    case 404:
      return new Errors.ModelNotFoundError(common)
    case 429:
      return new Errors.RateLimitError({ ...common, source: "limiter" })
    default:
      return status >= 500
        ? new Errors.SharedStateError({ ...common, reason: "connection" })
        : new Errors.InvalidRequestError({ ...common, ...(param === undefined ? {} : { field: param }) })
  }
}

/**
 * The model of a refused call, of which nothing is known: observers can use its name as a label of metrics, and a client can send any
 * name.
 */
const refusing = (error: LLMError): LLMService => {
  const fail = Effect.fail(error)
  return {
    info: { provider: "", model: "", wire: "", contextWindow: 0 },
    chat: () => fail,
    chatStream: () => Stream.fail(error),
    embed: () => fail,
    listModels: fail,
    status: Effect.dieMessage("A refused call has no model, whose status could be read."),
    resetRateLimit: Effect.void
  }
}

/**
 * Whether an error is a refusal before the call. Observers have seen the call of an error with a cause, and of one at the shutdown
 * deadline; of the other failures of the gateway itself, only that of its key store refuses the client's key.
 */
const isRefusal = ({ code, error, status }: HttpError): boolean =>
  error === undefined && (status < 500 || code === keyStoreUnavailable.code)

/** Shows a refusal to the observers of the gateway. A defect of an observer is logged and changes nothing. */
export const record = (context: GatewayContext, operation: Operation, error: HttpError): Effect.Effect<void> => {
  if (!isRefusal(error)) return Effect.void
  const failure = errorOf(error)
  const call = (llm: LLMService): Effect.Effect<unknown, LLMError> => {
    const { model } = failure
    if (operation === "embeddings") return llm.embed({ input: [], ...(model === "" ? {} : { model }) })
    const request = { prompt: "", ...(model === "" ? {} : { model }) }
    return error.requested?.streamed === true ? Stream.runDrain(llm.chatStream(request)) : llm.chat(request)
  }
  return context.observe(refusing(failure), refusedModel).pipe(
    Effect.flatMap(call),
    Effect.provideService(Label, error.label ?? ""),
    Effect.provideService(ResponseStatus, () => error.status),
    Effect.ignore,
    Effect.catchAllDefect((defect) => Effect.logError("a refused call could not be observed", defect))
  )
}
