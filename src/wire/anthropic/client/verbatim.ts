/** Sends bodies as a client of a gateway wrote them. */
import { withStream } from "../../verbatim.js"
import type { Verbatim } from "../../Wire.js"
import type { Dialect } from "../dialect.js"

/** Structured outputs had a field of their own before they were part of `output_config`. */
const aliases = [["output_config", "output_format"]]

export const verbatim = (dialect: Dialect): Verbatim => ({
  aliases,
  address: (body, { headers, model, stream }) => {
    const { version } = dialect
    const path = (stream ? dialect.streamPath : undefined) ?? dialect.path
    const isInPath = path.includes("{model}")
    const named = isInPath ? ("model" in body ? { model: undefined } : {}) : { model }
    const versioned =
      version.in === "body" && body["anthropic_version"] === undefined ? { anthropic_version: version.value } : {}
    return {
      path: path.replace("{model}", encodeURIComponent(model)),
      headers: version.in === "header" ? { "anthropic-version": version.value, ...headers } : headers,
      fields: { ...named, ...versioned, ...withStream(body, stream) }
    }
  }
})
