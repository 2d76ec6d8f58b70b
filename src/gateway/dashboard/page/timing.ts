/** The timing bar of a request: what it waited for, one part after the other. */
import type { LoggedRequest } from "../requestLog.js"
import { element } from "./dom.js"
import * as Format from "./format.js"

interface Part {
  readonly name: string
  readonly millis: number
}

/** The parts of the latency. Waits of several attempts are one part each. */
export const partsOf = (request: LoggedRequest): ReadonlyArray<Part> => {
  const { latency, timeToFirstEvent, waitedForKey = 0, waitedForPermit = 0 } = request
  const waited = Math.min(latency, waitedForPermit + waitedForKey)
  const answer: ReadonlyArray<Part> =
    timeToFirstEvent === undefined
      ? [{ name: "Answer", millis: latency - waited }]
      : [
          { name: "First token", millis: Math.max(0, timeToFirstEvent - waited) },
          { name: "Stream", millis: Math.max(0, latency - Math.max(timeToFirstEvent, waited)) }
        ]
  return [{ name: "Permit", millis: waitedForPermit }, { name: "Key", millis: waitedForKey }, ...answer].filter(
    ({ millis }) => millis > 0
  )
}

export const bar = (request: LoggedRequest): HTMLElement => {
  const parts = partsOf(request)
  const total = Math.max(
    1,
    parts.reduce((sum, { millis }) => sum + millis, 0)
  )
  const text = parts.map(({ millis, name }) => `${name} ${Format.duration(millis)}`).join(", ")
  const pieces = parts.map(({ millis, name }) => {
    const piece = element("i", { "data-part": name })
    piece.style.inlineSize = `${(millis / total) * 100}%`
    return piece
  })
  const legend = parts.map(({ millis, name }) =>
    element("li", {}, element("i", { "data-part": name }), `${name} ${Format.duration(millis)}`)
  )
  return element(
    "div",
    { class: "timing" },
    element("div", { class: "timing-bar", role: "img", "aria-label": `Times: ${text}` }, ...pieces),
    element("ul", { class: "timing-legend" }, ...legend)
  )
}
