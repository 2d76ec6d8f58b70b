/** Why a command ends without having done what it was asked, in one sentence that a person can act upon. */
import type { ConfigError } from "effect"
import { Data } from "effect"
import type { InvalidPoolError } from "../keyPool/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { ProviderFileError } from "../models/fileModel.js"
import type { InvalidLimitError } from "../rateLimiter/model.js"

/**
 * What a process says to the one that started it:
 * - 0: all is well.
 * - 1: a call failed, or some of many did, or a key was refused.
 * - 2: the command line, the configuration or an input cannot be used; nothing was asked.
 * - 130, 143: it was interrupted, or terminated.
 * - 141: nobody reads its output any more.
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

/** An empty `message` has been told already. */
export class CliFailure extends Data.TaggedError("CliFailure")<{
  readonly exitCode: FailureCode
  readonly message: string
}> {}

/** The command line, the configuration or an input cannot be used. */
export const usageFailure = (message: string): CliFailure => new CliFailure({ exitCode: exitCodes.usage, message })

/** What was asked for was tried and failed. */
export const operationFailure = (message: string): CliFailure => new CliFailure({ exitCode: exitCodes.failed, message })

/** What to do, where the error's own words do not say it. */
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

/** A call that failed. One that was refused before it was sent is the fault of the command line. */
export const callFailure = (error: LLMError): CliFailure => {
  const message = `${error.message}${advice(error)}`
  const wasSent = error.attempts.length > 0 || error.status !== undefined
  return (error._tag === "InvalidRequestError" || error._tag === "ModelNotFoundError") && !wasSent
    ? usageFailure(message)
    : operationFailure(message)
}

/** A configuration that cannot be used, with all its faults. */
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
