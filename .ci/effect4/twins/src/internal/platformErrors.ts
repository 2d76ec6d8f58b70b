/** What is read from the errors of the platform. */
import type { PlatformError } from "effect"
import type { HttpClientError } from "effect/http"

/** Whether a file does not exist. */
export const isNotFound = ({ reason }: PlatformError.PlatformError): boolean => reason._tag === "NotFound"

export const isInvalidUrl = ({ reason }: HttpClientError.HttpClientError): boolean => reason._tag === "InvalidUrlError"

export const causeOf = ({ reason }: HttpClientError.HttpClientError): unknown => reason.cause
