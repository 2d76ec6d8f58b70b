/** Failures of a command, each with an exit code and a message that says what to do. */
import type { ConfigError } from "effect"
import { Data } from "effect"
import type { InvalidPoolError } from "../keyPool/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { ProviderFileError } from "../models/fileModel.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"

/**
 * - 0: success.
 * - 1: a call failed, some calls of a batch or a bench failed, or a key was rejected.
 * - 2: the command line, the configuration or an input is invalid; no request was sent.
 * - 130, 143: the program was interrupted or terminated.
 * - 141: the standard output was closed by its reader.
 */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  interrupted: 130,
  outputClosed: 141,
  terminated: 143
} as const

export type FailureCode = typeof exitCodes.failed | typeof exitCodes.usage

/** A failure with an empty `message` has already been reported. */
export class CliFailure extends Data.TaggedError("CliFailure")<{
  readonly exitCode: FailureCode
  readonly message: string
}> {}

/** The command line, the configuration or an input is invalid. */
export const usageFailure = (message: string): CliFailure => new CliFailure({ exitCode: exitCodes.usage, message })

/** The command ran and failed. */
export const operationFailure = (message: string): CliFailure => new CliFailure({ exitCode: exitCodes.failed, message })

/** Adds what to do if the message of the error does not say it. */
const advice = (error: LLMError): string => {
  switch (error._tag) {
    case "AuthenticationError":
      return ' "effect-llm keys check" shows which keys work.'
    case "NetworkError":
      return " Check the connection and the base URL."
    default:
      return ""
  }
}

/** A failed call. An invalid request that was never sent is a `usageFailure`. */
export const callFailure = (error: LLMError): CliFailure => {
  const message = `${error.message}${advice(error)}`
  const wasSent = error.attempts.length > 0 || error.status !== undefined
  return (error._tag === "InvalidRequestError" || error._tag === "ModelNotFoundError") && !wasSent
    ? usageFailure(message)
    : operationFailure(message)
}

/** An invalid configuration, with all its faults. */
export const configurationFailure = (
  error: ProviderFileError | InvalidPoolError | InvalidLimitError | ConfigError.ConfigError
): CliFailure => {
  if (error._tag !== "ProviderFileError") return usageFailure(`The configuration cannot be used: ${describe(error)}`)
  const faults = error.faults.map(({ message, path }) => (path === "" ? message : `${path}: ${message}`))
  return usageFailure(
    faults.length === 1
      ? `${error.file} cannot be used. ${faults.join("")}`
      : `${error.file} cannot be used:\n${faults.map((fault) => `  ${fault}`).join("\n")}`
  )
}

const describe = (error: InvalidPoolError | InvalidLimitError | ConfigError.ConfigError): string =>
  "_op" in error ? String(error) : error.message
