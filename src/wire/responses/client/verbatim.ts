/** Sends bodies as a client of a gateway wrote them. */
import { withStream } from "../../verbatim.js"
import type { Verbatim } from "../../Wire.js"

export const verbatim: Verbatim = {
  aliases: [],
  address: (body, { headers, model, stream }) => ({
    path: "/responses",
    headers,
    fields: { model, ...withStream(body, stream) }
  })
}
