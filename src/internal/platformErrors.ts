/** What is read from the errors of the platform: one module, since those of Effect 4 have another form. */
import type { Error as PlatformError, HttpClientError } from "@effect/platform"

/** Whether a file does not exist. */
export const isNotFound = (error: PlatformError.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "NotFound"

export const isInvalidUrl = (error: HttpClientError.HttpClientError): boolean =>
  error._tag === "RequestError" && error.reason === "InvalidUrl"

export const causeOf = (error: HttpClientError.HttpClientError): unknown => error.cause
