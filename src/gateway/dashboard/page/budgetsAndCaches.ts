/** The lists of budgets and caches. */
import type { Budget, Cache } from "../snapshot.js"
import { setAttribute, keyedChildren, element, meter, setText } from "./dom.js"
import * as Format from "./format.js"

const entry = (name: string, label: string) => {
  const bar = meter(label)
  const figure = element("b")
  const more = element("span", { class: "more" })
  return {
    node: element("div", { class: "entry" }, element("span", { class: "name" }, name), figure, bar.node, more),
    set: (share: number, text: string, details: string, mood: string): void => {
      bar.set(share, text)
      setAttribute(bar.node, "data-mood", mood)
      setText(figure, text)
      setText(more, details)
    }
  }
}

const nameOf = ({ budget, key, label }: Budget): string => {
  if (key !== undefined) return `Key ${budget}`
  return label === undefined ? budget : `${budget} · ${label === "" ? "without a label" : label}`
}

/** Formats ` a day`; empty if the period is not known. */
const periodOf = ({ period }: Budget): string =>
  period === undefined ? "" : period === "forever" ? " in all" : ` ${period === "hour" ? "an" : "a"} ${period}`

export const mountBudgets = (parent: Element): ((budgets: ReadonlyArray<Budget>, now: number) => void) => {
  let now = 0
  const update = keyedChildren<Budget>(
    parent,
    (budget) => `${budget.key ?? ""} ${nameOf(budget)}`,
    (budget) => {
      const name = nameOf(budget)
      const view = entry(name, `Spent of the budget ${name}`)
      return {
        node: view.node,
        update: (budget) => {
          const { key, limit, reserved, resetsAt, spent, unit } = budget
          const amount = unit === "dollars" ? Format.dollars : Format.count
          const share = limit > 0 ? spent / limit : 1
          const details = [
            ...(key === undefined || key === budget.budget ? [] : [key]),
            ...(reserved > 0 ? [`${amount(reserved)} reserved`] : []),
            ...(resetsAt === undefined ? [] : [`resets in ${Format.span(resetsAt - now)}`]),
            ...(spent === 0 && reserved === 0 ? ["nothing spent yet"] : [])
          ]
          view.set(
            share,
            `${amount(spent)} of ${amount(limit)}${unit === "tokens" ? " tokens" : ""}${periodOf(budget)}`,
            details.join(" · "),
            share >= 0.9 ? "bad" : share >= 0.7 ? "warn" : "good"
          )
        }
      }
    }
  )
  return (budgets, at) => {
    now = at
    update(budgets)
  }
}

const cacheNames = { responses: "Answers", embeddings: "Vectors" }

export const mountCaches = (parent: Element): ((caches: ReadonlyArray<Cache>) => void) =>
  keyedChildren<Cache>(
    parent,
    ({ name }) => name,
    ({ name }) => {
      const view = entry(cacheNames[name], `Hit rate: ${cacheNames[name]}`)
      return {
        node: view.node,
        update: ({ entries, hitRate, hits, misses, storeFailures }) => {
          const details = [
            `hits: ${Format.count(hits)}`,
            `misses: ${Format.count(misses)}`,
            ...(entries === undefined ? [] : [`entries: ${Format.count(entries)}`]),
            ...(storeFailures > 0 ? [`failures of the store: ${Format.count(storeFailures)}`] : [])
          ]
          view.set(hitRate, `${Format.percent(hitRate)} hits`, details.join(" · "), storeFailures > 0 ? "warn" : "good")
        }
      }
    }
  )
