/** The cards of the models, by provider: figures, limits, deployments and keys. */
import type { Deployment, Key, Level, Model } from "../snapshot.js"
import type { PartsView, View } from "./dom.js"
import {
  setAttribute,
  inOnePart,
  keyedChildren,
  keyedParts,
  element,
  graphic,
  meter,
  setVisible,
  setText
} from "./dom.js"
import * as Format from "./format.js"
import type { Parts } from "./parts.js"
import type { Context } from "./rows.js"
import { actionColumn, deploymentColumns, deploymentView, keyColumns, keyView, rows, table } from "./rows.js"

// -------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------

const levelView = ({ name }: Level): View<Level> => {
  const bar = meter(`Left of the limit: ${name}`)
  const text = element("span", { class: "figure" })
  return {
    node: element("li", {}, element("span", {}, name), bar.node, text),
    update: ({ available, limit }) => {
      const left = `${Format.count(Math.max(0, Math.floor(available)))} of ${Format.count(limit)} left`
      const share = available / limit
      bar.set(share, left)
      setAttribute(bar.node, "data-mood", share < 0.1 ? "bad" : share < 0.3 ? "warn" : "good")
      setText(text, left)
    }
  }
}

const sparkline = () => {
  const line = graphic("path", { class: "line" })
  const area = graphic("path", { class: "area" })
  const node = graphic(
    "svg",
    { class: "spark", viewBox: "0 0 120 32", preserveAspectRatio: "none", role: "img" },
    area,
    line
  )
  return {
    node,
    /** `minutes`: requests in each. A line needs two. */
    set: (minutes: ReadonlyArray<number>): void => {
      const most = Math.max(1, ...minutes)
      const points = minutes.map(
        (n, index) => `${((index * 120) / (minutes.length - 1)).toFixed(1)} ${(30 - (n / most) * 27).toFixed(1)}`
      )
      setAttribute(line, "d", `M${points.join("L")}`)
      setAttribute(area, "d", `M0 32L${points.join("L")}L120 32Z`)
      setAttribute(
        node,
        "aria-label",
        `Requests a minute in the last ${minutes.length} minutes, at most ${Math.max(...minutes)}`
      )
    }
  }
}

const figures = (model: Model): ReadonlyArray<readonly [string, string]> => [
  ["Requests", Format.count(model.requests)],
  ["Errors", model.requests === 0 ? "–" : Format.percent(model.failed / model.requests)],
  ["Latency p95", model.latency === undefined ? "–" : Format.duration(model.latency.p95)],
  ["First token p95", model.firstEvent === undefined ? "–" : Format.duration(model.firstEvent.p95)],
  ["Tokens", Format.count(model.inputTokens + model.outputTokens)],
  ["Cost", Format.cost(model.cost, model.unpricedTokens)],
  ["In flight", Format.count(model.inFlight)],
  ["Waiting", Format.count(model.waiting)]
]

const figureView = ([name]: readonly [string, string]): View<readonly [string, string]> => {
  const value = element("dd")
  return { node: element("div", {}, element("dt", {}, name), value), update: ([, text]) => setText(value, text) }
}

/** What a collapsed card says: `12 requests · 2% errors · $0.31 · 2 ready, 1 cooling`. */
const summaryOf = ({ cost, deployments, failed, keys, requests, unpricedTokens }: Model): string => {
  const states = (deployments.length > 0 ? deployments : keys).map(({ state }) => state)
  const counts = [...new Set(states)].map((state) => `${states.filter((other) => other === state).length} ${state}`)
  return [
    requests === 1 ? "1 request" : `${Format.count(requests)} requests`,
    ...(failed === 0 ? [] : [`${Format.percent(failed / requests)} errors`]),
    ...(requests === 0 ? [] : [Format.cost(cost, unpricedTokens)]),
    ...(counts.length === 0 ? [] : [counts.join(", ")])
  ].join(" · ")
}

/** A card of a model, and how many of the last minutes its line shows. */
interface Shown {
  readonly model: Model
  readonly minutes: number
}

