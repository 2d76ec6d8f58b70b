/** An `HttpClient` without its direct transport. */
import type { HttpClient } from "@effect/platform"

/** The same client as another object, which is known to no direct transport. */
export const portable = (http: HttpClient.HttpClient): HttpClient.HttpClient => Object.assign(Object.create(http), http)
