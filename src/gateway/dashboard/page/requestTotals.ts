/** Usage and spend of the shown requests by the label of the client, by its key and by model. */
import type { LoggedRequest } from "../requestLog.js"
import { element } from "./dom.js"
import * as Format from "./format.js"

interface Totals {
  requests: number
  failed: number
  tokens: number
  cost: number
  unpricedTokens: number
}

/** The totals by name, the most expensive and then the busiest first. */
const totalsBy = (
  requests: ReadonlyArray<LoggedRequest>,
  nameOf: (request: LoggedRequest) => string
): ReadonlyArray<readonly [string, Totals]> => {
  const totals = new Map<string, Totals>()
  for (const request of requests) {
    const name = nameOf(request)
    const sum = totals.get(name) ?? { requests: 0, failed: 0, tokens: 0, cost: 0, unpricedTokens: 0 }
    const tokens = (request.inputTokens ?? 0) + (request.outputTokens ?? 0)
    sum.requests++
    if (request.outcome !== "ok" && request.outcome !== "interrupted") sum.failed++
    sum.tokens += tokens
    if (request.cost === undefined) sum.unpricedTokens += tokens
    else sum.cost += request.cost
    totals.set(name, sum)
  }
  return [...totals].toSorted(([, a], [, b]) => b.cost - a.cost || b.requests - a.requests)
}

/** The most rows of a table: clients can name any model. */
const maxRows = 20

const cells = ({ cost, failed, requests, tokens, unpricedTokens }: Totals): ReadonlyArray<string> => [
  Format.count(requests),
  Format.count(failed),
  Format.count(tokens),
  Format.cost(cost, unpricedTokens)
]

const table = (name: string, totals: ReadonlyArray<readonly [string, Totals]>): HTMLElement =>
  element(
    "table",
    { "aria-label": `Usage by ${name.toLowerCase()}` },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ...[name, "Requests", "Errors", "Tokens", "Cost"].map((title) => element("th", { scope: "col" }, title))
      )
    ),
    element(
      "tbody",
      {},
      ...totals
        .slice(0, maxRows)
        .map(([each, sums]) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, each === "" ? "–" : each),
            ...cells(sums).map((text) => element("td", {}, text))
          )
        )
    )
  )

/** Makes the function that writes the tables. */
export const mount =
  (parent: Element): ((requests: ReadonlyArray<LoggedRequest>) => void) =>
  (requests) =>
    parent.replaceChildren(
      table(
        "Client",
        totalsBy(requests, ({ client }) => client)
      ),
      table(
        "Client key",
        totalsBy(requests, ({ clientKey }) => clientKey)
      ),
      table(
        "Model",
        totalsBy(requests, ({ model, provider }) => (provider === "" ? model : `${provider}/${model}`))
      )
    )