const modelView = ({ model: first }: Shown, context: Context, isOpen: boolean): PartsView<Shown> => {
  const { id } = first
  let latest = first
  const mayAct = (): boolean => latest.hasPool && context.mayAct()
  const slash = id.indexOf("/")
  const title = `model-${id}`
  const aliases = element("ul", { class: "aliases", "aria-label": "Also known as" })
  const spark = sparkline()
  const summary = element("p", { class: "summary" })
  const stats = element("dl", { class: "stats" })
  const levels = element("ul", { class: "levels", "aria-label": "Limits" })
  const keyRows = rows()
  const deploymentRows = rows()
  const keyActions = actionColumn()
  const deploymentActions = actionColumn()
  const keys = table(`Keys of ${id}`, keyColumns, keyRows)
  keys.tHead?.rows[0]?.append(keyActions)
  const deployments = table(`Deployments of ${id}`, deploymentColumns, deploymentRows)
  deployments.tHead?.rows[0]?.append(deploymentActions)
  const node = element(
    "article",
    { class: "card model", "aria-labelledby": title },
    element(
      "details",
      isOpen ? { open: "" } : {},
      element(
        "summary",
        {},
        element(
          "div",
          {},
          element("h4", { id: title }, element("span", {}, id.slice(0, slash + 1)), id.slice(slash + 1)),
          aliases,
          summary
        ),
        spark.node
      ),
      stats,
      levels,
      deployments,
      keys
    )
  )
  const updateAliases = keyedChildren<string>(
    aliases,
    (name) => name,
    (name) => ({ node: element("li", {}, name), update: () => {} })
  )
  const updateStats = keyedChildren(stats, ([name]) => name, figureView)
  const updateLevels = keyedChildren<Level>(levels, ({ name }) => name, levelView)
  const updateKeys = keyedParts<Key>(
    keyRows,
    ({ id }) => id,
    (key) => inOnePart(keyView(id, key, mayAct, context))
  )
  const updateDeployments = keyedParts<Deployment>(
    deploymentRows,
    ({ id }) => id,
    (deployment) => inOnePart(deploymentView(id, deployment, context))
  )
  return {
    node,
    *update({ minutes, model }) {
      latest = model
      setText(summary, summaryOf(model))
      updateAliases(model.aliases)
      setVisible(aliases, model.aliases.length > 0)
      spark.set(model.minutes.slice(-minutes))
      updateStats(figures(model))
      updateLevels(model.levels)
      setVisible(levels, model.levels.length > 0)
      yield* updateDeployments(model.deployments)
      setVisible(deployments, model.deployments.length > 0)
      yield* updateKeys(model.keys)
      setVisible(keys, model.keys.length > 0)
      setVisible(keyActions, mayAct())
      setVisible(deploymentActions, context.mayAct())
    }
  }
}

const matchesFilter = (model: Model, filter: string): boolean =>
  [model.id, ...model.aliases, ...model.keys.map(({ id }) => id), ...model.deployments.map(({ id }) => id)].some(
    (name) => name.toLowerCase().includes(filter)
  )

/** The provider of a model, or what it is instead. */
const groupOf = ({ deployments, id }: Model): string => {
  const slash = id.indexOf("/")
  return deployments.length > 0 ? "Groups" : slash === -1 ? "Other models" : id.slice(0, slash)
}

interface Group {
  readonly name: string
  readonly models: ReadonlyArray<Shown>
}

const groupView = ({ name }: Group, context: Context, isOpen: () => boolean): PartsView<Group> => {
  const list = element("div", { class: "models" })
  const update = keyedParts<Shown>(
    list,
    ({ model }) => model.id,
    (shown) => modelView(shown, context, isOpen())
  )
  return {
    node: element("section", { "aria-label": name }, element("h3", { class: "provider" }, name), list),
    update: ({ models }) => update(models)
  }
}

/** The most cards that are open at first. */
const maxOpen = 8

/** Cards are long where a row of a table takes several lines. */
const isNarrow = (): boolean => matchMedia("(width < 1080px)").matches

/** Shows the models with the filter text in one of their names, each card as a part of its own. */
export const mount = (
  parent: Element,
  toggle: HTMLButtonElement,
  empty: HTMLElement,
  context: Context
): ((models: ReadonlyArray<Model>, filter: string, minutes: number) => Parts) => {
  let isOpen = false
  let isDecided = false
  const update = keyedParts<Group>(
    parent,
    ({ name }) => name,
    (group) => groupView(group, context, () => isOpen)
  )
  const showToggle = (): void => setText(toggle, isOpen ? "Collapse all" : "Expand all")
  toggle.addEventListener("click", () => {
    isOpen = !isOpen
    for (const details of parent.querySelectorAll("details")) details.open = isOpen
    showToggle()
  })
  return (models, filter, minutes) => {
    if (!isDecided) {
      isDecided = true
      isOpen = models.length <= maxOpen && !isNarrow()
      showToggle()
    }
    const matching = models.filter((model) => matchesFilter(model, filter.trim().toLowerCase()))
    setVisible(empty, matching.length === 0)
    return update(
      [...new Set(matching.map(groupOf))].map((name) => ({
        name,
        models: matching.filter((model) => groupOf(model) === name).map((model) => ({ model, minutes }))
      }))
    )
  }
}
