/** The models of a part of the history, as a table. */
import type { History } from "../history/model.js"
import type { Percentiles } from "../snapshot.js"
import { element, elementById, setVisible } from "./dom.js"
import * as Format from "./format.js"

const p95 = (times: Percentiles | undefined): string => (times === undefined ? "–" : Format.duration(times.p95))

/** Shows the models; hides the table without any. */
export const mount = (details: HTMLDetailsElement): ((models: History["models"] | undefined) => void) => {
  const body = elementById("history-model-rows", HTMLTableSectionElement)
  return (models = []) => {
    setVisible(details, models.length > 0)
    body.replaceChildren(
      ...models.map((model) => {
        const { cost, failed, firstEvent, id, inputTokens, latency, outputTokens, requests, unpricedTokens } = model
        const cells = [
          Format.count(requests),
          Format.count(failed),
          Format.count(inputTokens + outputTokens),
          Format.cost(cost, unpricedTokens),
          p95(latency),
          p95(firstEvent)
        ]
        return element(
          "tr",
          {},
          element("th", { scope: "row" }, id === "" ? "refused" : id),
          ...cells.map((text) => element("td", {}, text))
        )
      })
    )
  }
}
