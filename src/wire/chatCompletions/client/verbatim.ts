/** Sends bodies as a client of a gateway wrote them. */
import { record } from "../../json.js"
import { withStream } from "../../verbatim.js"
import type { Verbatim } from "../../Wire.js"
import type { Dialect } from "../dialect.js"

/** OpenAI, API reference, chat/create: older names of fields, and those of other providers that a request can have. */
const aliases = [["max_tokens", "max_completion_tokens"]]

/** Without `include_usage` there is no usage to count. */
const includesUsage = { stream_options: { include_usage: true } }

export const verbatim = (dialect: Dialect): Verbatim => ({
  aliases,
  address: (body, { headers, model, stream }) => {
    const hasUsage = !stream || !dialect.streamUsage || record(body, "stream_options")?.["include_usage"] === true
    return {
      path: dialect.path.replace("{model}", encodeURIComponent(model)),
      headers,
      fields: { model, ...withStream(body, stream) },
      ...(hasUsage ? {} : { merged: includesUsage })
    }
  }
})
